//! The rates of an arrival process, one phase after the other.

use crate::engine::time::{SimDuration, SimTime};
use crate::model::config::{Curve, Phase};
use crate::scenario::diagnostic::Code;
use crate::scenario::interval::{MOST_TURNS, must_fit};
use crate::scenario::log::Mistake;
use crate::scenario::reader::Section;
use crate::units::{Quantity, fmt_duration};

const MOST_PHASES: usize = 10_000;

/// Reads `rate` or `phases`.
pub(super) fn read(section: &mut Section<'_>, horizon: Option<SimDuration>) -> Option<Vec<Phase>> {
    let rate = section.key("rate", "Constant rate of arrivals.").quantity(Quantity::Rate).optional();
    let phases = section.sections("phases", "Rates one after the other; the last one lasts to the end.");
    match (section.has("rate"), section.has("phases")) {
        (true, true) => {
            let message = "there is a rate as well as phases";
            section.complain("phases", Mistake::new(Code::Conflict, message, "remove one of them"));
            None
        }
        (false, false) => {
            section.miss("rate", "add `rate = \"6k/s\"`, or `phases` one after the other");
            None
        }
        (true, false) => rate.map(|rate| vec![super::only_phase("all", rate)]),
        (false, true) if section.is_bad("phases") => None,
        (false, true) if phases.is_empty() => {
            let label = "write [{ name = \"calm\", rate = \"6k/s\" }, ...]";
            section.complain("phases", Mistake::new(Code::OutOfRange, "the list is empty", label));
            None
        }
        (false, true) => read_list(section, phases, horizon),
    }
}

fn read_list(
    section: &mut Section<'_>,
    sections: Vec<Section<'_>>,
    horizon: Option<SimDuration>,
) -> Option<Vec<Phase>> {
    let count = sections.len();
    if count > MOST_PHASES {
        let message = format!("{count} phases are more than the most allowed, {MOST_PHASES}");
        section.complain(
            "phases",
            Mistake::new(Code::OutOfRange, message, "a trace can hold any number of arrivals"),
        );
        return None;
    }
    let mut phases: Vec<Phase> = Vec::with_capacity(count);
    let mut clock = SimTime::ZERO;
    // After an unknown or too long phase, later ones cannot be compared with the horizon.
    let mut comparable = true;
    let mut all_good = true;
    for (index, mut section) in sections.into_iter().enumerate() {
        let is_last = index + 1 == count;
        let name = section.numbered_name("phase", "Name of the phase in reports.", index);
        let length = section
            .key("for", "Length of the phase; the last one lasts to the end.")
            .positive_span()
            .optional();
        let rate = section
            .key("rate", "Rate: at the beginning with a ramp, in the mean with a cycle.")
            .quantity(Quantity::Rate)
            .required();
        let curve = read_curve(&mut section, horizon);
        let spike = section
            .key("spike", "Whether recovery time counts from the end of this phase.")
            .boolean()
            .or("false");
        section.close();
        all_good &= rate.is_some() && !section.is_bad("for") && !section.is_bad("name");
        if phases.iter().any(|other| other.name == name) {
            let message = format!("there is already a phase `{name}`");
            section
                .complain("name", Mistake::new(Code::Conflict, message, "give each phase a name of its own"));
        }
        let begin = clock;
        let late = |section: &mut Section<'_>, horizon: SimDuration| {
            let (begin, horizon) = (fmt_duration(begin.as_secs_f64()), fmt_duration(horizon.as_secs_f64()));
            let message = format!("the phase `{name}` would begin at {begin}, but `duration` is {horizon}");
            let label = "make the phases shorter or `duration` longer";
            let place = section.place_of(if section.has("for") { "for" } else { "rate" });
            section.log().report(&place, Code::Conflict, message, label);
        };
        match (length, horizon) {
            (Some(length), _) => {
                clock += length;
                comparable &= horizon.is_some();
            }
            (None, _) if section.is_bad("for") => comparable = false,
            (None, _) if is_last => {}
            (None, _) => {
                section.miss("for", "only the last phase may go without `for`: say how long this one lasts");
                comparable = false;
            }
        }
        if let (true, Some(horizon)) = (comparable, horizon) {
            let (end, total) = (fmt_duration(clock.as_secs_f64()), fmt_duration(horizon.as_secs_f64()));
            let beyond = clock.0 > horizon.0;
            if begin.0 >= horizon.0 {
                late(&mut section, horizon);
                comparable = false;
            } else if beyond {
                let message = format!("the phases last until {end}, but `duration` is {total}");
                let label =
                    if is_last { "leave out the `for` of the last phase" } else { "make `duration` longer" };
                section.complain("for", Mistake::new(Code::Conflict, message, label));
                comparable = false;
            } else if is_last && length.is_some() && clock.0 < horizon.0 {
                let message = format!("the phases end at {end}, but `duration` is {total}");
                let label = "leave out the `for` of the last phase, which then lasts to the end";
                section.complain("for", Mistake::new(Code::Conflict, message, label));
            } else if is_last && spike {
                section.log().warn(format!(
                    "the phase `{name}` is a spike that lasts to the end: no recovery can be seen after it"
                ));
            }
        }
        let end = match (is_last, curve, horizon) {
            (false, ..) => clock,
            // A ramp is known by where it ends.
            (true, Curve::Ramp(_), Some(horizon)) => SimTime(horizon.0),
            (true, ..) => SimTime::NEVER,
        };
        phases.push(Phase { name, end, rate: rate.unwrap_or_default(), curve, spike });
    }
    all_good.then_some(phases)
}

/// How the rate of a phase changes.
fn read_curve(section: &mut Section<'_>, horizon: Option<SimDuration>) -> Curve {
    let ramp_to = section
        .key("ramp_to", "Rate at the end of a linear ramp; default: no ramp.")
        .quantity(Quantity::Rate)
        .optional();
    let has_cycle = section.has("cycle");
    let mut cycle = section.section("cycle", "A cosine cycle of the rate, such as that of a day.");
    if !has_cycle {
        return ramp_to.map_or(Curve::Flat, Curve::Ramp);
    }
    if section.has("ramp_to") {
        let message = "a phase cannot both ramp and cycle";
        section.complain("ramp_to", Mistake::new(Code::Conflict, message, "remove one of them"));
    }
    let amplitude = cycle
        .key("amplitude", "Highest rate minus mean rate, as a fraction of the mean.")
        .number(0.0, 1.0)
        .required();
    let period = cycle.key("period", "Time from one peak to the next.").positive_span().or("24h");
    let peak_at =
        cycle.key("peak_at", "Time of one peak; the others follow from the period.").span().or("0s");
    cycle.close();
    must_fit(&mut cycle, "period", period, (horizon, "`duration`"), MOST_TURNS);
    let Some(amplitude) = amplitude else {
        section.mark_bad("cycle");
        return Curve::Flat;
    };
    Curve::Cycle { amplitude, period: period.as_secs_f64(), peak_at: peak_at.as_secs_f64() }
}
