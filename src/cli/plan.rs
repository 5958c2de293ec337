//! `simulate plan`: searches the cheapest configuration that meets the objectives, alone or in rounds on many machines.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use backpressure_sim::plan::recent::Recent;
use backpressure_sim::plan::rounds::{Rounds, Step};
use backpressure_sim::plan::search::Search;
use backpressure_sim::plan::table::Table;
use backpressure_sim::plan::{self, Plan, axes};
use backpressure_sim::report;
use backpressure_sim::study::grid::Grid;
use backpressure_sim::study::journal::{Entry, Header, Journal};
use backpressure_sim::study::shard::Shard;
use clap::Args;

use super::args::{ChangeArgs, PoolArgs, TellArgs};
use super::exit;
use super::output::{beside, check_output};
use super::progress::Attended;
use super::sweep::{GridArgs, ShardArgs};

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// The scenarios, TOML files; each gets its own plan.
    #[arg(required = true, value_name = "SCENARIO")]
    scenarios: Vec<PathBuf>,
    #[command(flatten)]
    changes: ChangeArgs,
    #[command(flatten)]
    grid: GridArgs,
    /// Plan for these peak rates, such as `10k,100k` (jobs per second); all arrival rates are scaled alike.
    #[arg(long, value_name = "RATES", value_delimiter = ',')]
    rate: Vec<String>,
    /// Folder of the plan [default: reports/NAME-plan].
    #[arg(short, long, value_name = "DIR", env = "SIMULATE_OUTPUT")]
    output: Option<PathBuf>,
    /// Search in rounds on many machines that share this folder. Without --shard: write the next round into it,
    /// or the plan when the search is over. With --shard: run that part of the round.
    #[arg(long, value_name = "DIR")]
    rounds: Option<PathBuf>,
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

/// What to plan: a grid at a rate.
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
        (Some(rounds), Some(shard)) => run_part(&one_of(questions)?, rounds, shard, args),
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
            questions.push(Question { grid: grid(path, args, Vec::new())?, rate: None });
        }
        for &rate in &rates {
            let options = axes::at_rate(&own, rate).ok_or_else(|| {
                let path = path.display();
                anyhow!("--rate: `{path}` has no arrival rates to scale: its arrivals are recorded, or there are none")
            })?;
            questions.push(Question { grid: grid(path, args, options)?, rate: Some(rate) });
        }
    }
    Ok(questions)
}

fn grid(path: &Path, args: &PlanArgs, further: Vec<String>) -> Result<Grid> {
    let overrides = [args.changes.overrides(), further].concat();
    Ok(axes::candidates(path, overrides, args.grid.grid.clone(), args.grid.constraints.clone())?)
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
        let mut search = Search::of(&grid);
        refuse_nothing(&search)?;
        let mut table = Table::default();
        let path = beside(folder, &format!("{index}.partial.jsonl"));
        let mut journal = Journal::open(&path, &Header::of(&grid, None), |entry| table.add(entry))?;
        let mut failure = None;
        let record = |entry: &Entry| failure = failure.take().or(journal.append(entry).err());
        let emit = &report::plan::emitted;
        let plan = plan::plan(&grid, rate, &mut search, &mut table, record, emit, &attended);
        if let Some(error) = failure {
            return Err(error.into());
        }
        let Some(plan) = plan else {
            attended.finish();
            eprintln!(
                "interrupted; finished replications are kept in `{}`: the same command resumes",
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
    let holds = |plan: &Plan| plan.choice.as_ref().is_some_and(|choice| choice.proof.holds());
    Ok(if !plans.iter().all(holds) {
        exit::GATE_FAILED
    } else if plans.iter().any(undecided) {
        exit::INCONCLUSIVE
    } else {
        exit::GOOD
    })
}

/// Reads the results of the shards and writes the next round, or the plan.
fn next_round(question: Question, rounds: &Path, folder: &Path, args: &PlanArgs) -> Result<u8> {
    let Question { grid, rate } = question;
    let mut search = Search::of(&grid);
    refuse_nothing(&search)?;
    let attended = Attended::open_ended(args.tell.quiet)?;
    loop {
        let decision = match Rounds::new(&grid, rounds).next(&search)? {
            Step::Next { round, replications, file } => {
                writeln!(io::stdout(), "round {round}: {replications} replications in {}", file.display())?;
                return Ok(exit::MORE_TO_DO);
            }
            Step::Decided(decision) => decision,
        };
        check_output(folder)?;
        let plan = Plan::of(&grid, rate, *decision, &report::plan::emitted, &Recent::default(), &attended);
        attended.finish();
        let Some(plan) = plan else { return Ok(exit::INTERRUPTED) };
        match plan.refuted() {
            Some((id, objective)) if search.refused() < plan::MOST_REFUSED => search.refuse(id, objective),
            _ => return publish(&[plan], folder, args),
        }
    }
}

/// Runs a shard's part of the present round.
fn run_part(question: &Question, rounds: &Path, shard: Shard, args: &PlanArgs) -> Result<u8> {
    let attended = Attended::open_ended(args.tell.quiet)?;
    let is_complete = Rounds::new(&question.grid, rounds).run_part(shard, &attended);
    attended.finish();
    Ok(if is_complete? { exit::GOOD } else { exit::INTERRUPTED })
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
