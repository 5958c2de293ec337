//! The verdict for a terminal: course, objectives, outcome, what breaks first.
//!
//! Signs and words carry the message; colour, where it is wanted, only repeats it.

use super::outcome::{COUNTS, Outcome};
use super::{number, reading};
use crate::experiment::Findings;
use crate::experiment::series::Series;
use crate::experiment::summary::{SloResult, Summary, Verdict};
use crate::model::metric::{Metric, Unit};
use crate::scenario::Scenario;

/// The verdict as lines of at most `width` columns, where the names in the scenario allow it.
pub fn render(scenario: &Scenario, findings: &Findings, width: usize, colour: bool) -> String {
    let paint = Paint { colour };
    let width = width.max(NARROWEST);
    let mut sections =
        vec![heading(scenario, findings, width, paint), thresholds(&findings.summary, width, paint)];
    sections.extend(outcome(scenario, &findings.summary, width, paint));
    sections.push(breaks_first(&findings.summary, paint));
    sections.push(warnings(&findings.summary, width, paint));
    sections.push(vec![verdict(&findings.summary, paint)]);
    let mut text = String::new();
    for line in sections.into_iter().flatten() {
        text += line.trim_end();
        text.push('\n');
    }
    text
}

fn heading(scenario: &Scenario, findings: &Findings, width: usize, paint: Paint) -> Vec<String> {
    let summary = &findings.summary;
    let replications = match summary.replications {
        1 => "1 replication".to_owned(),
        n => format!("{n} replications"),
    };
    let mut lines = vec![format!(
        "{}  seed {} · {replications} · digest {}",
        paint.bold(&summary.scenario),
        summary.seed,
        summary.digest
    )];
    if summary.interrupted {
        let asked = scenario.replications;
        lines.push(
            paint.bad(&format!("  interrupted: {} of {asked} replications were run", summary.replications)),
        );
    }
    let columns = (width / 3).clamp(10, 40).min(findings.series.seconds.len());
    let metric = |metric: Metric| summary.metric(metric);
    let levels: Vec<String> = reading::thresholds(scenario)
        .iter()
        .rev()
        .map(|threshold| format!("{} {}", threshold.name, number::short_count(threshold.jobs as f64)))
        .collect();
    let peak = format!("peak {}", number::estimate(Unit::Jobs, metric(Metric::PeakDepth)));
    let depth = depth_line(&findings.series, columns);
    if levels.is_empty() {
        lines.extend(labelled("depth", &depth, &[peak, "policy switched off".to_owned()], width));
        return lines;
    }
    lines.extend(labelled("depth", &depth, &[peak, levels.join(" · ")], width));
    let open = number::estimate(Unit::Fraction, metric(Metric::OpenFraction));
    let openings = number::estimate(Unit::Count, metric(Metric::CircuitOpenings));
    let times = if openings == "1" { "opening" } else { "openings" };
    let recovery = reading::with_censoring(Metric::Recovery, metric(Metric::Recovery));
    lines.extend(labelled(
        "circuit",
        &circuit_line(&findings.series, columns),
        &[format!("open {open} of the time, {openings} {times} a run"), format!("recovery {recovery}")],
        width,
    ));
    lines
}

/// `  name     spark   remarks`, with the remarks on lines of their own where they do not fit beside one another.
fn labelled(name: &str, spark: &str, remarks: &[String], width: usize) -> Vec<String> {
    let indent = LABEL + columns_of(spark) + 3;
    let mut lines: Vec<String> = Vec::new();
    let mut line = format!("  {name:<7}  {spark}");
    let mut used = indent - 3;
    for remark in remarks {
        let fits = used + 3 + columns_of(remark) <= width;
        if !fits && used >= indent {
            lines.push(std::mem::replace(&mut line, " ".repeat(indent - 3)));
            used = indent - 3;
        }
        line += &format!("   {remark}");
        used += 3 + columns_of(remark);
    }
    lines.push(line);
    lines
}

fn depth_line(series: &Series, columns: usize) -> String {
    let heights: Vec<f64> = buckets(series.depth.p50.len(), columns)
        .map(|bucket| series.depth.p50[bucket].iter().copied().fold(0.0, f64::max))
        .collect();
    let highest = heights.iter().copied().fold(0.0, f64::max);
    let bar = |height: f64| {
        let level = if highest > 0.0 { height / highest * (BARS.len() - 1) as f64 } else { 0.0 };
        BARS[level.round() as usize]
    };
    heights.into_iter().map(bar).collect()
}

/// The state that most circuits were in, for each stretch of time.
fn circuit_line(series: &Series, columns: usize) -> String {
    let states = [('C', &series.closed_share), ('H', &series.half_open_share), ('O', &series.open_share)];
    let letter = |bucket: std::ops::Range<usize>| {
        let share = |shares: &Vec<f64>| shares[bucket.clone()].iter().sum::<f64>();
        // Of equals the more serious one is shown.
        states.iter().max_by(|a, b| share(a.1).total_cmp(&share(b.1))).map_or(' ', |(letter, _)| *letter)
    };
    buckets(series.closed_share.len(), columns).map(letter).collect()
}

/// Splits `points` points into `columns` stretches of nearly equal length.
fn buckets(points: usize, columns: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let columns = columns.min(points);
    (0..columns).map(move |column| column * points / columns..(column + 1) * points / columns)
}

fn thresholds(summary: &Summary, width: usize, paint: Paint) -> Vec<String> {
    let mut lines = vec![paint.bold("█ THRESHOLDS")];
    if summary.slo.is_empty() {
        lines.push("  none set".to_owned());
    }
    let longest = summary.slo.iter().map(|objective| columns_of(&objective.expression)).max().unwrap_or(0);
    let reach = (longest + 5).min(width.saturating_sub(30));
    for objective in &summary.slo {
        let sign = if objective.pass { paint.good("✓") } else { paint.bad("✗") };
        let dots = ".".repeat(reach.saturating_sub(columns_of(&objective.expression) + 1).max(3));
        lines.push(format!("  {sign} {} {} {}", objective.expression, paint.dim(&dots), observed(objective)));
    }
    lines
}

fn observed(objective: &SloResult) -> String {
    let unit = Metric::from_name(objective.metric).map_or(Unit::Count, Metric::unit);
    match (objective.observed, objective.censored) {
        (None, _) => "no value".to_owned(),
        (Some(observed), 0) => number::value(unit, observed),
        (Some(observed), n) => format!("≥ {} ({n} not within the run)", number::value(unit, observed)),
    }
}

fn outcome(scenario: &Scenario, summary: &Summary, width: usize, paint: Paint) -> Vec<Vec<String>> {
    let outcome = Outcome::of(scenario, summary);
    let names: Vec<String> = outcome.rows.iter().map(|row| shortened(&row.name, LONGEST_NAME)).collect();
    let mut counts = Grid::new("█ OUTCOME", &names);
    for (column, metric) in COUNTS.iter().enumerate() {
        let name = metric.name().trim_end_matches("_jobs").replace('_', " ");
        counts.column(&name, outcome.rows.iter().map(|row| row.counts[column].as_str()));
    }
    let mut waits = Grid::new("█ WAITS", &names);
    let mut both = counts.clone();
    for (column, name) in ["wait p50", "p95", "p99"].iter().enumerate() {
        for grid in [&mut waits, &mut both] {
            grid.column(name, outcome.rows.iter().map(|row| row.waits[column].as_str()));
        }
    }
    let remark = wrapped(&outcome.remark, width, "  ");
    if both.width() <= width {
        vec![both.lines(paint), remark]
    } else {
        vec![counts.lines(paint), remark, waits.lines(paint)]
    }
}

fn breaks_first(summary: &Summary, paint: Paint) -> Vec<String> {
    let mut lines = vec![paint.bold("█ BREAKS FIRST")];
    if summary.limits_reached.is_empty() {
        lines.push("  no limit was reached".to_owned());
    }
    let longest = summary.limits_reached.iter().map(|reached| columns_of(reached.limit)).max().unwrap_or(0);
    let times: Vec<String> =
        summary.limits_reached.iter().map(|reached| number::value(Unit::Seconds, reached.seconds)).collect();
    let widest = times.iter().map(|time| columns_of(time)).max().unwrap_or(0);
    for (rank, (reached, time)) in summary.limits_reached.iter().zip(&times).enumerate() {
        let how_often = match summary.replications {
            1 => String::new(),
            n => format!("   in {} of {n} replications", reached.replications),
        };
        lines.push(format!(
            "  {}. {}  at {}{how_often}",
            rank + 1,
            padded_right(reached.limit, longest),
            padded_left(time, widest)
        ));
    }
    lines
}

fn warnings(summary: &Summary, width: usize, paint: Paint) -> Vec<String> {
    if summary.warnings.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![paint.bold("█ WARNINGS")];
    for warning in &summary.warnings {
        lines.extend(wrapped(&format!("! {warning}"), width, "  "));
    }
    lines
}

fn verdict(summary: &Summary, paint: Paint) -> String {
    let word = reading::verdict_word(summary);
    let word = match (summary.slo.is_empty(), summary.verdict) {
        (true, _) => paint.bold(word),
        (false, Verdict::Pass) => paint.good(word),
        (false, Verdict::Fail) => paint.bad(word),
    };
    let partial = if summary.interrupted { " Partial results: the run was interrupted." } else { "" };
    format!("{word}  {}.{partial}", reading::objectives_sentence(summary))
}

/// Columns under a heading, the first one to the left and the others to the right.
#[derive(Clone)]
struct Grid {
    title: &'static str,
    names: Vec<String>,
    columns: Vec<Vec<String>>,
}

impl Grid {
    fn new(title: &'static str, names: &[String]) -> Self {
        Self { title, names: names.to_vec(), columns: Vec::new() }
    }

    fn column<'a>(&mut self, header: &'a str, cells: impl Iterator<Item = &'a str>) {
        self.columns.push(std::iter::once(header).chain(cells).map(str::to_owned).collect());
    }

    fn first_width(&self) -> usize {
        let names = self.names.iter().map(|name| columns_of(name) + 2);
        names.chain([columns_of(self.title)]).max().unwrap_or(0)
    }

    fn widths(&self) -> Vec<usize> {
        self.columns
            .iter()
            .map(|cells| cells.iter().map(|cell| columns_of(cell)).max().unwrap_or(0))
            .collect()
    }

    fn width(&self) -> usize {
        self.first_width() + self.widths().iter().map(|width| width + 2).sum::<usize>()
    }

    fn lines(&self, paint: Paint) -> Vec<String> {
        let (first, widths) = (self.first_width(), self.widths());
        let row = |index: usize| -> String {
            let cells = self.columns.iter().zip(&widths);
            cells.map(|(cells, width)| format!("  {}", padded_left(&cells[index], *width))).collect()
        };
        let title = format!("{}{}", paint.bold(&padded_right(self.title, first)), paint.dim(&row(0)));
        let names = self.names.iter().enumerate();
        std::iter::once(title)
            .chain(names.map(|(index, name)| {
                format!("{}{}", padded_right(&format!("  {name}"), first), row(index + 1))
            }))
            .collect()
    }
}

/// Writes in colour, or not.
#[derive(Clone, Copy)]
struct Paint {
    colour: bool,
}

impl Paint {
    fn bold(self, text: &str) -> String {
        self.sequence("1", text)
    }

    fn dim(self, text: &str) -> String {
        self.sequence("2", text)
    }

    fn good(self, text: &str) -> String {
        self.sequence("1;32", text)
    }

    fn bad(self, text: &str) -> String {
        self.sequence("1;31", text)
    }

    fn sequence(self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Breaks a text into lines between words; a longer word stays whole.
fn wrapped(text: &str, width: usize, indent: &str) -> Vec<String> {
    let mut lines = vec![indent.to_owned()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        let fresh = line.trim().is_empty();
        if !fresh && columns_of(line) + 1 + columns_of(word) > width {
            lines.push(format!("{indent}{word}"));
        } else {
            line.push_str(if fresh { "" } else { " " });
            line.push_str(word);
        }
    }
    lines
}

fn shortened(text: &str, most: usize) -> String {
    if columns_of(text) <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).collect::<String>() + "…"
}

fn padded_left(text: &str, width: usize) -> String {
    " ".repeat(width.saturating_sub(columns_of(text))) + text
}

fn padded_right(text: &str, width: usize) -> String {
    text.to_owned() + &" ".repeat(width.saturating_sub(columns_of(text)))
}

fn columns_of(text: &str) -> usize {
    text.chars().count()
}

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const NARROWEST: usize = 40;
const LABEL: usize = 11;
const LONGEST_NAME: usize = 28;
