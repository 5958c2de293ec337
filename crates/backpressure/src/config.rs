//! The settings: what they mean, what they must satisfy, and what is allowed but deserves a warning.
//!
//! A [`Config`] cannot be invalid: the only way to one is a [`ConfigBuilder`], whose `build` checks every rule and reports
//! all broken ones at once. The fraction that shedding begins at becomes a depth here, in exact integers, so that
//! decisions compare whole numbers.

use core::fmt;
use core::ops::RangeInclusive;

use crate::decision::Disposition;
use crate::policy::{Kind, KindName};
use crate::priority::Priority;
use crate::snapshot::{Level, Levels};
use crate::state::OnUnknownDepth;
use crate::time::Nanos;

/// Valid settings. [`Config::default`] is the documented production default; [`Config::builder`] starts from it.
///
/// ```
/// use backpressure::Config;
/// let config = Config::builder().recovery(5).warning(10).critical(33).build().unwrap();
/// assert_eq!(config.sheds_at(), 27); // the first depth that is not below 80% of 33
/// assert_eq!(config.reopen_at(), 33);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    recovery: u64,
    warning: u64,
    critical: u64,
    reopen_at: u64,
    kind: Kind,
    default_priority: Priority,
    enabled: bool,
    on_unknown_depth: OnUnknownDepth,
    depth_valid_for: Option<Nanos>,
    observe_every: Nanos,
    retry_after_min: Nanos,
    retry_after_max: Nanos,
    jitter_seed: u64,
    dispositions: [Disposition; Priority::COUNT],
}

impl Config {
    /// A builder that holds the defaults.
    pub const fn builder() -> ConfigBuilder {
        ConfigBuilder {
            recovery: 5_000,
            warning: 10_000,
            critical: 50_000,
            kind: KindName::Spec,
            shed_at_ppm: 800_000,
            reopen_at: None,
            default_priority: Priority::DEFAULT.get(),
            enabled: true,
            on_unknown_depth: OnUnknownDepth::Admit,
            depth_valid_for: None,
            observe_every: Nanos::from_secs(1),
            retry_after_min: Nanos::from_secs(1),
            retry_after_max: Nanos::from_secs(120),
            jitter_seed: 0,
            dispositions: [
                Disposition::DeadLetter,
                Disposition::Retry,
                Disposition::Retry,
                Disposition::Retry,
                Disposition::Retry,
                Disposition::Drop,
                Disposition::Drop,
                Disposition::Drop,
                Disposition::Drop,
                Disposition::Drop,
            ],
            disposition_outside: None,
        }
    }

    /// The depth at or below which a HALF_OPEN circuit closes, in jobs. Default 5,000.
    #[inline]
    #[must_use]
    pub const fn recovery(&self) -> u64 {
        self.recovery
    }

    /// The depth from which the health is `warning`, and below which an OPEN circuit half-opens, in jobs. Default 10,000.
    #[inline]
    #[must_use]
    pub const fn warning(&self) -> u64 {
        self.warning
    }

    /// The depth from which a CLOSED circuit opens and the health is `critical`, in jobs. Default 50,000.
    #[inline]
    #[must_use]
    pub const fn critical(&self) -> u64 {
        self.critical
    }

    /// The kind of policy, with the settings that this kind alone has. Default: `spec`, shedding at 80% of `critical`.
    #[inline]
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The smallest depth at which a CLOSED circuit turns anybody away, in jobs. Default 40,000.
    #[must_use]
    pub fn sheds_at(&self) -> u64 {
        self.kind.sheds_at(self)
    }

    /// The largest depth at which an overload that does not end may come to rest, in jobs. Default 5,000.
    #[must_use]
    pub fn rests_at(&self) -> u64 {
        self.kind.rests_at(self)
    }

    /// The depths at which the policy changes its mind, the lowest first.
    #[must_use]
    pub fn levels(&self) -> Levels {
        let circuit = [
            Level { name: "recovery", depth: self.recovery },
            Level { name: "warning", depth: self.warning },
            Level { name: "critical", depth: self.critical },
        ];
        Levels::of(circuit.into_iter().chain(self.kind.level()))
    }

    /// The depth from which a HALF_OPEN circuit opens again, in jobs. Default: `critical`.
    #[inline]
    #[must_use]
    pub const fn reopen_at(&self) -> u64 {
        self.reopen_at
    }

    /// The priority of a job that says nothing about its own. For the caller; the policy is always told one. Default 5.
    #[inline]
    #[must_use]
    pub const fn default_priority(&self) -> Priority {
        self.default_priority
    }

    /// Whether decisions are enforced. When not, everything is admitted; the circuit moves and counts as if. Default true.
    #[inline]
    #[must_use]
    pub const fn enabled(&self) -> bool {
        self.enabled
    }

    /// Who is admitted while the depth is unknown. Default: everybody.
    #[inline]
    #[must_use]
    pub const fn on_unknown_depth(&self) -> OnUnknownDepth {
        self.on_unknown_depth
    }

    /// How long an observation may be believed; after that the depth counts as unknown. Default `None`: for ever.
    #[inline]
    #[must_use]
    pub const fn depth_valid_for(&self) -> Option<Nanos> {
        self.depth_valid_for
    }

    /// How long after an observation the next one is due even if no job arrives. Default 1 s.
    #[inline]
    #[must_use]
    pub const fn observe_every(&self) -> Nanos {
        self.observe_every
    }

    /// The shortest retry-after hint, before jitter. Default 1 s.
    #[inline]
    #[must_use]
    pub const fn retry_after_min(&self) -> Nanos {
        self.retry_after_min
    }

    /// The longest retry-after hint, before jitter, and the hint while nothing drains. Default 120 s.
    #[inline]
    #[must_use]
    pub const fn retry_after_max(&self) -> Nanos {
        self.retry_after_max
    }

    /// What distinguishes the jitter of this instance from that of its neighbours. Default 0.
    #[inline]
    #[must_use]
    pub const fn jitter_seed(&self) -> u64 {
        self.jitter_seed
    }

    /// The same settings, enforced or not.
    #[must_use]
    pub const fn with_enabled(mut self, enabled: bool) -> Config {
        self.enabled = enabled;
        self
    }

    /// The same settings for another instance, whose hints are to be spread otherwise.
    #[must_use]
    pub const fn with_jitter_seed(mut self, seed: u64) -> Config {
        self.jitter_seed = seed;
        self
    }

    /// What is to become of rejected jobs of this priority. Default: priority 1 dead-letter, 2 to 5 retry, 6 to 10 drop.
    #[inline]
    #[must_use]
    pub const fn disposition(&self, priority: Priority) -> Disposition {
        self.dispositions[priority.index()]
    }

    /// What is allowed but probably not meant.
    pub fn warnings(&self) -> impl Iterator<Item = ConfigWarning> + use<> {
        let &Config { warning, critical, reopen_at, observe_every, .. } = self;
        // A kind without a level of its own sheds below `warning` by design, or not at all.
        let shed_at = self.kind.level().map_or(u64::MAX, |shed| shed.depth);
        [
            (reopen_at < critical).then_some(ConfigWarning::ReopenBelowCritical {
                reopen_at,
                warning,
                critical,
            }),
            (shed_at < warning).then_some(ConfigWarning::ShedBelowWarning { shed_at, warning }),
            self.depth_valid_for
                .filter(|&valid_for| valid_for < observe_every)
                .map(|depth_valid_for| ConfigWarning::DepthExpiresUnseen { depth_valid_for, observe_every }),
        ]
        .into_iter()
        .flatten()
    }
}

impl Default for Config {
    fn default() -> Config {
        match Config::builder().build() {
            Ok(config) => config,
            Err(errors) => unreachable!("the defaults keep every rule: {errors}"),
        }
    }
}

/// Collects settings. Every method sets one and returns the builder; nothing is checked before [`ConfigBuilder::build`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "settings do nothing until they are built"]
pub struct ConfigBuilder {
    recovery: u64,
    warning: u64,
    critical: u64,
    kind: KindName,
    shed_at_ppm: u32,
    reopen_at: Option<u64>,
    default_priority: u8,
    enabled: bool,
    on_unknown_depth: OnUnknownDepth,
    depth_valid_for: Option<Nanos>,
    observe_every: Nanos,
    retry_after_min: Nanos,
    retry_after_max: Nanos,
    jitter_seed: u64,
    dispositions: [Disposition; Priority::COUNT],
    /// The first range of priorities that was not within 1..=10.
    disposition_outside: Option<(u8, u8)>,
}

impl ConfigBuilder {
    /// Sets [`Config::recovery`]: at least 1 and below `warning`.
    pub const fn recovery(mut self, jobs: u64) -> Self {
        self.recovery = jobs;
        self
    }

    /// Sets [`Config::warning`]: above `recovery` and below `critical`.
    pub const fn warning(mut self, jobs: u64) -> Self {
        self.warning = jobs;
        self
    }

    /// Sets [`Config::critical`]: above `warning`.
    pub const fn critical(mut self, jobs: u64) -> Self {
        self.critical = jobs;
        self
    }

    /// Sets the kind of policy.
    pub const fn kind(mut self, kind: KindName) -> Self {
        self.kind = kind;
        self
    }

    /// Sets where the kind `spec` begins to shed, as a fraction of `critical` in millionths: above 0 and at most 1,000,000,
    /// which sheds nothing before the circuit opens. Default 800,000. The depth itself is
    /// [`Spec::shed_at`](crate::policy::Spec::shed_at).
    pub const fn shed_at_ppm(mut self, millionths: u32) -> Self {
        self.shed_at_ppm = millionths;
        self
    }

    /// Sets [`Config::reopen_at`]: from `warning` to `critical`. When not set it follows `critical`.
    pub const fn reopen_at(mut self, jobs: u64) -> Self {
        self.reopen_at = Some(jobs);
        self
    }

    /// Sets [`Config::default_priority`]: 1 to 10.
    pub const fn default_priority(mut self, priority: u8) -> Self {
        self.default_priority = priority;
        self
    }

    /// Sets [`Config::enabled`].
    pub const fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// Sets [`Config::on_unknown_depth`].
    pub const fn on_unknown_depth(mut self, choice: OnUnknownDepth) -> Self {
        self.on_unknown_depth = choice;
        self
    }

    /// Sets [`Config::depth_valid_for`]: above zero.
    pub const fn depth_valid_for(mut self, span: Nanos) -> Self {
        self.depth_valid_for = Some(span);
        self
    }

    /// Sets [`Config::observe_every`]: above zero.
    pub const fn observe_every(mut self, span: Nanos) -> Self {
        self.observe_every = span;
        self
    }

    /// Sets [`Config::retry_after_min`]: above zero and not above `retry_after_max`.
    pub const fn retry_after_min(mut self, span: Nanos) -> Self {
        self.retry_after_min = span;
        self
    }

    /// Sets [`Config::retry_after_max`]: not below `retry_after_min`.
    pub const fn retry_after_max(mut self, span: Nanos) -> Self {
        self.retry_after_max = span;
        self
    }

    /// Sets [`Config::jitter_seed`]. Give each instance its own.
    pub const fn jitter_seed(mut self, seed: u64) -> Self {
        self.jitter_seed = seed;
        self
    }

    /// Sets [`Config::disposition`] for a range of priorities within 1..=10. A later call wins where ranges overlap.
    ///
    /// ```
    /// use backpressure::{Config, Disposition, Priority};
    /// let config = Config::builder().disposition(1..=5, Disposition::DeadLetter).build().unwrap();
    /// assert_eq!(config.disposition(Priority::DEFAULT), Disposition::DeadLetter);
    /// ```
    pub fn disposition(mut self, priorities: RangeInclusive<u8>, disposition: Disposition) -> Self {
        let (first, last) = priorities.into_inner();
        match self.dispositions.get_mut(usize::from(first).wrapping_sub(1)..usize::from(last)) {
            Some(chosen) if !chosen.is_empty() => chosen.fill(disposition),
            _ => self.disposition_outside = self.disposition_outside.or(Some((first, last))),
        }
        self
    }

    pub(crate) const fn kind_name(&self) -> KindName {
        self.kind
    }

    pub(crate) const fn critical_set(&self) -> u64 {
        self.critical
    }

    pub(crate) const fn shed_at_ppm_set(&self) -> u32 {
        self.shed_at_ppm
    }

    /// Checks every rule.
    ///
    /// # Errors
    ///
    /// Every broken rule, not only the first.
    #[expect(
        clippy::result_large_err,
        reason = "all broken rules at once, without allocation, and once per process"
    )]
    pub fn build(self) -> Result<Config, ConfigErrors> {
        let Self { recovery, warning, critical, shed_at_ppm, retry_after_min, retry_after_max, .. } = self;
        let reopen_at = self.reopen_at.unwrap_or(critical);
        let mut errors = ConfigErrors::none();

        let zeroes = [
            ("recovery", recovery == 0),
            ("warning", warning == 0),
            ("critical", critical == 0),
            ("reopen_at", self.reopen_at == Some(0)),
            ("depth_valid_for", self.depth_valid_for == Some(Nanos::ZERO)),
            ("observe_every", self.observe_every == Nanos::ZERO),
            ("retry_after_min", retry_after_min == Nanos::ZERO),
            ("retry_after_max", retry_after_max == Nanos::ZERO),
        ];
        for (field, is_zero) in zeroes {
            errors.add_if(is_zero, ConfigError::Zero { field });
        }
        // A zero was reported already; that it is out of order as well would be noise.
        errors.add_if(
            recovery >= warning && warning != 0,
            ConfigError::RecoveryNotBelowWarning { recovery, warning },
        );
        errors.add_if(
            warning >= critical && critical != 0,
            ConfigError::WarningNotBelowCritical { warning, critical },
        );
        errors.add_if(
            // Against thresholds that are themselves out of order this could only mislead.
            warning < critical && !(warning..=critical).contains(&reopen_at) && reopen_at != 0,
            ConfigError::ReopenOutside { reopen_at, warning, critical },
        );
        errors.add_if(!(1..=PPM).contains(&shed_at_ppm), ConfigError::ShedOutside { shed_at_ppm });
        errors.add_if(
            retry_after_min > retry_after_max && retry_after_max != Nanos::ZERO,
            ConfigError::RetryAfterOutOfOrder { retry_after_min, retry_after_max },
        );
        if let Some((first, last)) = self.disposition_outside {
            errors.add_if(true, ConfigError::DispositionOutside { first, last });
        }
        let default_priority = Priority::new(self.default_priority);
        errors.add_if(
            default_priority.is_none(),
            ConfigError::DefaultPriorityOutside { default_priority: self.default_priority },
        );

        match default_priority {
            Some(default_priority) if errors.is_empty() => Ok(Config {
                recovery,
                warning,
                critical,
                reopen_at,
                kind: Kind::of(&self),
                default_priority,
                enabled: self.enabled,
                on_unknown_depth: self.on_unknown_depth,
                depth_valid_for: self.depth_valid_for,
                observe_every: self.observe_every,
                retry_after_min,
                retry_after_max,
                jitter_seed: self.jitter_seed,
                dispositions: self.dispositions,
            }),
            _ => Err(errors),
        }
    }
}

impl Default for ConfigBuilder {
    /// The same as [`Config::builder`].
    fn default() -> ConfigBuilder {
        Config::builder()
    }
}

/// One broken rule. Its message names the field, the value and the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A setting that must be above zero is zero.
    Zero {
        /// The setting.
        field: &'static str,
    },
    /// `recovery` is not below `warning`.
    RecoveryNotBelowWarning {
        /// As given.
        recovery: u64,
        /// As given.
        warning: u64,
    },
    /// `warning` is not below `critical`.
    WarningNotBelowCritical {
        /// As given.
        warning: u64,
        /// As given.
        critical: u64,
    },
    /// `reopen_at` is not within `warning..=critical`.
    ReopenOutside {
        /// As given.
        reopen_at: u64,
        /// As given.
        warning: u64,
        /// As given.
        critical: u64,
    },
    /// The shedding fraction is zero or above one.
    ShedOutside {
        /// As given, in millionths of `critical`.
        shed_at_ppm: u32,
    },
    /// `default_priority` is not within 1..=10.
    DefaultPriorityOutside {
        /// As given.
        default_priority: u8,
    },
    /// `retry_after_min` is above `retry_after_max`.
    RetryAfterOutOfOrder {
        /// As given.
        retry_after_min: Nanos,
        /// As given.
        retry_after_max: Nanos,
    },
    /// A disposition was set for a range of priorities that is empty or leaves 1..=10.
    DispositionOutside {
        /// As given.
        first: u8,
        /// As given.
        last: u8,
    },
}

impl ConfigError {
    /// The setting to change, by the name it has in the builder; the shedding fraction is called `shed_at`.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        match self {
            ConfigError::Zero { field } => field,
            ConfigError::RecoveryNotBelowWarning { .. } => "recovery",
            ConfigError::WarningNotBelowCritical { .. } => "warning",
            ConfigError::ReopenOutside { .. } => "reopen_at",
            ConfigError::ShedOutside { .. } => "shed_at",
            ConfigError::DefaultPriorityOutside { .. } => "default_priority",
            ConfigError::RetryAfterOutOfOrder { .. } => "retry_after_min",
            ConfigError::DispositionOutside { .. } => "disposition",
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Zero { field } => write!(f, "{field} must be above zero, but is 0"),
            ConfigError::RecoveryNotBelowWarning { recovery, warning } => {
                write!(
                    f,
                    "recovery must be below warning, but recovery is {recovery} and warning is {warning}"
                )
            }
            ConfigError::WarningNotBelowCritical { warning, critical } => {
                write!(
                    f,
                    "warning must be below critical, but warning is {warning} and critical is {critical}"
                )
            }
            ConfigError::ReopenOutside { reopen_at, warning, critical } => {
                write!(
                    f,
                    "reopen_at must be from warning ({warning}) to critical ({critical}), but is {reopen_at}"
                )
            }
            ConfigError::ShedOutside { shed_at_ppm } => {
                let (whole, rest) = (shed_at_ppm / PPM, shed_at_ppm % PPM);
                write!(
                    f,
                    "shed_at must be a fraction of critical above 0 and at most 1, but is {whole}.{rest:06}"
                )
            }
            ConfigError::DefaultPriorityOutside { default_priority } => {
                write!(f, "default_priority must be 1 (most urgent) to 10, but is {default_priority}")
            }
            ConfigError::RetryAfterOutOfOrder { retry_after_min, retry_after_max } => write!(
                f,
                "retry_after_min must not be above retry_after_max, but they are {retry_after_min} and {retry_after_max}"
            ),
            ConfigError::DispositionOutside { first, last } => {
                write!(
                    f,
                    "disposition must be for a range of priorities within 1..=10, but is for {first}..={last}"
                )
            }
        }
    }
}

impl core::error::Error for ConfigError {}

/// All broken rules of one attempt, at least one. Prints them in one line, separated by `; `.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    /// The first ones are `Some`, the rest `None`.
    broken: [Option<ConfigError>; MOST_ERRORS],
}

impl ConfigErrors {
    /// The broken rules, in the order of the settings in the builder as far as possible.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.broken.iter().flatten()
    }

    const fn none() -> ConfigErrors {
        ConfigErrors { broken: [None; MOST_ERRORS] }
    }

    fn is_empty(&self) -> bool {
        self.broken[0].is_none()
    }

    fn add_if(&mut self, is_broken: bool, error: ConfigError) {
        if is_broken && let Some(free) = self.broken.iter_mut().find(|place| place.is_none()) {
            *free = Some(error);
        }
    }
}

impl<'a> IntoIterator for &'a ConfigErrors {
    type Item = &'a ConfigError;
    type IntoIter = core::iter::Flatten<core::slice::Iter<'a, Option<ConfigError>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.broken.iter().flatten()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl core::error::Error for ConfigErrors {}

/// Settings that are valid, but probably not meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigWarning {
    /// `reopen_at` is below `critical`.
    ReopenBelowCritical {
        /// The setting.
        reopen_at: u64,
        /// Its lower end: here the circuit has no hysteresis left.
        warning: u64,
        /// Its upper end and default.
        critical: u64,
    },
    /// Shedding begins below `warning`: jobs are rejected before anybody is warned, and also right after the circuit closes
    /// if it begins at `recovery` or below.
    ShedBelowWarning {
        /// The depth at which shedding begins.
        shed_at: u64,
        /// The depth at which the health becomes `warning`.
        warning: u64,
    },
    /// With no traffic, an observation grows too old to be believed before the next one is due.
    DepthExpiresUnseen {
        /// The setting.
        depth_valid_for: Nanos,
        /// The setting.
        observe_every: Nanos,
    },
}

impl ConfigWarning {
    /// The setting to reconsider.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        match self {
            ConfigWarning::ReopenBelowCritical { .. } => "reopen_at",
            ConfigWarning::ShedBelowWarning { .. } => "shed_at",
            ConfigWarning::DepthExpiresUnseen { .. } => "depth_valid_for",
        }
    }
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigWarning::ReopenBelowCritical { reopen_at, warning, critical } => {
                write!(
                    f,
                    "reopen_at ({reopen_at}) is below critical ({critical}): this changes no rejection rate, it trades \
                     a lower depth and a shorter wait for a circuit that flaps more often"
                )?;
                if reopen_at == warning {
                    write!(
                        f,
                        "; at warning itself one threshold both half-opens and reopens, and under a sustained \
                         overload the circuit moves thousands of times a second"
                    )?;
                }
                Ok(())
            }
            ConfigWarning::ShedBelowWarning { shed_at, warning } => write!(
                f,
                "shed_at (a depth of {shed_at}) is below warning ({warning}): jobs are rejected before anybody is warned"
            ),
            ConfigWarning::DepthExpiresUnseen { depth_valid_for, observe_every } => write!(
                f,
                "depth_valid_for ({depth_valid_for}) is shorter than observe_every ({observe_every}): with no traffic \
                 the depth counts as unknown again and again"
            ),
        }
    }
}

const PPM: u32 = 1_000_000;
/// One for every `add_if` in [`ConfigBuilder::build`].
const MOST_ERRORS: usize = 15;
