//! The command line: arguments in, verdict and exit code out. Decides nothing about simulations.
//!
//! Results go to stdout and nothing else does; progress, notes and errors go to stderr.

mod args;
mod describe;
mod merge;
mod output;
mod progress;
mod run;
mod sweep;

use std::io;
use std::process::ExitCode;

use backpressure_sim::scenario::ScenarioError;
use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

/// Exit codes, as documented in the README.
mod exit {
    pub(super) const GOOD: u8 = 0;
    pub(super) const INTERNAL: u8 = 1;
    pub(super) const USAGE: u8 = 2;
    pub(super) const SCENARIO_INVALID: u8 = 3;
    pub(super) const GATE_FAILED: u8 = 10;
    pub(super) const INTERRUPTED: u8 = 130;
}

const EXIT_CODES: &str = "\
Exit codes:
  0    every objective is met
  1    internal error, or reading or writing failed
  2    the command line is wrong
  3    the scenario is invalid, or its report cannot be written where asked
  10   an objective is missed
  130  interrupted; what is shown covers the finished replications";

/// The flight simulator of queue-backed services: does this configuration survive its spike?
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXIT_CODES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: run::RunArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run many configurations of a scenario and rank them.
    Sweep(sweep::SweepArgs),
    /// Put the results of the shards of a sweep together: the same report as from one machine.
    Merge(merge::MergeArgs),
    /// Print every setting of a scenario with its value and where the value comes from.
    Config(args::ScenarioArgs),
    /// Print the JSON schema of scenario files, for editors and other programs.
    Schema(describe::SchemaArgs),
}

/// Runs the command and turns what happened into an exit code.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Some(Command::Sweep(args)) => sweep::sweep(args),
        Some(Command::Merge(args)) => merge::merge(args),
        Some(Command::Config(args)) => describe::config(args),
        Some(Command::Schema(args)) => describe::schema(args),
        None => run::run(&cli.run),
    };
    ExitCode::from(result.unwrap_or_else(|error| code_of(&error)))
}

/// Tells of an error and finds its exit code.
fn code_of(error: &anyhow::Error) -> u8 {
    if is_broken_pipe(error) {
        // Whoever reads has had enough, as in `simulate ... | head`.
        return exit::GOOD;
    }
    if let Some(error) = error.downcast_ref::<ScenarioError>() {
        eprintln!("{error}");
        return exit::SCENARIO_INVALID;
    }
    if let Some(error) = error.downcast_ref::<clap::Error>() {
        let _ = error.print();
        return exit::USAGE;
    }
    eprintln!("error: {error:#}");
    if error.is::<output::OutputRefused>() { exit::SCENARIO_INVALID } else { exit::INTERNAL }
}

/// A mistake in the command line that is found after it was read.
fn usage(message: &str) -> clap::Error {
    clap::Error::raw(
        ErrorKind::ValueValidation,
        format!("{message}\n\nFor more information, try '--help'.\n"),
    )
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
