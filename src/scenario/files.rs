//! Reads text files, the scenario and those it names, with errors that say what to do.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::OnceLock;

use super::diagnostic::{Code, Diagnostic, Location, nearest};
use super::log::Mistake;
use super::reader::Section;
use super::tree::Place;
use crate::files::gunzip;

/// The largest scenario file.
pub(super) const MOST_SCENARIO_BYTES: u64 = 16 << 20;
/// The largest file that a scenario names.
const MOST_DATA_BYTES: u64 = 1 << 30;
/// The first bytes of a gzip file (RFC 1952, section 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// How compressed files begin that are not read.
const PACKED: &[(&[u8], &str, &str)] = &[
    (b"BZh", "bzip2", "bunzip2 FILE"),
    (b"PK\x03\x04", "zip", "unzip FILE"),
    (b"\xfd7zXZ", "xz", "unxz FILE"),
    (b"\x28\xb5\x2f\xfd", "zstd", "unzstd FILE"),
];
/// Reading a data file stops at this many mistakes.
pub(super) const MOST_DATA_MISTAKES: usize = 20;

/// Why a text file cannot be read.
pub(super) enum FileFault {
    /// The file system refused: what happened, and a hint.
    Unreadable(String, String),
    /// It is not UTF-8: line and offset of the first invalid byte.
    NotUtf8 { line: usize, offset: usize },
}

impl FileFault {
    pub(super) fn message(&self) -> String {
        match self {
            FileFault::Unreadable(message, _) => message.clone(),
            FileFault::NotUtf8 { line, offset } => {
                format!("the file is not UTF-8 text: invalid byte at offset {offset}, in line {line}")
            }
        }
    }

    pub(super) fn help(&self) -> String {
        match self {
            FileFault::Unreadable(_, help) => help.clone(),
            FileFault::NotUtf8 { .. } => "save the file as UTF-8".to_string(),
        }
    }
}

/// Reads a whole file, and decompresses gzip whatever the file is called.
pub(super) fn read_text(path: &Path, most_bytes: u64) -> Result<String, FileFault> {
    let shown = path.display();
    let failed =
        |what: &str, help: String| FileFault::Unreadable(format!("failed to read `{shown}`: {what}"), help);
    if path.is_dir() {
        return Err(failed("it is a folder", list_of_files(path)));
    }
    let mut bytes = Vec::new();
    // One byte more than allowed tells too long a file, and also ends with an endless device.
    let read = File::open(path).and_then(|file| file.take(most_bytes + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return Err(match error.kind() {
            ErrorKind::NotFound => failed("there is no such file", close_files(path)),
            ErrorKind::PermissionDenied => failed("permission denied", String::new()),
            _ => failed(&error.to_string(), String::new()),
        });
    }
    text_of(bytes, most_bytes, &failed)
}

/// Reads standard input. It can be read once, so what it said is remembered for whoever asks again.
pub(super) fn standard_input(most_bytes: u64) -> Result<String, FileFault> {
    static INPUT: OnceLock<Vec<u8>> = OnceLock::new();
    let failed = |what: &str, help: String| {
        FileFault::Unreadable(format!("failed to read standard input: {what}"), help)
    };
    if let Some(bytes) = INPUT.get() {
        return text_of(bytes.clone(), most_bytes, &failed);
    }
    let mut bytes = Vec::new();
    if let Err(error) = std::io::stdin().lock().take(most_bytes + 1).read_to_end(&mut bytes) {
        return Err(failed(&error.to_string(), String::new()));
    }
    text_of(INPUT.get_or_init(|| bytes).clone(), most_bytes, &failed)
}

/// The text of a file's bytes.
fn text_of(
    mut bytes: Vec<u8>,
    most_bytes: u64,
    failed: &dyn Fn(&str, String) -> FileFault,
) -> Result<String, FileFault> {
    let too_large = |what: &str| {
        failed(&format!("{what} larger than {} MiB, the most allowed", most_bytes >> 20), String::new())
    };
    if bytes.len() as u64 > most_bytes {
        return Err(too_large("it is"));
    }
    if bytes.starts_with(&GZIP) {
        let mut unpacked = Vec::new();
        let read = gunzip(&bytes[..]).take(most_bytes + 1).read_to_end(&mut unpacked);
        if let Err(error) = read {
            let what = format!(
                "its gzip data are truncated or damaged after {} bytes of text: {error}",
                unpacked.len()
            );
            return Err(failed(&what, "compress the file again".to_string()));
        }
        if unpacked.len() as u64 > most_bytes {
            return Err(too_large("unpacked, it is"));
        }
        bytes = unpacked;
    }
    for (magic, name, command) in PACKED {
        if bytes.starts_with(magic) {
            return Err(failed(&format!("it is compressed by {name}"), format!("unpack it: {command}")));
        }
    }
    // What some editors and spreadsheets of Windows call Unicode.
    for (mark, word) in
        [([0xff, 0xfe], u16::from_le_bytes as fn([u8; 2]) -> u16), ([0xfe, 0xff], u16::from_be_bytes)]
    {
        if let Some(body) = bytes.strip_prefix(&mark) {
            let words: Vec<u16> =
                body.chunks(2).map(|pair| word([pair[0], *pair.get(1).unwrap_or(&0)])).collect();
            let decoded = String::from_utf16(&words);
            return decoded.map_err(|_| {
                failed("it begins as UTF-16 and goes on as something else", "save it as UTF-8".into())
            });
        }
    }
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..offset].iter().filter(|&&byte| byte == b'\n').count();
        FileFault::NotUtf8 { line, offset }
    })
}

/// A data file that a setting names.
pub(super) struct DataFile {
    /// Its name in messages.
    pub(super) shown: String,
    pub(super) text: String,
    place: Place,
    mistakes: usize,
}

impl DataFile {
    /// Reads the file that the setting `key` names, relative to the scenario.
    pub(super) fn read(section: &mut Section<'_>, key: &'static str, name: &str) -> Option<DataFile> {
        let path = section.log().base().join(name);
        match read_text(&path, MOST_DATA_BYTES) {
            Ok(text) => {
                let place = section.place_of(key);
                Some(DataFile { shown: path.display().to_string(), text, place, mistakes: 0 })
            }
            Err(fault) => {
                section.complain(key, Mistake::new(Code::File, fault.message(), fault.help()));
                None
            }
        }
    }

    /// Logs a mistake at `part`, start and length in the file's text, in `line`. False once there are enough.
    pub(super) fn complain(
        &mut self,
        section: &Section<'_>,
        line: usize,
        part: (usize, usize),
        fault: Mistake,
    ) -> bool {
        self.mistakes += 1;
        let at = Location::of(self.shown.as_str(), &self.text, Some(line), part.0..part.0 + part.1);
        let diagnostic = Diagnostic { code: fault.code, message: fault.message, at, label: fault.label };
        section.log().report_elsewhere(&self.place, diagnostic);
        self.mistakes < MOST_DATA_MISTAKES
    }

    pub(super) fn has_mistakes(&self) -> bool {
        self.mistakes > 0
    }
}

/// Where `part` begins in `whole`, of which it is a slice.
pub(super) fn offset_in(whole: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize).min(whole.len())
}

fn names_in(folder: &Path) -> Vec<String> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.flatten().take(10_000).filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

fn close_files(path: &Path) -> String {
    let folder = path.parent().unwrap_or(Path::new(""));
    if !folder.as_os_str().is_empty() && !folder.is_dir() {
        return format!("the folder `{}` does not exist", folder.display());
    }
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return String::new() };
    let names = names_in(folder);
    let stem = |name: &str| name.split('.').next().unwrap_or_default().to_string();
    let near = nearest(name, names.iter().map(String::as_str))
        .or_else(|| names.iter().map(String::as_str).find(|other| stem(other) == stem(name)));
    match near {
        Some(near) => format!("did you mean `{}`?", folder.join(near).display()),
        None => list_of_files(folder),
    }
}

fn list_of_files(folder: &Path) -> String {
    let names: Vec<_> =
        names_in(folder).into_iter().filter(|name| name.ends_with(".toml")).take(10).collect();
    if names.is_empty() { String::new() } else { format!("scenarios there: {}", names.join(", ")) }
}
