//! Shows progress, in a terminal as a bar and elsewhere as a line now and then, and stops on an interrupt.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use backpressure_sim::experiment::{Progress, SLICES};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shows a progress bar for work that takes longer than a second, and stops it on an interrupt.
pub(super) struct Attended {
    bar: ProgressBar,
    began: Instant,
    /// Whether the bar is to be shown and is still hidden.
    pending: AtomicBool,
    /// Where there is no terminal, the seconds after which the next line is due; `u64::MAX` for none.
    next_line: AtomicU64,
}

/// Set by the signal handler, which lives as long as the process.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

const PATIENCE: Duration = Duration::from_secs(1);
/// Seconds between two lines where there is no terminal.
const LINE_EVERY: u64 = 10;
/// Steps of a replication.
const STEPS: u64 = SLICES as u64;

impl Attended {
    /// For work with a known number of steps.
    pub(super) fn new(steps: u64, quiet: bool) -> Result<Self> {
        let style = ProgressStyle::with_template("{bar:40} {percent:>3}% of the simulation, {eta} left");
        Self::with(Some(steps), style.context("failed to build the progress bar")?, quiet)
    }

    /// The same for work that may take long and be watched through a log: without a terminal a line tells of it every 10 s.
    pub(super) fn logged(steps: u64, quiet: bool) -> Result<Self> {
        Ok(Self::new(steps, quiet)?.with_lines(quiet))
    }

    /// For a search, whose length is unknown; without a terminal a line tells of it every 10 s.
    pub(super) fn open_ended(quiet: bool) -> Result<Self> {
        let style = ProgressStyle::with_template("{spinner} searching for {elapsed}");
        Ok(Self::with(None, style.context("failed to build the progress bar")?, quiet)?.with_lines(quiet))
    }

    fn with_lines(mut self, quiet: bool) -> Self {
        if !quiet && !*self.pending.get_mut() {
            self.next_line = AtomicU64::new(LINE_EVERY);
        }
        self
    }

    fn with(steps: Option<u64>, style: ProgressStyle, quiet: bool) -> Result<Self> {
        ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed))
            .context("failed to listen for interrupts")?;
        let bar = ProgressBar::with_draw_target(steps, ProgressDrawTarget::hidden());
        bar.set_style(style);
        let can_move = std::env::var_os("TERM").is_none_or(|kind| kind != "dumb");
        let watched = io::stderr().is_terminal() && can_move && std::env::var_os("CI").is_none() && !quiet;
        let (pending, next_line) = (AtomicBool::new(watched), AtomicU64::new(u64::MAX));
        Ok(Self { bar, began: Instant::now(), pending, next_line })
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Writes a line if one is due. Of all threads that see it due the one that moves the time on writes it.
    fn write_line(&self) {
        let (due, seconds) = (self.next_line.load(Ordering::Relaxed), self.began.elapsed().as_secs());
        let next = (seconds / LINE_EVERY + 1) * LINE_EVERY;
        let is_mine =
            || self.next_line.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if seconds >= due && is_mine() {
            let done = self.bar.position() / STEPS;
            // Charts may need a few more than were counted for the result.
            match self.bar.length().map(|all| all / STEPS).filter(|&all| done <= all) {
                Some(all) => eprintln!("{seconds} s: {done} of {all} replications simulated"),
                None => eprintln!("{seconds} s: {done} replications simulated"),
            }
        }
    }
}

impl Progress for Attended {
    fn advanced(&self) {
        self.bar.inc(1);
        if self.began.elapsed() > PATIENCE && self.pending.swap(false, Ordering::Relaxed) {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.write_line();
    }

    fn interrupted(&self) -> bool {
        INTERRUPTED.load(Ordering::Relaxed)
    }
}
