//! Thousands of schedules of what can happen to a journal, on the simulated disk. After each one:
//!
//! - every acknowledged record comes back, with its bytes, first in the order of acknowledgement, at least once; one
//!   that was damaged may come later, of a copy that could not be finished;
//! - no refused record comes back;
//! - a damaged byte costs one record at most, and a removed folder nothing unless the process crashes as well;
//! - bytes and files are within their bounds, and when the disk works again all drains and a new record is taken.
//!
//! `SPILL_SCHEDULES=1000000` runs more of them, `SPILL_SEED=...` one alone.

use std::collections::BTreeMap;

use super::journal::{AppendError, Found, Journal, OpenError};
use super::simulated::{Random, Simulated};

#[test]
fn whatever_happens_what_was_acknowledged_comes_back_and_what_was_refused_does_not() {
    if let Some(seed) = number("SPILL_SEED") {
        return Run::new(seed).go();
    }
    for seed in 0..number("SPILL_SCHEDULES").unwrap_or(10_000) {
        let told = TellSeed(seed);
        Run::new(seed).go();
        std::mem::forget(told);
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Says how to run a schedule again when its assertion fails.
struct TellSeed(u64);

impl Drop for TellSeed {
    fn drop(&mut self) {
        eprintln!("again: SPILL_SEED={} cargo test -p backpressure-gateway --lib schedules", self.0);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Accepted,
    Refused,
    Unknown,
    /// Accepted, but whoever removed the folder and the crash after it took it along.
    Removed,
}

struct Run {
    random: Random,
    disk: Simulated,
    journal: Option<Journal<Simulated>>,
    /// By number of the record: its text and what was told.
    told: BTreeMap<u64, (String, Told)>,
    /// In the order in which they came back.
    back: Vec<u64>,
    damaged: usize,
    steps: Vec<String>,
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut random = Random(seed);
        let disk = Simulated::new(random.below(u64::MAX));
        Run {
            random,
            disk,
            journal: None,
            told: BTreeMap::new(),
            back: Vec::new(),
            damaged: 0,
            steps: Vec::new(),
        }
    }

    fn go(mut self) {
        self.open();
        for _ in 0..10 + self.random.below(50) {
            self.step();
            let files = self.disk.contents().len();
            assert!(files <= MOST_FILES, "{files} files\n{:#?}", self.steps);
        }
        self.disk.heal();
        if self.random.one_in(2) {
            self.crash();
        }
        self.open();
        self.drain();
        self.judge();
    }

    fn step(&mut self) {
        let step = self.random.below(27);
        match step {
            0..=7 => self.append(),
            8..=11 => self.replay(),
            12..=13 => {
                self.crash();
                self.open();
            }
            14..=15 => {
                let room = self.random.below(400);
                self.note(format!("room for {room} bytes"));
                self.disk.leave_room(room);
            }
            16 => {
                let (files, folder) = (self.random.below(4), self.random.below(3));
                self.note(format!("{files} syncs of files and {folder} of the folder fail"));
                self.disk.fail_syncs(files);
                self.disk.fail_folder_syncs(folder);
            }
            17 => {
                let is_read_only = self.random.one_in(2);
                self.note(format!("read-only: {is_read_only}"));
                self.disk.set_read_only(is_read_only);
            }
            18..=19 => {
                self.note("heals".to_owned());
                self.disk.heal();
            }
            20 => {
                if self.random.one_in(2) {
                    self.note("the folder vanishes".to_owned());
                    self.disk.vanish();
                } else {
                    self.note("the folder vanishes during the next sync".to_owned());
                    self.disk.vanish_soon();
                }
                if self.journal.is_none() {
                    self.lose_folder();
                }
            }
            21 if self.damaged < 2 => {
                if let Some(name) = self.disk.damage() {
                    self.note(format!("damages {name}"));
                    self.damaged += 1;
                }
            }
            22 => self.check(),
            23 => self.second_owner(),
            24 => {
                let cuts = self.random.below(4);
                self.note(format!("{cuts} cuts fail"));
                self.disk.fail_cuts(cuts);
            }
            25 => {
                if self.random.one_in(2) {
                    self.note("the folder is moved away during the next write".to_owned());
                    self.disk.move_away_soon();
                } else {
                    self.note("the folder comes back".to_owned());
                    self.disk.come_back();
                }
            }
            _ => self.rewrite(),
        }
    }

    fn append(&mut self) {
        let first = self.told.len() as u64;
        let count = 1 + self.random.below(4);
        let texts: Vec<String> = (first..first + count)
            .map(|number| format!("{number} {}", "\u{1F525}x".repeat(self.random.below(40) as usize)))
            .collect();
        let Some(journal) = &mut self.journal else { return };
        let payloads: Vec<&str> = texts.iter().map(String::as_str).collect();
        let told = match journal.append(&payloads, 1000 + first) {
            Ok(()) => Told::Accepted,
            Err(AppendError::Full | AppendError::Failed(_)) => Told::Refused,
            Err(AppendError::Unknown(_)) => Told::Unknown,
        };
        if told == Told::Accepted {
            // It has noticed, if there was something to be noticed.
            self.disk.has_vanished();
            assert!(journal.bytes() <= MOST_BYTES, "{:#?}", self.steps);
        }
        self.note(format!("appends {first} to {}: {told:?}", first + count - 1));
        for (number, text) in (first..).zip(texts) {
            self.told.insert(number, (text, told));
        }
    }

    fn replay(&mut self) {
        let most = 1 + self.random.below(5) as usize;
        let Some(journal) = &mut self.journal else { return };
        let peeked = journal.peek(most, 1000).expect("the simulated disk can be read");
        let count = self.random.below(peeked.len() as u64 + 1) as usize;
        self.deliver(&peeked[..count]);
        if self.random.one_in(4) {
            // It crashes between the queue and the journal.
            self.crash();
            self.open();
            return;
        }
        if let Some(journal) = &mut self.journal {
            let _ = journal.take(&peeked, count);
        }
    }

    fn deliver(&mut self, records: &[Found]) {
        for record in records {
            let number = record.payload.split(' ').next().and_then(|text| text.parse().ok());
            let number: u64 = number.unwrap_or_else(|| panic!("{:?}\n{:#?}", record.payload, self.steps));
            self.note(format!("delivers {number}"));
            assert_eq!(self.told[&number].0, record.payload);
            self.back.push(number);
        }
    }

    fn check(&mut self) {
        let Some(journal) = &mut self.journal else { return };
        let is_well = if self.random.one_in(2) { journal.check() } else { journal.probe() }.is_ok();
        if is_well {
            self.disk.has_vanished();
        }
        self.note(format!("checks: {is_well}"));
    }

    fn rewrite(&mut self) {
        let Some(journal) = &mut self.journal else { return };
        // It may take twice the room, and is for operators.
        if self.disk.contents().len() < MOST_FILES / 2 && journal.bytes() < MOST_BYTES / 2 {
            let is_done = journal.rewrite().is_ok();
            self.note(format!("rewrites: {is_done}"));
            if !is_done {
                // As the command, which ends then.
                self.crash();
                self.open();
            }
        }
    }

    fn second_owner(&mut self) {
        // Between the loss of a folder and the next look at it, it is anybody's.
        if self.journal.as_ref().is_none_or(|journal| !journal.owns_folder()) {
            return;
        }
        self.note("a second owner tries".to_owned());
        assert!(
            matches!(
                Journal::open(self.disk.clone(), MOST_BYTES),
                Err(OpenError::InUse(_) | OpenError::Io(_))
            ),
            "{:#?}",
            self.steps
        );
    }

    fn crash(&mut self) {
        self.note("crashes".to_owned());
        self.journal = None;
        self.disk.crash();
        self.lose_folder();
    }

    /// The process has ended, and cannot make good that the folder was removed, if it was.
    fn lose_folder(&mut self) {
        if self.disk.has_vanished() {
            for (_, told) in self.told.values_mut().filter(|(_, told)| *told == Told::Accepted) {
                *told = Told::Removed;
            }
        }
    }

    fn open(&mut self) {
        if self.journal.is_some() {
            return;
        }
        match Journal::open_with(self.disk.clone(), MOST_BYTES, SEGMENT_BYTES) {
            Ok(journal) => self.journal = Some(journal),
            Err(OpenError::InUse(_)) => panic!("nobody has it\n{:#?}", self.steps),
            Err(OpenError::Io(error)) => {
                self.note(format!("cannot be opened: {error}"));
                // It may have gone while it was opened.
                self.lose_folder();
            }
        }
    }

    fn drain(&mut self) {
        let mut journal = self.journal.take().expect("the disk works again");
        journal.check().unwrap_or_else(|error| panic!("{error}\n{:#?}", self.steps));
        for _ in 0..MOST_BYTES {
            let peeked = journal.peek(4, 1000).expect("the simulated disk can be read");
            if peeked.is_empty() {
                break;
            }
            assert!(journal.oldest_ms().is_some(), "{:#?}", self.steps);
            self.deliver(&peeked);
            journal.take(&peeked, peeked.len()).unwrap_or_else(|error| panic!("{error}\n{:#?}", self.steps));
        }
        let left = (journal.records(), journal.bytes(), journal.oldest_ms());
        assert_eq!(left, (0, 0, None), "{:#?}", self.steps);
        journal.append(&["after"], 1).unwrap_or_else(|error| panic!("{error:?}\n{:#?}", self.steps));
        let peeked = journal.peek(9, 1000).unwrap();
        assert_eq!(peeked.iter().map(|found| found.payload.as_str()).collect::<Vec<_>>(), ["after"]);
        journal.take(&peeked, 1).unwrap();
        let is_known = |name: &String| name == "lock" || name == "position" || name.ends_with(".damaged");
        let files = self.disk.contents();
        assert!(files.keys().all(is_known), "{:?}\n{:#?}", files.keys(), self.steps);
    }

    fn judge(&self) {
        let mut lost = 0;
        for (number, (_, told)) in &self.told {
            let is_back = self.back.contains(number);
            lost += usize::from(*told == Told::Accepted && !is_back);
            assert!(*told != Told::Refused || !is_back, "{number} was refused\n{:#?}", self.steps);
        }
        assert!(lost <= self.damaged, "{lost} lost, {} damaged\n{:#?}", self.damaged, self.steps);
        let (mut last, mut late) = (None, 0);
        let mut seen = std::collections::BTreeSet::new();
        let is_acknowledged = |number: &&u64| self.told[number].1 == Told::Accepted;
        for number in self.back.iter().filter(is_acknowledged).filter(|number| seen.insert(**number)) {
            late += usize::from(last > Some(*number));
            assert!(late <= self.damaged, "{number} came back after {last:?}\n{:#?}", self.steps);
            last = last.max(Some(*number));
        }
    }

    fn note(&mut self, step: String) {
        self.steps.push(step);
    }
}

const MOST_BYTES: u64 = 6000;
const SEGMENT_BYTES: u64 = 700;
/// A segment for each restart or failure, beside those that are full.
const MOST_FILES: usize = 40;
