//! What settings are accepted, and what is said about those that are not.

use backpressure::{Config, ConfigBuilder, ConfigError, Disposition, Nanos, OnUnknownDepth, Priority};

#[test]
fn defaults_are_the_documented_ones() {
    let config = Config::default();
    assert_eq!((config.recovery(), config.warning(), config.critical()), (5_000, 10_000, 50_000));
    assert_eq!((config.sheds_at(), config.reopen_at()), (40_000, 50_000));
    assert_eq!(config.default_priority(), Priority::DEFAULT);
    assert!(config.enabled());
    assert_eq!(config.on_unknown_depth(), OnUnknownDepth::Admit);
    assert_eq!(config.depth_valid_for(), None);
    assert_eq!(config.observe_every(), Nanos::from_secs(1));
    assert_eq!(config.retry_after_min(), Nanos::from_secs(1));
    assert_eq!(config.retry_after_max(), Nanos::from_secs(120));
    let dispositions = Priority::ALL.map(|priority| config.disposition(priority).as_str().as_bytes()[1]);
    assert_eq!(&dispositions, b"eeeeerrrrr", "1 d-e-ad-letter, 2 to 5 r-e-try, 6 to 10 d-r-op");
    assert_eq!(config.disposition(Priority::MOST_URGENT), Disposition::DeadLetter);
    assert_eq!(Config::builder().build(), Ok(config));
    assert_eq!(config.warnings().count(), 0);
}

#[test]
fn broken_rules_are_named() {
    check_errors(small().recovery(0), &[("recovery", "recovery must be above zero, but is 0")]);
    check_errors(
        small().recovery(10),
        &[("recovery", "recovery must be below warning, but recovery is 10 and warning is 10")],
    );
    check_errors(small().warning(0), &[("warning", "warning must be above zero, but is 0")]);
    check_errors(
        small().warning(50),
        &[("warning", "warning must be below critical, but warning is 50 and critical is 50")],
    );
    check_errors(small().critical(0), &[("critical", "critical must be above zero, but is 0")]);
    check_errors(
        small().critical(7),
        &[("warning", "warning must be below critical, but warning is 10 and critical is 7")],
    );
    check_errors(
        small().recovery(50).warning(10).critical(5),
        &[
            ("recovery", "recovery must be below warning, but recovery is 50 and warning is 10"),
            ("warning", "warning must be below critical, but warning is 10 and critical is 5"),
        ],
    );
    check_errors(small().reopen_at(0), &[("reopen_at", "reopen_at must be above zero, but is 0")]);
    check_errors(
        small().reopen_at(9),
        &[("reopen_at", "reopen_at must be from warning (10) to critical (50), but is 9")],
    );
    check_errors(
        small().reopen_at(51),
        &[("reopen_at", "reopen_at must be from warning (10) to critical (50), but is 51")],
    );
    let shed = "shed_at must be a fraction of critical above 0 and at most 1, but is";
    check_errors(small().shed_at_ppm(0), &[("shed_at", &format!("{shed} 0.000000"))]);
    check_errors(small().shed_at_ppm(1_000_001), &[("shed_at", &format!("{shed} 1.000001"))]);
    check_errors(small().shed_at_ppm(u32::MAX), &[("shed_at", &format!("{shed} 4294.967295"))]);
    for outside in [0, 11, 255] {
        let message = format!("default_priority must be 1 (most urgent) to 10, but is {outside}");
        check_errors(small().default_priority(outside), &[("default_priority", &message)]);
    }
    check_errors(
        small().retry_after_min(Nanos::from_secs(2)).retry_after_max(Nanos::from_millis(1_500)),
        &[("retry_after_min", "retry_after_min must not be above retry_after_max, but they are 2s and 1.5s")],
    );
    for (builder, field) in [
        (small().retry_after_min(Nanos::ZERO), "retry_after_min"),
        (small().retry_after_max(Nanos::ZERO), "retry_after_max"),
        (small().depth_valid_for(Nanos::ZERO), "depth_valid_for"),
        (small().observe_every(Nanos::ZERO), "observe_every"),
    ] {
        check_errors(builder, &[(field, &format!("{field} must be above zero, but is 0"))]);
    }
    #[expect(clippy::reversed_empty_ranges, reason = "that is the mistake")]
    for range in [0..=5, 5..=11, 11..=11, 7..=3, 7..=6, 0..=0] {
        let message = format!(
            "disposition must be for a range of priorities within 1..=10, but is for {}..={}",
            range.start(),
            range.end()
        );
        check_errors(small().disposition(range, Disposition::Drop), &[("disposition", &message)]);
    }
}

#[test]
fn all_broken_rules_come_at_once() {
    let errors = Config::builder()
        .recovery(0)
        .warning(0)
        .critical(0)
        .reopen_at(0)
        .shed_at_ppm(0)
        .default_priority(0)
        .depth_valid_for(Nanos::ZERO)
        .observe_every(Nanos::ZERO)
        .retry_after_min(Nanos::ZERO)
        .retry_after_max(Nanos::ZERO)
        .disposition(0..=0, Disposition::Retry)
        .build()
        .unwrap_err();
    let fields: Vec<_> = errors.iter().map(ConfigError::field).collect();
    let expected = [
        "recovery",
        "warning",
        "critical",
        "reopen_at",
        "depth_valid_for",
        "observe_every",
        "retry_after_min",
        "retry_after_max",
        "shed_at",
        "disposition",
        "default_priority",
    ];
    assert_eq!(fields, expected);
    assert_eq!((&errors).into_iter().count(), expected.len());
    assert_eq!(errors.to_string().split("; ").count(), expected.len());
}

#[test]
fn shedding_depth_is_the_first_not_below_the_fraction() {
    #[track_caller]
    fn check(critical: u64, ppm: u32, expected: u64) {
        let config =
            Config::builder().recovery(1).warning(2).critical(critical).shed_at_ppm(ppm).build().unwrap();
        assert_eq!(config.sheds_at(), expected);
    }
    check(50_000, 800_000, 40_000);
    check(200_000, 800_000, 160_000);
    check(33, 800_000, 27);
    check(50, 800_000, 40);
    check(3, 800_000, 3);
    check(4, 800_000, 4);
    check(5, 800_000, 4);
    check(100, 1, 1);
    check(1_000_000, 1, 1);
    check(1_000_001, 1, 2);
    check(77, 1_000_000, 77);
    check(u64::MAX, 1_000_000, u64::MAX);
    check(u64::MAX, 500_000, 1 << 63);
    for critical in 3..5_000 {
        let shed_at = Config::builder().recovery(1).warning(2).critical(critical).build().unwrap().sheds_at();
        assert!(
            5 * shed_at >= 4 * critical && 5 * (shed_at - 1) < 4 * critical,
            "critical {critical}: {shed_at}"
        );
    }
}

#[test]
fn doubtful_settings_are_accepted_with_a_warning() {
    check_warnings(small(), &[]);
    check_warnings(small().reopen_at(50), &[]);
    let reopen = "reopen_at (23) is below critical (50): this changes no rejection rate, it trades a lower depth and a \
                  shorter wait for a circuit that flaps more often";
    check_warnings(small().reopen_at(23), &[("reopen_at", reopen)]);
    let reopen = "reopen_at (10) is below critical (50): this changes no rejection rate, it trades a lower depth and a \
                  shorter wait for a circuit that flaps more often; at warning itself one threshold both half-opens and \
                  reopens, and under a sustained overload the circuit moves thousands of times a second";
    check_warnings(small().reopen_at(10), &[("reopen_at", reopen)]);
    let shed = "shed_at (a depth of 9) is below warning (10): jobs are rejected before anybody is warned";
    check_warnings(small().shed_at_ppm(180_000), &[("shed_at", shed)]);
    check_warnings(small().shed_at_ppm(200_000), &[]);
    let expires = "depth_valid_for (500ms) is shorter than observe_every (1s): with no traffic the depth counts as unknown \
                   again and again";
    check_warnings(small().depth_valid_for(Nanos::from_millis(500)), &[("depth_valid_for", expires)]);
    check_warnings(small().depth_valid_for(Nanos::from_secs(1)), &[]);
}

#[test]
fn thresholds_may_be_as_narrow_and_as_wide_as_numbers_allow() {
    assert!(Config::builder().recovery(1).warning(2).critical(3).build().is_ok());
    assert!(
        Config::builder().recovery(u64::MAX - 2).warning(u64::MAX - 1).critical(u64::MAX).build().is_ok()
    );
}

fn small() -> ConfigBuilder {
    Config::builder().recovery(5).warning(10).critical(50)
}

#[track_caller]
fn check_errors(builder: ConfigBuilder, expected: &[(&str, &str)]) {
    let errors = builder.build().expect_err("a rule is broken");
    let found: Vec<_> = errors.iter().map(|error| (error.field(), error.to_string())).collect();
    let expected: Vec<_> = expected.iter().map(|&(field, message)| (field, message.to_owned())).collect();
    assert_eq!(found, expected);
    let joined: Vec<_> = expected.into_iter().map(|(_, message)| message).collect();
    assert_eq!(errors.to_string(), joined.join("; "));
}

#[track_caller]
fn check_warnings(builder: ConfigBuilder, expected: &[(&str, &str)]) {
    let warnings = builder.build().expect("no rule is broken").warnings();
    let found: Vec<_> = warnings.map(|warning| (warning.field(), warning.to_string())).collect();
    let expected: Vec<_> = expected.iter().map(|&(field, message)| (field, message.to_owned())).collect();
    assert_eq!(found, expected);
}
