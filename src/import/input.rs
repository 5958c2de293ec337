//! The bytes of a file as text: gzip by content, byte order marks, UTF-16, lines with their numbers.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::rc::Rc;

use super::ImportError;
use crate::files::gunzip;

/// So much of a file tells what it is.
pub(super) const HEAD: u64 = 64 << 10;
/// A line or a record that is longer is none.
const MOST_LINE: u64 = 16 << 20;
/// What is not read line by line is kept as a whole.
const MOST_DOCUMENT: u64 = 256 << 20;
/// How compressed files begin that are not read.
const PACKED: &[(&[u8], &str, &str)] = &[
    (b"BZh", "bzip2", "bunzip2"),
    (b"PK\x03\x04", "zip", "unzip"),
    (b"\xfd7zXZ", "xz", "unxz"),
    (b"\x28\xb5\x2f\xfd", "zstd", "unzstd"),
];

/// How a record is refused that is longer than a line may be.
pub(super) const TOO_LONG: io::ErrorKind = io::ErrorKind::FileTooLarge;

/// A file that is open, with its beginning.
pub(super) struct Source {
    pub(super) shown: String,
    pub(super) head: String,
    reader: Box<dyn BufRead>,
    line: usize,
    buffer: Vec<u8>,
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self, ImportError> {
        let is_stdin = path == Path::new("-");
        let shown = if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
        let failed = |error: &io::Error| {
            let what = match error.kind() {
                io::ErrorKind::NotFound => "there is no such file".to_owned(),
                io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
                _ => error.to_string(),
            };
            ImportError::new(format!("failed to read it: {what}"), &*shown, "")
        };
        let input: Box<dyn Read> = if is_stdin {
            Box::new(io::stdin())
        } else if path.is_dir() {
            return Err(ImportError::new("it is a folder", &*shown, "name the files in it"));
        } else {
            Box::new(File::open(path).map_err(|error| failed(&error))?)
        };
        let (mut head, mut reader) = behead(input).map_err(|error| failed(&error))?;
        if head.starts_with(&[0x1f, 0x8b]) {
            (head, reader) = behead(Box::new(gunzip(reader))).map_err(|error| damaged(&shown, 0, &error))?;
        }
        if let Some((_, name, command)) = PACKED.iter().find(|(magic, ..)| head.starts_with(magic)) {
            let help = format!("unpack it: {command} {shown}");
            return Err(ImportError::new(format!("the file is compressed by {name}"), &*shown, help));
        }
        for (mark, word) in
            [([0xff, 0xfe], u16::from_le_bytes as fn([u8; 2]) -> u16), ([0xfe, 0xff], u16::from_be_bytes)]
        {
            if head.starts_with(&mark) {
                let text = utf16(&whole(reader, MOST_DOCUMENT, &shown)?[2..], word).ok_or_else(|| {
                    let message = "it begins as UTF-16 and goes on as something else";
                    ImportError::new(message, &*shown, "save it as UTF-8")
                })?;
                (head, reader) =
                    behead(Box::new(Cursor::new(text.into_bytes()))).map_err(|error| failed(&error))?;
                break;
            }
        }
        if head.starts_with(b"\xef\xbb\xbf") {
            reader.consume(3);
        }
        // The last character may be cut.
        let head = String::from_utf8_lossy(&head).trim_start_matches('\u{feff}').to_owned();
        Ok(Self { shown, head, reader, line: 0, buffer: Vec::new() })
    }

    /// The next line without its end, with its number. Bytes that are no UTF-8 are replaced.
    pub(super) fn next_line(&mut self) -> Result<Option<(usize, String)>, ImportError> {
        self.buffer.clear();
        let read = (&mut self.reader).take(MOST_LINE + 1).read_until(b'\n', &mut self.buffer);
        let read = read.map_err(|error| damaged(&self.shown, self.line, &error))?;
        if read == 0 {
            return Ok(None);
        }
        self.line += 1;
        if read as u64 > MOST_LINE {
            let message = format!("the line is longer than {} MiB", MOST_LINE >> 20);
            return Err(ImportError::new(message, self.place(self.line), "a record on each line"));
        }
        let line = String::from_utf8_lossy(&self.buffer);
        Ok(Some((self.line, line.trim_end_matches(['\n', '\r']).to_owned())))
    }

    /// The next line that is not blank.
    pub(super) fn next_record(&mut self) -> Result<Option<(usize, String)>, ImportError> {
        while let Some((number, line)) = self.next_line()? {
            if !line.trim().is_empty() {
                return Ok(Some((number, line)));
            }
        }
        Ok(None)
    }

    /// All of it.
    pub(super) fn text(&mut self) -> Result<String, ImportError> {
        String::from_utf8(whole(&mut self.reader, MOST_DOCUMENT, &self.shown)?).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let line = 1 + error.as_bytes()[..at].iter().filter(|&&byte| byte == b'\n').count();
            ImportError::new("the file is not UTF-8 text", self.place(line), "save it as UTF-8")
        })
    }

    /// The rest of its bytes, for who finds the ends of the records.
    pub(super) fn records(&mut self) -> (Records<'_>, Record) {
        let record = Record(Rc::new(Cell::new(MOST_LINE)));
        (Records { reader: &mut self.reader, record: record.clone() }, record)
    }

    pub(super) fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.shown)
    }
}

/// Bytes of records none of which is too long: an open quote would take the rest of the file for one.
pub(super) struct Records<'s> {
    reader: &'s mut dyn BufRead,
    record: Record,
}

/// How many more bytes the record may have that is read.
#[derive(Clone)]
pub(super) struct Record(Rc<Cell<u64>>);

impl Record {
    /// Says that the next one begins.
    pub(super) fn ends(&self) {
        self.0.set(MOST_LINE);
    }
}

impl Read for Records<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.record.0.get();
        if left == 0 && !self.reader.fill_buf()?.is_empty() {
            return Err(io::Error::new(TOO_LONG, format!("record is longer than {} MiB", MOST_LINE >> 20)));
        }
        let most = buffer.len().min(left as usize);
        let read = self.reader.read(&mut buffer[..most])?;
        self.record.0.set(left - read as u64);
        Ok(read)
    }
}

/// All bytes, if they are not too many.
fn whole(reader: impl Read, most: u64, shown: &str) -> Result<Vec<u8>, ImportError> {
    let mut bytes = Vec::new();
    reader.take(most + 1).read_to_end(&mut bytes).map_err(|error| damaged(shown, 0, &error))?;
    if bytes.len() as u64 > most {
        let message = format!("the document is larger than {} MiB", most >> 20);
        return Err(ImportError::new(message, shown, "export a shorter time, or a larger step"));
    }
    Ok(bytes)
}

/// The text, if it is one to its last byte.
fn utf16(bytes: &[u8], word: fn([u8; 2]) -> u16) -> Option<String> {
    let (pairs, rest) = bytes.as_chunks();
    let words: Vec<u16> = pairs.iter().copied().map(word).collect();
    rest.is_empty().then(|| String::from_utf16(&words).ok())?
}

fn damaged(shown: &str, line: usize, error: &io::Error) -> ImportError {
    let message = match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            format!("its gzip data are truncated or damaged: {error}")
        }
        _ => format!("failed to read it: {error}"),
    };
    let place = if line == 0 { shown.to_owned() } else { format!("{shown}, after line {line}") };
    ImportError::new(message, place, "fetch or compress the file again")
}

/// The first bytes, and a reader of all.
fn behead(mut input: Box<dyn Read>) -> io::Result<(Vec<u8>, Box<dyn BufRead>)> {
    let mut head = Vec::new();
    (&mut input).take(HEAD).read_to_end(&mut head)?;
    let all = Cursor::new(head.clone()).chain(BufReader::with_capacity(1 << 16, input));
    Ok((head, Box::new(all)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_cut_silently() {
        assert_eq!(whole(&b"12345678"[..], 8, "a").unwrap(), b"12345678");
        let error = whole(&vec![0; (1 << 20) + 1][..], 1 << 20, "a").unwrap_err();
        assert_eq!(error.message, "the document is larger than 1 MiB");
        assert_eq!(utf16(b"a\0b\0", u16::from_le_bytes).as_deref(), Some("ab"));
        assert_eq!(utf16(b"a\0b", u16::from_le_bytes), None, "half a character");
    }
}
