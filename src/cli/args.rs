//! Options that several commands share.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use backpressure_sim::experiment::parallel::Pool;
use backpressure_sim::scenario;
use clap::{Args, ValueEnum};

/// One scenario and its overrides.
#[derive(Debug, Args)]
pub(super) struct ScenarioArgs {
    /// The scenario, a TOML file; `-` reads it from standard input.
    // Optional only for clap: a subcommand has its own scenario.
    #[arg(required = true)]
    pub(super) scenario: Option<PathBuf>,
    #[command(flatten)]
    pub(super) changes: ChangeArgs,
}

/// Overrides for every scenario of the command line.
#[derive(Debug, Args)]
pub(super) struct ChangeArgs {
    /// Override a setting, as in `policy.critical=20k` or `class.telemetry.share=0.5`. Repeatable.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Master seed; the same seed gives the same results.
    #[arg(short, long, env = "SIMULATE_SEED", allow_negative_numbers = true)]
    seed: Option<String>,
    /// Number of independent replications.
    #[arg(short = 'n', long, env = "SIMULATE_REPLICATIONS", allow_negative_numbers = true)]
    replications: Option<String>,
}

/// The threads to use.
#[derive(Debug, Args)]
pub(super) struct PoolArgs {
    /// Threads [default: all cores]. Results do not depend on it.
    #[arg(short, long, value_name = "N", env = "SIMULATE_JOBS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
}

/// How the result is printed.
#[derive(Debug, Args)]
pub(super) struct TellArgs {
    /// Print the result as one JSON document instead of text.
    #[arg(long)]
    pub(super) json: bool,
    /// Print no progress and no notes to stderr, and nothing to stdout but JSON.
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// When to colour the text.
    #[arg(long, value_enum, default_value_t = Colour::Auto)]
    color: Colour,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Colour {
    /// If stdout is a terminal that is not dumb, and NO_COLOR is unset.
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
    /// The flags as overrides, so that the same rules check them with the same messages.
    pub(super) fn overrides(&self) -> Vec<String> {
        let mut overrides = self.set.clone();
        overrides.extend(self.seed.iter().map(|seed| format!("seed={seed}")));
        overrides.extend(self.replications.iter().map(|count| format!("replications={count}")));
        overrides
    }

    pub(super) fn load(&self, path: &Path) -> Result<scenario::Loaded> {
        Ok(scenario::load(path, &self.overrides())?)
    }

    /// The scenario with the seed and replications of its file, whatever the flags say.
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

    /// Whether flags or environment give the seed, and the number of replications.
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
                    && std::env::var_os("TERM").is_none_or(|kind| kind != "dumb")
                    && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
            Colour::Always => true,
            Colour::Never => false,
        }
    }

    /// Columns of the terminal, or a readable width without one.
    pub(super) fn width() -> usize {
        Self::width_or(100)
    }

    /// Columns of the terminal, or this many without one.
    pub(super) fn width_or(columns: usize) -> usize {
        terminal_size::terminal_size().map_or(columns, |(width, _)| usize::from(width.0))
    }
}
