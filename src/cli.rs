//! The command line: arguments in, results and exit code out. It decides nothing about simulations.
//!
//! Only results go to stdout; progress, notes and errors go to stderr.

mod args;
mod check;
mod compare;
mod describe;
mod import;
mod install;
mod limit;
mod memory;
mod merge;
mod new;
mod output;
mod plan;
mod progress;
mod run;
mod sweep;

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use backpressure_sim::experiment::earlier::EarlierError;
use backpressure_sim::scenario::ScenarioError;
use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

/// Exit codes, as docs/guide/scripts.md lists them.
mod exit {
    pub(super) const GOOD: u8 = 0;
    pub(super) const INTERNAL: u8 = 1;
    pub(super) const USAGE: u8 = 2;
    pub(super) const SCENARIO_INVALID: u8 = 3;
    pub(super) const NOT_COMPARABLE: u8 = 4;
    pub(super) const GATE_FAILED: u8 = 10;
    pub(super) const INCONCLUSIVE: u8 = 11;
    pub(super) const MORE_TO_DO: u8 = 20;
    pub(super) const INTERRUPTED: u8 = 130;
}

const EXIT_CODES: &str = "\
Exit codes:
  0    success: every objective is met, nothing has regressed
  1    internal error, or a file cannot be read or written
  2    the command line is wrong
  3    the scenario is invalid, results cannot be read, or the output folder cannot be written
  4    the baseline is missing, unreadable or not comparable
  10   an objective is missed, or a metric has regressed
  11   undecided: more replications are needed
  20   `plan --rounds` wrote the next round for the shards
  130  interrupted; results cover the finished replications";

/// The flight simulator of queue-backed services: does this configuration survive its spike?
#[derive(Debug, Parser)]
#[command(name = "simulate", version, about, after_help = EXIT_CODES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
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
    /// Find the highest load that meets the objectives, or the last value of a setting that does.
    Limit(limit::LimitArgs),
    /// Find the cheapest configuration that meets the objectives.
    Plan(plan::PlanArgs),
    /// Merge the shards of a sweep into the report that one machine would write.
    Merge(merge::MergeArgs),
    /// Check scenarios against their baseline: objectives, and regressions of every metric.
    Check(check::CheckArgs),
    /// Compare two scenarios or results, replication by replication, with confidence intervals.
    Compare(compare::CompareArgs),
    /// Compute how much Redis memory jobs take, and which setting saves most.
    Memory(memory::MemoryArgs),
    /// Write a commented scenario as a starting point.
    New(new::NewArgs),
    /// Write a trace and its scenario from what Prometheus, k6, BullMQ, Azure or a web server recorded.
    Import(import::ImportArgs),
    /// Print every setting of a scenario with its value and the origin of the value.
    Config(args::ScenarioArgs),
    /// Print the JSON schema of scenario files, for editors and programs.
    Schema(describe::SchemaArgs),
    /// Print the reference page of all metrics in Markdown: name, unit, population and meaning.
    Metrics,
    /// Print completions for a shell.
    Completions(install::CompletionsArgs),
    /// Print the manual page, or write those of all commands.
    Man(install::ManArgs),
}

/// Runs the command and turns what happened into an exit code.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse_from(arguments(std::env::args_os()));
    let result = match &cli.command {
        Some(Command::Sweep(args)) => sweep::sweep(args),
        Some(Command::Limit(args)) => limit::limit(args),
        Some(Command::Plan(args)) => plan::plan(args),
        Some(Command::Merge(args)) => merge::merge(args),
        Some(Command::Check(args)) => check::check(args),
        Some(Command::Compare(args)) => compare::compare(args),
        Some(Command::Memory(args)) => memory::memory(args),
        Some(Command::New(args)) => new::new(args),
        Some(Command::Import(args)) => import::import(args),
        Some(Command::Config(args)) => describe::config(args),
        Some(Command::Schema(args)) => describe::schema(args),
        Some(Command::Metrics) => describe::metrics(),
        Some(Command::Completions(args)) => install::completions(args),
        Some(Command::Man(args)) => install::man(args),
        None => run::run(&cli.run),
    };
    ExitCode::from(result.unwrap_or_else(|error| code_of(&error)))
}

/// The words of the command line. `simulate run x.toml` is what other programs call it, and means `simulate x.toml`.
fn arguments(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<OsString> = words.collect();
    if words.get(1).is_some_and(|word| word == "run") && !Path::new("run").exists() {
        words.remove(1);
    }
    words
}

/// Prints an error and returns its exit code.
fn code_of(error: &anyhow::Error) -> u8 {
    if is_broken_pipe(error) {
        // The reader has stopped reading, as in `simulate ... | head`.
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
    if let Some(refused) = error.downcast_ref::<check::Refused>() {
        return refused.code();
    }
    if error.is::<output::OutputRefused>() || error.is::<EarlierError>() {
        exit::SCENARIO_INVALID
    } else {
        exit::INTERNAL
    }
}

/// A mistake in the command line that clap cannot find.
fn usage(message: &str) -> clap::Error {
    clap::Error::raw(
        ErrorKind::ValueValidation,
        format!("{message}\n\nFor more information, try '--help'.\n"),
    )
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
