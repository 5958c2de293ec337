//! Answers of Prometheus to `query_range`: rates per second, or with `--counter` a counter whose differences count.
//!
//! A sample stands for the time until the next one. Rates times time are summed before they are rounded, so that the total is
//! that of the file to within one job a class. A sample that is missing is no zero, also where other series have one: what it
//! means has to be said. Before a series begins and after it ends it has nothing to count.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::input::Source;
use super::recording::{LeftOut, MOST_JOBS, MOST_SPAN, Recording};
use super::time;
use super::{Gaps, ImportError, Options, json};
use crate::text::plural;

const HOW: &str = "ask /api/v1/query_range with start, end and step, and save its answer";
/// Fewer whole numbers do not look like a counter, however they rise.
const LEAST_OF_A_COUNTER: usize = 3;

pub(super) fn recognise(head: &str) -> bool {
    head.starts_with('{')
        && (head.contains("\"resultType\"")
            || (head.contains("\"status\"") && head.contains("\"errorType\"")))
}

struct Series {
    labels: BTreeMap<String, String>,
    /// Time and value; no value where it is not a number.
    samples: Vec<(i64, Option<f64>)>,
    path: String,
}

impl Series {
    /// `name{label="value"}`, as Prometheus writes it.
    fn shown(&self) -> String {
        let pairs = self.labels.iter().filter(|(label, _)| *label != "__name__");
        let pairs: Vec<String> = pairs.map(|(label, value)| format!("{label}={value:?}")).collect();
        let name = self.labels.get("__name__").map_or("", String::as_str);
        format!("{name}{{{}}}", pairs.join(","))
    }

    fn place(&self, index: usize) -> String {
        format!("{}[{index}]", self.path)
    }
}

pub(super) fn read(
    sources: &mut [Source],
    options: &Options,
    recording: &mut Recording,
) -> Result<(), ImportError> {
    let mut series: Vec<Series> = Vec::new();
    for source in sources.iter_mut() {
        let document = json::document(source)?;
        series_of(&document, &source.shown, &mut series, recording)?;
    }
    let place = sources[0].shown.clone();
    let samples: usize = series.iter().map(|one| one.samples.len()).sum();
    recording.read = format!("{} of {} series", plural(samples, "sample"), series.len());
    let mut twice = 0;
    for one in &mut series {
        one.samples.sort_by_key(|(at, _)| *at);
        let before = one.samples.len();
        one.samples.dedup_by_key(|(at, _)| *at);
        twice += before - one.samples.len();
    }
    if twice > 0 {
        let what = "samples at a time at which their series has one already".to_owned();
        recording.left_out.push(LeftOut { count: twice as u64, what });
    }
    let class_of = classes(&series, options, &place, recording)?;
    let steps = steps(&series).ok_or_else(|| {
        ImportError::new("no series has two samples, so their step is unknown", &*place, HOW)
    })?;
    let longest = steps.iter().copied().max().unwrap_or_default();
    if longest > MOST_SPAN {
        let step = time::span(longest);
        let message = format!("the step from sample to sample is {step}, more than 100 years");
        return Err(ImportError::new(message, &*place, HOW));
    }
    let is_counter = is_counter(&series, &steps, options)?;
    let origin = series.iter().filter_map(|one| one.samples.first()).map(|(at, _)| *at).min();
    let shortest = steps.iter().copied().min().unwrap_or_default();
    recording.counted(shortest, origin.unwrap_or_default(), &place)?;
    if is_counter {
        count_differences(&series, &class_of, &steps, recording)
    } else {
        count_rates(&series, &class_of, &steps, options.gaps, recording)
    }
}

fn series_of(
    document: &Value,
    shown: &str,
    series: &mut Vec<Series>,
    recording: &mut Recording,
) -> Result<(), ImportError> {
    let at = |path: &str| format!("{shown}: {path}");
    if document.get("status").and_then(Value::as_str) == Some("error") {
        let text =
            |key: &str| document.get(key).and_then(Value::as_str).unwrap_or("without a reason").to_owned();
        let message = format!("Prometheus answered with an error: {} ({})", text("error"), text("errorType"));
        return Err(ImportError::new(message, at("error"), HOW));
    }
    for key in ["warnings", "infos"] {
        for text in document.get(key).and_then(Value::as_array).into_iter().flatten() {
            recording.learnt.push(format!("Prometheus said: {}", text.as_str().unwrap_or_default()));
        }
    }
    let (data, root) = match document.get("data") {
        Some(data) => (data, "data."),
        None => (document, ""),
    };
    let found = data.get("resultType").unwrap_or(&Value::Null);
    match found.as_str() {
        Some("matrix") => {}
        Some("vector" | "scalar" | "string") => {
            let message = "this is an answer for a single instant, which says nothing of the time around it";
            return Err(ImportError::new(message, at(&format!("{root}resultType")), HOW));
        }
        _ => {
            let message = format!("`{}` is not a type of result", json::brief(found));
            return Err(ImportError::new(message, at(&format!("{root}resultType")), "\"matrix\""));
        }
    }
    let path = format!("{root}result");
    let Some(results) = data.get("result").and_then(Value::as_array) else {
        return Err(ImportError::new("there is no list of series", at(&path), "a list of metric and values"));
    };
    if results.is_empty() {
        let message = "the answer has no series: the query matched nothing in that time";
        return Err(ImportError::new(message, at(&path), "at least one series"));
    }
    for (index, result) in results.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if result.get("histograms").is_some() {
            let message = "these are native histograms";
            let help = "ask for a rate of their count: rate(histogram_count(METRIC)[1m])";
            return Err(ImportError::new(message, at(&format!("{path}.histograms")), help));
        }
        let metric = result.get("metric").and_then(Value::as_object);
        let labels = metric.into_iter().flatten();
        let labels: BTreeMap<String, String> = labels
            .map(|(label, value)| {
                (label.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            })
            .collect();
        let Some(values) = result.get("values").and_then(Value::as_array) else {
            let message = "the series has no list of values";
            return Err(ImportError::new(message, at(&format!("{path}.values")), "[[time, \"value\"], ...]"));
        };
        let path = format!("{path}.values");
        let mut samples = Vec::with_capacity(values.len());
        for (index, pair) in values.iter().enumerate() {
            let place = || at(&format!("{path}[{index}]"));
            match sample(pair) {
                Ok(sample) => {
                    recording.good();
                    samples.push(sample);
                }
                Err((message, help)) => recording.bad(ImportError::new(message, place(), help))?,
            }
        }
        // Exports of one series after another are one series.
        match series.iter_mut().find(|one| one.labels == labels) {
            Some(same) => same.samples.append(&mut samples),
            None => series.push(Series { labels, samples, path: at(&path) }),
        }
    }
    Ok(())
}

fn sample(pair: &Value) -> Result<(i64, Option<f64>), (String, &'static str)> {
    let [at, value] = pair.as_array().map_or(&[][..], Vec::as_slice) else {
        return Err((format!("`{}` is not a sample", json::brief(pair)), "[time, \"value\"]"));
    };
    let time = match at {
        Value::Number(number) => time::decimal(&number.to_string(), 9).and_then(time::recorded),
        _ => None,
    };
    let Some(time) = time else {
        return Err((
            format!("`{}` is not a time", json::brief(at)),
            "seconds since 1970, before the year 2100",
        ));
    };
    let number = match value {
        Value::String(text) => text.parse::<f64>().ok(),
        Value::Number(number) => number.as_f64(),
        _ => None,
    };
    match number {
        Some(number) if number.is_nan() => Ok((time, None)),
        Some(number) if (0.0..=MOST_JOBS as f64).contains(&number) => Ok((time, Some(number))),
        _ => Err((
            format!("`{}` is not a value", json::brief(value)),
            "a number from 0 to 1e15 in quotes, or \"NaN\"",
        )),
    }
}

/// The class of each series: by the label that tells them apart.
fn classes(
    series: &[Series],
    options: &Options,
    place: &str,
    recording: &mut Recording,
) -> Result<Vec<u32>, ImportError> {
    let empty = String::new();
    let value = |one: &Series, label: &str| one.labels.get(label).unwrap_or(&empty).clone();
    let labels: BTreeSet<&String> = series.iter().flat_map(|one| one.labels.keys()).collect();
    let kinds = |label: &str| series.iter().map(|one| value(one, label)).collect::<BTreeSet<_>>().len();
    let differing: Vec<&str> =
        labels.iter().map(|label| label.as_str()).filter(|label| kinds(label) > 1).collect();
    let label = match options.class_by.as_deref() {
        Some("none") => None,
        Some(label) if labels.iter().any(|known| *known == label) => Some(label),
        Some(label) => {
            let names: Vec<_> =
                ["none"].into_iter().chain(labels.iter().map(|label| label.as_str())).collect();
            let message = format!("no series has the label `{label}` of `--class-by`");
            return Err(ImportError::new(message, place, format!("allowed: {}", names.join(", "))));
        }
        None if differing.len() > 1 => {
            let list: Vec<_> =
                differing.iter().map(|label| format!("{label} ({} values)", kinds(label))).collect();
            let message =
                format!("the {} series differ in more than one label: {}", series.len(), list.join(", "));
            let help = format!(
                "say which tells the classes apart, as in `--class-by {}`; `--class-by none` adds all up",
                differing[0]
            );
            return Err(ImportError::new(message, place, help));
        }
        None => differing.first().copied(),
    };
    if let Some(label) = label {
        recording.learnt.push(format!("The classes are the values of the label `{label}`."));
    } else if let [only] = series {
        if !only.labels.is_empty() {
            recording.learnt.push(format!("The series is {}.", only.shown()));
        }
    } else {
        recording.learnt.push(format!("{} series are added up.", series.len()));
    }
    Ok(series
        .iter()
        .map(|one| recording.class(&label.map_or(String::new(), |label| value(one, label)), None))
        .collect())
}

/// Whether the values are of a counter. What looks like one is not taken for a rate unless the user says so.
fn is_counter(series: &[Series], steps: &[i64], options: &Options) -> Result<bool, ImportError> {
    for one in series {
        let values: Vec<f64> = one.samples.iter().filter_map(|(_, value)| *value).collect();
        let falls = values.windows(2).filter(|pair| pair[1] < pair[0]).count();
        let (Some(first), Some(last)) = (values.first(), values.last()) else { continue };
        let range = format!("from {first} to {last}");
        if options.counter == Some(true) && falls * 4 > values.len() {
            let message = format!(
                "the values of {} fall {falls} times in {} samples, {range}: this is no counter",
                one.shown(),
                values.len()
            );
            return Err(ImportError::new(
                message,
                &*one.path,
                "leave `--counter` out where the values are rates",
            ));
        }
        let name = one.labels.get("__name__").map_or("", String::as_str);
        let is_named = ["_total", "_count", "_sum", "_bucket"].iter().any(|ending| name.ends_with(ending));
        if options.counter.is_none() && (is_named || rises(&values)) {
            let why = match falls {
                _ if is_named => "its name and its values".to_owned(),
                0 => "whole numbers that only rise".to_owned(),
                1 => "whole numbers that only rise, but for one fall to almost nothing".to_owned(),
                _ => format!("whole numbers that only rise, but for {falls} falls to almost nothing"),
            };
            let message = format!("{} looks like a counter ({why}, {range}), not like a rate", one.shown());
            let (as_counter, as_rate) = sums(series, steps);
            let help = format!(
                "`--counter` counts the differences, {as_counter:.0} jobs in all; `--rate` takes the values as jobs per \
                 second, {as_rate:.0} jobs"
            );
            return Err(ImportError::new(message, &*one.path, help));
        }
    }
    Ok(options.counter == Some(true))
}

/// Whole numbers that rise, and fall only as a counter does that begins again: far, and rarely.
fn rises(values: &[f64]) -> bool {
    let pairs = || values.windows(2).map(|pair| (pair[0], pair[1]));
    let falls = pairs().filter(|(before, after)| after < before).count();
    values.len() >= LEAST_OF_A_COUNTER
        && values.iter().all(|value| value.fract() == 0.0)
        && pairs().any(|(before, after)| after > before)
        && pairs().all(|(before, after)| after >= before || after < before / 10.0)
        && falls <= (values.len() / 10).max(1)
}

/// The jobs of all series if they are counters, and if they are rates.
fn sums(series: &[Series], steps: &[i64]) -> (f64, f64) {
    let (mut as_counter, mut as_rate) = (0.0, 0.0);
    for (one, &step) in series.iter().zip(steps) {
        let values: Vec<f64> = one.samples.iter().filter_map(|(_, value)| *value).collect();
        as_counter += values.windows(2).map(|pair| rise(pair[0], pair[1])).sum::<f64>();
        for (index, (at, value)) in one.samples.iter().enumerate() {
            let length = one.samples.get(index + 1).map_or(step, |(next, _)| (next - at).min(step));
            as_rate += value.unwrap_or_default() * (length as f64 / 1e9);
        }
    }
    (as_counter, as_rate)
}

/// How far a counter rose. As `increase` of Prometheus has it, one that fell began again at zero.
fn rise(before: f64, after: f64) -> f64 {
    if after < before { after } else { after - before }
}

/// The usual time from one sample to the next of each series, or of all where a series has too few samples to tell.
fn steps(series: &[Series]) -> Option<Vec<i64>> {
    let lengths = |one: &Series| one.samples.windows(2).map(|pair| pair[1].0 - pair[0].0).collect::<Vec<_>>();
    let (of_all, _) = usual(series.iter().flat_map(lengths))?;
    let of_one = |one: &Series| match usual(lengths(one).into_iter()) {
        Some((step, count)) if count > 1 => step,
        _ => of_all,
    };
    Some(series.iter().map(of_one).collect())
}

/// The most frequent length and how often there is one; the shorter of two that are as frequent.
fn usual(lengths: impl Iterator<Item = i64>) -> Option<(i64, usize)> {
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    lengths.for_each(|length| *counts.entry(length).or_default() += 1);
    let most = counts.values().copied().max()?;
    counts.into_iter().find(|(_, count)| *count == most)
}

/// The steps of the series, for people: those that differ with the number of series that have them.
fn shown(steps: &[i64]) -> String {
    let distinct: BTreeSet<i64> = steps.iter().copied().collect();
    if let (Some(only), 1) = (distinct.first(), distinct.len()) {
        return time::span(*only);
    }
    let one =
        |step: i64| format!("{} ({} series)", time::span(step), steps.iter().filter(|s| **s == step).count());
    distinct.into_iter().map(one).collect::<Vec<_>>().join(", ")
}

/// What a sample counts: a rate from a time to a time.
struct Part<'s> {
    begin: i64,
    end: i64,
    class: u32,
    rate: f64,
    series: &'s Series,
    index: usize,
}

/// Turns amounts of jobs with fractions into whole ones whose sum is right.
#[derive(Default)]
struct Rounded {
    sum: f64,
    given: u64,
}

impl Rounded {
    fn take(&mut self, amount: f64) -> u64 {
        self.sum += amount;
        let part = (self.sum.round() as u64).saturating_sub(self.given);
        self.given += part;
        part
    }
}

fn count_rates(
    series: &[Series],
    class_of: &[u32],
    steps: &[i64],
    gaps: Option<Gaps>,
    recording: &mut Recording,
) -> Result<(), ImportError> {
    let ends = |one: &Series| Some((one.samples.first()?.0, one.samples.last()?.0));
    let first = series.iter().filter_map(ends).map(|(first, _)| first).min().unwrap_or_default();
    let last = series.iter().zip(steps).filter_map(|(one, step)| Some(ends(one)?.1 + step)).max();
    let last = last.unwrap_or_default();
    let mut parts: Vec<Part> = Vec::new();
    let (mut nan, mut missing, mut shorter) = (0, 0, 0);
    for ((one, &class), &step) in series.iter().zip(class_of).zip(steps) {
        // The longest step, so that the last samples of two that differ in it are no difference.
        let slack = steps.iter().copied().max().unwrap_or_default();
        shorter +=
            usize::from(ends(one).is_some_and(|(begin, end)| begin > first || end + step + slack <= last));
        let mut known = None;
        for (index, &(at, value)) in one.samples.iter().enumerate() {
            let next = one.samples.get(index + 1).map_or(at + step, |(next, _)| *next);
            let is_gap = next - at > step + step / 2;
            let usual = if is_gap { at + step } else { next };
            let lost = (next - usual + step / 2) / step;
            let place = || one.place(index);
            let help = "`--gaps empty`: no jobs came then; `--gaps hold`: the rate before it went on";
            if value.is_none() {
                nan += 1;
                if gaps.is_none() {
                    let message = format!("the sample at {} is `NaN`", time::shown(at));
                    return Err(ImportError::new(message, place(), help));
                }
            }
            if lost > 0 {
                missing += lost;
                if gaps.is_none() {
                    let message = format!(
                        "after the sample at {} {} missing: the next is at {}, and the step is {}",
                        time::shown(at),
                        if lost == 1 { "one is".to_owned() } else { format!("{lost} are") },
                        time::shown(next),
                        time::span(step)
                    );
                    return Err(ImportError::new(message, place(), help));
                }
            }
            let holds = gaps == Some(Gaps::Hold);
            let end = if lost > 0 && holds { next } else { usual };
            known = value.or(known);
            // Where nothing is known, the time passes and nothing comes.
            let rate = value.or(known.filter(|_| holds)).unwrap_or_default();
            parts.push(Part { begin: at, end, class, rate, series: one, index });
        }
    }
    let meant = if gaps == Some(Gaps::Hold) { "the rate before went on" } else { "no jobs came then" };
    for (count, what) in [(nan, "samples that are NaN"), (missing, "samples that are missing")] {
        if count > 0 {
            recording.left_out.push(LeftOut { count: count as u64, what: format!("{what}: {meant}") });
        }
    }
    if shorter > 0 {
        recording.learnt.push(format!(
            "Series that begin later or end earlier than others: {shorter}; no jobs of theirs came before and after."
        ));
    }
    recording.learnt.push(format!(
        "The values are rates per second; each stands for the {} from its time on.",
        shown(steps)
    ));
    parts.sort_by_key(|part| (part.begin, part.class));
    let mut rounded: BTreeMap<u32, Rounded> = BTreeMap::new();
    for Part { begin, end, class, rate, series, index } in parts {
        let jobs = rounded.entry(class).or_default().take(rate * ((end - begin) as f64 / 1e9));
        recording.count(begin, end, class, jobs, || series.place(index))?;
    }
    Ok(())
}

fn count_differences(
    series: &[Series],
    class_of: &[u32],
    steps: &[i64],
    recording: &mut Recording,
) -> Result<(), ImportError> {
    let (mut resets, mut bridged, mut nan) = (0, 0, 0);
    for ((one, &class), &step) in series.iter().zip(class_of).zip(steps) {
        let mut rounded = Rounded::default();
        nan += one.samples.iter().filter(|(_, value)| value.is_none()).count();
        let samples = one.samples.iter().enumerate();
        let values: Vec<(usize, i64, f64)> =
            samples.filter_map(|(index, (at, value))| value.map(|value| (index, *at, value))).collect();
        for pair in values.windows(2) {
            let [(index, begin, before), (_, end, after)] = [pair[0], pair[1]];
            resets += usize::from(after < before);
            bridged += usize::from(end - begin > step + step / 2);
            recording.count(begin, end, class, rounded.take(rise(before, after)), || one.place(index))?;
        }
    }
    recording
        .learnt
        .push("The values are counters; the differences of their samples are the jobs.".to_owned());
    for (count, what, meaning) in [
        (resets, "How often a counter fell", "it had begun again at zero"),
        (bridged, "Gaps between samples", "their jobs are spread over the gap"),
    ] {
        if count > 0 {
            recording.learnt.push(format!("{what}: {count}; {meaning}."));
        }
    }
    if nan > 0 {
        let what = "samples that are NaN; the difference is taken across them".to_owned();
        recording.left_out.push(LeftOut { count: nan as u64, what });
    }
    Ok(())
}
