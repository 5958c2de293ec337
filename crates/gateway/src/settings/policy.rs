//! The settings of the admission policy. The policy itself checks its thresholds; here its errors become mistakes of variables.

use std::time::Duration;

use backpressure::{Config, ConfigErrors, Nanos, OnUnknownDepth};
use contract::variable::Variable;
use contract::variables::{
    self, DEFAULT_EVENT_PRIORITY, DEPTH_VALID_MS, ENABLE_BACKPRESSURE, ON_UNKNOWN_DEPTH,
    QUEUE_CRITICAL_THRESHOLD, QUEUE_RECOVERY_THRESHOLD, QUEUE_REOPEN_THRESHOLD, QUEUE_SHED_PERCENT,
    QUEUE_WARNING_THRESHOLD,
};

use super::reader::Reader;

/// What every kind of policy has.
struct Common {
    is_enabled: bool,
    default_priority: u8,
    on_unknown_depth: OnUnknownDepth,
    /// `None` for ever.
    depth_valid_for: Option<Nanos>,
    observe_every: Nanos,
}

/// Reads the policy. A further kind is one more reader beside [`read_spec`].
pub(super) fn read(reader: &mut Reader<'_>, depth_interval: Duration) -> Config {
    let common = read_common(reader, depth_interval);
    read_spec(reader, &common)
}

fn read_common(reader: &mut Reader<'_>, depth_interval: Duration) -> Common {
    let choices = [OnUnknownDepth::Admit, OnUnknownDepth::UrgentOnly, OnUnknownDepth::Reject];
    let common = Common {
        is_enabled: reader.flag(&ENABLE_BACKPRESSURE),
        default_priority: reader.number(&DEFAULT_EVENT_PRIORITY),
        on_unknown_depth: reader.parsed(
            &ON_UNKNOWN_DEPTH,
            |text| choices.into_iter().find(|choice| choice.as_str() == text),
            OnUnknownDepth::Admit,
        ),
        depth_valid_for: reader.number_or_word(&DEPTH_VALID_MS).map(Nanos::from_millis),
        observe_every: Nanos(u64::try_from(depth_interval.as_nanos()).unwrap_or(u64::MAX)),
    };
    reader.compare(&DEPTH_VALID_MS);
    common
}

/// The specification's policy.
fn read_spec(reader: &mut Reader<'_>, common: &Common) -> Config {
    let jobs = |text: &str| text.parse::<u64>().ok();
    let mut builder = Config::builder()
        .enabled(common.is_enabled)
        .recovery(reader.number(&QUEUE_RECOVERY_THRESHOLD))
        .warning(reader.number(&QUEUE_WARNING_THRESHOLD))
        .critical(reader.number(&QUEUE_CRITICAL_THRESHOLD))
        .shed_at_ppm(reader.percent(&QUEUE_SHED_PERCENT))
        .default_priority(common.default_priority)
        .on_unknown_depth(common.on_unknown_depth)
        .observe_every(common.observe_every);
    if let Some(depth) = reader.optional(&QUEUE_REOPEN_THRESHOLD, jobs) {
        builder = builder.reopen_at(depth);
    }
    if let Some(span) = common.depth_valid_for {
        builder = builder.depth_valid_for(span);
    }
    let own = [
        &QUEUE_RECOVERY_THRESHOLD,
        &QUEUE_WARNING_THRESHOLD,
        &QUEUE_CRITICAL_THRESHOLD,
        &QUEUE_REOPEN_THRESHOLD,
        &QUEUE_SHED_PERCENT,
    ];
    builder.build().unwrap_or_else(|errors| {
        report(reader, &errors, &own);
        Config::default()
    })
}

/// Reports the broken rules of a policy at its variables. Where one of them could not be read, something else stands in for it, and
/// the rules say nothing.
fn report(reader: &mut Reader<'_>, errors: &ConfigErrors, own: &[&Variable]) {
    if own.iter().any(|variable| reader.is_wrong(variable)) {
        return;
    }
    for error in errors.iter() {
        let variable =
            variables::of_policy_field(error.field()).expect("each field that can be wrong has a variable");
        reader.refuse(variable, format!("{} ({error})", variable.allowed()));
    }
}
