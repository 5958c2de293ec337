//! `simulate import`: a trace, and a scenario around it, from what other tools recorded.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use backpressure_sim::files;
use backpressure_sim::import::{self, Gaps, Options, Recorded};
use backpressure_sim::model::config::ArrivalProcess;
use backpressure_sim::scenario::{self, Diagnostic, ScenarioError, for_shell};
use backpressure_sim::text::quoted;
use backpressure_sim::units::{Quantity, fmt_duration, fmt_rate};
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};

use super::output::check_output;
use super::{exit, usage};

#[derive(Debug, Args)]
#[command(after_help = KINDS)]
pub(super) struct ImportArgs {
    /// Exports of one kind; `-` reads standard input. Compressed by gzip or not.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Folder for the trace and the scenario [default: the current one].
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Name of both: NAME.toml and NAME.trace.csv [default: that of the first file].
    #[arg(long)]
    name: Option<String>,
    /// Replace files that exist.
    #[arg(long)]
    force: bool,
    /// What the files are [default: found out from their content].
    #[arg(long, value_parser = PossibleValuesParser::new(import::kinds()))]
    kind: Option<String>,
    /// What tells job classes apart: a label of Prometheus, a tag of k6, a column, a field, method, path or status. `none`: one class.
    #[arg(long, visible_alias = "class-label", value_name = "WHAT")]
    class_by: Option<String>,
    /// Classes with a name of their own, the largest; the others become `other`.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=900))]
    top: u16,
    /// Leave out what comes before: a date such as 2026-01-05T08:30:00Z, or seconds since 1970.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<i64>,
    /// Leave out what comes then or later.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<i64>,
    /// Count jobs in bins of this length, such as `10s` [default: exact times up to a million jobs, then bins].
    #[arg(long, value_name = "DURATION", value_parser = bin)]
    bin: Option<i64>,
    /// Leave out records that cannot be read, and count them; not if they are more than half.
    #[arg(long)]
    skip_bad: bool,
    /// Prometheus: the values are a counter; take the differences.
    #[arg(long, conflicts_with = "rate")]
    counter: bool,
    /// Prometheus: the values are rates per second, even if they look like a counter.
    #[arg(long)]
    rate: bool,
    /// Prometheus: what a missing sample or NaN means [default: an error].
    #[arg(long, value_enum)]
    gaps: Option<GapsArgument>,
    /// Print what was found as one JSON document instead of text.
    #[arg(long)]
    json: bool,
    /// Print no notes to stderr, and nothing to stdout but JSON.
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum GapsArgument {
    /// No jobs came.
    Empty,
    /// The rate before it went on.
    Hold,
}

const KINDS: &str = "\
Kinds:
  prometheus         answer of /api/v1/query_range; values are rates per second, or a --counter
  k6, k6-csv         k6 run --out json=FILE, or csv=FILE
  bullmq             jobs as JSON: an array, or one after another
  azure-functions    invocations per function and minute (2019)
  azure-invocations  app,func,end_timestamp,duration (2021)
  azure-llm          TIMESTAMP,ContextTokens,GeneratedTokens (2023, 2024)
  access-log         common, combined, nginx with $request_time, or JSON lines";

/// An interrupt is heard by then.
const HEARD: Duration = Duration::from_millis(100);

/// Set while there are files that an end of the process would leave behind.
static WRITING: AtomicBool = AtomicBool::new(false);
/// Set by an interrupt while files are written.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

pub(super) fn import(args: &ImportArgs) -> Result<u8> {
    // Reading may wait for standard input, so the signal itself ends it.
    ctrlc::set_handler(|| {
        if WRITING.load(Ordering::SeqCst) {
            INTERRUPTED.store(true, Ordering::SeqCst);
            return;
        }
        eprintln!("interrupted; nothing was written");
        std::process::exit(exit::INTERRUPTED.into());
    })
    .context("failed to listen for interrupts")?;
    let options = options(args)?;
    let folder = args.output.clone().unwrap_or_else(|| PathBuf::from("."));
    let name = name(args)?;
    let trace_name = format!("{name}.trace.csv");
    let shown = |file: &str| folder.join(file).components().filter(|part| part.as_os_str() != ".").collect();
    let (scenario_path, trace_path): (PathBuf, PathBuf) =
        (shown(&format!("{name}.toml")), shown(&trace_name));
    check_output(&folder)?;
    for path in [&scenario_path, &trace_path] {
        check_free(path, args)?;
    }
    let recorded = import::read(&args.files, &options);
    if args.files.iter().any(|file| file == Path::new("-")) {
        // What feeds standard input may have ended by the same interrupt: let that be heard first.
        std::thread::sleep(HEARD);
    }
    let recorded = match recorded {
        Ok(recorded) => recorded,
        Err(error) => {
            match mistakes_of_a_trace(&args.files).filter(|_| error.is_a_trace()) {
                Some(mistakes) => eprintln!("{mistakes}"),
                None => eprintln!("error: {error}"),
            }
            return Ok(exit::SCENARIO_INVALID);
        }
    };
    let trace = import::trace_text(&recorded);
    let text = import::scenario_text(&recorded, &trace_name);
    WRITING.store(true, Ordering::SeqCst);
    let warnings = check(&recorded, &text, &trace, &trace_name)?;
    if INTERRUPTED.load(Ordering::SeqCst) {
        eprintln!("interrupted; nothing was written");
        return Ok(exit::INTERRUPTED);
    }
    write_both((&trace_path, &trace), (&scenario_path, &text))?;
    tell(args, &recorded, &scenario_path, &trace_path)?;
    if !args.quiet {
        for warning in warnings {
            eprintln!("note: {warning}");
        }
        eprintln!(
            "see what was assumed in it, then run it: simulate {}",
            for_shell(&scenario_path.display().to_string())
        );
    }
    Ok(exit::GOOD)
}

fn options(args: &ImportArgs) -> Result<Options> {
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from >= to
    {
        let [from, to] = [from, to].map(import::shown_time);
        let message =
            format!("`--to` is {to}, which is not after `--from`, {from}: nothing lies between them");
        return Err(usage(&message).into());
    }
    Ok(Options {
        kind: args.kind.clone(),
        class_by: args.class_by.clone(),
        top: args.top.into(),
        from: args.from,
        to: args.to,
        bin: args.bin,
        skip_bad: args.skip_bad,
        counter: (args.counter || args.rate).then_some(args.counter),
        gaps: args.gaps.map(|gaps| match gaps {
            GapsArgument::Empty => Gaps::Empty,
            GapsArgument::Hold => Gaps::Hold,
        }),
    })
}

/// The name of both files: that of the first file up to its first dot, with what a file name may hold everywhere.
fn name(args: &ImportArgs) -> Result<String> {
    if let Some(name) = &args.name {
        let is_plain = |c: char| c.is_alphanumeric() || "-_. ".contains(c);
        if name.is_empty() || name.starts_with(['.', '-']) || !name.chars().all(is_plain) {
            let message = format!(
                "invalid value '{name}' for '--name <NAME>': letters, digits, spaces and any of - _ . are allowed"
            );
            return Err(usage(&message).into());
        }
        return Ok(name.strip_suffix(".toml").unwrap_or(name).to_owned());
    }
    let file =
        args.files.first().and_then(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned());
    let stem =
        file.as_deref().and_then(|name| name.split('.').find(|part| !part.is_empty())).unwrap_or_default();
    let plain: String =
        stem.chars().map(|c| if c.is_alphanumeric() || c == '_' { c } else { '-' }).take(100).collect();
    let plain = plain.trim_matches('-');
    Ok(if plain.is_empty() { "imported".to_owned() } else { plain.to_owned() })
}

/// A file that is there is only replaced on request, and never if it is read.
fn check_free(path: &Path, args: &ImportArgs) -> Result<()> {
    // Also a link that leads nowhere.
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    let same = |file: &&PathBuf| {
        fs::canonicalize(file).is_ok_and(|file| fs::canonicalize(path).is_ok_and(|path| path == file))
    };
    if let Some(file) = args.files.iter().find(same) {
        bail!("`{}` is read and would be replaced\n  = choose another --name or --output", file.display());
    }
    if path.is_dir() || !args.force {
        bail!(
            "`{}` exists already and was not touched\n  = choose another --name or --output, or `--force` to replace it",
            path.display()
        );
    }
    Ok(())
}

/// Reads what is to be written as `simulate` will, and counts its jobs: nothing is written that would not run.
fn check(recorded: &Recorded, text: &str, trace: &str, trace_name: &str) -> Result<Vec<String>> {
    let folder = tempfile::tempdir().context("failed to make a temporary folder")?;
    let draft = folder.path().join(trace_name);
    fs::write(&draft, trace).with_context(|| format!("failed to write `{}`", draft.display()))?;
    let loaded = scenario::from_str(text, "the imported scenario", folder.path(), &[]);
    folder.close().context("failed to remove a temporary folder")?;
    let scenario = loaded.map_err(|error| anyhow!("the import does not run as it is: {error}"))?.scenario;
    let counts = scenario.model.sources.iter().map(|source| match &source.process {
        ArrivalProcess::Batches { batches, .. } => batches.iter().map(|batch| batch.count).sum(),
        ArrivalProcess::Trace(arrivals) => arrivals.len() as u64,
        _ => 0,
    });
    let offered: u64 = counts.sum();
    if offered != recorded.total {
        bail!("the import would offer {offered} jobs, but {} were read; nothing was written", recorded.total);
    }
    Ok(scenario.warnings)
}

/// What is wrong with a trace, other than that it names classes that a scenario has to have.
fn mistakes_of_a_trace(files: &[PathBuf]) -> Option<ScenarioError> {
    // What came by standard input is gone.
    let file = files.first().filter(|file| *file != Path::new("-"))?;
    let path = std::path::absolute(file).ok()?;
    let file = quoted(path.to_str()?);
    let text = format!(
        "duration = \"36525d\"\n[arrivals]\nprocess = \"trace\"\nfile = {file}\n[workers]\nservice_time = \"1s\"\n"
    );
    let error = scenario::from_str(&text, "a scenario with this trace", Path::new(""), &[]).err()?;
    let is_about_classes = |found: &&Diagnostic| !found.message.starts_with("there is no class");
    let mistakes: Vec<_> = error.diagnostics().iter().filter(is_about_classes).cloned().collect();
    (!mistakes.is_empty()).then_some(ScenarioError::Invalid(mistakes))
}

/// Writes both or neither: an old scenario would not run with a new trace.
fn write_both(trace: (&Path, &str), scenario: (&Path, &str)) -> Result<()> {
    let read = || fs::read(trace.0).with_context(|| format!("failed to read `{}`", trace.0.display()));
    let before = trace.0.exists().then(read).transpose()?;
    files::replace(trace.0, trace.1)?;
    let Err(error) = files::replace(scenario.0, scenario.1) else { return Ok(()) };
    match before {
        Some(before) => {
            files::replace_bytes(trace.0, &before).context("the old trace could not be put back")?;
        }
        None => {
            fs::remove_file(trace.0).with_context(|| format!("failed to remove `{}`", trace.0.display()))?;
        }
    }
    Err(error.into())
}

fn tell(args: &ImportArgs, recorded: &Recorded, scenario: &Path, trace: &Path) -> Result<()> {
    let mut stdout = io::stdout().lock();
    if args.json {
        let classes: Vec<_> = recorded
            .classes
            .iter()
            .map(|class| serde_json::json!({ "name": class.name, "jobs": class.jobs, "priority": class.priority }))
            .collect();
        let left_out: Vec<_> = recorded
            .left_out
            .iter()
            .map(|left| serde_json::json!({ "count": left.count, "what": left.what }))
            .collect();
        let document = serde_json::json!({
            "schema": "backpressure-sim/import/1",
            "files": recorded.files,
            "read": recorded.read,
            "jobs": recorded.total,
            "began": recorded.began(),
            "seconds": recorded.span as f64 / 1e9,
            "mean_rate": recorded.mean_rate(),
            "peak_rate": recorded.peak_rate(),
            "classes": classes,
            "learnt": recorded.learnt,
            "left_out": left_out,
            "trace": trace.display().to_string(),
            "scenario": scenario.display().to_string(),
        });
        writeln!(stdout, "{}", serde_json::to_string_pretty(&document)?)?;
    } else if !args.quiet {
        write!(stdout, "{}", text(recorded))?;
        writeln!(stdout, "trace     {}: {}", trace.display(), recorded.kept())?;
        writeln!(stdout, "scenario  {}", scenario.display())?;
    }
    stdout.flush()?;
    Ok(())
}

fn text(recorded: &Recorded) -> String {
    let mut text = format!("read      {}\n", recorded.origin());
    let began = recorded.began().map(|began| format!(" from {began} on")).unwrap_or_default();
    text += &format!("jobs      {} in {}{began}\n", recorded.total, recorded.lasted());
    text += &format!(
        "rate      {} in the mean, {} in the busiest {}\n",
        fmt_rate(recorded.mean_rate()),
        fmt_rate(recorded.peak_rate()),
        fmt_duration(recorded.peak.1 as f64 / 1e9)
    );
    if recorded.classes.len() > 1 {
        let classes: Vec<_> =
            recorded.classes.iter().map(|class| format!("{} {}", class.name, class.jobs)).collect();
        text += &format!("classes   {}\n", classes.join(", "));
    }
    for (index, learnt) in recorded.learnt.iter().enumerate() {
        text += &format!("{}{learnt}\n", if index == 0 { "learnt    " } else { "          " });
    }
    if recorded.left_out.is_empty() {
        text += "left out  nothing\n";
    }
    for (index, left) in recorded.left_out.iter().enumerate() {
        let head = if index == 0 { "left out  " } else { "          " };
        text += &format!("{head}{} × {}\n", left.count, left.what);
    }
    text
}

fn moment(text: &str) -> Result<i64, String> {
    import::moment(text)
        .ok_or_else(|| "a date such as 2026-01-05T08:30:00Z, or a number of seconds since 1970".to_owned())
}

fn bin(text: &str) -> Result<i64, String> {
    let seconds = Quantity::Duration.parse(text).map_err(|error| error.to_string())?;
    match (seconds * 1e9).round() as i64 {
        0..1_000_000 => Err("a bin is at least 1ms long".to_owned()),
        nanos => Ok(nanos),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_that_cannot_be_written_leaves_the_old_trace() {
        let folder = tempfile::tempdir().unwrap();
        let [trace, scenario] = ["a.trace.csv", "a.toml"].map(|name| folder.path().join(name));
        // A folder in the way of the scenario.
        fs::create_dir(&scenario).unwrap();
        assert!(write_both((&trace, "new"), (&scenario, "new")).is_err());
        assert!(!trace.exists());
        fs::write(&trace, b"old\xff").unwrap();
        assert!(write_both((&trace, "new"), (&scenario, "new")).is_err());
        assert_eq!(fs::read(&trace).unwrap(), b"old\xff");
        fs::remove_dir(&scenario).unwrap();
        write_both((&trace, "new"), (&scenario, "new")).unwrap();
        assert_eq!(fs::read(&trace).unwrap(), b"new");
    }
}
