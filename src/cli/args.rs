//! Options that several commands share, and what they amount to.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use backpressure_sim::experiment::parallel::Pool;
use backpressure_sim::scenario;
use clap::{Args, ValueEnum};

/// One scenario and what is changed in it.
#[derive(Debug, Args)]
pub(super) struct ScenarioArgs {
    /// The scenario, a TOML file.
    // An option for clap alone, which must do without where a subcommand brings its own.
    #[arg(required = true)]
    pub(super) scenario: Option<PathBuf>,
    #[command(flatten)]
    pub(super) changes: ChangeArgs,
}

/// What is changed in every scenario of the command line.
#[derive(Debug, Args)]
pub(super) struct ChangeArgs {
    /// Override a setting, as in `policy.critical=20k` or `class.telemetry.share=0.5`. Repeatable.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Master seed; the same seed gives the same bytes.
    #[arg(short, long, env = "SIMULATE_SEED", allow_negative_numbers = true)]
    seed: Option<String>,
    /// Independent replications.
    #[arg(short = 'n', long, env = "SIMULATE_REPLICATIONS", allow_negative_numbers = true)]
    replications: Option<String>,
}

/// How many threads.
#[derive(Debug, Args)]
pub(super) struct PoolArgs {
    /// Threads [default: all cores]. The result does not depend on it.
    #[arg(short, long, value_name = "N", env = "SIMULATE_JOBS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
}

/// How the result is told.
#[derive(Debug, Args)]
pub(super) struct TellArgs {
    /// Print the result as one JSON document instead of text.
    #[arg(long)]
    pub(super) json: bool,
    /// No progress and no notes on stderr, no report on stdout unless with --json.
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Colour of the text.
    #[arg(long, value_enum, default_value_t = Colour::Auto)]
    color: Colour,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Colour {
    /// If stdout is a terminal and NO_COLOR is not set.
    Auto,
    Always,
    Never,
}

impl ScenarioArgs {
    pub(super) fn path(&self) -> &Path {
        self.scenario.as_deref().expect("clap requires a scenario")
    }

    pub(super) fn load(&self) -> Result<scenario::Loaded> {
        self.changes.load(self.path())
    }
}

impl ChangeArgs {
    /// The flags as overrides: checked by the same rules, with the same messages.
    pub(super) fn overrides(&self) -> Vec<String> {
        let mut overrides = self.set.clone();
        overrides.extend(self.seed.iter().map(|seed| format!("seed={seed}")));
        overrides.extend(self.replications.iter().map(|count| format!("replications={count}")));
        overrides
    }

    pub(super) fn load(&self, path: &Path) -> Result<scenario::Loaded> {
        Ok(scenario::load(path, &self.overrides())?)
    }

    /// The scenario with its own seed and number of replications, whatever the flags say.
    pub(super) fn load_recorded(&self, path: &Path) -> Result<scenario::Loaded> {
        Ok(scenario::load(path, &self.set)?)
    }

    /// The flags again, word by word.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words: Vec<String> =
            self.set.iter().flat_map(|set| ["--set".to_owned(), set.clone()]).collect();
        words.extend(self.seed.iter().flat_map(|seed| ["--seed".to_owned(), seed.clone()]));
        words.extend(self.replications.iter().flat_map(|count| ["--replications".to_owned(), count.clone()]));
        words
    }

    /// Whether the seed, and the number of replications, are given as flags or by the environment.
    pub(super) fn gives(&self) -> (bool, bool) {
        (self.seed.is_some(), self.replications.is_some())
    }

    /// Whether there is a `--set`.
    pub(super) fn has_settings(&self) -> bool {
        !self.set.is_empty()
    }
}

impl PoolArgs {
    pub(super) fn build(&self) -> Result<Pool> {
        Pool::new(self.jobs).context("failed to start threads")
    }
}

impl TellArgs {
    /// Whether text on stdout is coloured.
    pub(super) fn colours(&self) -> bool {
        match self.color {
            Colour::Auto => {
                io::stdout().is_terminal()
                    && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
            Colour::Always => true,
            Colour::Never => false,
        }
    }

    /// Columns of the terminal, or what reads well without one.
    pub(super) fn width() -> usize {
        Self::width_or(100)
    }

    /// Columns of the terminal, or so many without one.
    pub(super) fn width_or(columns: usize) -> usize {
        terminal_size::terminal_size().map_or(columns, |(width, _)| usize::from(width.0))
    }
}
