//! The settings of the admission policy. The policy itself checks its thresholds; here its errors become mistakes of variables.

use std::time::Duration;

use backpressure::{Config, ConfigBuilder, ConfigErrors, KindName, Nanos, OnUnknownDepth};
use contract::variables::{
    self, DEFAULT_EVENT_PRIORITY, DEPTH_VALID_MS, ENABLE_BACKPRESSURE, ON_UNKNOWN_DEPTH,
    QUEUE_CRITICAL_THRESHOLD, QUEUE_POLICY, QUEUE_RECOVERY_THRESHOLD, QUEUE_REOPEN_THRESHOLD,
    QUEUE_SHED_PERCENT, QUEUE_WARNING_THRESHOLD,
};

use super::reader::Reader;

/// Reads the policy: what every kind has, and what its kind alone has.
pub(super) fn read(reader: &mut Reader<'_>, depth_interval: Duration) -> Config {
    let kind = reader.parsed(
        &QUEUE_POLICY,
        |text| KindName::ALL.iter().copied().find(|kind| kind.as_str() == text),
        KindName::Spec,
    );
    let common = read_common(reader, depth_interval).kind(kind);
    // Read in any case, so that a mistake in it is reported whatever the kind.
    let shed_at_ppm = reader.percent(&QUEUE_SHED_PERCENT);
    let builder = match kind {
        KindName::Spec => common.shed_at_ppm(shed_at_ppm),
        KindName::Graded => common,
    };
    builder.build().unwrap_or_else(|errors| {
        report(reader, &errors);
        Config::default()
    })
}

/// What every kind of policy has.
fn read_common(reader: &mut Reader<'_>, depth_interval: Duration) -> ConfigBuilder {
    let unknown = |text: &str| OnUnknownDepth::ALL.into_iter().find(|choice| choice.as_str() == text);
    let mut builder = Config::builder()
        .enabled(reader.flag(&ENABLE_BACKPRESSURE))
        .recovery(reader.number(&QUEUE_RECOVERY_THRESHOLD))
        .warning(reader.number(&QUEUE_WARNING_THRESHOLD))
        .critical(reader.number(&QUEUE_CRITICAL_THRESHOLD))
        .default_priority(reader.number(&DEFAULT_EVENT_PRIORITY))
        .on_unknown_depth(reader.parsed(&ON_UNKNOWN_DEPTH, unknown, OnUnknownDepth::Admit))
        .observe_every(Nanos(u64::try_from(depth_interval.as_nanos()).unwrap_or(u64::MAX)));
    if let Some(depth) = reader.optional(&QUEUE_REOPEN_THRESHOLD, |text: &str| text.parse().ok()) {
        builder = builder.reopen_at(depth);
    }
    if let Some(span) = reader.number_or_word(&DEPTH_VALID_MS).map(Nanos::from_millis) {
        builder = builder.depth_valid_for(span);
    }
    reader.compare(&DEPTH_VALID_MS);
    builder
}

/// Reports the broken rules of a policy at its variables. Where one of them could not be read, something else stands in for it, and
/// the rules say nothing.
fn report(reader: &mut Reader<'_>, errors: &ConfigErrors) {
    let compared = [
        &QUEUE_RECOVERY_THRESHOLD,
        &QUEUE_WARNING_THRESHOLD,
        &QUEUE_CRITICAL_THRESHOLD,
        &QUEUE_REOPEN_THRESHOLD,
        &QUEUE_SHED_PERCENT,
    ];
    if compared.iter().any(|variable| reader.is_wrong(variable)) {
        return;
    }
    for error in errors.iter() {
        let variable =
            variables::of_policy_field(error.field()).expect("each field that can be wrong has a variable");
        reader.refuse(variable, format!("{} ({error})", variable.allowed()));
    }
}
