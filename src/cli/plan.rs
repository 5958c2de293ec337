//! `simulate plan`: the cheapest configuration that meets the objectives, alone or round by round on many machines.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use backpressure_sim::plan::search::{Search, Table};
use backpressure_sim::plan::{self, Plan, axes};
use backpressure_sim::report;
use backpressure_sim::scenario;
use backpressure_sim::study::grid::{Grid, VariantId};
use backpressure_sim::study::journal::{self, Entry, Header, Journal};
use backpressure_sim::study::shard::Shard;
use clap::Args;
use serde::{Deserialize, Serialize};

use super::args::{ChangeArgs, PoolArgs, TellArgs};
use super::exit;
use super::output::{beside, check_output};
use super::progress::Attended;
use super::sweep::{GridArgs, ShardArgs};

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// The scenarios, TOML files; each gets a plan of its own.
    #[arg(required = true, value_name = "SCENARIO")]
    scenarios: Vec<PathBuf>,
    #[command(flatten)]
    changes: ChangeArgs,
    #[command(flatten)]
    grid: GridArgs,
    /// Plan for these peak rates, as in `10k,100k` (jobs per second): all arrival rates are scaled alike.
    #[arg(long, value_name = "RATES", value_delimiter = ',')]
    rate: Vec<String>,
    /// Folder of the plan [default: reports/NAME-plan].
    #[arg(short, long, value_name = "DIR", env = "SIMULATE_OUTPUT")]
    output: Option<PathBuf>,
    /// Search round by round on many machines that share this folder: without --shard, write the next round's
    /// work into it, or the plan when nothing is left to do; with --shard, do that part of the round.
    #[arg(long, value_name = "DIR")]
    rounds: Option<PathBuf>,
    #[command(flatten)]
    shard: ShardArgs,
    #[command(flatten)]
    pool: PoolArgs,
    #[command(flatten)]
    tell: TellArgs,
    /// Also write every chart as PNG.
    #[cfg_attr(feature = "png", arg(long))]
    #[cfg_attr(not(feature = "png"), arg(skip))]
    png: bool,
}

/// What is planned for: a grid at a rate.
struct Question {
    grid: Grid,
    rate: Option<f64>,
}

pub(super) fn plan(args: &PlanArgs) -> Result<u8> {
    let questions = questions(args)?;
    let shard = args.shard.resolve(args.tell.quiet)?;
    let pool = args.pool.build()?;
    let folder = args
        .output
        .clone()
        .unwrap_or_else(|| Path::new("reports").join(format!("{}-plan", questions[0].grid.scenario().name)));
    pool.install(|| match (&args.rounds, shard) {
        (Some(rounds), Some(shard)) => run_part(one_of(questions)?, rounds, shard, args),
        (Some(rounds), None) => next_round(one_of(questions)?, rounds, &folder, args),
        (None, Some(_)) => bail!("--shard needs --rounds DIR: a plan is searched round by round"),
        (None, None) => run_all(questions, &folder, args),
    })
}

fn questions(args: &PlanArgs) -> Result<Vec<Question>> {
    let rates = args.rate.iter().map(|text| rate_of(text)).collect::<Result<Vec<f64>>>()?;
    let mut questions = Vec::new();
    for path in &args.scenarios {
        let own = args.changes.load(path)?;
        if rates.is_empty() {
            questions.push(Question { grid: grid(path, args, &[])?, rate: None });
        }
        for &rate in &rates {
            let options = axes::at_rate(&own, rate).ok_or_else(|| {
                let path = path.display();
                anyhow!("--rate: `{path}` has no arrival rates to scale: its arrivals are recorded, or there are none")
            })?;
            questions.push(Question { grid: grid(path, args, &options)?, rate: Some(rate) });
        }
    }
    Ok(questions)
}

/// The candidates: of the options, else of the file, else the usual ones.
fn grid(path: &Path, args: &PlanArgs, further: &[String]) -> Result<Grid> {
    let overrides = [args.changes.overrides().as_slice(), further].concat();
    let base = scenario::load(path, &overrides)?;
    let has_axes = !args.grid.grid.is_empty() || !base.scenario.sweep.axes.is_empty();
    let axes = if has_axes { args.grid.grid.clone() } else { axes::usual(&base) };
    Ok(Grid::load(path, overrides, axes, args.grid.constraints.clone())?)
}

fn rate_of(text: &str) -> Result<f64> {
    let units = [text.to_string(), format!("{text}/s")];
    let rate = units.iter().find_map(|text| backpressure_sim::units::parse_rate(text).ok());
    rate.filter(|rate| *rate > 0.0)
        .ok_or_else(|| anyhow!("--rate: `{text}` is not a rate above zero, such as 10k or 20k/s"))
}

fn run_all(questions: Vec<Question>, folder: &Path, args: &PlanArgs) -> Result<u8> {
    check_output(folder)?;
    let attended = Attended::open_ended(args.tell.quiet)?;
    let mut plans = Vec::new();
    let mut journals = Vec::new();
    for (index, Question { grid, rate }) in questions.into_iter().enumerate() {
        let search = Search::of(&grid);
        refuse_nothing(&search)?;
        let mut table = Table::default();
        let path = beside(folder, &format!("{index}.partial.jsonl"));
        let mut journal =
            Journal::open(&path, &Header::of(&grid, None), |Entry { variant, replication, result }| {
                table.add(variant, replication, result);
            })?;
        let mut failure = None;
        let record = |entry: &Entry| failure = failure.take().or(journal.append(entry).err());
        let decision = plan::search(&grid, &search, &mut table, record, &attended);
        if let Some(error) = failure {
            return Err(error.into());
        }
        let plan = decision.and_then(|decision| Plan::of(grid, rate, decision, &attended));
        let Some(plan) = plan else {
            attended.finish();
            eprintln!(
                "interrupted; what is done is kept in `{}`: the same command goes on from there",
                path.display()
            );
            return Ok(exit::INTERRUPTED);
        };
        plans.push(plan);
        journals.push(journal);
    }
    attended.finish();
    let code = publish(&plans, folder, args)?;
    journals.into_iter().try_for_each(Journal::remove)?;
    Ok(code)
}

fn publish(plans: &[Plan], folder: &Path, args: &PlanArgs) -> Result<u8> {
    let page = report::plan::write(folder, plans, &report::Options { png: args.png, ..Default::default() })?;
    let mut stdout = io::stdout().lock();
    if args.tell.json {
        write!(stdout, "{}", report::plan::json(plans)?)?;
    } else if !args.tell.quiet {
        write!(stdout, "{}", report::plan::terminal::render(plans, TellArgs::width(), args.tell.colours()))?;
        writeln!(stdout, "report  {}", page.display())?;
    }
    stdout.flush()?;
    let undecided = |plan: &Plan| plan.choice.as_ref().is_some_and(|choice| !choice.undecided.is_empty());
    Ok(if plans.iter().any(|plan| plan.choice.is_none()) {
        exit::GATE_FAILED
    } else if plans.iter().any(undecided) {
        exit::INCONCLUSIVE
    } else {
        exit::GOOD
    })
}

/// A round of the search: what the shards have to do before it can go on.
#[derive(Debug, Serialize, Deserialize)]
struct Round {
    /// Version of this format.
    schema: String,
    /// From 1 on.
    round: u32,
    /// Hash of all that results depend on.
    fingerprint: String,
    /// Variant and replication of each task.
    tasks: Vec<(VariantId, u32)>,
}

const ROUND_SCHEMA: &str = "backpressure-sim/round/1";

/// Reads what the shards found and writes the next round, or the plan.
fn next_round(question: Question, rounds: &Path, folder: &Path, args: &PlanArgs) -> Result<u8> {
    let Question { grid, rate } = question;
    std::fs::create_dir_all(rounds).with_context(|| format!("failed to create `{}`", rounds.display()))?;
    let search = Search::of(&grid);
    refuse_nothing(&search)?;
    let table = results_of(&grid, rounds)?;
    match search.decide(&table) {
        Err(demand) => {
            let path = rounds.join("round.json");
            let before = read_round(&path).map_or(0, |round| round.round);
            let round = Round {
                schema: ROUND_SCHEMA.to_string(),
                round: before + 1,
                fingerprint: grid.fingerprint(),
                tasks: table.missing(&demand),
            };
            write_whole(&path, &serde_json::to_string(&round)?)?;
            let (number, tasks) = (round.round, round.tasks.len());
            writeln!(io::stdout(), "round {number}: {tasks} replications in {}", path.display())?;
            Ok(exit::MORE_TO_DO)
        }
        Ok(decision) => {
            check_output(folder)?;
            let attended = Attended::open_ended(args.tell.quiet)?;
            let plan = Plan::of(grid, rate, decision, &attended);
            attended.finish();
            match plan {
                Some(plan) => publish(&[plan], folder, args),
                None => Ok(exit::INTERRUPTED),
            }
        }
    }
}

/// Does a shard's part of the present round.
fn run_part(question: Question, rounds: &Path, shard: Shard, args: &PlanArgs) -> Result<u8> {
    let grid = question.grid;
    let round = read_round(&rounds.join("round.json"))?;
    if round.fingerprint != grid.fingerprint() {
        bail!("the round in `{}` is of another scenario, grid or version", rounds.display());
    }
    let path = rounds.join(format!("round-{}-shard-{}-of-{}.jsonl", round.round, shard.index, shard.count));
    let mut known = Vec::new();
    let mut journal = Journal::open(&path, &Header::of(&grid, Some(shard)), |entry| {
        known.push((entry.variant, entry.replication));
    })?;
    let mine = |index: usize| shard.has(index as u64);
    let tasks: Vec<(VariantId, u32)> =
        round.tasks.iter().enumerate().filter(|(index, _)| mine(*index)).map(|(_, task)| *task).collect();
    let left: Vec<(VariantId, u32)> = tasks.iter().copied().filter(|task| !known.contains(task)).collect();
    let attended = Attended::open_ended(args.tell.quiet)?;
    let mut failure = None;
    let take = |entry| failure = failure.take().or(journal.append(&entry).err());
    let is_complete = plan::run(&grid, &left, take, &attended);
    attended.finish();
    if let Some(error) = failure {
        return Err(error.into());
    }
    Ok(if is_complete { exit::GOOD } else { exit::INTERRUPTED })
}

/// All results in the folder.
fn results_of(grid: &Grid, rounds: &Path) -> Result<Table> {
    let mut table = Table::default();
    let entries =
        std::fs::read_dir(rounds).with_context(|| format!("failed to read `{}`", rounds.display()))?;
    let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    paths.sort();
    for path in paths {
        if journal::header(&path)?.fingerprint != grid.fingerprint() {
            bail!("`{}` holds results of another scenario, grid or version", path.display());
        }
        journal::read(&path, |_, Entry { variant, replication, result }| {
            table.add(variant, replication, result);
        })?;
    }
    Ok(table)
}

fn read_round(path: &Path) -> Result<Round> {
    let text = std::fs::read_to_string(path).with_context(|| {
        format!(
            "failed to read `{}`; `simulate plan ... --rounds DIR` without --shard writes it",
            path.display()
        )
    })?;
    let round: Round =
        serde_json::from_str(&text).with_context(|| format!("`{}` is no round", path.display()))?;
    if round.schema != ROUND_SCHEMA {
        bail!("`{}` is {}, and this version reads {ROUND_SCHEMA}", path.display(), round.schema);
    }
    Ok(round)
}

/// Under another name first: a shard must not read half a round.
fn write_whole(path: &Path, text: &str) -> Result<()> {
    let draft = path.with_extension("json.partial");
    std::fs::write(&draft, text)
        .and_then(|()| std::fs::rename(&draft, path))
        .with_context(|| format!("failed to write `{}`", path.display()))
}

fn one_of(questions: Vec<Question>) -> Result<Question> {
    let count = questions.len();
    match questions.into_iter().next() {
        Some(question) if count == 1 => Ok(question),
        _ => bail!("--rounds plans one scenario at one rate; {count} were given"),
    }
}

fn refuse_nothing(search: &Search) -> Result<()> {
    if search.candidates() == 0 {
        bail!("no configuration of the grid can be run\n  {}", search.why_none().join("\n  "));
    }
    Ok(())
}
