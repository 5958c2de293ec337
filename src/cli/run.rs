//! `simulate SCENARIO`: runs a scenario, writes its report and prints the verdict.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use backpressure_sim::experiment::summary::Verdict;
use backpressure_sim::experiment::{self, Findings, SLICES};
use backpressure_sim::report;
use backpressure_sim::scenario::Scenario;
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
    /// Also write every chart as PNG.
    #[arg(long)]
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
    let page = report::write(&folder, &scenario, &findings, &options)?;
    print(&scenario, &findings, &page, &args.tell)?;
    Ok(match (findings.summary.interrupted, findings.summary.verdict) {
        (true, _) => exit::INTERRUPTED,
        (false, Verdict::Pass) => exit::GOOD,
        (false, Verdict::Fail) => exit::GATE_FAILED,
    })
}

fn print(scenario: &Scenario, findings: &Findings, page: &Path, tell: &TellArgs) -> Result<()> {
    let mut stdout = io::stdout().lock();
    if tell.json {
        write!(stdout, "{}", report::summary_json(&findings.summary)?)?;
    } else if !tell.quiet {
        let text = report::terminal::render(scenario, findings, TellArgs::width(), tell.colours());
        write!(stdout, "{text}")?;
        writeln!(stdout, "report  {}", page.display())?;
    }
    stdout.flush()?;
    Ok(())
}
