//! `simulate limit`: the highest load that meets the objectives, or the last value of a setting that does.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use backpressure_sim::report;
use backpressure_sim::study::grid::Grid;
use backpressure_sim::study::limit::{self, Along, Asked, Direction, Limit, LimitError};
use clap::{Args, ValueEnum};

use super::args::{PoolArgs, ScenarioArgs, TellArgs};
use super::output::check_output;
use super::progress::Attended;
use super::{exit, usage};

#[derive(Debug, Args)]
pub(super) struct LimitArgs {
    #[command(flatten)]
    scenario: ScenarioArgs,
    /// What to move: `load`, the factor on all arrivals, or a setting such as workers.processes or arrivals.rate.
    #[arg(long, value_name = "load|KEY", default_value = "load")]
    along: String,
    /// Which way it gets worse [default: found out].
    #[arg(long, value_enum, value_name = "WAY")]
    direction: Option<Way>,
    /// Smallest value to try [default: 1/64 of the load, 1/1024 of a setting].
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    from: Option<String>,
    /// Largest value to try [default: 16 times the load, 1024 times a setting].
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    to: Option<String>,
    /// How near two neighbouring values are.
    #[arg(long, value_name = "SHARE", default_value = "1%", value_parser = precision)]
    precision: f64,
    /// Probability that the interval has the limit.
    #[arg(long, value_name = "SHARE", default_value = "99%", value_parser = confidence)]
    confidence: f64,
    /// Folder of the report [default: reports/NAME-limit, or reports/NAME-limit-KEY].
    #[arg(short, long, value_name = "DIR", env = "SIMULATE_OUTPUT")]
    output: Option<PathBuf>,
    #[command(flatten)]
    pool: PoolArgs,
    #[command(flatten)]
    tell: TellArgs,
    /// Also write the summary card (`summary.png`) and every chart as PNG.
    #[cfg_attr(feature = "png", arg(long))]
    #[cfg_attr(not(feature = "png"), arg(skip))]
    png: bool,
}

/// Which way it gets worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Way {
    /// To larger values.
    Up,
    /// To smaller values.
    Down,
}

fn share(text: &str, least: f64, most: f64) -> Result<f64, String> {
    let share = backpressure_sim::units::parse_fraction(text).ok();
    share
        .filter(|share| (least..=most).contains(share))
        .ok_or_else(|| format!("not a share from {}% to {}%", least * 100.0, most * 100.0))
}

fn precision(text: &str) -> Result<f64, String> {
    share(text, 0.0001, 0.5)
}

fn confidence(text: &str) -> Result<f64, String> {
    share(text, 0.5, 0.9999)
}

pub(super) fn limit(args: &LimitArgs) -> Result<u8> {
    let overrides = args.scenario.changes.overrides();
    let grid = Grid::load(args.scenario.path(), overrides, Vec::new(), Vec::new())?;
    let asked = asked(args, &grid)?;
    // A search along another setting is another question, and does not replace this one.
    let along = match &asked.along {
        Along::Load => String::new(),
        Along::Setting(setting) => format!("-{}", setting.path),
    };
    let usual = || Path::new("reports").join(format!("{}-limit{along}", grid.scenario().name));
    let folder = args.output.clone().unwrap_or_else(usual);
    check_output(&folder)?;
    let pool = args.pool.build()?;
    let attended = Attended::open_ended(args.tell.quiet)?;
    let found = pool.install(|| Limit::search(grid, asked, &attended));
    attended.finish();
    match found {
        Ok(limit) => publish(&limit, &folder, args),
        Err(LimitError::Interrupted) => {
            eprintln!("interrupted before the limit was found; nothing was written");
            Ok(exit::INTERRUPTED)
        }
        Err(LimitError::Scenario(error)) => Err(error.into()),
        Err(error @ LimitError::NoObjectives) => {
            eprintln!("error: {error}");
            Ok(exit::SCENARIO_INVALID)
        }
        Err(error @ (LimitError::OneReplication | LimitError::Bounds(_))) => {
            Err(usage(&error.to_string()).into())
        }
    }
}

fn asked(args: &LimitArgs, grid: &Grid) -> Result<Asked> {
    let along = Along::read(Some(&args.along), &grid.base).map_err(|error| {
        usage(&format!("invalid value '{}' for '--along <load|KEY>': {error}", args.along))
    })?;
    let number = |option: &str, text: &Option<String>| {
        let Some(text) = text else { return Ok(None) };
        let number = along.number(text).filter(|number| *number >= 0.0);
        let message = || format!("invalid value '{text}' for '{option} <VALUE>': not {}", along.kind());
        number.map(Some).ok_or_else(|| anyhow!(usage(&message())))
    };
    let (from, to) = (number("--from", &args.from)?, number("--to", &args.to)?);
    Ok(Asked {
        direction: args.direction.map(|way| match way {
            Way::Up => Direction::Up,
            Way::Down => Direction::Down,
        }),
        from,
        to,
        precision: args.precision,
        confidence: args.confidence,
        along,
    })
}

fn publish(limit: &Limit, folder: &Path, args: &LimitArgs) -> Result<u8> {
    let options = report::Options { png: args.png, ..Default::default() };
    let page = report::limit::write(folder, limit, &options)?;
    let mut stdout = io::stdout().lock();
    if args.tell.json {
        write!(stdout, "{}", report::limit::json(limit)?)?;
    } else if !args.tell.quiet {
        let text = report::limit::terminal::render(limit, TellArgs::width(), args.tell.colours());
        write!(stdout, "{text}")?;
        writeln!(stdout, "report  {}", page.display())?;
    }
    stdout.flush()?;
    Ok(if limit::meets_its_own(limit) { exit::GOOD } else { exit::GATE_FAILED })
}
