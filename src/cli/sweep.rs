//! `simulate sweep`: runs many configurations of a scenario, on one machine or one shard on each of many.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use backpressure_sim::experiment::SLICES;
use backpressure_sim::report;
use backpressure_sim::study::grid::Grid;
use backpressure_sim::study::journal::{self, Header, Journal};
use backpressure_sim::study::shard::Shard;
use backpressure_sim::study::sweep::Sweep;
use backpressure_sim::study::{Fold, Study};
use clap::Args;

use super::args::{PoolArgs, ScenarioArgs, TellArgs};
use super::output::{beside, check_output};
use super::progress::Attended;
use super::{exit, usage};

#[derive(Debug, Args)]
pub(super) struct SweepArgs {
    #[command(flatten)]
    scenario: ScenarioArgs,
    #[command(flatten)]
    grid: GridArgs,
    /// Folder of the report [default: reports/NAME-sweep].
    #[arg(short, long, value_name = "DIR", env = "SIMULATE_OUTPUT")]
    output: Option<PathBuf>,
    #[command(flatten)]
    shard: ShardArgs,
    #[command(flatten)]
    pool: PoolArgs,
    #[command(flatten)]
    tell: TellArgs,
    /// Also write the summary card (`summary.png`) and every chart as PNG.
    #[cfg_attr(feature = "png", arg(long))]
    #[cfg_attr(not(feature = "png"), arg(skip))]
    png: bool,
}

/// The configurations to run.
#[derive(Debug, Args)]
pub(super) struct GridArgs {
    /// Vary a setting: `policy.critical=5k..100k:*2`, `workers.processes=2..8`, `workers.concurrency=10,20`,
    /// `policy.warning=0.1,0.2 of policy.critical`. Repeatable; replaces the axes in the file.
    #[arg(long = "grid", value_name = "KEY=VALUES")]
    pub(super) grid: Vec<String>,
    /// Condition on every configuration, such as `policy.warning <= 0.5 * policy.critical`. Repeatable.
    #[arg(long = "where", value_name = "COMPARISON")]
    pub(super) constraints: Vec<String>,
}

/// The part of the work to run.
#[derive(Debug, Args)]
pub(super) struct ShardArgs {
    /// Run only part I of N, such as 0/8, and write DIR/shard-I-of-N.jsonl for `simulate merge`; `auto` reads the
    /// part from the variables of Kubernetes, Slurm, HyperQueue, AWS Batch or PBS.
    #[arg(long, value_name = "I/N|auto", value_parser = which_shard)]
    shard: Option<Which>,
    /// Number of shards, if the launcher does not say.
    #[arg(long, value_name = "N", env = "SIMULATE_SHARD_COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    shard_count: Option<u32>,
}

/// A given shard, or the one that the launcher says.
#[derive(Clone, Copy, Debug)]
enum Which {
    Auto,
    This(Shard),
}

fn which_shard(written: &str) -> Result<Which, String> {
    if written == "auto" { Ok(Which::Auto) } else { written.parse().map(Which::This) }
}

impl GridArgs {
    pub(super) fn load(&self, scenario: &ScenarioArgs) -> Result<Grid> {
        let overrides = scenario.changes.overrides();
        Ok(Grid::load(scenario.path(), overrides, self.grid.clone(), self.constraints.clone())?)
    }
}

impl ShardArgs {
    pub(super) fn resolve(&self, quiet: bool) -> Result<Option<Shard>> {
        match self.shard {
            None => Ok(None),
            Some(Which::This(shard)) => Ok(Some(shard)),
            Some(Which::Auto) => {
                let (shard, how) =
                    Shard::auto(|name| std::env::var(name).ok(), self.shard_count).map_err(|message| {
                        usage(&format!("invalid value 'auto' for '--shard <I/N|auto>': {message}"))
                    })?;
                if !quiet {
                    eprintln!("shard {how}");
                }
                Ok(Some(shard))
            }
        }
    }
}

pub(super) fn sweep(args: &SweepArgs) -> Result<u8> {
    let shard = args.shard.resolve(args.tell.quiet)?;
    let grid = args.grid.load(&args.scenario)?;
    if grid.axes.is_empty() {
        return Err(
            usage("nothing to vary: give '--grid <KEY=VALUES>', or axes in [sweep] of the scenario").into()
        );
    }
    let folder = folder(args.output.as_deref(), &grid);
    check_output(&folder)?;
    let pool = args.pool.build()?;
    pool.install(|| match shard {
        Some(shard) => run_shard(grid, shard, &folder, args),
        None => run_all(grid, &folder, args),
    })
}

/// Where the report of a grid goes.
pub(super) fn folder(chosen: Option<&Path>, grid: &Grid) -> PathBuf {
    let usual = || Path::new("reports").join(format!("{}-sweep", grid.scenario().name));
    chosen.map_or_else(usual, Path::to_owned)
}

fn run_all(grid: Grid, folder: &Path, args: &SweepArgs) -> Result<u8> {
    let study = Study::of(grid);
    refuse_nothing(&study)?;
    let mut fold = Fold::new(&study);
    let mut done = study.to_do(None);
    let path = beside(folder, "partial.jsonl");
    let mut journal = Journal::open(&path, &Header::of(&study.grid, None), |entry| {
        done.note(&study, &entry);
        fold.add(entry);
    })?;
    tell_of_resumption(study.tasks(), done.left(), args.tell.quiet);
    let attended = Attended::logged(done.left() as u64 * u64::from(SLICES), args.tell.quiet)?;
    let take = |entry| {
        journal.append(&entry)?;
        fold.add(entry);
        Ok::<_, journal::JournalError>(())
    };
    let is_complete = study.run(&done, take, &attended)?;
    attended.finish();
    let sweep = match fold.finish() {
        Ok(results) if is_complete => Sweep::of(study.clone(), results, &attended),
        _ => None,
    };
    let Some(sweep) = sweep else {
        eprintln!(
            "interrupted; finished replications are kept in `{}`: the same command resumes",
            path.display()
        );
        return Ok(exit::INTERRUPTED);
    };
    let code = publish(&sweep, folder, &args.tell, args.png)?;
    journal.remove()?;
    Ok(code)
}

fn run_shard(grid: Grid, shard: Shard, folder: &Path, args: &SweepArgs) -> Result<u8> {
    let study = Study::of(grid);
    refuse_nothing(&study)?;
    let mut done = study.to_do(Some(shard));
    let all = done.left();
    let path = folder.join(format!("shard-{}-of-{}.jsonl", shard.index, shard.count));
    let mut journal =
        Journal::open(&path, &Header::of(&study.grid, Some(shard)), |entry| done.note(&study, &entry))?;
    tell_of_resumption(all, done.left(), args.tell.quiet);
    let attended = Attended::logged(done.left() as u64 * u64::from(SLICES), args.tell.quiet)?;
    let is_complete = study.run(&done, |entry| journal.append(&entry), &attended)?;
    attended.finish();
    if !is_complete {
        eprintln!("interrupted; the same command resumes from `{}`", path.display());
        return Ok(exit::INTERRUPTED);
    }
    if !args.tell.quiet {
        writeln!(io::stdout(), "shard {shard} is complete: {} replications in {}", all, path.display())?;
    }
    Ok(exit::GOOD)
}

/// Writes the report, prints the result and finds the exit code.
pub(super) fn publish(sweep: &Sweep, folder: &Path, tell: &TellArgs, png: bool) -> Result<u8> {
    let page = report::sweep::write(folder, sweep, &report::Options { png, ..Default::default() })?;
    let mut stdout = io::stdout().lock();
    if tell.json {
        report::sweep::json(sweep, &mut stdout)?;
    } else if !tell.quiet {
        write!(stdout, "{}", report::sweep::terminal::render(sweep, TellArgs::width(), tell.colours()))?;
        writeln!(stdout, "report  {}", page.display())?;
    }
    stdout.flush()?;
    Ok(if sweep.winner().is_some() { exit::GOOD } else { exit::GATE_FAILED })
}

pub(super) fn refuse_nothing(study: &Study) -> Result<()> {
    if study.variants.ids.is_empty() {
        let reasons: Vec<String> =
            study.variants.excluded.iter().map(|(reason, count)| format!("{count}: {reason}")).collect();
        return Err(anyhow!("no configuration of the grid can be run\n  {}", reasons.join("\n  ")));
    }
    Ok(())
}

fn tell_of_resumption(all: usize, left: usize, quiet: bool) {
    if left < all && !quiet {
        eprintln!("resuming: {} of {all} replications are done", all - left);
    }
}
