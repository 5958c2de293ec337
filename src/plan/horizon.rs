//! How long a change of a plan is simulated.
//!
//! What happens at one steady rate happens again and again: half a minute at 100k jobs a second shows it as well as five. So a
//! steady scenario is simulated for a part of its length when changes of a plan are looked at, where three things say that this
//! shows the same:
//!
//! * the fluid limit has the same shares, depths and memory for the part as for the whole (a backlog that grows has not);
//! * the part is long beside the time in which a queue forgets its start, 1 / (mu (1 - sqrt(rho))^2) of an M/M/1 queue that works
//!   at the rate of all slots (Abate and Whitt, "Transient behavior of the M/M/1 queue: starting at the origin", 1987), so near
//!   saturation it is not;
//! * the plan itself, simulated for the part, has the answers to the objectives that it has in full, to within [`TOLERANCE`].

use super::forecast::Forecast;
use crate::engine::time::SimDuration;
use crate::experiment::replication::Replication;
use crate::model;
use crate::model::config::{ArrivalProcess, ArrivalSource, Curve, ModelConfig, Phase};
use crate::model::metric::Metric;
use crate::scenario::Scenario;

/// Jobs after the warm-up that the part has: with half as many the p99 of waits differs by more than [`TOLERANCE`].
const JOBS: f64 = 2e6;
/// Longer than this share of the whole, a part saves too little.
const MOST: f64 = 0.5;
/// Times that the part is as long as the queue needs to forget.
const MEMORIES: f64 = 200.0;
/// Part and whole differ by less, relative to the larger of both.
pub const TOLERANCE: f64 = 0.02;

/// The length that shows the same as the whole of a steady scenario; `None` if it has to be run in full.
pub(super) fn shorter(model: &ModelConfig) -> Option<SimDuration> {
    let part = model.warmup + SimDuration::from_secs_f64(JOBS / steady_rate(model)?);
    let is_much_shorter = part.as_secs_f64() <= MOST * model.horizon.as_secs_f64();
    (is_much_shorter && shows_the_whole(model, part)).then_some(part)
}

/// Whether that part of a steady scenario shows the same as the whole.
pub(super) fn shows_the_whole(model: &ModelConfig, part: SimDuration) -> bool {
    steady_rate(model).is_some_and(|rate| forgets(model, rate, part) && forecast_is_the_same(model, part))
}

/// Whether the objectives of a scenario are answered alike by the part and by the whole.
pub(super) fn agree(scenario: &Scenario, part: &Replication, whole: &Replication) -> bool {
    scenario.slo.iter().all(|slo| match (part.answer(slo), whole.answer(slo)) {
        (Some(part), Some(whole)) => are_close(part.least, whole.least, slo.limit),
        (part, whole) => part.is_none() && whole.is_none(),
    })
}

/// Jobs a second, where they come at one rate from beginning to end and nothing else changes either.
fn steady_rate(model: &ModelConfig) -> Option<f64> {
    let is_steady = |source: &ArrivalSource| {
        let flat = |process: &ArrivalProcess| match process {
            ArrivalProcess::Constant | ArrivalProcess::Poisson | ArrivalProcess::Renewal(_) => true,
            ArrivalProcess::Modulated(_) | ArrivalProcess::Trace(_) | ArrivalProcess::Batches { .. } => false,
        };
        let lasts =
            |phase: &Phase| phase.curve == Curve::Flat && !phase.spike && phase.end.0 >= model.horizon.0;
        flat(&source.process) && matches!(&source.phases[..], [phase] if lasts(phase))
    };
    let asks_of_all =
        model.parts.is_empty() && model.questions.iter().all(|question| question.part.is_none());
    let is_plain = !model::needs_detail(model) && model.start.jobs == 0 && asks_of_all;
    let rate = model.last_rate()?;
    (is_plain && rate > 0.0 && model.sources.iter().all(is_steady)).then_some(rate)
}

fn forgets(model: &ModelConfig, rate: f64, part: SimDuration) -> bool {
    let capacity = model.capacity();
    let memory = 1.0 / (capacity * (1.0 - (rate / capacity).sqrt()).powi(2));
    (part - model.warmup).as_secs_f64() >= MEMORIES * memory
}

fn forecast_is_the_same(model: &ModelConfig, part: SimDuration) -> bool {
    let mut shorter = model.clone();
    shorter.horizon = part;
    let (Some(whole), Some(part)) = (Forecast::of(model), Forecast::of(&shorter)) else { return false };
    let metrics = [
        Metric::RejectionProbability,
        Metric::PeakDepth,
        Metric::MeanDepth,
        Metric::OpenFraction,
        Metric::RedisPeak,
    ];
    metrics.iter().all(|&metric| match (part.get(&shorter, metric, None), whole.get(model, metric, None)) {
        (Some(part), Some(whole)) => are_close(part, whole, 0.0),
        (part, whole) => part.is_none() && whole.is_none(),
    })
}

fn are_close(part: f64, whole: f64, limit: f64) -> bool {
    let scale = part.abs().max(whole.abs()).max(limit.abs());
    (part - whole).abs() <= TOLERANCE * scale
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scenario;

    fn part_of(text: &str) -> Option<SimDuration> {
        let loaded = scenario::from_str(text, "steady.toml", Path::new("."), &[]);
        shorter(&loaded.unwrap_or_else(|error| panic!("{error}")).scenario.model)
    }

    fn steady(rate: &str, more: &str) -> String {
        format!(
            "duration = \"10m\"\nwarmup = \"10s\"\n[arrivals]\nprocess = \"poisson\"\nrate = \"{rate}\"\n\
             [workers]\nprocesses = 50\nconcurrency = 20\nservice_time = {{ distribution = \"exponential\", mean = \"10ms\" }}\n{more}"
        )
    }

    #[test]
    fn a_steady_load_is_shown_by_a_part() {
        assert_eq!(part_of(&steady("80k/s", "")), Some(SimDuration::from_secs_f64(35.0)));
    }

    #[test]
    fn what_changes_is_run_in_full() {
        for (rate, more) in [
            // A part would be most of it.
            ("4k/s", ""),
            // The queue remembers its start.
            ("99.9k/s", ""),
            // A backlog grows to the end.
            ("150k/s", "[policy]\nenabled = false\n"),
            ("80k/s", "[clients]\ntimeout = \"1s\"\n"),
            ("80k/s", "[[fault]]\nkind = \"redis-outage\"\nat = \"100s\"\nfor = \"5s\"\n"),
        ] {
            assert_eq!(part_of(&steady(rate, more)), None, "{rate} {more}");
        }
    }
}
