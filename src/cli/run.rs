//! `simulate SCENARIO`: runs a scenario, writes its report and prints the verdict.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use backpressure_sim::experiment::earlier::Earlier;
use backpressure_sim::experiment::summary::{Summary, Verdict};
use backpressure_sim::experiment::{self, Findings, SLICES};
use backpressure_sim::report;
use backpressure_sim::report::run::explain::{self, Lever};
use backpressure_sim::report::run::terminal;
use backpressure_sim::scenario::{self, Scenario};
use clap::Args;

use super::args::{PoolArgs, ScenarioArgs, TellArgs};
use super::exit;
use super::output::check_output;
use super::progress::Attended;

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    scenario: ScenarioArgs,
    /// Folder of the report [default: reports/NAME].
    #[arg(short, long, value_name = "DIR", env = "SIMULATE_OUTPUT")]
    output: Option<PathBuf>,
    #[command(flatten)]
    pool: PoolArgs,
    #[command(flatten)]
    tell: TellArgs,
    /// Print the reasons at length: load against capacity by phase, which limit was reached when, and what would move it.
    #[arg(long, conflicts_with = "json")]
    explain: bool,
    /// Also write the summary card (`summary.png`) and every chart as PNG.
    #[cfg_attr(feature = "png", arg(long))]
    #[cfg_attr(not(feature = "png"), arg(skip))]
    png: bool,
    /// Also write the samples of the first replication as OpenMetrics, the alerts as rules, and a test of the rules.
    #[arg(long)]
    prometheus: bool,
    /// Time of the first sample, such as 2026-01-05T00:00:00Z or seconds since 1970.
    #[arg(long, value_name = "TIME", default_value = "2026-01-05T00:00:00Z", value_parser = epoch, requires = "prometheus")]
    epoch: u64,
}

/// The last second of the year 9999.
const LAST_EPOCH: u64 = 253_402_300_799;

fn epoch(text: &str) -> Result<u64, String> {
    let seconds = text.parse().ok().or_else(|| {
        let time: jiff::Timestamp = text.parse().ok()?;
        u64::try_from(time.as_second()).ok()
    });
    seconds
        .filter(|seconds| *seconds <= LAST_EPOCH)
        .ok_or_else(|| "not a time from 1970 to 9999 such as 2026-01-05T00:00:00Z or 1767571200".to_owned())
}

pub(super) fn run(args: &RunArgs) -> Result<u8> {
    let scenario = args.scenario.load()?.scenario;
    let folder = args.output.clone().unwrap_or_else(|| Path::new("reports").join(&scenario.name));
    check_output(&folder)?;
    let pool = args.pool.build()?;
    let attended = Attended::new(u64::from(scenario.replications) * u64::from(SLICES), args.tell.quiet)?;
    let findings = pool.install(|| experiment::run(&scenario, &attended));
    attended.finish();
    let Some(findings) = findings else {
        eprintln!("interrupted before the first replication was complete; nothing was written");
        return Ok(exit::INTERRUPTED);
    };
    let options = report::Options { png: args.png, prometheus: args.prometheus.then_some(args.epoch) };
    let folder = beside_earlier(folder, args.output.is_some(), &findings.summary);
    let page = report::run::write(&folder, &scenario, &findings, &options)?;
    let levers = if args.explain { levers(args, &scenario, &findings) } else { Vec::new() };
    print(&scenario, &findings, &page, args, &levers)?;
    Ok(match (findings.summary.interrupted, findings.summary.verdict) {
        (true, _) => exit::INTERRUPTED,
        (false, Verdict::Pass) => exit::GOOD,
        (false, Verdict::Fail) => exit::GATE_FAILED,
    })
}

/// The folder to write to: a part of a run does not take the place of a whole one. Says so, and where a run of another scenario is
/// replaced.
fn beside_earlier(folder: PathBuf, is_asked_for: bool, summary: &Summary) -> PathBuf {
    let Ok(earlier) = Earlier::read(&folder) else { return folder };
    if summary.interrupted && !earlier.interrupted {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let beside = folder.with_file_name(format!("{name}-interrupted"));
        eprintln!("`{}` has a complete run and stays as it is", folder.display());
        return beside;
    }
    let file = |command: &str| command.split(' ').nth(1).map(str::to_owned);
    if !is_asked_for && !earlier.command.is_empty() && file(&earlier.command) != file(&summary.command) {
        eprintln!(
            "note: `{}` held the report of `{}`, a scenario of the same name, and is replaced; -o FOLDER keeps both",
            folder.display(),
            earlier.command
        );
    }
    folder
}

/// The settings worth trying, each with the scenario that has it; those that the scenario refuses are left out.
fn levers(args: &RunArgs, scenario: &Scenario, findings: &Findings) -> Vec<Lever> {
    let of = |setting: String| {
        let mut overrides = args.scenario.changes.overrides();
        overrides.push(setting.clone());
        let scenario = scenario::load(args.scenario.path(), &overrides).ok()?.scenario;
        Some(Lever { setting, scenario })
    };
    explain::levers(scenario, &findings.summary).into_iter().filter_map(of).collect()
}

fn print(
    scenario: &Scenario,
    findings: &Findings,
    page: &Path,
    args: &RunArgs,
    levers: &[Lever],
) -> Result<()> {
    let tell = &args.tell;
    let mut stdout = io::stdout().lock();
    if tell.json {
        write!(stdout, "{}", report::run::json(&findings.summary)?)?;
    } else if !tell.quiet {
        let (width, colours) = (TellArgs::width(), tell.colours());
        if args.explain {
            write!(stdout, "{}", terminal::head(scenario, findings, width, colours))?;
            write!(stdout, "{}", explain::render(scenario, findings, levers, width, colours))?;
            write!(stdout, "{}", terminal::foot(findings, width, colours))?;
        } else {
            write!(stdout, "{}", terminal::render(scenario, findings, width, colours))?;
        }
        writeln!(stdout, "report  {}", page.display())?;
    }
    stdout.flush()?;
    Ok(())
}
