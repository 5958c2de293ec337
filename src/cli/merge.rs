//! `simulate merge`: turns the shards of a sweep into the report that one machine would have written.

use std::path::PathBuf;

use anyhow::{Result, bail};
use backpressure_sim::study::grid::Grid;
use backpressure_sim::study::journal::{self, Header};
use backpressure_sim::study::shard::Shard;
use backpressure_sim::study::sweep::Sweep;
use backpressure_sim::study::{Fold, Study};
use clap::Args;

use super::args::{PoolArgs, TellArgs};
use super::exit;
use super::output::check_output;
use super::progress::Attended;
use super::sweep::{folder, publish};

#[derive(Debug, Args)]
pub(super) struct MergeArgs {
    /// The files of the shards, shard-0-of-8.jsonl and so on, in any order.
    #[arg(required = true)]
    shards: Vec<PathBuf>,
    /// Folder of the report [default: reports/NAME-sweep].
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

pub(super) fn merge(args: &MergeArgs) -> Result<u8> {
    let headers = args.shards.iter().map(|path| journal::header(path)).collect::<Result<Vec<_>, _>>()?;
    let (first, path) = (&headers[0], &args.shards[0]);
    let grid = Grid::of(first.grid.clone())?;
    if grid.fingerprint() != first.fingerprint {
        let (theirs, ours, path) = (&first.version, env!("CARGO_PKG_VERSION"), path.display());
        bail!(
            "`{path}` was written by simulate {theirs}, this is {ours}: only results of one version can be merged"
        );
    }
    for (other, other_path) in headers.iter().zip(&args.shards) {
        if (&other.grid, &other.fingerprint) != (&first.grid, &first.fingerprint) {
            let (a, b) = (path.display(), other_path.display());
            bail!("`{a}` and `{b}` belong to different sweeps: scenario, options or version differ");
        }
    }
    let folder = folder(args.output.as_deref(), &grid);
    check_output(&folder)?;
    args.pool.build()?.install(|| {
        let study = Study::of(grid);
        let mut fold = Fold::new(&study);
        let mut done = study.to_do(None);
        for path in &args.shards {
            journal::read(path, |_, entry| {
                done.note(&study, &entry);
                fold.add(entry);
            })?;
        }
        let Ok(results) = fold.finish() else {
            bail!("{} of {} replications are missing: {}", done.left(), study.tasks(), absent(&headers));
        };
        let attended = Attended::new(0, true)?;
        let Some(sweep) = Sweep::of(study.clone(), results, &attended) else { return Ok(exit::INTERRUPTED) };
        publish(&sweep, &folder, &args.tell, args.png)
    })
}

/// Which shards are missing.
fn absent(headers: &[Header]) -> String {
    let count = headers.iter().filter_map(|header| header.shard).map(|shard| shard.count).max().unwrap_or(0);
    let is_there =
        |index: &u32| headers.iter().any(|header| header.shard == Some(Shard { index: *index, count }));
    let absent: Vec<String> =
        (0..count).filter(|index| !is_there(index)).map(|index| index.to_string()).collect();
    match absent.as_slice() {
        [] => "a shard is not complete; run it again, and it will resume".to_string(),
        absent => format!("no file of shard {} of {count} is given", absent.join(", ")),
    }
}
