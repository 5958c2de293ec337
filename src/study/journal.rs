//! Results on disk as they arrive: one line per replication, appended as soon as it is done.
//!
//! A killed run resumes with all that it had finished; only a torn last line is lost. The same file carries the
//! results of a shard to the machine that merges them.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::grid::{Grid, GridSource, VariantId};
use super::shard::Shard;
use crate::experiment::replication::{Extent, Replication};

/// The first line: what the results are of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Version of this format.
    pub schema: String,
    /// Version of the program; another one may give other results.
    pub version: String,
    /// What the grid was made from.
    pub grid: GridSource,
    /// Hash of all that results depend on.
    pub fingerprint: String,
    /// The part of the work that is here; `None` is all of it.
    pub shard: Option<Shard>,
}

/// A further line: a replication of a variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The variant.
    pub variant: VariantId,
    /// Which replication.
    pub replication: u32,
    /// How much of it was to be simulated.
    #[serde(default)]
    pub extent: Extent,
    /// Its numbers.
    pub result: Replication,
}

impl Header {
    /// Of the results of a grid, or a shard of them.
    pub fn of(grid: &Grid, shard: Option<Shard>) -> Self {
        Self {
            schema: SCHEMA.to_string(),
            version: env!("CARGO_PKG_VERSION").to_string(),
            grid: grid.source.clone(),
            fingerprint: grid.fingerprint(),
            shard,
        }
    }
}

/// Version of the format.
const SCHEMA: &str = "backpressure-sim/journal/1";

/// A file that results are appended to.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
}

/// Why a journal cannot be read or written.
#[derive(Debug)]
pub enum JournalError {
    /// The file system refused.
    Io(&'static str, PathBuf, io::Error),
    /// Another process writes to it.
    InUse(PathBuf),
    /// It is not a journal, or one of another version.
    Foreign(PathBuf, String),
    /// A line within it is broken.
    Broken(PathBuf, usize, String),
}

impl std::fmt::Display for JournalError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(operation, path, error) => {
                write!(f, "failed to {operation} `{}`: {error}", path.display())
            }
            Self::InUse(path) => {
                write!(
                    f,
                    "`{}` is being written by another run; wait for it, or choose another --output",
                    path.display()
                )
            }
            Self::Foreign(path, why) => {
                write!(f, "`{}` does not contain matching results: {why}", path.display())
            }
            Self::Broken(path, line, why) => write!(f, "`{}`, line {line} is broken: {why}", path.display()),
        }
    }
}

impl std::error::Error for JournalError {}

impl Journal {
    /// Opens a journal of these results and hands the entries that it already has to `known`. One of other
    /// results, from an earlier version of the scenario, is begun anew.
    pub fn open(path: &Path, header: &Header, mut known: impl FnMut(Entry)) -> Result<Self, JournalError> {
        let failed = |operation| move |error| JournalError::Io(operation, path.to_owned(), error);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed("create the folder of"))?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(JournalError::InUse(path.to_owned())),
            Err(std::fs::TryLockError::Error(error)) => return Err(failed("lock")(error)),
        }
        let whole = match read_from(&file, path, |_, entry| known(entry), Some(header)) {
            Ok((_, whole)) => whole,
            Err(JournalError::Foreign(..)) => 0,
            Err(error) => return Err(error),
        };
        file.set_len(whole).map_err(failed("shorten"))?;
        file.seek(SeekFrom::Start(whole)).map_err(failed("read"))?;
        let mut journal = Self { file, path: path.to_owned() };
        if whole == 0 {
            journal.write_line(header)?;
        }
        Ok(journal)
    }

    /// Appends a result.
    pub fn append(&mut self, entry: &Entry) -> Result<(), JournalError> {
        self.write_line(entry)
    }

    /// Removes the file: its results are elsewhere now.
    pub fn remove(self) -> Result<(), JournalError> {
        let Self { file, path } = self;
        drop(file);
        std::fs::remove_file(&path).map_err(|error| JournalError::Io("remove", path, error))
    }

    /// In one write, so that a killed process leaves at most one torn line.
    fn write_line(&mut self, value: &impl Serialize) -> Result<(), JournalError> {
        let mut line = serde_json::to_vec(value).expect("numbers and strings are JSON");
        line.push(b'\n');
        self.file.write_all(&line).map_err(|error| JournalError::Io("write to", self.path.clone(), error))
    }
}

/// Reads what a journal's results are of.
pub fn header(path: &Path) -> Result<Header, JournalError> {
    let file = File::open(path).map_err(|error| JournalError::Io("open", path.to_owned(), error))?;
    read_header(&mut BufReader::new(&file), path).map(|(header, _)| header)
}

/// Reads a journal and hands its entries to `take`. A torn last line is left out.
pub fn read(path: &Path, take: impl FnMut(&Header, Entry)) -> Result<Header, JournalError> {
    let file = File::open(path).map_err(|error| JournalError::Io("open", path.to_owned(), error))?;
    read_from(&file, path, take, None).map(|(header, _)| header)
}

/// The header, and how many bytes are whole lines.
fn read_from(
    file: &File,
    path: &Path,
    mut take: impl FnMut(&Header, Entry),
    expected: Option<&Header>,
) -> Result<(Header, u64), JournalError> {
    let mut reader = BufReader::new(file);
    let (header, mut whole) = read_header(&mut reader, path)?;
    if expected.is_some_and(|expected| *expected != header) {
        let why = "they belong to another scenario, grid or version".to_string();
        return Err(JournalError::Foreign(path.to_owned(), why));
    }
    let mut line = String::new();
    let mut number = 1;
    loop {
        line.clear();
        let length = read_line(&mut reader, &mut line, path)?;
        number += 1;
        if length == 0 || !line.ends_with('\n') {
            return Ok((header, whole));
        }
        match serde_json::from_str(&line) {
            Ok(entry) => take(&header, entry),
            Err(error) => return Err(JournalError::Broken(path.to_owned(), number, error.to_string())),
        }
        whole += length;
    }
}

/// The first line, and its length.
fn read_header(reader: &mut impl BufRead, path: &Path) -> Result<(Header, u64), JournalError> {
    let foreign = |why: String| JournalError::Foreign(path.to_owned(), why);
    let mut line = String::new();
    let length = read_line(reader, &mut line, path)?;
    if !line.ends_with('\n') {
        return Err(foreign("its first line is not complete".into()));
    }
    let header: Header = serde_json::from_str(&line)
        .map_err(|error| foreign(format!("its first line is not a header: {error}")))?;
    if header.schema != SCHEMA {
        return Err(foreign(format!("it is {}, and this version reads {SCHEMA}", header.schema)));
    }
    Ok((header, length))
}

fn read_line(reader: &mut impl BufRead, line: &mut String, path: &Path) -> Result<u64, JournalError> {
    let length = reader.read_line(line).map_err(|error| JournalError::Io("read", path.to_owned(), error))?;
    Ok(length as u64)
}
