//! How a record lies in a segment, and how the next intact one is found behind damage.
//!
//! ```text
//! 4 bytes  marker
//! 4 bytes  length of the payload                    all numbers little-endian
//! 8 bytes  when it was appended, milliseconds since 1970
//! 4 bytes  CRC-32 of the payload
//! 4 bytes  CRC-32 of segment number, place in the segment, and the 20 bytes above
//!          payload, UTF-8
//! ```
//!
//! A payload cannot be taken for a record, whatever a client puts into it: the marker has two bytes that no UTF-8 text has, so
//! one damaged byte cannot make a marker of text. A copy of a record fails as well, since it lies in another place.

use std::io;

use super::disk::Disk;

/// An intact record, apart from its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Where it begins.
    pub(super) place: u64,
    /// Where the next one begins.
    pub(super) end: u64,
    /// When it was appended.
    pub(super) time_ms: u64,
}

/// The bytes of a record.
pub(super) fn encode(number: u64, place: u64, time_ms: u64, payload: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + payload.len());
    bytes.extend_from_slice(&MARKER);
    bytes.extend_from_slice(&u32::try_from(payload.len()).expect("bodies are far shorter").to_le_bytes());
    bytes.extend_from_slice(&time_ms.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(payload.as_bytes()).to_le_bytes());
    bytes.extend_from_slice(&head_checksum(number, place, &bytes).to_le_bytes());
    bytes.extend_from_slice(payload.as_bytes());
    bytes
}

/// Bytes of a record beside its payload.
pub(super) const HEAD: usize = 24;

/// Reads a segment.
pub(super) struct Reader<'a, D: Disk> {
    disk: &'a D,
    file: &'a D::File,
    number: u64,
    /// Where the segment ends.
    end: u64,
    /// Whether a block that the disk cannot read is damage; else it is an error.
    skips_unreadable: bool,
    /// What was read last, and where it lies.
    window: Vec<u8>,
    window_at: u64,
}

/// What the first bytes of a record say.
struct Head {
    length: u64,
    time_ms: u64,
    checksum: u32,
}

impl<'a, D: Disk> Reader<'a, D> {
    pub(super) fn new(disk: &'a D, file: &'a D::File, number: u64, end: u64) -> Reader<'a, D> {
        Reader { disk, file, number, end, skips_unreadable: false, window: Vec::new(), window_at: 0 }
    }

    pub(super) fn skipping_unreadable(self, skips_unreadable: bool) -> Reader<'a, D> {
        Reader { skips_unreadable, ..self }
    }

    /// The first intact record at `from` or after it. What lies between is damaged.
    pub(super) fn next(&mut self, from: u64) -> io::Result<Option<Record>> {
        let mut place = from;
        loop {
            if let Some(record) = self.at(place)? {
                return Ok(Some(record));
            }
            match self.marker_from(place + 1)? {
                Some(next) => place = next,
                None => return Ok(None),
            }
        }
    }

    /// The payload of a record that was found intact.
    pub(super) fn payload(&mut self, record: &Record) -> io::Result<String> {
        let length = record.end - record.place - HEAD as u64;
        let bytes = self.bytes(record.place + HEAD as u64, length)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| io::Error::other("a record is no text"))
    }

    /// Whether what lies from `from` to the end looks like a write that a crash cut short: nobody was told that it is safe.
    pub(super) fn is_unfinished(&mut self, from: u64) -> io::Result<bool> {
        let rest = self.end - from;
        if rest < HEAD as u64 {
            let bytes = self.bytes(from, rest)?;
            return Ok(bytes.iter().zip(MARKER).all(|(byte, of_marker)| *byte == of_marker));
        }
        if self.head(from)?.is_some_and(|head| from + HEAD as u64 + head.length > self.end) {
            return Ok(true);
        }
        let mut place = from;
        while place < self.end {
            let bytes = self.bytes(place, WINDOW.min(self.end - place))?;
            if bytes.is_empty() {
                break;
            }
            if bytes.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            place += bytes.len() as u64;
        }
        Ok(true)
    }

    fn at(&mut self, place: u64) -> io::Result<Option<Record>> {
        let Some(Head { length, time_ms, checksum }) = self.head(place)? else { return Ok(None) };
        let end = place + HEAD as u64 + length;
        if end > self.end {
            return Ok(None);
        }
        let payload = self.bytes(place + HEAD as u64, length)?;
        let is_intact = payload.len() as u64 == length && crc32fast::hash(payload) == checksum;
        Ok(is_intact.then_some(Record { place, end, time_ms }))
    }

    /// The head at a place, if there is an intact one.
    fn head(&mut self, place: u64) -> io::Result<Option<Head>> {
        let number = self.number;
        let bytes = self.bytes(place, HEAD as u64)?;
        let Ok(bytes) = <[u8; HEAD]>::try_from(bytes) else { return Ok(None) };
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let is_intact = bytes[..4] == MARKER && word(20) == head_checksum(number, place, &bytes[..20]);
        Ok(is_intact.then(|| Head {
            length: u64::from(word(4)),
            time_ms: u64::from(word(8)) | u64::from(word(12)) << 32,
            checksum: word(16),
        }))
    }

    /// The first marker at `from` or after it.
    fn marker_from(&mut self, from: u64) -> io::Result<Option<u64>> {
        let mut place = from;
        while place + HEAD as u64 <= self.end {
            // What has been read already is searched first.
            let read = (self.window_at + self.window.len() as u64).saturating_sub(place);
            let is_read = place >= self.window_at && read >= HEAD as u64;
            let bytes = self.bytes(place, if is_read { read } else { WINDOW.min(self.end - place) })?;
            if let Some(at) = bytes.windows(MARKER.len()).position(|part| part == MARKER) {
                return Ok(Some(place + at as u64));
            }
            if bytes.len() < MARKER.len() {
                break;
            }
            // A marker may lie across the end of what was read.
            place += (bytes.len() - MARKER.len() + 1) as u64;
        }
        Ok(None)
    }

    /// Fills the window as far as the file reaches; zeros stand for what cannot be read, and are no record.
    fn read_by_blocks(&mut self, at: u64) -> usize {
        let mut done = 0;
        while done < self.window.len() {
            let place = at + done as u64;
            let in_block = usize::try_from(BLOCK - place % BLOCK).unwrap_or(1);
            let end = (done + in_block).min(self.window.len());
            match self.disk.read(self.file, place, &mut self.window[done..end]) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(_) => {
                    self.window[done..end].fill(0);
                    done = end;
                }
            }
        }
        done
    }

    /// So many bytes from a place on; fewer where the segment ends.
    fn bytes(&mut self, at: u64, length: u64) -> io::Result<&[u8]> {
        let length = length.min(self.end.saturating_sub(at));
        let is_there = at >= self.window_at && at + length <= self.window_at + self.window.len() as u64;
        if !is_there {
            let wanted = length.max(WINDOW).min(self.end.saturating_sub(at));
            self.window.resize(usize::try_from(wanted).map_err(io::Error::other)?, 0);
            let read = match self.disk.read(self.file, at, &mut self.window) {
                Err(_) if self.skips_unreadable => self.read_by_blocks(at),
                Err(_) => {
                    // What is asked for may lie before the block that cannot be read.
                    self.window.truncate(length as usize);
                    self.disk.read(self.file, at, &mut self.window)?
                }
                Ok(read) => read,
            };
            self.window.truncate(read);
            self.window_at = at;
        }
        let begin = (at - self.window_at) as usize;
        let end = (begin + length as usize).min(self.window.len());
        Ok(&self.window[begin.min(end)..end])
    }
}

fn head_checksum(number: u64, place: u64, head: &[u8]) -> u32 {
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&number.to_le_bytes());
    checksum.update(&place.to_le_bytes());
    checksum.update(head);
    checksum.finalize()
}

const MARKER: [u8; 4] = [0xff, 0xfe, b'J', b'1'];
/// What a disk loses at once.
const BLOCK: u64 = 4096;
/// Bytes that are read at once.
const WINDOW: u64 = 256 << 10;
