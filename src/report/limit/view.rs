//! A limit in words and numbers, shared by page, terminal and charts.

use crate::experiment::summary::SloResult;
use crate::model::metric::Unit;
use crate::report::kit::setting::readable;
use crate::report::kit::text::{plural, printable};
use crate::report::kit::{number, objective, traffic};
use crate::scenario::Kind;
use crate::study::limit::{Along, Bracket, Direction, Found, Interval, Limit, Point, meets_its_own};
use crate::units::Quantity;

/// A limit and how it is told.
pub(crate) struct View<'l> {
    pub(crate) limit: &'l Limit,
}

/// How the answer sounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sound {
    /// The scenario as it is meets its objectives.
    Good,
    /// The same, but no objective limits what is refused or lost.
    Caution,
    /// It does not.
    Bad,
}

impl<'l> View<'l> {
    pub(crate) fn of(limit: &'l Limit) -> Self {
        Self { limit }
    }

    pub(crate) fn bracket(&self) -> Option<&'l Bracket> {
        match &self.limit.found {
            Found::Limit(bracket) => Some(bracket),
            Found::Everywhere(..) | Found::Nowhere(..) => None,
        }
    }

    fn is_load(&self) -> bool {
        matches!(self.limit.asked.along, Along::Load)
    }

    /// What is moved, as a title.
    pub(crate) fn name(&self) -> &'l str {
        self.limit.asked.along.name()
    }

    /// A value alone: `1.27`, `20k/s`, `7`.
    pub(crate) fn value(&self, value: f64) -> String {
        match self.limit.asked.along {
            Along::Load => number::trimmed(value, number::significant_decimals(value, 4)),
            Along::Setting(_) => readable(value, &self.limit.asked.along.kind()),
        }
    }

    /// A value as part of a sentence: `1.27 times the load (25.4k/s)`, `workers.processes = 7`.
    pub(crate) fn place(&self, value: f64) -> String {
        if !self.is_load() {
            return format!("{} = {}", self.name(), self.value(value));
        }
        let peak = self.limit.point(value).map_or(0.0, |point| point.peak_rate);
        let rate = if peak > 0.0 { format!(" ({})", traffic::rate(peak)) } else { String::new() };
        format!("{} times the load{rate}", self.value(value))
    }

    /// The unit of the axis.
    pub(crate) fn unit(&self) -> Unit {
        match self.limit.asked.along.kind() {
            Kind::Quantity(quantity) | Kind::ChoiceOr(_, quantity) | Kind::Distribution(quantity) => {
                match quantity {
                    Quantity::Count => Unit::Count,
                    Quantity::Duration => Unit::Seconds,
                    Quantity::Rate => Unit::PerSecond,
                    Quantity::Size => Unit::Bytes,
                    Quantity::Fraction => Unit::Fraction,
                }
            }
            _ => Unit::Count,
        }
    }

    pub(crate) fn sound(&self) -> Sound {
        match (meets_its_own(self.limit), self.unjudged()) {
            (false, _) => Sound::Bad,
            (true, Some(_)) => Sound::Caution,
            (true, None) => Sound::Good,
        }
    }

    /// The worst that no objective limits, at the limit, or at any value where there is none.
    pub(crate) fn unjudged(&self) -> Option<String> {
        let limit = self.bracket().map(|bracket| bracket.limit.to_bits());
        let points = self.limit.points.iter().filter(|point| point.pass);
        let asked = points.filter(|point| limit.is_none_or(|limit| point.value.to_bits() == limit));
        let harm =
            |point: &Point| point.traffic.unlimited.iter().map(|one| one.part.share).fold(0.0, f64::max);
        let worst = asked.max_by(|a, b| harm(a).total_cmp(&harm(b)))?;
        Some(format!("At {}: {}", self.place(worst.value), traffic::unjudged(&worst.traffic)?))
    }

    /// One word for what was found.
    pub(crate) fn word(&self) -> &'static str {
        match self.limit.found {
            Found::Limit(_) => "LIMIT",
            Found::Everywhere(..) => "NO LIMIT",
            Found::Nowhere(..) => "MET NOWHERE",
        }
    }

    /// The answer in one sentence without its full stop.
    pub(crate) fn headline(&self) -> String {
        match self.limit.found {
            Found::Limit(ref bracket) => {
                let which = match (self.is_load(), bracket.direction) {
                    (true, Direction::Up) => "the most that meets every objective",
                    (true, Direction::Down) => "the least that meets every objective",
                    (false, Direction::Up) => "the largest value that meets every objective",
                    (false, Direction::Down) => "the smallest value that meets every objective",
                };
                let interval = self.interval(&bracket.interval);
                format!(
                    "{} is {which}; {} % interval {interval}",
                    self.place(bracket.limit),
                    self.confidence()
                )
            }
            Found::Everywhere(low, high) => {
                format!("every objective is met at all values tried, {}", self.span(low, high))
            }
            Found::Nowhere(low, high) => {
                format!("some objective is missed at all values tried, {}", self.span(low, high))
            }
        }
    }

    /// What to do where the objectives do not turn.
    pub(crate) fn advice(&self) -> Option<String> {
        match self.limit.found {
            Found::Limit(_) => None,
            Found::Everywhere(..) => Some(
                "Search further with --from and --to, or add an objective that a larger load would miss: \
                 rejection_probability, lost_jobs, a wait"
                    .to_owned(),
            ),
            Found::Nowhere(..) => {
                let nearest = self.limit.points.iter().min_by_key(|point| point.missed().count())?;
                let missed: Vec<String> = nearest.missed().map(told).collect();
                Some(format!(
                    "At {} still missed: {}. Loosen that, search further with --from and --to, or change another setting \
                     with --along or --set",
                    self.place(nearest.value),
                    missed.join("; ")
                ))
            }
        }
    }

    fn span(&self, low: f64, high: f64) -> String {
        let from_to = format!("{} to {}", self.value(low), self.value(high));
        if self.is_load() {
            format!("{from_to} times the load")
        } else {
            format!("{} from {from_to}", self.name())
        }
    }

    /// The two ends; words where it is open.
    pub(crate) fn interval(&self, interval: &Interval) -> String {
        match (interval.low, interval.high) {
            (Some(low), Some(high)) if self.value(low) == self.value(high) => {
                format!("{} alone", self.value(low))
            }
            (Some(low), Some(high)) => format!("{} to {}", self.value(low), self.value(high)),
            (Some(low), None) => format!("from {}, open above", self.value(low)),
            (None, Some(high)) => format!("up to {}, open below", self.value(high)),
            (None, None) => "open on both sides".to_owned(),
        }
    }

    pub(crate) fn confidence(&self) -> String {
        number::trimmed(self.limit.asked.confidence * 100.0, 3)
    }

    /// What becomes of the traffic at the limit.
    pub(crate) fn at_limit(&self) -> Vec<String> {
        let point = self.bracket().and_then(|bracket| self.limit.point(bracket.limit));
        point.map_or_else(Vec::new, |point| traffic::sentences(&point.traffic))
    }

    /// What is missed at the next value.
    pub(crate) fn breaks(&self) -> Option<String> {
        let bracket = self.bracket()?;
        let next = self.limit.point(bracket.next)?;
        let missed: Vec<String> = next.missed().map(told).collect();
        Some(format!("at {}: {}", self.place(bracket.next), missed.join("; ")))
    }

    /// Why, from load and capacity at the next value.
    pub(crate) fn why(&self) -> Option<String> {
        let next = self.limit.point(self.bracket()?.next)?;
        Some(traffic::why(&next.traffic, &next.limits_reached))
    }

    /// What the interval is of.
    pub(crate) fn basis(&self) -> Option<String> {
        let bracket = self.bracket()?;
        let scenario = self.limit.scenario();
        let length = number::value(Unit::Seconds, scenario.model.horizon.as_secs_f64());
        let runs = format!("runs of {length} as the scenario describes them");
        let Some(half) = bracket.second_half else { return Some(format!("The limit is of {runs}")) };
        let whole = self.interval(&bracket.as_written);
        let half_words = self.interval(&half);
        let told = format!(
            "The load never changes, so the interval covers the limit of {runs} ({whole}) and of their second half alone \
             ({half_words}), which knows less of the start"
        );
        let differ = "; the two differ, so the runs are too short to tell the long run: a longer `duration` and `warmup` would";
        Some(if bracket.as_written.meets(&half) { told } else { told + differ })
    }

    /// Remarks on how far the answer can be trusted.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let mut remarks: Vec<String> = self.unjudged().into_iter().collect();
        if self
            .bracket()
            .is_some_and(|bracket| bracket.interval.low.is_none() || bracket.interval.high.is_none())
        {
            remarks.push(
                "Within the bounds nothing is proven on the open side: more replications (-n) close the interval".to_owned(),
            );
        }
        if !self.limit.exceptions.is_empty() {
            let values: Vec<String> = self.limit.exceptions.iter().map(|value| self.value(*value)).collect();
            remarks.push(format!(
                "The objectives turn more than once: the answer at {} is against the side it lies on. The limit is the turn \
                 nearest to the scenario",
                values.join(", ")
            ));
        }
        remarks
    }

    /// How much was run.
    pub(crate) fn effort(&self) -> String {
        let points = &self.limit.points;
        let most = points.iter().map(|point| point.runs).max().unwrap_or(0);
        let usual = self.limit.scenario().replications;
        let more =
            if most > usual { format!(", up to {most} where that proves more") } else { String::new() };
        format!(
            "{} at each of {}{more}",
            plural(usual as usize, "replication"),
            plural(points.len(), "value")
        )
    }

    /// The points worth a line: those of the answer, and others apart from them.
    pub(crate) fn shown(&self) -> Vec<&'l Point> {
        let points = &self.limit.points;
        let (Some(first), Some(last)) = (points.first(), points.last()) else { return Vec::new() };
        let mut named = vec![self.limit.asked.along.own()];
        let mut range = last.value - first.value;
        if let Some(bracket) = self.bracket() {
            named.extend([bracket.limit, bracket.next]);
            named.extend(bracket.interval.low.into_iter().chain(bracket.interval.high));
            range = range.min(bracket.limit);
        }
        let is_named = |value: f64| named.iter().any(|name| name.to_bits() == value.to_bits());
        let apart = range * APART;
        let mut shown: Vec<&Point> = points.iter().filter(|point| is_named(point.value)).collect();
        for point in points {
            if shown.iter().all(|other| (other.value - point.value).abs() >= apart) {
                shown.push(point);
            }
        }
        shown.sort_by(|a, b| a.value.total_cmp(&b.value));
        shown
    }

    /// For each objective the last value towards the limit and beyond at which it is met, if it turns at all.
    pub(crate) fn last_met(&self, objective: usize) -> String {
        let Some(bracket) = self.bracket() else { return number::MISSING.to_owned() };
        let mut points: Vec<&Point> = self.limit.points.iter().collect();
        if bracket.direction == Direction::Down {
            points.reverse();
        }
        let begin =
            points.iter().position(|point| point.value.to_bits() == bracket.limit.to_bits()).unwrap_or(0);
        let beyond = &points[begin..];
        let met = beyond.iter().take_while(|point| point.slo[objective].pass).count();
        match (met, beyond.get(met)) {
            (0, _) => number::MISSING.to_owned(),
            (met, None) => format!("{} and on", self.value(beyond[met - 1].value)),
            (met, Some(_)) => self.value(beyond[met - 1].value),
        }
    }
}

/// An objective that is not met, with its figure.
fn told(result: &SloResult) -> String {
    format!(
        "{} ({}: {})",
        printable(&result.expression),
        objective::word(result),
        objective::observed(result)
    )
}

/// Lines of a table are at least so far apart, as a share of what is shown.
const APART: f64 = 0.06;
