//! `simulate check`: the gate of continuous integration and its baseline.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use backpressure_sim::check::baseline::{Baseline, BaselineError, Entry};
use backpressure_sim::check::settings::Change;
use backpressure_sim::check::tolerances::{Gated, ToleranceRule, Tolerances};
use backpressure_sim::check::{Check, OnInconclusive, Rules, Ruling, Subject, obstacles};
use backpressure_sim::experiment::replication::Replication;
use backpressure_sim::experiment::{self, SLICES, summary};
use backpressure_sim::report::check as report;
use backpressure_sim::scenario::{Loaded, Scenario};
use backpressure_sim::{files, scenario};
use clap::{Args, ValueEnum};

use super::args::{ChangeArgs, PoolArgs, TellArgs};
use super::exit;
use super::output::check_file;
use super::progress::Attended;

const RULE: &str = "\
How it is judged:
  Each scenario runs with the seed and number of replications of its baseline, so that both see the same jobs.
  Each metric is compared by the differences between replications. With L the limit:
    regressed     proven worse, and the mean difference is above L          exit code 10
    improved      proven better, and the mean difference is above L
    unchanged     the bad end of the 95% interval of the difference is within L
    inconclusive  none of these: may be worse by more than L, not proven    exit code 11
  Proven means by a two-sided t-test of the paired differences, corrected for all gated metrics of all scenarios
  (Holm): if only the random numbers differ, at most one check in twenty reports a regression or an improvement.
  L is 2% of the baseline, but at least what anybody acts on: 0.5 s of a recovery, 1 ms of a wait, 0.1% of the jobs, ten
  jobs of a queue, 1 MiB. A metric that --limit names has no such floor.
  A change that alters no result never fails. Metrics without a bad direction, such as offered_jobs, are not gated.
  If a check is inconclusive, run more replications, or exclude a noisy metric with `--limit METRIC=off`.

What may change:
  Settings of the system under test: policy, gateway, queue, workers, redis. The check lists the changes.
  A change of load, classes, duration, warm-up, start or seed makes another experiment: exit code 4.";

/// CI logs scroll sideways, so there is room for all columns.
const LOG_WIDTH: usize = 160;

#[derive(Debug, Args)]
#[command(after_help = RULE)]
pub(super) struct CheckArgs {
    /// The scenarios, TOML files.
    #[arg(required = true, value_name = "SCENARIO")]
    scenarios: Vec<PathBuf>,
    /// The baseline file, shared by all scenarios.
    #[arg(short, long, value_name = "FILE", env = "SIMULATE_BASELINE")]
    baseline: PathBuf,
    /// Record the results as the new baseline; other scenarios in the file stay unchanged.
    #[arg(long)]
    update_baseline: bool,
    /// How much worse a metric may be, as a fraction of its baseline: `5%` for all that are gated [default: 2%], or
    /// `recovery_seconds=3%`, `wait_p99_seconds{class=NAME}=10%`; `off` excludes it from the gate. Repeatable.
    #[arg(long, value_name = "[METRIC=]SHARE")]
    limit: Vec<ToleranceRule>,
    /// Which metrics are gated besides those that a limit names: `key` are rejection_probability, lost_jobs,
    /// abandoned_requests, recovery_seconds, normal_again_seconds, wait_p99_seconds (these also by class, as far as they
    /// are), peak_depth_jobs and redis_peak_bytes.
    #[arg(long, value_enum, default_value_t = Gate::Key)]
    gate: Gate,
    /// What an inconclusive metric does.
    #[arg(long, value_enum, default_value_t = Inconclusive::Fail)]
    inconclusive: Inconclusive,
    #[command(flatten)]
    changes: ChangeArgs,
    #[command(flatten)]
    pool: PoolArgs,
    #[command(flatten)]
    tell: TellArgs,
    /// Show every metric, including unchanged ones.
    #[arg(short, long)]
    verbose: bool,
    /// Also write the result as JUnit XML.
    #[arg(long, value_name = "FILE")]
    export_junit: Option<PathBuf>,
    /// Also write the result as Markdown.
    #[arg(long, value_name = "FILE")]
    export_md: Option<PathBuf>,
    /// Print annotations for GitHub Actions (to stderr with --json), and append Markdown to
    /// $GITHUB_STEP_SUMMARY if it is set.
    #[arg(long)]
    github: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Gate {
    /// What a person asks first.
    Key,
    /// All that have a bad direction.
    All,
}

impl From<Gate> for Gated {
    fn from(gate: Gate) -> Self {
        match gate {
            Gate::Key => Gated::Key,
            Gate::All => Gated::All,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Inconclusive {
    /// The check fails with exit code 11.
    Fail,
    /// The check passes with a warning.
    Warn,
}

/// Why a check cannot be made.
#[derive(Debug)]
pub(super) enum Refused {
    /// The options contradict each other or the scenarios.
    Usage(String),
    /// There is no baseline, or it is not comparable.
    NotComparable(String),
}

impl Refused {
    pub(super) fn code(&self) -> u8 {
        match self {
            Refused::Usage(_) => exit::USAGE,
            Refused::NotComparable(_) => exit::NOT_COMPARABLE,
        }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refused::Usage(message) | Refused::NotComparable(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Refused {}

/// A scenario of the command line.
struct Candidate {
    file: String,
    /// As file and `--set` say.
    recorded: Loaded,
    /// With the seed and number of replications to run.
    scenario: Scenario,
}

pub(super) fn check(args: &CheckArgs) -> Result<u8> {
    let result = try_check(args);
    if let (true, Err(error)) = (args.github, &result) {
        annotate(args, &report::github::error(&error.to_string()))?;
    }
    result
}

fn try_check(args: &CheckArgs) -> Result<u8> {
    let mut candidates = load(args)?;
    let known = match Baseline::load(&args.baseline) {
        Ok(known) => known,
        Err(BaselineError::Missing(_)) if args.update_baseline => Baseline::default(),
        Err(error @ BaselineError::Missing(_)) => return Err(not_comparable(args, &error.to_string())),
        Err(error) => {
            let message = format!("{error}\n  = help: rename or remove it, then record a new one");
            return Err(Refused::NotComparable(message).into());
        }
    };
    for path in [&args.export_junit, &args.export_md].into_iter().flatten() {
        check_file(path)?;
    }
    if args.update_baseline {
        check_file(&args.baseline)?;
        choose_replications(args, &mut candidates, &known);
    } else {
        let problems: Vec<String> =
            candidates.iter_mut().filter_map(|candidate| match_baseline(args, candidate, &known)).collect();
        if !problems.is_empty() {
            return Err(not_comparable(args, &problems.join("\n")));
        }
    }
    let pool = args.pool.build()?;
    let scenarios: Vec<&Scenario> = candidates.iter().map(|candidate| &candidate.scenario).collect();
    let replications: u64 = scenarios.iter().map(|scenario| u64::from(scenario.replications)).sum();
    let attended = Attended::new(replications * u64::from(SLICES), args.tell.quiet)?;
    let found = pool.install(|| experiment::run_each(&scenarios, &attended));
    attended.finish();
    let Some(found) = found else {
        eprintln!("interrupted: nothing was compared and nothing was written");
        return Ok(exit::INTERRUPTED);
    };
    if args.update_baseline {
        update(args, &candidates, known, &found)
    } else {
        gate(args, &candidates, &known, &found)
    }
}

fn gate(
    args: &CheckArgs,
    candidates: &[Candidate],
    known: &Baseline,
    found: &[Vec<Replication>],
) -> Result<u8> {
    let check = compare(args, candidates, known, found)?;
    tell(args, &check, "")?;
    Ok(match check.verdict {
        Ruling::Fail => exit::GATE_FAILED,
        Ruling::Inconclusive if check.on_inconclusive == OnInconclusive::Fail => exit::INCONCLUSIVE,
        Ruling::Inconclusive | Ruling::Pass => exit::GOOD,
    })
}

/// Writes the new baseline, and shows how it differs from the old one where the two can be compared.
fn update(
    args: &CheckArgs,
    candidates: &[Candidate],
    known: Baseline,
    found: &[Vec<Replication>],
) -> Result<u8> {
    let check = compare(args, candidates, &known, found)?;
    let mut updated = known;
    let mut recorded = String::new();
    for (Candidate { recorded: loaded, scenario, .. }, replications) in candidates.iter().zip(found) {
        updated.insert(&scenario.name, Entry::new(loaded, scenario.seed, replications));
        recorded += &format!(
            "recorded  {}  seed {} · {} replications · digest {}\n",
            scenario.name,
            scenario.seed,
            replications.len(),
            summary::digest(replications)
        );
    }
    updated.save(&args.baseline)?;
    recorded += &format!("baseline  {}\n", args.baseline.display());
    tell(args, &check, &recorded)?;
    Ok(exit::GOOD)
}

/// Compares all scenarios that can be: without `--update-baseline` that is each of them.
fn compare(
    args: &CheckArgs,
    candidates: &[Candidate],
    known: &Baseline,
    found: &[Vec<Replication>],
) -> Result<Check> {
    let matched: Vec<(&Candidate, &Entry, &Vec<Replication>)> = candidates
        .iter()
        .zip(found)
        .filter_map(|(candidate, replications)| {
            let baseline = known.get(&candidate.scenario.name)?;
            is_comparable(candidate, baseline).then_some((candidate, baseline, replications))
        })
        .collect();
    let subjects: Vec<Subject<'_>> = matched
        .iter()
        .map(|(candidate, baseline, replications)| Subject {
            loaded: &candidate.recorded,
            file: &candidate.file,
            baseline,
            replications,
        })
        .collect();
    let rules = Rules {
        tolerances: Tolerances::new(args.gate.into(), args.limit.iter().cloned()),
        on_inconclusive: match args.inconclusive {
            Inconclusive::Fail => OnInconclusive::Fail,
            Inconclusive::Warn => OnInconclusive::Warn,
        },
    };
    Ok(Check::of(&subjects, &rules)?)
}

fn load(args: &CheckArgs) -> Result<Vec<Candidate>> {
    let mut names = BTreeSet::new();
    let mut candidates = Vec::with_capacity(args.scenarios.len());
    for path in &args.scenarios {
        let recorded = args.changes.load_recorded(path)?;
        let scenario = args.changes.load(path)?.scenario;
        if !names.insert(scenario.name.clone()) {
            let message = format!(
                "two scenarios are called `{}`, and a baseline identifies scenarios by name",
                scenario.name
            );
            return Err(Refused::Usage(message).into());
        }
        candidates.push(Candidate { file: path.display().to_string(), recorded, scenario });
    }
    let tolerances = Tolerances::new(args.gate.into(), args.limit.iter().cloned());
    let classes: Vec<&str> = candidates
        .iter()
        .flat_map(|candidate| candidate.scenario.model.classes.iter().map(|class| class.name.as_str()))
        .collect();
    if let Some(unknown) = tolerances.classes().find(|class| !classes.contains(class)) {
        let near = scenario::did_you_mean(unknown, classes.iter().copied());
        let message = format!("--limit: no scenario has a class `{unknown}`{near}");
        return Err(Refused::Usage(message).into());
    }
    Ok(candidates)
}

/// Takes seed and number of replications from the baseline, or says why they cannot be compared.
fn match_baseline(args: &CheckArgs, candidate: &mut Candidate, known: &Baseline) -> Option<String> {
    let name = &candidate.scenario.name;
    let Some(baseline) = known.get(name) else {
        let names: Vec<&str> = known.names().collect();
        let near = scenario::did_you_mean(name, names.iter().copied());
        let hint = if near.is_empty() { format!("; it has {}", names.join(", ")) } else { near };
        return Some(format!("`{}` has no scenario `{name}`{hint}", args.baseline.display()));
    };
    let changes = obstacles(&candidate.recorded, baseline);
    if !changes.is_empty() {
        return Some(another_experiment(candidate, &changes));
    }
    let (gives_seed, gives_replications) = args.changes.gives();
    let asked = &candidate.scenario;
    if gives_seed && asked.seed != baseline.seed {
        return Some(contradiction(name, "seed", asked.seed, baseline.seed));
    }
    if gives_replications && asked.replications != baseline.replications {
        let (asked, recorded) = (asked.replications, baseline.replications);
        return Some(contradiction(name, "replications", asked.into(), recorded.into()));
    }
    if let Err(error) = baseline.restore(asked) {
        return Some(error.to_string());
    }
    candidate.scenario.seed = baseline.seed;
    candidate.scenario.replications = baseline.replications;
    None
}

fn another_experiment(candidate: &Candidate, changes: &[Change]) -> String {
    let Candidate { file, scenario, .. } = candidate;
    let mut message = format!("`{file}` is another experiment than `{}` in the baseline:", scenario.name);
    for change in changes {
        message += &format!("\n    {change}");
    }
    message
}

fn contradiction(scenario: &str, flag: &str, asked: u64, recorded: u64) -> String {
    let variable = flag.to_uppercase();
    format!(
        "--{flag} {asked} (or SIMULATE_{variable}) contradicts the baseline of `{scenario}`, which was recorded with \
         {recorded}; omit it to compare"
    )
}

/// For a new baseline: flags decide, then the old baseline, unless the file has changed since.
fn choose_replications(args: &CheckArgs, candidates: &mut [Candidate], known: &Baseline) {
    let (gives_seed, gives_replications) = args.changes.gives();
    for Candidate { recorded, scenario, .. } in candidates {
        let Some(baseline) = known.get(&scenario.name) else { continue };
        let changes = obstacles(recorded, baseline);
        let is_changed = |setting: &str| changes.iter().any(|change| change.setting == setting);
        if !gives_seed && !is_changed("seed") {
            scenario.seed = baseline.seed;
        }
        if !gives_replications && !is_changed("replications") {
            scenario.replications = baseline.replications;
        }
    }
}

fn is_comparable(candidate: &Candidate, baseline: &Entry) -> bool {
    let Candidate { recorded, scenario, .. } = candidate;
    (scenario.seed, scenario.replications) == (baseline.seed, baseline.replications)
        && obstacles(recorded, baseline).is_empty()
        && baseline.restore(scenario).is_ok()
}

fn not_comparable(args: &CheckArgs, problem: &str) -> anyhow::Error {
    let mut command = "simulate check".to_owned();
    for path in &args.scenarios {
        command += &format!(" {}", scenario::for_shell(&path.display().to_string()));
    }
    for word in args.changes.words() {
        command += &format!(" {}", scenario::for_shell(&word));
    }
    command += &format!(
        " --baseline {} --update-baseline",
        scenario::for_shell(&args.baseline.display().to_string())
    );
    Refused::NotComparable(format!(
        "{problem}\n  = help: to record the current results as the baseline: {command}"
    ))
    .into()
}

/// Prints and writes the result; `recorded` describes the new baseline, if there is one.
fn tell(args: &CheckArgs, check: &Check, recorded: &str) -> Result<()> {
    let markdown = report::markdown::render(check);
    if let Some(path) = &args.export_junit {
        files::replace(path, &report::junit::render(check))?;
    }
    if let Some(path) = &args.export_md {
        files::replace(path, &markdown)?;
    }
    if args.github {
        append_to_step_summary(&markdown)?;
    }
    let mut stdout = io::stdout().lock();
    if args.tell.json {
        let baseline = args.baseline.display().to_string();
        write!(stdout, "{}", report::json::render(check, &baseline))?;
    } else if !args.tell.quiet {
        if !check.scenarios.is_empty() {
            let (width, colours) = (TellArgs::width_or(LOG_WIDTH), args.tell.colours());
            write!(stdout, "{}", report::terminal::render(check, width, colours, args.verbose))?;
        }
        write!(stdout, "{recorded}")?;
    }
    stdout.flush()?;
    drop(stdout);
    if args.github { annotate(args, &report::github::render(check)) } else { Ok(()) }
}

/// The runner reads both streams, so that stdout can be left to a JSON document.
fn annotate(args: &CheckArgs, annotations: &str) -> Result<()> {
    if args.tell.json {
        eprint!("{annotations}");
    } else {
        let mut stdout = io::stdout().lock();
        write!(stdout, "{annotations}")?;
        stdout.flush()?;
    }
    Ok(())
}

fn append_to_step_summary(markdown: &str) -> Result<()> {
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let path = Path::new(&path);
    let append = || OpenOptions::new().create(true).append(true).open(path)?.write_all(markdown.as_bytes());
    append().with_context(|| format!("failed to append to the step summary `{}`", path.display()))
}
