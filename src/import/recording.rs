//! What was recorded: jobs with their times as long as they are few, and counts in bins beyond that.
//!
//! Bins are as long as the user says, as the steps of the file, or the shortest of [`WIDTHS`] that is enough. Each of these
//! divides the next, so bins are put together without a remainder and the total stays exact.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::input::Source;
use super::time::{self, SECOND};
use super::{Format, ImportError, Options};

/// Beyond this many jobs their exact times are not kept.
const MOST_EXACT: usize = 1_000_000;
/// Where the length of a bin is free, no more than this many.
const MOST_BINS: i64 = 5_000;
/// Where it is given, no more than this many.
const MOST_GIVEN_BINS: i64 = 1_000_000;
/// The most jobs of a line of a trace, and of all.
pub(super) const MOST_JOBS: u64 = 1_000_000_000_000_000;
/// The most counts that are kept, each of a bin and a class: they take some 300 MB.
const MOST_CELLS: usize = 10_000_000;
/// Names beyond this many are `other` at once.
const MOST_NAMES: usize = 1_000;
/// And names that are longer than this many bytes.
const LONGEST_NAME: usize = 1_000;
/// A scenario has no more priorities in its queue.
const MOST_PRIORITIES: usize = 64;
/// A scenario lasts no longer than 100 years.
pub(super) const MOST_SPAN: i64 = 3_155_760_000 * SECOND;
/// Lengths of bins, each of which divides the next.
const WIDTHS: &[i64] = &[
    SECOND,
    5 * SECOND,
    10 * SECOND,
    30 * SECOND,
    60 * SECOND,
    300 * SECOND,
    600 * SECOND,
    1_800 * SECOND,
    3_600 * SECOND,
    21_600 * SECOND,
    86_400 * SECOND,
    864_000 * SECOND,
];

/// Mean and spread of what was measured, by Welford's recurrence: Technometrics 4(3), 1962, 419-420.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    count: u64,
    mean: f64,
    squares: f64,
    most: f64,
}

impl Measured {
    fn add(&mut self, value: f64) {
        self.count += 1;
        let off = value - self.mean;
        self.mean += off / self.count as f64;
        self.squares += off * (value - self.mean);
        self.most = self.most.max(value);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if other.count > 0 {
            let (a, b) = (self.count as f64, other.count as f64);
            let off = other.mean - self.mean;
            self.squares += other.squares + off * off * a * b / (a + b);
            self.mean += off * b / (a + b);
            self.count += other.count;
            self.most = self.most.max(other.most);
        }
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their mean.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// The largest.
    pub fn most(&self) -> f64 {
        self.most
    }

    /// Standard deviation / mean; 0 for one value.
    pub fn cv(&self) -> f64 {
        if self.mean > 0.0 { (self.squares / self.count.max(1) as f64).sqrt() / self.mean } else { 0.0 }
    }
}

/// A class of jobs as found.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassFound {
    /// As the scenario calls it.
    pub name: String,
    /// Its jobs.
    pub jobs: u64,
    /// BullMQ's priority, where there is one.
    pub priority: Option<u32>,
    /// Seconds of service.
    pub service: Measured,
    /// Bytes of payload.
    pub payload: Measured,
}

/// When the jobs came, in nanoseconds since time zero.
#[derive(Clone, Debug, PartialEq)]
pub enum Jobs {
    /// Time, class and service demand of each, in order of time.
    Exact(Vec<(i64, u32, Option<u64>)>),
    /// Counts by beginning and class, each of a bin of this length.
    Counts(i64, Vec<(i64, u32, u64)>),
}

/// What was left out, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// How many.
    pub count: u64,
    /// Of what, why, and where the first one is.
    pub what: String,
}

/// All that a recording told.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The files.
    pub files: Vec<String>,
    /// What they are.
    pub what: &'static str,
    /// What was read, such as `40 samples of 1 series`.
    pub read: String,
    /// The classes; none of them is empty.
    pub classes: Vec<ClassFound>,
    /// The jobs.
    pub jobs: Jobs,
    /// How many these are.
    pub total: u64,
    /// Time zero.
    pub zero: i64,
    /// From time zero to the end of the last bin, or of the second of the last job.
    pub span: i64,
    /// The most jobs in a window of the length beside it.
    pub peak: (u64, i64),
    /// What was learnt, a sentence each.
    pub learnt: Vec<String>,
    /// What is left out.
    pub left_out: Vec<LeftOut>,
}

/// What a format fills.
pub(super) struct Recording {
    what: &'static str,
    from: Option<i64>,
    to: Option<i64>,
    width: Option<i64>,
    skip_bad: bool,
    classes: Vec<ClassFound>,
    index: BTreeMap<(String, Option<u32>), u32>,
    jobs: Vec<(i64, u32, Option<u64>)>,
    bins: Option<Bins>,
    total: u64,
    good: u64,
    bad: u64,
    first_bad: Option<ImportError>,
    latest: i64,
    out_of_order: u64,
    cut: u64,
    unnamed: u64,
    pub(super) read: String,
    pub(super) learnt: Vec<String>,
    pub(super) left_out: Vec<LeftOut>,
}

struct Bins {
    width: i64,
    is_given: bool,
    origin: i64,
    /// The first and the last bin, also where nothing came in them: the recording keeps its length.
    ends: Option<(i64, i64)>,
    counts: BTreeMap<(i64, u32), u64>,
}

impl Bins {
    fn new(width: i64, is_given: bool, origin: i64) -> Self {
        Self { width, is_given, origin, ends: None, counts: BTreeMap::new() }
    }

    /// Counts, or says what there would be too much of, and what helps. Where the length of a bin is free, there is room.
    fn add(&mut self, at: i64, class: u32, count: u64) -> Result<(), (String, &'static str)> {
        let bin = (at - self.origin).div_euclid(self.width);
        self.ends = Some(self.ends.map_or((bin, bin), |(first, last)| (first.min(bin), last.max(bin))));
        if count > 0 {
            *self.counts.entry((bin, class)).or_default() += count;
        }
        if !self.is_given {
            self.coarsen();
        }
        let extent = self.extent();
        if extent > MOST_GIVEN_BINS {
            let width = time::span(self.width);
            let message = format!("{extent} bins of {width} are more than {MOST_GIVEN_BINS}");
            return Err((message, "a longer `--bin`, or a shorter time: `--from` and `--to`"));
        }
        if self.counts.len() > MOST_CELLS {
            let message = format!("there are more than {MOST_CELLS} counts of a bin and a class");
            return Err((message, "a longer `--bin`, or fewer classes: `--class-by`"));
        }
        Ok(())
    }

    fn extent(&self) -> i64 {
        self.ends.map_or(0, |(first, last)| last - first + 1)
    }

    /// Puts bins together until they are few.
    fn coarsen(&mut self) {
        while self.extent() > MOST_BINS
            && let Some(&wider) = WIDTHS.iter().find(|&&wider| wider > self.width)
        {
            let (width, counts) = (self.width, std::mem::take(&mut self.counts));
            let widened = |bin: i64| (bin * width).div_euclid(wider);
            self.width = wider;
            self.ends = self.ends.map(|(first, last)| (widened(first), widened(last)));
            for ((bin, class), count) in counts {
                *self.counts.entry((widened(bin), class)).or_default() += count;
            }
        }
    }
}

impl Recording {
    pub(super) fn new(format: &Format, options: &Options) -> Self {
        Self {
            what: format.what,
            from: options.from,
            to: options.to,
            width: options.bin,
            skip_bad: options.skip_bad,
            classes: Vec::new(),
            index: BTreeMap::new(),
            jobs: Vec::new(),
            bins: None,
            total: 0,
            good: 0,
            bad: 0,
            first_bad: None,
            latest: i64::MIN,
            out_of_order: 0,
            cut: 0,
            unnamed: 0,
            read: String::new(),
            learnt: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// The number of a class.
    pub(super) fn class(&mut self, name: &str, priority: Option<u32>) -> u32 {
        let mut key = (name.to_owned(), priority);
        let is_full = self.classes.len() >= MOST_NAMES && !self.index.contains_key(&key);
        if is_full || name.len() > LONGEST_NAME {
            self.unnamed += 1;
            // With its priority: it says who goes first. Beyond what a scenario has, the import is refused anyway.
            let is_far_too_full = self.classes.len() >= MOST_NAMES + 2 * MOST_PRIORITIES;
            key = (OTHER.to_owned(), priority.filter(|_| !is_far_too_full));
        }
        if let Some(&found) = self.index.get(&key) {
            return found;
        }
        let number = self.classes.len() as u32;
        self.classes.push(ClassFound {
            name: key.0.clone(),
            jobs: 0,
            priority: key.1,
            service: Measured::default(),
            payload: Measured::default(),
        });
        self.index.insert(key, number);
        number
    }

    /// A record that could be read, whatever it says: one that could not is [`bad`](Self::bad).
    pub(super) fn good(&mut self) {
        self.good += 1;
    }

    /// Whether a service time was read.
    pub(super) fn knows_service(&self) -> bool {
        self.classes.iter().any(|class| class.service.count > 0)
    }

    /// One job, with its seconds of service in nanoseconds and its bytes where they are known.
    pub(super) fn job(
        &mut self,
        at: i64,
        class: u32,
        service: Option<u64>,
        payload: Option<u64>,
        place: impl FnOnce() -> String,
    ) -> Result<(), ImportError> {
        if self.is_cut(at) {
            self.cut += 1;
            return Ok(());
        }
        self.out_of_order += u64::from(at < self.latest);
        self.latest = self.latest.max(at);
        self.total += 1;
        let found = &mut self.classes[class as usize];
        found.jobs += 1;
        if let Some(nanos) = service {
            found.service.add(nanos as f64 / 1e9);
        }
        if let Some(bytes) = payload {
            found.payload.add(bytes as f64);
        }
        if self.bins.is_none() && self.width.is_none() && self.jobs.len() < MOST_EXACT {
            self.jobs.push((at, class, service));
            return Ok(());
        }
        let bins = self.bins.get_or_insert_with(|| {
            let width = self.width.unwrap_or(WIDTHS[0]);
            Bins::new(width, self.width.is_some(), self.from.unwrap_or_default())
        });
        let before = self.jobs.drain(..).map(|(at, class, _)| (at, class));
        for (at, class) in before.chain([(at, class)]) {
            if let Err((message, help)) = bins.add(at, class, 1) {
                return Err(ImportError::new(message, place(), help));
            }
        }
        Ok(())
    }

    /// Says that what follows are counts, each of a step of this length, the first at that time.
    pub(super) fn counted(&mut self, step: i64, origin: i64, place: &str) -> Result<(), ImportError> {
        let width = self.width.unwrap_or(step);
        if width < step {
            let message = format!(
                "`--bin {}` is finer than the steps of the file, {}",
                time::span(width),
                time::span(step)
            );
            return Err(ImportError::new(message, place, format!("--bin {} or longer", time::span(step))));
        }
        let origin = self.from.map_or(origin, |from| from.max(origin));
        self.bins.get_or_insert(Bins::new(width, true, origin));
        Ok(())
    }

    /// So many jobs between two times. Those of a bin are as many as its part of the time has, and their sum is exact.
    pub(super) fn count(
        &mut self,
        begin: i64,
        end: i64,
        class: u32,
        count: u64,
        place: impl FnOnce() -> String,
    ) -> Result<(), ImportError> {
        // Those that are cut as well, so that their number is right when it is told.
        if (self.total + self.cut).saturating_add(count) > MOST_JOBS {
            let message = format!("the counts add up to more than {MOST_JOBS:e} jobs");
            return Err(ImportError::new(message, place(), format!("at most {MOST_JOBS}")));
        }
        if self.is_cut(begin) {
            self.cut += count;
            return Ok(());
        }
        self.total += count;
        self.classes[class as usize].jobs += count;
        let Some(bins) = &mut self.bins else { return Ok(()) };
        if (end - begin) / bins.width > MOST_GIVEN_BINS {
            let message = format!("a gap between two samples is longer than {MOST_GIVEN_BINS} steps");
            let help = "a shorter time: cut it with `--from` and `--to`";
            return Err(ImportError::new(message, place(), help));
        }
        let (whole, length) = (u128::from(count), (end - begin).max(1));
        let up_to = |at: i64| (whole * (at - begin) as u128 / length as u128) as u64;
        let mut at = begin;
        while at < end {
            let into = (at - bins.origin).rem_euclid(bins.width);
            let next = at.saturating_add(bins.width - into).min(end);
            let part = up_to(next) - up_to(at);
            // Also where nothing comes, so that the recording keeps its length.
            if let Err((message, help)) = bins.add(at, class, part) {
                return Err(ImportError::new(message, place(), help));
            }
            at = next;
        }
        Ok(())
    }

    /// A record that cannot be read: an error, or counted if the user wants to go on.
    pub(super) fn bad(&mut self, error: ImportError) -> Result<(), ImportError> {
        if !self.skip_bad {
            let help = if error.help.is_empty() { String::new() } else { format!("{}\n  = ", error.help) };
            return Err(ImportError {
                help: format!("{help}`--skip-bad` leaves such records out and counts them"),
                ..error
            });
        }
        self.bad += 1;
        self.first_bad.get_or_insert(error);
        Ok(())
    }

    fn is_cut(&self, at: i64) -> bool {
        self.from.is_some_and(|from| at < from) || self.to.is_some_and(|to| at >= to)
    }

    pub(super) fn finish(mut self, sources: &[Source], options: &Options) -> Result<Recorded, ImportError> {
        let place = sources.first().map(|source| source.shown.clone()).unwrap_or_default();
        if let Some(first) = self.first_bad.take() {
            if self.bad > self.good {
                let message = format!(
                    "{} of {} records cannot be read, more than half; the first: {}",
                    self.bad,
                    self.bad + self.good,
                    first.message
                );
                return Err(ImportError::new(message, first.place, first.help));
            }
            let what =
                format!("records that cannot be read, the first at {}: {}", first.place, first.message);
            self.left_out.push(LeftOut { count: self.bad, what });
        }
        if self.total == 0 {
            let message = match self.cut {
                0 => format!("there are no jobs in it ({})", self.read),
                cut => format!("none of its {cut} jobs lies between `--from` and `--to`"),
            };
            return Err(ImportError::new(message, place, "at least one"));
        }
        if self.cut > 0 {
            let what = "jobs before `--from` or from `--to` on".to_owned();
            self.left_out.push(LeftOut { count: self.cut, what });
        }
        if self.unnamed > 0 {
            self.learnt.push(format!(
                "Names of classes after the first {MOST_NAMES}, or of more than {LONGEST_NAME} bytes, are `{OTHER}`."
            ));
        }
        if self.out_of_order > 0 {
            self.learnt.push(format!(
                "Records that were not in order of time and were sorted: {}.",
                self.out_of_order
            ));
        }
        let priorities: BTreeSet<u32> =
            self.classes.iter().filter(|class| class.jobs > 0).filter_map(|class| class.priority).collect();
        if priorities.len() > MOST_PRIORITIES {
            let message = format!("its jobs have more than {MOST_PRIORITIES} different priorities");
            let help = format!(
                "at most {MOST_PRIORITIES}, as a scenario has; `--class-by none` for one class without them"
            );
            return Err(ImportError::new(message, place, help));
        }
        let renamed = self.fold(options.top);
        let first = match &self.bins {
            Some(bins) => bins.ends.map(|(first, _)| bins.origin + first * bins.width),
            None => self.jobs.iter().map(|(at, ..)| *at).min(),
        };
        let first = first.unwrap_or_default();
        let zero = self.from.filter(|from| self.bins.is_none() && *from <= first).unwrap_or(first);
        let (jobs, last) = match self.bins.take() {
            Some(bins) => {
                let mut counts: BTreeMap<(i64, u32), u64> = BTreeMap::new();
                for ((bin, class), count) in &bins.counts {
                    *counts.entry((*bin, renamed[*class as usize])).or_default() += count;
                }
                let row = |((bin, class), count)| (bins.origin + bin * bins.width - zero, class, count);
                let rows: Vec<_> = counts.into_iter().map(row).collect();
                let (_, last) = bins.ends.unwrap_or_default();
                let end = bins.origin.saturating_add((last + 1).saturating_mul(bins.width));
                (Jobs::Counts(bins.width, rows), end)
            }
            None => {
                let mut jobs = std::mem::take(&mut self.jobs);
                jobs.iter_mut().for_each(|(at, class, _)| {
                    *at -= zero;
                    *class = renamed[*class as usize];
                });
                // Stable: records of the same time stay in the order of the file.
                jobs.sort_by_key(|(at, ..)| *at);
                let last = jobs.last().map_or(0, |(at, ..)| *at);
                // A time that is written in whole seconds is one within that second.
                (Jobs::Exact(jobs), (last / SECOND + 1) * SECOND + zero)
            }
        };
        let span = last - zero;
        if span > MOST_SPAN {
            let message =
                format!("it lasts more than 100 years, from {} to {}", time::shown(zero), time::shown(last));
            return Err(ImportError::new(message, place, "cut it with `--from` and `--to`"));
        }
        let peak = peak(&jobs, span);
        Ok(Recorded {
            files: sources.iter().map(|source| source.shown.clone()).collect(),
            what: self.what,
            read: self.read,
            classes: self.classes,
            jobs,
            total: self.total,
            zero,
            span,
            peak,
            learnt: self.learnt,
            left_out: self.left_out,
        })
    }

    /// Keeps the largest classes, with names that a scenario may have, and gives the new number of each.
    fn fold(&mut self, top: usize) -> Vec<u32> {
        let mut order: Vec<usize> =
            (0..self.classes.len()).filter(|&index| self.classes[index].jobs > 0).collect();
        order.sort_by_key(|&index| Reverse(self.classes[index].jobs));
        let is_folded = order.len() > top + 1;
        let mut renamed = vec![0; self.classes.len()];
        let mut kept: Vec<ClassFound> = Vec::new();
        // One for each priority, so that nobody goes ahead of somebody more urgent.
        let mut others: BTreeMap<Option<u32>, usize> = BTreeMap::new();
        let is_other = |rank: usize, class: &ClassFound| is_folded && (rank >= top || class.name == OTHER);
        let of_others = order.iter().enumerate().map(|(rank, &index)| (rank, &self.classes[index]));
        let priorities: BTreeSet<Option<u32>> = of_others
            .filter(|(rank, class)| is_other(*rank, class))
            .map(|(_, class)| class.priority)
            .collect();
        let unused = |name: &str, kept: &[ClassFound]| {
            let mut free = name.to_owned();
            let mut number = 2;
            while kept.iter().any(|class| class.name == free) {
                free = format!("{name}-{number}");
                number += 1;
            }
            free
        };
        let mut folded = 0;
        let same = |name: &str, classes: &[ClassFound]| classes.iter().filter(|c| c.name == name).count();
        for (rank, &index) in order.iter().enumerate() {
            let class = &self.classes[index];
            if is_other(rank, class) {
                folded += 1;
                let other = *others.entry(class.priority).or_insert_with(|| {
                    let name = match class.priority {
                        Some(priority) if priorities.len() > 1 => format!("{OTHER}:p{priority}"),
                        _ => OTHER.to_owned(),
                    };
                    kept.push(ClassFound {
                        name: unused(&name, &kept),
                        jobs: 0,
                        priority: class.priority,
                        service: Measured::default(),
                        payload: Measured::default(),
                    });
                    kept.len() - 1
                });
                kept[other].jobs += class.jobs;
                kept[other].service.merge(&class.service);
                kept[other].payload.merge(&class.payload);
                renamed[index] = other as u32;
            } else {
                let wanted = match class.priority {
                    Some(priority) if same(&class.name, &self.classes) > 1 => {
                        format!("{}:p{priority}", class.name)
                    }
                    _ => class.name.clone(),
                };
                let plain = plain_name(&wanted);
                let name = unused(&plain, &kept);
                if name != wanted && !wanted.is_empty() {
                    let shown: String = wanted.chars().flat_map(char::escape_debug).take(200).collect();
                    self.learnt.push(format!("The class `{shown}` is called `{name}`, as names allow."));
                }
                renamed[index] = kept.len() as u32;
                kept.push(ClassFound { name, ..class.clone() });
            }
        }
        if is_folded {
            let each = if priorities.len() > 1 { ", one for each priority" } else { "" };
            self.learnt.push(format!(
                "{folded} smaller classes are together in `{OTHER}`{each}; `--top` names more."
            ));
        }
        self.classes = kept;
        renamed
    }
}

const OTHER: &str = "other";

/// The name with what a name of a class may hold: letters, digits and - _ . : /
fn plain_name(name: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_.:/".contains(c);
    let mut plain = String::new();
    for c in name.trim().chars().map(|c| if is_plain(c) { c } else { '_' }) {
        if plain.len() + c.len_utf8() > 80 {
            break;
        }
        plain.push(c);
    }
    match plain.as_str() {
        "" => "none".to_owned(),
        "total" => "total-jobs".to_owned(),
        _ => plain,
    }
}

/// The most jobs of a window, and its length: that of the bins, or the shortest that is not too short for what there is.
fn peak(jobs: &Jobs, span: i64) -> (u64, i64) {
    let width = match jobs {
        Jobs::Counts(width, _) => *width,
        Jobs::Exact(_) => {
            WIDTHS.iter().copied().find(|width| span / width < MOST_BINS).unwrap_or(864_000 * SECOND)
        }
    };
    let mut windows: BTreeMap<i64, u64> = BTreeMap::new();
    let mut add = |at: i64, count: u64| *windows.entry(at / width).or_default() += count;
    match jobs {
        Jobs::Exact(jobs) => jobs.iter().for_each(|(at, ..)| add(*at, 1)),
        Jobs::Counts(_, rows) => rows.iter().for_each(|(at, _, count)| add(*at, *count)),
    }
    (windows.into_values().max().unwrap_or_default(), width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_a_scenario_may_have() {
        for (name, expected) in [
            ("GET", "GET"),
            ("a \"b\", c", "a__b___c"),
            ("größe", "größe"),
            ("total", "total-jobs"),
            ("", "none"),
        ] {
            assert_eq!(plain_name(name), expected);
        }
        assert!(plain_name(&"é".repeat(100)).len() <= 80);
    }

    #[test]
    fn widths_divide_each_other() {
        assert!(WIDTHS.windows(2).all(|pair| pair[1] % pair[0] == 0));
    }
}
