//! Shows progress in a terminal, and stops on an interrupt.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use backpressure_sim::experiment::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shows a progress bar for work that takes longer than a second, and stops it on an interrupt.
pub(super) struct Attended {
    bar: ProgressBar,
    began: Instant,
    /// Whether the bar is to be shown and is still hidden.
    pending: AtomicBool,
}

/// Set by the signal handler, which lives as long as the process.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

const PATIENCE: Duration = Duration::from_secs(1);

impl Attended {
    /// For work with a known number of steps.
    pub(super) fn new(steps: u64, quiet: bool) -> Result<Self> {
        let style = ProgressStyle::with_template("{bar:40} {percent:>3}% of the simulation, {eta} left");
        Self::with(Some(steps), style.context("failed to build the progress bar")?, quiet)
    }

    /// For a search, whose length is unknown.
    pub(super) fn open_ended(quiet: bool) -> Result<Self> {
        let style = ProgressStyle::with_template("{spinner} searching for {elapsed}");
        Self::with(None, style.context("failed to build the progress bar")?, quiet)
    }

    fn with(steps: Option<u64>, style: ProgressStyle, quiet: bool) -> Result<Self> {
        ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed))
            .context("failed to listen for interrupts")?;
        let bar = ProgressBar::with_draw_target(steps, ProgressDrawTarget::hidden());
        bar.set_style(style);
        let can_move = std::env::var_os("TERM").is_none_or(|kind| kind != "dumb");
        let watched = io::stderr().is_terminal() && can_move && std::env::var_os("CI").is_none() && !quiet;
        Ok(Self { bar, began: Instant::now(), pending: AtomicBool::new(watched) })
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for Attended {
    fn advanced(&self) {
        self.bar.inc(1);
        if self.began.elapsed() > PATIENCE && self.pending.swap(false, Ordering::Relaxed) {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    fn interrupted(&self) -> bool {
        INTERRUPTED.load(Ordering::Relaxed)
    }
}
