//! `gateway spill ...`: what operators do with the journal of a gateway that does not run. Each command takes the lock, so it is
//! refused while a gateway uses the folder.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use serde::Serialize;

use super::SpillOpenError;
use super::disk::Folder;
use super::journal::Journal;
use crate::http::timestamp;
use crate::moment::milliseconds;

/// A command about a journal.
#[derive(Debug, clap::Subcommand)]
pub enum SpillCommand {
    /// Show what waits and what is damaged. Exits with 10 if something is damaged.
    Inspect {
        /// The folder: SPILL_DIR of the gateway.
        dir: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the jobs that wait, one a line as JSON. They stay in the journal.
    Export {
        /// The folder: SPILL_DIR of the gateway.
        dir: PathBuf,
    },
    /// Write the journal anew without what is damaged. Files in which something was damaged are kept as *.damaged.
    Repair {
        /// The folder: SPILL_DIR of the gateway.
        dir: PathBuf,
    },
}

/// Exit code of `inspect` if something is damaged.
pub const DAMAGED: u8 = 10;

impl SpillCommand {
    /// Does it, and returns the exit code.
    ///
    /// # Errors
    /// The folder is in use or cannot be used, or `out` takes nothing.
    pub fn run(&self, out: &mut dyn Write) -> anyhow::Result<u8> {
        match self {
            SpillCommand::Inspect { dir, json } => {
                let report = Report::of(&open(dir)?, dir)?;
                if *json {
                    writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
                } else {
                    report.print(out)?;
                }
                Ok(if report.damaged.is_empty() && report.kept.is_empty() { 0 } else { DAMAGED })
            }
            SpillCommand::Export { dir } => {
                open(dir)?.for_each(|record| writeln!(out, "{}", record.payload))?;
                Ok(0)
            }
            SpillCommand::Repair { dir } => {
                let mut journal = open(dir)?;
                let damage = journal.damage();
                journal.rewrite().context("the journal is as it was, or has some jobs twice")?;
                writeln!(
                    out,
                    "jobs written anew: {}; damaged places left out: {}, of {} bytes; files kept: {}",
                    journal.records(),
                    damage.places,
                    damage.bytes,
                    journal.damage().files
                )?;
                Ok(0)
            }
        }
    }
}

/// What `inspect` prints.
#[derive(Debug, Serialize)]
struct Report {
    folder: String,
    /// Jobs that wait.
    jobs: u64,
    /// Bytes of the journal on disk.
    bytes: u64,
    /// When the first of them was spilled, UTC.
    oldest: Option<String>,
    /// Seconds since then.
    oldest_age_seconds: Option<u64>,
    /// Damaged places in files of the journal.
    damaged: Vec<Place>,
    /// Files that are kept because something in them was damaged.
    kept: Vec<Kept>,
}

#[derive(Debug, Serialize)]
struct Place {
    file: String,
    from: u64,
    to: u64,
}

#[derive(Debug, Serialize)]
struct Kept {
    file: String,
    bytes: u64,
}

impl Report {
    fn of(journal: &Journal<Folder>, dir: &Path) -> io::Result<Report> {
        let places = journal.damaged().flat_map(|(file, places)| {
            places.iter().map(move |place| Place { file: file.clone(), from: place.start, to: place.end })
        });
        let now_ms = milliseconds(SystemTime::now());
        Ok(Report {
            folder: dir.display().to_string(),
            jobs: journal.records(),
            bytes: journal.bytes(),
            oldest: journal
                .oldest_ms()
                .map(|ms| timestamp(SystemTime::UNIX_EPOCH + Duration::from_millis(ms))),
            oldest_age_seconds: journal.oldest_ms().map(|ms| now_ms.saturating_sub(ms) / 1000),
            damaged: places.collect(),
            kept: journal.kept()?.into_iter().map(|(file, bytes)| Kept { file, bytes }).collect(),
        })
    }

    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let Report { folder, jobs, bytes, oldest, oldest_age_seconds, damaged, kept } = self;
        writeln!(out, "{folder}: jobs {jobs}, bytes {bytes}")?;
        if let (Some(oldest), Some(age)) = (oldest, oldest_age_seconds) {
            writeln!(out, "the oldest was spilled at {oldest}, {age} s ago")?;
        }
        for Place { file, from, to } in damaged {
            writeln!(out, "damaged: {file}, bytes {from} to {to}")?;
        }
        for Kept { file, bytes } in kept {
            writeln!(
                out,
                "kept because of damage: {file}, {bytes} bytes; delete it when you need it no more"
            )?;
        }
        if damaged.is_empty() && kept.is_empty() {
            writeln!(out, "nothing is damaged")?;
        }
        Ok(())
    }
}

fn open(dir: &Path) -> anyhow::Result<Journal<Folder>> {
    if !dir.is_dir() {
        bail!("{} is no folder", dir.display());
    }
    let journal = Journal::open_for_people(Folder::new(dir)).map_err(SpillOpenError::from);
    journal.with_context(|| format!("{} cannot be used", dir.display()))
}
