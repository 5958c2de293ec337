//! The command line: arguments in, verdict and exit code out. Decides nothing about simulations.
//!
//! Results go to stdout and nothing else does; progress, notes and errors go to stderr.

mod progress;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use backpressure_sim::experiment::summary::Verdict;
use backpressure_sim::experiment::{self, Findings};
use backpressure_sim::report;
use backpressure_sim::scenario::{self, Scenario, ScenarioError, Setting};
use clap::{Args, Parser, Subcommand, ValueEnum};
use progress::Attended;

/// Exit codes, as documented in the README.
mod exit {
    pub(super) const GOOD: u8 = 0;
    pub(super) const INTERNAL: u8 = 1;
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
    run: RunArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print every setting of a scenario with its value and where the value comes from.
    Config(ScenarioArgs),
}

#[derive(Debug, Args)]
struct ScenarioArgs {
    /// The scenario, a TOML file.
    // An option for clap alone, which must do without where a subcommand brings its own.
    #[arg(required = true)]
    scenario: Option<PathBuf>,
    /// Override a setting, as in `policy.critical=20k` or `class.telemetry.share=0.5`. Repeatable.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Master seed; the same seed gives the same bytes.
    #[arg(short, long, env = "SIMULATE_SEED")]
    seed: Option<String>,
    /// Independent replications.
    #[arg(short = 'n', long, env = "SIMULATE_REPLICATIONS")]
    replications: Option<String>,
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    scenario: ScenarioArgs,
    /// Folder of the report [default: reports/NAME].
    #[arg(short, long, value_name = "DIR", env = "SIMULATE_OUTPUT")]
    output: Option<PathBuf>,
    /// Threads [default: all cores]. The result does not depend on it.
    #[arg(short, long, value_name = "N", env = "SIMULATE_JOBS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Print the summary as one JSON document instead of text.
    #[arg(long)]
    json: bool,
    /// Also write every chart as PNG.
    #[arg(long)]
    png: bool,
    /// No progress and no notes on stderr, no report on stdout unless with --json.
    #[arg(short, long)]
    quiet: bool,
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

/// Runs the command and turns what happened into an exit code.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Some(Command::Config(args)) => print_config(&args),
        None => simulate(&cli.run),
    };
    let code = result.unwrap_or_else(|error| {
        if is_broken_pipe(&error) {
            // Whoever reads has had enough, as in `simulate ... | head`.
            return exit::GOOD;
        }
        if let Some(error) = error.downcast_ref::<ScenarioError>() {
            eprintln!("{error}");
            return exit::SCENARIO_INVALID;
        }
        eprintln!("error: {error:#}");
        if error.is::<OutputRefused>() { exit::SCENARIO_INVALID } else { exit::INTERNAL }
    });
    ExitCode::from(code)
}

/// Runs a scenario, writes its report and prints the verdict.
fn simulate(args: &RunArgs) -> Result<u8> {
    let scenario = load(&args.scenario)?.scenario;
    let folder = args.output.clone().unwrap_or_else(|| Path::new("reports").join(&scenario.name));
    check_output(&folder)?;
    let Some(findings) = run(&scenario, args)? else {
        eprintln!("interrupted before the first replication was complete; nothing was written");
        return Ok(exit::INTERRUPTED);
    };
    let page = report::write(&folder, &scenario, &findings, &report::Options { png: args.png })?;
    print_findings(&scenario, &findings, &page, args)?;
    Ok(match (findings.summary.interrupted, findings.summary.verdict) {
        (true, _) => exit::INTERRUPTED,
        (false, Verdict::Pass) => exit::GOOD,
        (false, Verdict::Fail) => exit::GATE_FAILED,
    })
}

fn load(args: &ScenarioArgs) -> Result<scenario::Loaded> {
    let mut overrides = args.set.clone();
    // The flags are overrides like others: checked by the same rules, with the same messages.
    overrides.extend(args.seed.iter().map(|seed| format!("seed={seed}")));
    overrides.extend(args.replications.iter().map(|count| format!("replications={count}")));
    let path = args.scenario.as_deref().expect("clap requires a scenario");
    Ok(scenario::load(path, &overrides)?)
}

fn run(scenario: &Scenario, args: &RunArgs) -> Result<Option<Findings>> {
    let threads = args.jobs.map_or(0, usize::from);
    let pool =
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().context("failed to start threads")?;
    let attended = Attended::new(scenario.replications, args.quiet)?;
    let findings = pool.install(|| experiment::run(scenario, &attended));
    attended.finish();
    Ok(findings)
}

fn print_findings(scenario: &Scenario, findings: &Findings, page: &Path, args: &RunArgs) -> Result<()> {
    let mut stdout = io::stdout().lock();
    if args.json {
        write!(stdout, "{}", report::summary_json(&findings.summary)?)?;
    } else if !args.quiet {
        let colour = match args.color {
            Colour::Auto => {
                stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
            Colour::Always => true,
            Colour::Never => false,
        };
        let width = terminal_size::terminal_size().map_or(100, |(width, _)| usize::from(width.0));
        write!(stdout, "{}", report::terminal::render(scenario, findings, width, colour))?;
        writeln!(stdout, "report  {}", page.display())?;
    }
    stdout.flush()?;
    Ok(())
}

fn print_config(args: &ScenarioArgs) -> Result<u8> {
    let loaded = load(args)?;
    let mut stdout = io::stdout().lock();
    for Setting { path, value, origin, .. } in &loaded.settings {
        if let Some(value) = value {
            writeln!(stdout, "{path} = {value}  # {origin}")?;
        }
    }
    stdout.flush()?;
    Ok(exit::GOOD)
}

/// The report cannot go where it should; better said before the run than after.
#[derive(Debug)]
struct OutputRefused {
    folder: PathBuf,
    cause: io::Error,
}

impl std::fmt::Display for OutputRefused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { folder, cause } = self;
        write!(
            f,
            "the report cannot be written to `{}`: {cause}\n  = allowed: a folder that exists or can be made, and can be written to; choose one with --output DIR",
            folder.display()
        )
    }
}

impl std::error::Error for OutputRefused {}

/// Makes sure that the report can be written, before time is spent on the run.
fn check_output(folder: &Path) -> Result<(), OutputRefused> {
    let refused = |cause| OutputRefused { folder: folder.to_owned(), cause };
    let existing = folder.ancestors().find(|ancestor| ancestor.exists());
    let existing = existing.filter(|ancestor| !ancestor.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !existing.is_dir() {
        return Err(refused(io::Error::new(io::ErrorKind::NotADirectory, "part of the path is a file")));
    }
    // Only trying tells: permissions, read-only mounts and quotas all count.
    tempfile::Builder::new().prefix(".simulate-").tempfile_in(existing).map_err(refused)?;
    Ok(())
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
