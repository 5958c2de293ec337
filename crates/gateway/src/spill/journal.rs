//! A first-in, first-out list of records on disk that survives a crash.
//!
//! ```text
//! 00000007.journal     a segment: records one after the other
//!                        4 bytes length, little-endian | 4 bytes CRC-32 of the payload | payload
//! 00000008.journal     the segment that is appended to
//! position             "7 1234": the first record not taken yet begins there
//! ```
//!
//! [`Journal::append`] writes and syncs: a record is durable when it returns. After a crash a record may come back twice, but is
//! never lost and never out of order. Unreadable data is renamed, not deleted.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The journal of one folder.
pub(super) struct Journal {
    dir: PathBuf,
    max_bytes: u64,
    /// The oldest first; there is always one, the last is appended to.
    segments: VecDeque<Segment>,
    /// Where the first record not taken yet begins, in the first segment.
    position: u64,
    /// Its write end, at the end of the last segment.
    file: File,
}

struct Segment {
    number: u64,
    bytes: u64,
    /// Records not taken yet.
    records: u64,
}

/// Why a record could not be appended.
#[derive(Debug)]
pub(super) enum AppendError {
    /// There is no room for it.
    Full,
    /// The disk failed.
    Io(io::Error),
}

impl Journal {
    /// Opens the journal in `dir` and creates the folder if needed.
    pub(super) fn open(dir: &Path, max_bytes: u64) -> io::Result<Journal> {
        fs::create_dir_all(dir)?;
        let mut numbers = Vec::new();
        for entry in fs::read_dir(dir)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".journal")?.parse::<u64>().ok());
            numbers.extend(number);
        }
        numbers.sort_unstable();
        let (first, mut position) = read_position(dir)?.unwrap_or((0, 0));
        let mut segments = VecDeque::new();
        for number in numbers {
            let path = segment_path(dir, number);
            if number < first {
                // Taken whole; the crash came before it was removed.
                fs::remove_file(path)?;
                continue;
            }
            let start = if number == first { position } else { 0 };
            let (bytes, records) = check(&path, start)?;
            segments.push_back(Segment { number, bytes, records });
        }
        if segments.front().is_none_or(|segment| segment.number != first) {
            position = 0;
        }
        if segments.is_empty() {
            segments.push_back(Segment { number: first + 1, bytes: 0, records: 0 });
        }
        let last = segments.back().expect("one was just put there").number;
        let file = append_to(dir, last)?;
        sync_folder(dir)?;
        Ok(Journal { dir: dir.to_owned(), max_bytes, segments, position, file })
    }

    /// Records not taken yet.
    pub(super) fn records(&self) -> u64 {
        self.segments.iter().map(|segment| segment.records).sum()
    }

    /// Bytes on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Appends all records or none, and syncs.
    pub(super) fn append(&mut self, payloads: &[Vec<u8>]) -> Result<(), AppendError> {
        let mut block = Vec::new();
        for payload in payloads {
            block.extend_from_slice(&(payload.len() as u32).to_le_bytes());
            block.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
            block.extend_from_slice(payload);
        }
        if self.bytes() + block.len() as u64 > self.max_bytes {
            return Err(AppendError::Full);
        }
        let last = self.segments.back_mut().expect("there is always a segment");
        let written = self.file.write_all(&block).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // After a failed sync nobody knows what is on the disk, so nothing more is ever appended to this segment.
            let cut = self.file.set_len(last.bytes);
            tracing::error!(?cut, segment = last.number, "a segment of the spill is closed");
            self.begin_segment().map_err(AppendError::Io)?;
            return Err(AppendError::Io(error));
        }
        last.bytes += block.len() as u64;
        last.records += payloads.len() as u64;
        if last.bytes >= SEGMENT_BYTES {
            // Records are safe whether or not the next segment can be begun now.
            if let Err(error) = self.begin_segment() {
                tracing::error!(%error, "no further segment of the spill can be begun");
            }
        }
        Ok(())
    }

    /// The first records not taken yet, at most `most` of them and all of one segment.
    pub(super) fn peek(&self, most: usize) -> io::Result<Vec<Vec<u8>>> {
        let Some(first) = self.segments.front().filter(|segment| segment.records > 0) else {
            return Ok(Vec::new());
        };
        let mut file = File::open(segment_path(&self.dir, first.number))?;
        file.seek(SeekFrom::Start(self.position))?;
        let mut reader = io::BufReader::new(file);
        let most = most.min(usize::try_from(first.records).unwrap_or(usize::MAX));
        (0..most).map(|_| next_record(&mut reader)).collect()
    }

    /// Removes the first records: how many, and the bytes of their payloads.
    pub(super) fn take(&mut self, records: u64, payload_bytes: u64) -> io::Result<()> {
        let first = self.segments.front_mut().expect("there is always a segment");
        assert!(records <= first.records, "only records that were peeked at are taken");
        first.records -= records;
        self.position += payload_bytes + records * HEAD_BYTES;
        if first.records == 0 {
            if self.segments.len() == 1 {
                self.begin_segment()?;
            }
            let done = self.segments.pop_front().expect("there are two at least");
            self.position = 0;
            self.write_position()?;
            fs::remove_file(segment_path(&self.dir, done.number))?;
            return sync_folder(&self.dir);
        }
        self.write_position()
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        let number = self.segments.back().expect("there is always a segment").number + 1;
        self.file = append_to(&self.dir, number)?;
        sync_folder(&self.dir)?;
        self.segments.push_back(Segment { number, bytes: 0, records: 0 });
        self.drop_empty_front();
        Ok(())
    }

    /// A segment that failed before it held anything would stand in the way of those after it.
    fn drop_empty_front(&mut self) {
        while self.segments.len() > 1 && self.segments.front().is_some_and(|first| first.bytes == 0) {
            self.segments.pop_front();
            self.position = 0;
        }
    }

    fn write_position(&self) -> io::Result<()> {
        let number = self.segments.front().expect("there is always a segment").number;
        let new = self.dir.join("position.new");
        let mut file = File::create(&new)?;
        file.write_all(format!("{number} {}\n", self.position).as_bytes())?;
        file.sync_data()?;
        fs::rename(new, self.dir.join(POSITION))?;
        sync_folder(&self.dir)
    }
}

fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:08}.journal"))
}

fn append_to(dir: &Path, number: u64) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(segment_path(dir, number))
}

/// Names of files are durable when their folder is synced.
fn sync_folder(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn read_position(dir: &Path) -> io::Result<Option<(u64, u64)>> {
    let text = match fs::read_to_string(dir.join(POSITION)) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let numbers = text.trim().split_once(' ').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    numbers.map(Some).ok_or_else(|| {
        let path = dir.join(POSITION);
        io::Error::new(ErrorKind::InvalidData, format!("{}: not two numbers: {text:?}", path.display()))
    })
}

/// Counts the records of a segment from `start` on, and cuts off a half-written end. The end is kept beside the segment, in case it
/// is something else.
fn check(path: &Path, start: u64) -> io::Result<(u64, u64)> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(start.min(length)))?;
    let mut reader = io::BufReader::new(&mut file);
    let (mut end, mut records) = (start.min(length), 0);
    while end < length {
        let Ok(payload) = next_record(&mut reader) else { break };
        end += HEAD_BYTES + payload.len() as u64;
        records += 1;
    }
    drop(reader);
    if end < length {
        file.seek(SeekFrom::Start(end))?;
        let mut rest = Vec::new();
        file.read_to_end(&mut rest)?;
        let aside = path.with_extension("unreadable");
        tracing::error!(
            segment = %path.display(), at = end, bytes = rest.len(), kept_in = %aside.display(),
            "the spill ends in a record that cannot be read"
        );
        OpenOptions::new().create(true).append(true).open(aside)?.write_all(&rest)?;
        file.set_len(end)?;
        file.sync_all()?;
    }
    Ok((end, records))
}

fn next_record(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = [0; HEAD_BYTES as usize];
    reader.read_exact(&mut head)?;
    let [a, b, c, d, w, x, y, z] = head;
    let length = u32::from_le_bytes([a, b, c, d]);
    let mut payload = Vec::new();
    // Do not allocate for a corrupt length.
    reader.take(u64::from(length)).read_to_end(&mut payload)?;
    if payload.len() != length as usize || crc32fast::hash(&payload) != u32::from_le_bytes([w, x, y, z]) {
        return Err(io::Error::new(ErrorKind::InvalidData, "a record that is cut off or damaged"));
    }
    Ok(payload)
}

const POSITION: &str = "position";
const HEAD_BYTES: u64 = 8;
/// Small enough to be removed soon, large enough that there are few.
const SEGMENT_BYTES: u64 = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    fn take_all(journal: &mut Journal) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let records = journal.peek(3).unwrap();
            if records.is_empty() {
                return all;
            }
            let bytes = records.iter().map(|record| record.len() as u64).sum();
            journal.take(records.len() as u64, bytes).unwrap();
            all.extend(records);
        }
    }

    #[test]
    fn records_come_back_in_order_after_a_crash() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), 1 << 20).unwrap();
        journal.append(&[b"a".to_vec(), b"b".to_vec()]).unwrap();
        journal.append(&[b"c".to_vec()]).unwrap();
        assert_eq!(journal.peek(1).unwrap(), [b"a"]);
        journal.take(1, 1).unwrap();
        drop(journal);
        let mut journal = Journal::open(dir.path(), 1 << 20).unwrap();
        assert_eq!(journal.records(), 2);
        assert_eq!(take_all(&mut journal), [b"b", b"c"]);
        journal.append(&[b"d".to_vec()]).unwrap();
        drop(journal);
        assert_eq!(take_all(&mut Journal::open(dir.path(), 1 << 20).unwrap()), [b"d"]);
    }

    #[test]
    fn it_takes_no_more_than_its_bound_and_again_when_there_is_room() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), 100).unwrap();
        journal.append(&[vec![1; 60]]).unwrap();
        assert!(matches!(journal.append(&[vec![2; 60]]), Err(AppendError::Full)));
        assert_eq!(take_all(&mut journal), [vec![1; 60]]);
        journal.append(&[vec![2; 60]]).unwrap();
        assert_eq!(take_all(&mut journal), [vec![2; 60]]);
    }

    #[test]
    fn large_journals_are_several_segments_that_go_one_by_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), 1 << 30).unwrap();
        let records: Vec<Vec<u8>> = (0..10).map(|number| vec![number; 3 << 20]).collect();
        for record in &records {
            journal.append(std::slice::from_ref(record)).unwrap();
        }
        assert_eq!(journal.segments.len(), 4);
        drop(journal);
        let mut journal = Journal::open(dir.path(), 1 << 30).unwrap();
        assert_eq!(take_all(&mut journal), records);
        assert_eq!(journal.bytes(), 0);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "one segment and the position");
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 300, rng_seed: RngSeed::Fixed(5), failure_persistence: None, ..ProptestConfig::default()
        })]

        /// Wherever a crash cuts the last write, all records synced before it come back, and the cut one does not.
        #[test]
        fn a_write_cut_short_costs_that_write_alone(
            sizes in proptest::collection::vec(0usize..50, 1..10), cut in 1usize..60, taken in 0usize..9,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let mut journal = Journal::open(dir.path(), 1 << 20).unwrap();
            let records: Vec<Vec<u8>> = sizes.iter().map(|size| vec![7; *size]).collect();
            journal.append(&records).unwrap();
            let taken = taken.min(records.len() - 1);
            for record in &records[..taken] {
                journal.take(1, record.len() as u64).unwrap();
            }
            drop(journal);
            let path = segment_path(dir.path(), 1);
            let length = fs::metadata(&path).unwrap().len();
            let last = records.last().unwrap().len() as u64 + HEAD_BYTES;
            let cut = (cut as u64).min(last);
            OpenOptions::new().write(true).open(&path).unwrap().set_len(length - cut).unwrap();
            let mut journal = Journal::open(dir.path(), 1 << 20).unwrap();
            prop_assert_eq!(take_all(&mut journal), &records[taken..records.len() - 1]);
            journal.append(&[b"after".to_vec()]).unwrap();
            prop_assert_eq!(take_all(&mut journal), [b"after"]);
        }

        /// Wherever a byte is damaged, nothing damaged is handed out, and the rest is put aside.
        #[test]
        fn damage_is_never_handed_out(at in 0usize..120, bit in 0u8..8) {
            let dir = tempfile::tempdir().unwrap();
            let records: Vec<Vec<u8>> = (0..6).map(|number| vec![number; 12]).collect();
            Journal::open(dir.path(), 1 << 20).unwrap().append(&records).unwrap();
            let path = segment_path(dir.path(), 1);
            let mut bytes = fs::read(&path).unwrap();
            bytes[at] ^= 1 << bit;
            fs::write(&path, &bytes).unwrap();
            let mut journal = Journal::open(dir.path(), 1 << 20).unwrap();
            let back = take_all(&mut journal);
            prop_assert_eq!(&back[..], &records[..at / 20]);
            prop_assert!(path.with_extension("unreadable").exists());
        }
    }
}
