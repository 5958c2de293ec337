//! The admission policy: its thresholds, and when it looks at the depth.

use backpressure::{Config, ConfigBuilder, ConfigError, KindName, OnUnknownDepth};

use super::diagnostic::{Code, did_you_mean};
use super::interval::{MOST_TICKS, must_fit};
use super::log::Mistake;
use super::reader::{Section, quantity_of};
use super::setting::{Kind, MOST_COUNT};
use super::tree::{Item, Value};
use crate::engine::time::SimDuration;
use crate::model::config::{Observe, PolicyConfig};
use crate::units::Quantity;

const PPM: f64 = 1e6;

/// Reads `[policy]`.
pub(super) fn read(mut policy: Section<'_>, duration: Option<SimDuration>) -> Option<PolicyConfig> {
    const KINDS: &[(&str, KindName)] = &[("spec", KindName::Spec), ("graded", KindName::Graded)];
    const UNKNOWN_DEPTH: &[(&str, OnUnknownDepth)] = &[
        ("admit", OnUnknownDepth::Admit),
        ("urgent-only", OnUnknownDepth::UrgentOnly),
        ("reject", OnUnknownDepth::Reject),
    ];
    let kind =
        policy.key("kind", "Which policy: one cut for each state, or a cut that moves with the depth.");
    let kind = kind.choice(KINDS).or("spec");
    policy.varies_with("kind");
    let enabled =
        policy.key("enabled", "Whether decisions are enforced; they count as if.").boolean().or("true");
    let recovery = policy
        .key("recovery", "Depth at or below which a HALF_OPEN circuit closes.")
        .count(1, MOST_COUNT)
        .or("5000");
    let warning = policy
        .key("warning", "Depth below which an OPEN circuit half-opens.")
        .count(1, MOST_COUNT)
        .or("10000");
    let critical = policy.key("critical", "Depth at which a circuit opens.").count(1, MOST_COUNT).or("50000");
    let of_kind = match kind {
        KindName::Spec => read_spec(&mut policy),
        KindName::Graded => Config::builder(),
    };
    let reopen_at = policy
        .key("reopen_at", "Depth at which a HALF_OPEN circuit opens again.")
        .count(1, MOST_COUNT)
        .or_else("policy.critical", critical.to_string(), critical);
    let observe = policy
        .key(
            "observe",
            "When the circuit looks at the depth: at each arrival, also at each departure, or on a timer.",
        )
        .typed(Kind::ChoiceOr(vec!["arrival", "continuous"], Quantity::Duration), |item, _| observe_of(item))
        .or("arrival");
    if let Observe::Every(interval) = observe {
        must_fit(&mut policy, "observe", interval, (duration, "`duration`"), MOST_TICKS);
    }
    let on_unknown_depth = policy
        .key("on_unknown_depth", "Who is admitted while the depth is unknown.")
        .choice(UNKNOWN_DEPTH)
        .or("admit");
    let default_priority =
        policy.key("default_priority", "Priority of a class that does not say its own.").count(1, 10).or("5");
    policy.close();

    let built = of_kind
        .kind(kind)
        .enabled(enabled)
        .recovery(recovery)
        .warning(warning)
        .critical(critical)
        .reopen_at(reopen_at)
        .on_unknown_depth(on_unknown_depth)
        .default_priority(default_priority as u8)
        .observe_every(observe.longest_gap())
        .build();
    match built {
        Ok(config) => Some(PolicyConfig { config, observe }),
        Err(errors) => {
            errors.iter().for_each(|error| report_broken_rule(&mut policy, error));
            None
        }
    }
}

/// The settings of the kind `spec` alone.
fn read_spec(policy: &mut Section<'_>) -> ConfigBuilder {
    let shed_at = policy
        .key("shed_at", "Fraction of critical from which a CLOSED circuit rejects priorities 6 to 10.")
        .typed(Kind::Quantity(Quantity::Fraction), |item, _| millionths(item))
        .or("0.8");
    Config::builder().shed_at_ppm(shed_at)
}

/// Shows a broken rule of the policy at the setting that was written, among those that it is about.
fn report_broken_rule(policy: &mut Section<'_>, error: &ConfigError) {
    let (about, rule): (&[&'static str], _) = match error {
        ConfigError::RecoveryNotBelowWarning { .. } => {
            (&["recovery", "warning"], "recovery < warning < critical")
        }
        ConfigError::WarningNotBelowCritical { .. } => {
            (&["warning", "critical"], "recovery < warning < critical")
        }
        ConfigError::ReopenOutside { .. } => {
            (&["reopen_at", "warning", "critical"], "warning <= reopen_at <= critical")
        }
        ConfigError::ShedOutside { .. } => (&["shed_at"], "0 < shed_at <= 1"),
        other => {
            policy.complain("kind", Mistake::new(Code::OutOfRange, other.to_string(), ""));
            return;
        }
    };
    if about.iter().any(|name| policy.is_bad(name)) {
        return; // the value compared is a stand-in
    }
    let written = about.iter().copied().find(|name| policy.has(name)).unwrap_or(about[0]);
    let not_written: Vec<_> = about.iter().filter(|name| !policy.has(name)).copied().collect();
    let defaults = match not_written.as_slice() {
        [] => String::new(),
        names => format!("; not given here and so the default: {}", names.join(", ")),
    };
    let place = policy.place_of(written);
    let message = format!("`{}`: {error}", policy.path_of(written));
    policy.log().report(&place, Code::Conflict, message, format!("the rule is {rule}{defaults}"));
}

/// A fraction in millionths, which it must be exactly.
fn millionths(item: &Item) -> Result<u32, Mistake> {
    let fraction = quantity_of(&item.value, Quantity::Fraction)?;
    let millionths = fraction * PPM;
    if (millionths - millionths.round()).abs() > 1e-6 {
        let message = format!("`{fraction}` has more than 6 decimals");
        return Err(Mistake::new(Code::OutOfRange, message, "at most 6 decimals"));
    }
    Ok(millionths.round() as u32)
}

fn observe_of(item: &Item) -> Result<Observe, Mistake> {
    match &item.value {
        Value::Text(text) if text == "arrival" => Ok(Observe::Arrival),
        Value::Text(text) if text == "continuous" => Ok(Observe::Continuous),
        Value::Text(text) if text.chars().all(char::is_alphabetic) => {
            let near = did_you_mean(text, ["arrival", "continuous"]);
            Err(Mistake::new(Code::WrongType, format!("`{text}` is not known here{near}"), ""))
        }
        value => {
            let span = SimDuration::from_secs_f64(quantity_of(value, Quantity::Duration)?);
            if span == SimDuration::ZERO {
                let label = "at least \"1ns\"; \"arrival\" looks at every arrival";
                return Err(Mistake::new(Code::OutOfRange, "a timer must be above zero", label));
            }
            Ok(Observe::Every(span))
        }
    }
}
