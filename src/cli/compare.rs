//! `simulate compare A B`: runs the scenarios among the two on common random numbers, and reports what differs.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use backpressure_sim::compare::{self, Comparison, Side};
use backpressure_sim::experiment::earlier::Earlier;
use backpressure_sim::experiment::{self, Findings, SLICES};
use backpressure_sim::files;
use backpressure_sim::model::metric::Metric;
use backpressure_sim::report;
use backpressure_sim::report::compare::Course;
use backpressure_sim::report::compare::terminal::Detail;
use backpressure_sim::scenario::slo::metric_named;
use backpressure_sim::scenario::{self, Loaded};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory};

use super::args::{ChangeArgs, PoolArgs, TellArgs};
use super::exit;
use super::output::{check_file, check_output};
use super::progress::Attended;

#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// The first side: a scenario, or the report folder or summary.json of an earlier run.
    a: PathBuf,
    /// The second side, likewise [default: A with the overrides of --set-b].
    b: Option<PathBuf>,
    #[command(flatten)]
    changes: ChangeArgs,
    /// Override a setting of B only, after --set. Repeatable.
    #[arg(long, value_name = "KEY=VALUE")]
    set_b: Vec<String>,
    /// Compare only these metrics [default: all]. Fewer comparisons find smaller differences.
    #[arg(long = "metric", value_name = "NAME", value_delimiter = ',', value_parser = metric)]
    metrics: Vec<Metric>,
    /// Show every metric, not only the largest differences that matter.
    #[arg(long)]
    all: bool,
    /// Folder of the report [default: reports/A-vs-B].
    #[arg(short, long, value_name = "DIR", env = "SIMULATE_OUTPUT")]
    output: Option<PathBuf>,
    /// Also write the result as Markdown, for a comment on a change.
    #[arg(long, value_name = "FILE")]
    export_md: Option<PathBuf>,
    #[command(flatten)]
    pool: PoolArgs,
    #[command(flatten)]
    tell: TellArgs,
}

/// A side before anything is run.
enum Source {
    Scenario(Box<Loaded>),
    Earlier(Box<Earlier>),
}

pub(super) fn compare(args: &CompareArgs) -> Result<u8> {
    if args.b.is_none() && args.set_b.is_empty() {
        refuse(
            ErrorKind::MissingRequiredArgument,
            "there is nothing to compare with: give B, or its overrides with --set-b",
        );
    }
    let path_b = args.b.as_deref().unwrap_or(&args.a);
    let (a, b) = args.sources(path_b)?;
    let (label_a, label_b) = args.labels(&a, &b, path_b);
    let folder = args.output.clone().unwrap_or_else(|| {
        let is_changed_a = a.name() == b.name() && !args.set_b.is_empty();
        let name_b = if is_changed_a { args.set_b.join("-") } else { label_b.clone() };
        Path::new("reports").join(format!("{}-vs-{}", file_name(&label_a), file_name(&name_b)))
    });
    check_output(&folder)?;
    if let Some(path) = &args.export_md {
        check_file(path)?;
    }

    let pool = args.pool.build()?;
    let steps = (a.replications_to_run() + b.replications_to_run()) * u64::from(SLICES);
    let attended = Attended::new(steps, args.tell.quiet)?;
    let found = pool.install(|| a.run(&attended).and_then(|of_a| Some((of_a, b.run(&attended)?))));
    attended.finish();
    let Some((found_a, found_b)) = found else {
        eprintln!("interrupted before all replications of both were complete; nothing was written");
        return Ok(exit::INTERRUPTED);
    };

    let side_a = a.side(&label_a, &args.a, found_a.as_ref());
    let mut side_b = b.side(&label_b, path_b, found_b.as_ref());
    if let Some(remark) = args.borrowed(path_b, &a, &b) {
        side_b.remark(remark);
    }
    let comparison = compare::compare(side_a, side_b, &args.metrics, args.command());
    let courses = a.course(&label_a, found_a.as_ref()).zip(b.course(&label_b, found_b.as_ref()));
    let courses = courses.map(|(a, b)| [a, b]);
    let page = report::compare::write(&folder, &comparison, courses.as_ref())?;
    if let Some(path) = &args.export_md {
        files::replace(path, &report::compare::markdown::render(&comparison))?;
    }
    args.print(&comparison, &page)?;
    Ok(exit::GOOD)
}

impl CompareArgs {
    /// Reads both. A scenario takes its seed and replications from what it is compared with, unless flags
    /// say otherwise: from A, or from the results of an earlier run, which cannot be changed any more.
    fn sources(&self, path_b: &Path) -> Result<(Source, Source)> {
        let changes = self.changes.overrides();
        let changes_b = [changes.as_slice(), &self.set_b].concat();
        let load = |path: &Path, changes: &[String]| -> Result<Source> {
            Ok(Source::Scenario(Box::new(scenario::load(path, changes)?)))
        };
        let like = |other: &Source, path: &Path, changes: &[String]| -> Result<Source> {
            let own = load(path, changes)?;
            if own.basis() == other.basis() {
                return Ok(own);
            }
            let (seed, replications) = other.basis();
            let taken = [format!("seed={seed}"), format!("replications={replications}")];
            load(path, &[taken.as_slice(), changes].concat())
        };
        let earlier = |path: &Path| -> Result<Source> { Ok(Source::Earlier(Box::new(Earlier::read(path)?))) };
        let (is_earlier_a, is_earlier_b) = (Earlier::is_meant_by(&self.a), Earlier::is_meant_by(path_b));
        if is_earlier_b && !self.set_b.is_empty() {
            let message = format!("--set-b changes a scenario, but `{}` is an earlier run", path_b.display());
            refuse(ErrorKind::ArgumentConflict, &message);
        }
        if is_earlier_a && is_earlier_b && self.changes.has_settings() {
            refuse(ErrorKind::ArgumentConflict, "--set changes scenarios, but both sides are earlier runs");
        }
        Ok(match (is_earlier_a, is_earlier_b) {
            (true, true) => (earlier(&self.a)?, earlier(path_b)?),
            (true, false) => {
                let a = earlier(&self.a)?;
                let b = like(&a, path_b, &changes_b)?;
                (a, b)
            }
            (false, true) => {
                let b = earlier(path_b)?;
                (like(&b, &self.a, &changes)?, b)
            }
            (false, false) => {
                let a = load(&self.a, &changes)?;
                let b = like(&a, path_b, &changes_b)?;
                (a, b)
            }
        })
    }

    /// The names of both, or their paths if the names are the same.
    fn labels(&self, a: &Source, b: &Source, path_b: &Path) -> (String, String) {
        let (name_a, name_b) = (a.name().to_owned(), b.name().to_owned());
        if !self.set_b.is_empty() {
            (name_a, format!("{name_b} ({})", self.set_b.join(", ")))
        } else if name_a == name_b && self.a != path_b {
            (self.a.display().to_string(), path_b.display().to_string())
        } else {
            (name_a, name_b)
        }
    }

    /// That B ran on another seed or with more or fewer replications than its file says.
    fn borrowed(&self, path_b: &Path, a: &Source, b: &Source) -> Option<String> {
        let (Source::Scenario(_), Source::Scenario(_)) = (a, b) else { return None };
        let changes = [self.changes.overrides(), self.set_b.clone()].concat();
        let own = scenario::load(path_b, &changes).ok()?.scenario;
        let (seed, replications) = b.basis();
        ((own.seed, own.replications) != (seed, replications)).then(|| {
            format!(
                "B ran as A did, with seed {seed} and {replications} replications, not with its own {} and {}.",
                own.seed, own.replications
            )
        })
    }

    /// The command line again, quoted for a shell, without options that change no number.
    fn command(&self) -> String {
        let mut words = vec!["simulate".to_owned(), "compare".to_owned(), self.a.display().to_string()];
        words.extend(self.b.iter().map(|path| path.display().to_string()));
        let flags = |flag: &str, values: Vec<String>| {
            values.into_iter().flat_map(|value| [flag.to_owned(), value]).collect::<Vec<_>>()
        };
        words.extend(flags("--set", self.changes.overrides()));
        words.extend(flags("--set-b", self.set_b.clone()));
        words.extend(flags("--metric", self.metrics.iter().map(|metric| metric.name().to_owned()).collect()));
        words.iter().map(|word| scenario::for_shell(word)).collect::<Vec<_>>().join(" ")
    }

    fn print(&self, comparison: &Comparison, page: &Path) -> Result<()> {
        let mut stdout = io::stdout().lock();
        if self.tell.json {
            write!(stdout, "{}", report::compare::json(comparison)?)?;
        } else if !self.tell.quiet {
            let detail = if self.all { Detail::All } else { Detail::Most };
            let (width, colours) = (TellArgs::width(), self.tell.colours());
            write!(stdout, "{}", report::compare::terminal::render(comparison, detail, width, colours))?;
            writeln!(stdout, "report  {}", page.display())?;
        }
        stdout.flush()?;
        Ok(())
    }
}

impl Source {
    fn name(&self) -> &str {
        match self {
            Source::Scenario(loaded) => &loaded.scenario.name,
            Source::Earlier(earlier) => &earlier.scenario,
        }
    }

    /// Seed and replications.
    fn basis(&self) -> (u64, u32) {
        match self {
            Source::Scenario(loaded) => (loaded.scenario.seed, loaded.scenario.replications),
            Source::Earlier(earlier) => (earlier.seed, earlier.replications),
        }
    }

    fn replications_to_run(&self) -> u64 {
        match self {
            Source::Scenario(loaded) => u64::from(loaded.scenario.replications),
            Source::Earlier(_) => 0,
        }
    }

    /// Runs a scenario to its end; `None` if interrupted, `Some(None)` for results of an earlier run.
    fn run(&self, attended: &Attended) -> Option<Option<Findings>> {
        let Source::Scenario(loaded) = self else { return Some(None) };
        let findings = experiment::run(&loaded.scenario, attended)?;
        (!findings.summary.interrupted).then_some(Some(findings))
    }

    fn side(&self, label: &str, path: &Path, findings: Option<&Findings>) -> Side {
        let (label, source) = (label.to_owned(), path.display().to_string());
        match (self, findings) {
            (Source::Earlier(earlier), _) => Side::of_earlier(label, source, earlier),
            (Source::Scenario(loaded), findings) => {
                Side::of_run(label, source, loaded, findings.expect("every scenario was run"))
            }
        }
    }

    fn course<'a>(&'a self, label: &'a str, findings: Option<&'a Findings>) -> Option<Course<'a>> {
        let Source::Scenario(loaded) = self else { return None };
        Some(Course { label, scenario: &loaded.scenario, findings: findings? })
    }
}

/// Ends the program like any other mistake on the command line.
fn refuse(kind: ErrorKind, message: &str) -> ! {
    super::Cli::command().error(kind, message).exit()
}

fn metric(name: &str) -> Result<Metric, String> {
    metric_named(name).map_err(|message| format!("{message}; `simulate SCENARIO --json` shows all"))
}

/// What can be part of a folder's name.
fn file_name(label: &str) -> String {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || "-_.=".contains(c);
    let name: String = label.chars().map(|c| if is_legal(c) { c } else { '-' }).take(80).collect();
    name.trim_matches(['.', '-']).to_owned()
}
