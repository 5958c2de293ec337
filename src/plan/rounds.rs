//! A search spread over machines that share a folder.
//!
//! ```text
//! coordinator:  decide --> round.json --> ... wait ... --> decide --> round.json --> ... --> plan
//!                              |                ^
//! shards:                      +--> run a part -+  round-N-shard-I-of-M.jsonl
//! ```
//!
//! The folder is the whole state: `round.json` lists the replications that the search needs next, and every shard
//! appends its results to a journal of its own. Whoever decides reads all journals, so a shard that is lost is
//! simply asked for again in the next round.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::recent::Recent;
use super::search::{Decision, Search};
use super::table::{Table, Task};
use crate::experiment::Progress;
use crate::files::{self, FileError};
use crate::study::grid::Grid;
use crate::study::journal::{self, Entry, Header, Journal, JournalError};
use crate::study::shard::Shard;

/// The rounds of one search.
#[derive(Clone, Copy, Debug)]
pub struct Rounds<'a> {
    grid: &'a Grid,
    folder: &'a Path,
}

/// What follows from the results so far.
#[derive(Clone, Debug)]
pub enum Step {
    /// The search is over.
    Decided(Box<Decision>),
    /// It needs these results first.
    Next {
        /// From 1 on.
        round: u32,
        /// Replications that the shards have to run.
        replications: usize,
        /// The file that lists them.
        file: PathBuf,
    },
}

/// What the shards have to do before the search can go on.
#[derive(Debug, Serialize, Deserialize)]
struct Round {
    /// Version of this format.
    schema: String,
    /// From 1 on.
    round: u32,
    /// Hash of all that results depend on.
    fingerprint: String,
    /// The replications to simulate.
    tasks: Vec<Task>,
}

const SCHEMA: &str = "backpressure-sim/round/2";

/// Why a round cannot be written or run.
#[derive(Debug)]
pub enum RoundError {
    /// The file system refused.
    Io(&'static str, PathBuf, io::Error),
    /// There is no round to run yet.
    Missing(PathBuf, io::Error),
    /// The file is not a round.
    Malformed(PathBuf, serde_json::Error),
    /// The round has another version.
    Schema(PathBuf, String),
    /// The round or the results belong to another search.
    Foreign(PathBuf),
    /// The round cannot be written.
    File(FileError),
    /// A journal cannot be read or written.
    Journal(JournalError),
}

impl std::fmt::Display for RoundError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(operation, path, error) => {
                write!(f, "failed to {operation} `{}`: {error}", path.display())
            }
            Self::Missing(path, error) => write!(
                f,
                "failed to read `{}`; `simulate plan ... --rounds DIR` without --shard writes it: {error}",
                path.display()
            ),
            Self::Malformed(path, error) => write!(f, "`{}` is not a round: {error}", path.display()),
            Self::Schema(path, found) => {
                write!(f, "`{}` has schema {found}, but this version reads {SCHEMA}", path.display())
            }
            Self::Foreign(path) => {
                write!(f, "`{}` belongs to another scenario, grid or version", path.display())
            }
            Self::File(error) => error.fmt(f),
            Self::Journal(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RoundError {}

impl From<FileError> for RoundError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl From<JournalError> for RoundError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl<'a> Rounds<'a> {
    /// The rounds of the search over `grid` in `folder`.
    pub fn new(grid: &'a Grid, folder: &'a Path) -> Self {
        Self { grid, folder }
    }

    /// Decides from the results in the folder, or writes the round that is needed for it.
    ///
    /// # Errors
    ///
    /// If the folder holds results of another search, or the file system refuses.
    pub fn next(self, search: &Search) -> Result<Step, RoundError> {
        std::fs::create_dir_all(self.folder)
            .map_err(|error| RoundError::Io("create", self.folder.to_owned(), error))?;
        let table = self.results()?;
        let demand = match search.decide(&table) {
            Ok(decision) => return Ok(Step::Decided(Box::new(decision))),
            Err(demand) => demand,
        };
        let before = self.read().map_or(0, |round| round.round);
        let round = Round {
            schema: SCHEMA.to_string(),
            round: before + 1,
            fingerprint: self.grid.fingerprint(),
            tasks: table.missing(&demand),
        };
        // As a whole: a shard must not read half a round.
        files::replace(&self.file(), &serde_json::to_string(&round).expect("numbers and strings are JSON"))?;
        Ok(Step::Next { round: round.round, replications: round.tasks.len(), file: self.file() })
    }

    /// Runs a shard's part of the present round in the current rayon pool, without what an earlier attempt has
    /// finished. False if interrupted.
    ///
    /// # Errors
    ///
    /// If there is no round, it belongs to another search, or results cannot be written.
    pub fn run_part(self, shard: Shard, progress: &impl Progress) -> Result<bool, RoundError> {
        let round = self.read()?;
        if round.fingerprint != self.grid.fingerprint() {
            return Err(RoundError::Foreign(self.file()));
        }
        let name = format!("round-{}-shard-{}-of-{}.jsonl", round.round, shard.index, shard.count);
        let mut known = Vec::new();
        let mut journal =
            Journal::open(&self.folder.join(name), &Header::of(self.grid, Some(shard)), |entry| {
                let Entry { variant, replication, extent, result: _ } = entry;
                known.push(Task { variant, replication, extent });
            })?;
        let own = round.tasks.iter().enumerate().filter(|(index, _)| shard.has(*index as u64));
        let left: Vec<Task> = own.map(|(_, task)| *task).filter(|task| !known.contains(task)).collect();
        let mut failure = None;
        let take = |entry| failure = failure.take().or(journal.append(&entry).err());
        let is_complete = super::run(self.grid, &left, take, &Recent::default(), progress);
        failure.map_or(Ok(is_complete), |error| Err(error.into()))
    }

    fn file(self) -> PathBuf {
        self.folder.join("round.json")
    }

    fn read(self) -> Result<Round, RoundError> {
        let path = self.file();
        let text =
            std::fs::read_to_string(&path).map_err(|error| RoundError::Missing(path.clone(), error))?;
        let round: Round =
            serde_json::from_str(&text).map_err(|error| RoundError::Malformed(path.clone(), error))?;
        if round.schema == SCHEMA { Ok(round) } else { Err(RoundError::Schema(path, round.schema)) }
    }

    /// All results in the folder.
    fn results(self) -> Result<Table, RoundError> {
        let failed = |error| RoundError::Io("read", self.folder.to_owned(), error);
        let entries = std::fs::read_dir(self.folder).map_err(failed)?;
        let mut paths = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed)?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
        paths.sort();
        let mut table = Table::default();
        for path in paths {
            if journal::header(&path)?.fingerprint != self.grid.fingerprint() {
                return Err(RoundError::Foreign(path));
            }
            journal::read(&path, |_, entry| table.add(entry))?;
        }
        Ok(table)
    }
}
