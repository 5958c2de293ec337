//! The result for a terminal: what became of the traffic, then course, objectives, outcome, what breaks first, and the verdict.
//!
//! Signs and words carry the message; colour only repeats it.

use super::clients::ClientFigures;
use super::jobs::{self, COUNTS, JobTable};
use super::reading::{self, FaultPeriod, Trouble};
use crate::experiment::Findings;
use crate::experiment::series::Series;
use crate::experiment::summary::{AlertSummary, Summary};
use crate::experiment::traffic::Fates;
use crate::model::metric::{Metric, Unit};
use crate::report::kit::columns::{self, Column};
use crate::report::kit::hints;
use crate::report::kit::number;
use crate::report::kit::objective;
use crate::report::kit::terminal::{
    NARROWEST, Paint, columns_of, cut, filled, joined, padded_left, padded_right, wrapped,
};
use crate::report::kit::text::{plural, printable};
use crate::report::kit::traffic::{self, Tone};
use crate::scenario::Scenario;

/// The verdict as lines of at most `width` columns, where the names in the scenario allow it.
pub fn render(scenario: &Scenario, findings: &Findings, width: usize, colour: bool) -> String {
    let paint = Paint { colour };
    let width = width.max(NARROWEST);
    let mut sections = vec![
        heading(scenario, &findings.summary, paint),
        headline(&findings.summary, width, paint),
        traffic_by_class(&findings.summary, width, paint),
        course(scenario, findings, width, paint),
        objectives(&findings.summary, width, paint),
    ];
    sections.extend(outcome(scenario, &findings.summary, width, paint));
    sections.push(clients(scenario, findings, width, paint));
    sections.push(breaks_first(&findings.summary, width, paint));
    sections.push(alerts(&findings.summary, width, paint));
    sections.push(warnings(&findings.summary, width, paint));
    sections.push(hints::lines(&findings.summary.hints, width, paint));
    sections.push(verdict(&findings.summary, width, paint));
    joined(sections.into_iter().flatten())
}

/// The first lines of it: what became of the traffic, and why.
pub fn head(scenario: &Scenario, findings: &Findings, width: usize, colour: bool) -> String {
    let paint = Paint { colour };
    let width = width.max(NARROWEST);
    let summary = &findings.summary;
    let sections = [
        heading(scenario, summary, paint),
        headline(summary, width, paint),
        traffic_by_class(summary, width, paint),
    ];
    joined(sections.into_iter().flatten())
}

/// The last lines of it: the verdict.
pub fn foot(findings: &Findings, width: usize, colour: bool) -> String {
    joined(verdict(&findings.summary, width.max(NARROWEST), Paint { colour }))
}

fn heading(scenario: &Scenario, summary: &Summary, paint: Paint) -> Vec<String> {
    let replications = plural(summary.replications as usize, "replication");
    let name = paint.bold(&printable(&summary.scenario));
    let mut lines = vec![format!("{name}  seed {} · {replications}", summary.seed)];
    if summary.interrupted {
        let asked = scenario.replications;
        lines.push(
            paint.bad(&format!("  interrupted: {} of {asked} replications were run", summary.replications)),
        );
    }
    lines
}

/// What became of all traffic, and why.
fn headline(summary: &Summary, width: usize, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    for sentence in traffic::sentences(&summary.traffic) {
        lines.extend(wrapped(&sentence, width, "  ").iter().map(|line| paint.bold(line)));
    }
    lines.extend(wrapped(&traffic::why(&summary.traffic, &summary.limits_reached), width, "  "));
    lines
}

/// The same in shares by class, if there are several.
fn traffic_by_class(summary: &Summary, width: usize, paint: Paint) -> Vec<String> {
    let all = &summary.traffic;
    if all.classes.0.len() < 2 {
        return Vec::new();
    }
    let rows: Vec<(&str, &Fates)> =
        all.classes.0.iter().map(|(name, fates)| (name.as_str(), fates)).collect();
    let rows: Vec<(&str, &Fates)> = rows.into_iter().chain([("total", &all.total)]).collect();
    let mut columns = Vec::new();
    if all.total.requests.is_some() {
        let cell =
            |fates: &Fates| fates.requests.map_or_else(String::new, |one| traffic::share(one.given_up));
        columns.push(Column::new("given up", rows.iter().map(|(_, fates)| cell(fates))));
    }
    for (name, _) in traffic::parts(&all.total) {
        let cell = |fates: &Fates| {
            let part = traffic::parts(fates).into_iter().find(|(known, _)| *known == name);
            traffic::share(part.map(|(_, part)| part).unwrap_or_default())
        };
        columns.push(Column::new(name, rows.iter().map(|(_, fates)| cell(fates))));
    }
    let names = rows.iter().map(|(name, _)| printable(name)).collect::<Vec<_>>();
    let grids = grids(&names, [("█ TRAFFIC", columns)], width);
    grids.iter().flat_map(|grid| grid.lines(paint)).collect()
}

/// The course of depth, circuits and workers, the faults and the recovery.
fn course(scenario: &Scenario, findings: &Findings, width: usize, paint: Paint) -> Vec<String> {
    let summary = &findings.summary;
    let mut lines = vec![paint.bold("█ COURSE")];
    let columns = (width / 4 + 4).clamp(15, 60).min(findings.series.seconds.len());
    let metric = |metric: Metric| summary.metric(metric);
    let peak = format!("peak {}", number::estimate(Unit::Jobs, metric(Metric::PeakDepth)));
    let levels = reading::levels(scenario);
    let shown = levels
        .iter()
        .rev()
        .map(|level| format!("{} {}", level.name, number::short_count(level.depth as f64)));
    let remarks: Vec<String> = std::iter::once(peak).chain(shown).collect();
    lines.extend(labelled("depth", &bar_line(&findings.series.depth.p50, columns), &remarks, width));
    if levels.is_empty() {
        lines.push("  circuit   the policy is switched off".to_owned());
    } else {
        let open = number::estimate(Unit::Fraction, metric(Metric::OpenFraction));
        let openings = number::estimate(Unit::Count, metric(Metric::CircuitOpenings));
        let times = if openings == "1" { "opening" } else { "openings" };
        let mut remarks = vec![format!("open {open} of the time"), format!("{openings} {times} a run")];
        let troubles = reading::troubles(scenario, &findings.series);
        if !troubles.is_empty() {
            remarks.push("x: jobs are lost or Redis is down, whatever the circuit".to_owned());
        }
        let line = circuit_line(&findings.series, &troubles, columns);
        lines.extend(labelled("circuit", &line, &remarks, width));
    }
    let details = reading::details(&scenario.model, findings.series.details.as_ref());
    if let Some(details) = details.workers {
        let most = details.workers.p95.iter().copied().fold(0.0, f64::max);
        let processes = number::estimate(Unit::Count, metric(Metric::WorkerProcesses));
        let remarks =
            [format!("{processes} processes on average"), format!("most {}", number::grouped(most, 0))];
        lines.extend(labelled("workers", &bar_line(&details.workers.p50, columns), &remarks, width));
    }
    let faults: Vec<String> = reading::faults(scenario).iter().map(fault).collect();
    for (index, line) in filled_list(&faults, width, &" ".repeat(LABEL)).into_iter().enumerate() {
        lines.push(if index == 0 { format!("  faults    {}", line.trim_start()) } else { line });
    }
    lines.push(format!("  recovery  {}", reading::recovery(scenario, summary)));
    if let Some(normal) = reading::normal_again(scenario, summary) {
        for (index, line) in wrapped(&normal, width, &" ".repeat(LABEL)).into_iter().enumerate() {
            lines.push(if index == 0 { format!("  normal    {}", line.trim_start()) } else { line });
        }
    }
    lines
}

/// `redis-outage at 60 s for 30 s`.
fn fault(fault: &FaultPeriod) -> String {
    let seconds = |seconds: f64| number::value(Unit::Seconds, seconds);
    let lasts = if fault.is_open {
        "to the end".to_owned()
    } else {
        format!("for {}", seconds(fault.end - fault.start))
    };
    format!("{} at {} {lasts}", fault.name, seconds(fault.start))
}

/// Items separated by commas; an item breaks only if it is longer than a line. Empty without items.
fn filled_list(items: &[String], width: usize, indent: &str) -> Vec<String> {
    let commas = (1..items.len()).map(|_| ",").chain([""]);
    let items: Vec<String> = items.iter().zip(commas).map(|(item, comma)| format!("{item}{comma}")).collect();
    let mut lines = filled(items.iter().map(String::as_str), width, indent);
    lines.retain(|line| !line.trim().is_empty());
    lines
}

/// `  name     spark   remarks`, with remarks on further lines if they do not fit.
fn labelled(name: &str, spark: &str, remarks: &[String], width: usize) -> Vec<String> {
    let indent = LABEL + columns_of(spark) + 3;
    let mut lines: Vec<String> = Vec::new();
    let mut line = format!("  {name:<8}  {spark}");
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

/// One bar per period, as high as its largest value.
fn bar_line(values: &[f64], columns: usize) -> String {
    let heights: Vec<f64> = buckets(values.len(), columns)
        .map(|bucket| values[bucket].iter().copied().fold(0.0, f64::max))
        .collect();
    let highest = heights.iter().copied().fold(0.0, f64::max);
    let bar = |height: f64| {
        let level = if highest > 0.0 { height / highest * (BARS.len() - 1) as f64 } else { 0.0 };
        BARS[level.round() as usize]
    };
    heights.into_iter().map(bar).collect()
}

/// The most common circuit state in each period, or that jobs are lost in it.
fn circuit_line(series: &Series, troubles: &[Trouble], columns: usize) -> String {
    let states = [('C', &series.closed_share), ('H', &series.half_open_share), ('O', &series.open_share)];
    let letter = |bucket: std::ops::Range<usize>| {
        let is_in = |trouble: &Trouble| {
            let (from, to) = (series.seconds[bucket.start], series.seconds[bucket.end - 1]);
            trouble.start < to && trouble.end > from - series.step_seconds
        };
        if troubles.iter().any(is_in) {
            return 'x';
        }
        let share = |shares: &Vec<f64>| shares[bucket.clone()].iter().sum::<f64>();
        // Ties go to the more serious state.
        states.iter().max_by(|a, b| share(a.1).total_cmp(&share(b.1))).map_or(' ', |(letter, _)| *letter)
    };
    buckets(series.closed_share.len(), columns).map(letter).collect()
}

/// Splits `points` points into `columns` periods of nearly equal length.
fn buckets(points: usize, columns: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let columns = columns.min(points);
    (0..columns).map(move |column| column * points / columns..(column + 1) * points / columns)
}

fn objectives(summary: &Summary, width: usize, paint: Paint) -> Vec<String> {
    let mut lines = vec![paint.bold("█ OBJECTIVES")];
    if summary.slo.is_empty() {
        lines.push("  none set".to_owned());
    }
    let longest = summary.slo.iter().map(|objective| columns_of(&objective.expression)).max().unwrap_or(0);
    let reach = (longest + 5).min(width.saturating_sub(30));
    for result in &summary.slo {
        let sign = paint.tone(objective::sign(result));
        let dots = ".".repeat(reach.saturating_sub(columns_of(&result.expression) + 1).max(3));
        let figure = objective::figure(result);
        let remark = objective::remark(result).map(|remark| format!("({remark})")).unwrap_or_default();
        let used = columns_of(&result.expression) + columns_of(&dots) + columns_of(&figure) + 6;
        let line = format!("  {sign} {} {} {figure}", result.expression, paint.dim(&dots));
        if remark.is_empty() {
            lines.push(line);
        } else if used + 1 + columns_of(&remark) <= width {
            lines.push(format!("{line} {remark}"));
        } else {
            lines.push(line);
            lines.extend(wrapped(&remark, width, "    "));
        }
    }
    lines
}

/// The outcome table; groups of columns that do not fit side by side go below.
fn outcome(scenario: &Scenario, summary: &Summary, width: usize, paint: Paint) -> Vec<Vec<String>> {
    let outcome = JobTable::of(scenario, summary);
    let counts = COUNTS.iter().enumerate().map(|(column, metric)| {
        Column::new(jobs::name_of(*metric), outcome.rows.iter().map(|row| row.counts[column].clone()))
    });
    let mut arrivals: Vec<Column> = counts.collect();
    let ends = arrivals.split_off(ARRIVALS);
    let waits = ["wait p50", "p95", "p99"].iter().enumerate();
    let waits = waits
        .map(|(column, name)| Column::new(name, outcome.rows.iter().map(|row| row.waits[column].clone())));

    let names: Vec<String> = outcome.rows.iter().map(|row| printable(&row.name)).collect();
    let parts = [("█ OUTCOME", arrivals), ("█ OF ADMITTED", ends), ("█ WAITS", waits.collect())];
    let grids = grids(&names, parts, width);
    let mut sections: Vec<Vec<String>> = grids.iter().map(|grid| grid.lines(paint)).collect();
    sections.push(wrapped(&outcome.remark, width, "  "));
    sections
}

/// Columns beside the names, as many as fit; those that do not go below under their own title.
fn grids(
    names: &[String],
    parts: impl IntoIterator<Item = (&'static str, Vec<Column>)>,
    width: usize,
) -> Vec<Grid> {
    let mut grids: Vec<Grid> = Vec::new();
    for (title, columns) in parts {
        let added = columns::width(&columns);
        match grids.last_mut() {
            Some(last) if last.width() + added <= width => last.columns.extend(columns),
            _ => {
                let room = width.saturating_sub(added + NAME_INDENT).clamp(SHORTEST_NAME, LONGEST_NAME);
                let names = names.iter().map(|name| cut(name, room)).collect();
                grids.push(Grid { title, names, columns });
            }
        }
    }
    grids
}

/// Figures about clients, if there are clients.
fn clients(scenario: &Scenario, findings: &Findings, width: usize, paint: Paint) -> Vec<String> {
    let Some(figures) = ClientFigures::of(scenario, findings) else { return Vec::new() };
    let mut lines = vec![paint.bold("█ CLIENTS")];
    for (name, text) in figures.lines() {
        let indent = " ".repeat(LABEL);
        let shown = wrapped(&text, width, &indent);
        lines.extend(
            shown.into_iter().enumerate().map(|(row, line)| {
                if row == 0 { format!("  {name:<8}  {}", line.trim_start()) } else { line }
            }),
        );
    }
    lines
}

fn breaks_first(summary: &Summary, width: usize, paint: Paint) -> Vec<String> {
    let mut lines = vec![paint.bold("█ BREAKS FIRST")];
    let seconds = |seconds: f64| number::value(Unit::Seconds, seconds);
    let breaks = reading::breaks(summary);
    if breaks.is_empty() {
        lines.push("  no limit was reached, nothing was refused or lost".to_owned());
    }
    let longest = breaks.iter().map(|one| columns_of(&one.what)).max().unwrap_or(0);
    let widest = breaks.iter().map(|one| columns_of(&seconds(one.seconds))).max().unwrap_or(0);
    let harms = breaks.iter().filter(|one| one.is_harm).count();
    for (row, one) in breaks.iter().enumerate() {
        let rank = if one.is_harm { "! ".to_owned() } else { format!("{}.", row + 1 - harms) };
        let mut line = format!(
            "  {rank} {}  at {}",
            padded_right(&one.what, longest),
            padded_left(&seconds(one.seconds), widest)
        );
        for remark in &one.remarks {
            line += &format!("   {remark}");
        }
        lines.push(line);
    }
    let ahead = reading::limits_ahead(summary);
    if !ahead.is_empty() {
        lines.extend(wrapped(reading::LIMITS_AHEAD, width, "  "));
        lines.extend(filled_list(&ahead, width, "    "));
    }
    lines
}

/// The alerts that became true or missed a loss, and the others on one line.
fn alerts(summary: &Summary, width: usize, paint: Paint) -> Vec<String> {
    let has_news = |alert: &&AlertSummary| alert.true_in > 0 || alert.lost_in > 0;
    let (news, quiet): (Vec<_>, Vec<_>) = summary.alerts.iter().partition(has_news);
    if summary.alerts.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![paint.bold("█ ALERTS")];
    let longest = news.iter().map(|alert| columns_of(alert.alert)).max().unwrap_or(0);
    let indent = " ".repeat(longest + 4);
    for alert in news {
        let name = padded_right(alert.alert, longest);
        let words = wrapped(&reading::alert(alert, summary.replications), width, &indent);
        for (row, line) in words.into_iter().enumerate() {
            lines.push(if row == 0 { format!("  {name}  {}", line.trim_start()) } else { line });
        }
    }
    let quiet: Vec<String> = quiet.iter().map(|alert| alert.alert.to_owned()).collect();
    let list = filled_list(&quiet, width.saturating_sub(": quiet".len()), "  ");
    let last = list.len().saturating_sub(1);
    let quietly = |(row, line)| if row == last { format!("{line}: quiet") } else { line };
    lines.extend(list.into_iter().enumerate().map(quietly));
    lines
}

fn warnings(summary: &Summary, width: usize, paint: Paint) -> Vec<String> {
    if summary.warnings.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![paint.bold("█ WARNINGS")];
    for warning in &summary.warnings {
        lines.extend(wrapped(&format!("! {}", printable(warning)), width, "  "));
    }
    lines
}

/// The sum of the objectives and what they do not judge; the digest stands below for those who compare runs.
fn verdict(summary: &Summary, width: usize, paint: Paint) -> Vec<String> {
    let (tone, mut text) = reading::verdict(summary);
    if summary.interrupted {
        text += ". Partial results: the run was interrupted";
    }
    let painted = |line: &String| match tone {
        Tone::Good => paint.good(line),
        Tone::Caution => paint.caution(line),
        Tone::Bad => paint.bad(line),
        Tone::Neutral => paint.bold(line),
    };
    let mut lines: Vec<String> = wrapped(&text, width, "").iter().map(painted).collect();
    lines.push(format!("digest  {}  equal results have equal digests", summary.digest));
    lines
}

/// Columns to the right of names, under a title.
struct Grid {
    title: &'static str,
    names: Vec<String>,
    columns: Vec<Column>,
}

impl Grid {
    fn first_width(&self) -> usize {
        let names = self.names.iter().map(|name| columns_of(name) + NAME_INDENT);
        names.chain([columns_of(self.title)]).max().unwrap_or(0)
    }

    fn width(&self) -> usize {
        self.first_width() + columns::width(&self.columns)
    }

    fn lines(&self, paint: Paint) -> Vec<String> {
        let first = self.first_width();
        let cells = |row: usize| columns::row(&self.columns, row);
        let title = format!("{}{}", paint.bold(&padded_right(self.title, first)), paint.dim(&cells(0)));
        let rows = self.names.iter().enumerate().map(|(row, name)| {
            let name = format!("{}{name}", " ".repeat(NAME_INDENT));
            format!("{}{}", padded_right(&name, first), cells(row + 1))
        });
        std::iter::once(title).chain(rows).collect()
    }
}

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const LABEL: usize = 12;
const LONGEST_NAME: usize = 28;
const SHORTEST_NAME: usize = 10;
const NAME_INDENT: usize = 2;
/// Of [`COUNTS`] the first three are about arrivals, the others about what became of the admitted.
const ARRIVALS: usize = 3;
