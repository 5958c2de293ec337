//! How urgent a job is: a number from 1 to 10 that cannot be anything else.

use core::fmt;

/// How urgent a job is: 1 is the most urgent, 10 the least. The default is 5.
///
/// Priorities are ordered by their number, so the more urgent one is the *smaller* one:
///
/// ```
/// use backpressure::Priority;
/// let alarm = Priority::new(1).unwrap();
/// assert_eq!(alarm, Priority::MOST_URGENT);
/// assert!(alarm < Priority::DEFAULT && Priority::DEFAULT < Priority::LEAST_URGENT);
/// assert_eq!(Priority::new(0), None);
/// assert_eq!(Priority::try_from(11).unwrap_err().to_string(), "priority must be 1 (most urgent) to 10, but is 11");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(Level);

impl Priority {
    /// Priority 1: scheduled jobs and critical alarms.
    pub const MOST_URGENT: Priority = Priority(Level::P1);
    /// Priority 10: batch work, dropped first.
    pub const LEAST_URGENT: Priority = Priority(Level::P10);
    /// Priority 5: ordinary traffic, and the last priority that is admitted once shedding begins.
    pub const DEFAULT: Priority = Priority(Level::P5);
    /// How many priorities there are.
    pub const COUNT: usize = 10;
    /// All priorities, the most urgent first.
    pub const ALL: [Priority; Priority::COUNT] = [
        Priority(Level::P1),
        Priority(Level::P2),
        Priority(Level::P3),
        Priority(Level::P4),
        Priority(Level::P5),
        Priority(Level::P6),
        Priority(Level::P7),
        Priority(Level::P8),
        Priority(Level::P9),
        Priority(Level::P10),
    ];

    /// The priority with this number; `None` outside 1..=10.
    #[must_use]
    pub const fn new(number: u8) -> Option<Priority> {
        if number >= 1 && number <= 10 { Some(Priority::ALL[number as usize - 1]) } else { None }
    }

    /// The number, 1..=10.
    #[inline]
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0 as u8
    }

    /// The place in a table with one row per priority, 0..=9.
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize - 1
    }
}

impl Default for Priority {
    fn default() -> Priority {
        Priority::DEFAULT
    }
}

impl TryFrom<u8> for Priority {
    type Error = PriorityOutOfRange;

    fn try_from(number: u8) -> Result<Priority, PriorityOutOfRange> {
        Priority::new(number).ok_or(PriorityOutOfRange(number))
    }
}

impl From<Priority> for u8 {
    fn from(priority: Priority) -> u8 {
        priority.get()
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// A number that is no priority; holds that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriorityOutOfRange(pub u8);

impl fmt::Display for PriorityOutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "priority must be 1 (most urgent) to 10, but is {}", self.0)
    }
}

impl core::error::Error for PriorityOutOfRange {}

/// An enumeration and not a bare number, so that the compiler knows that [`Priority::index`] is below ten and the hot
/// path needs no bounds check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
enum Level {
    P1 = 1,
    P2,
    P3,
    P4,
    P5,
    P6,
    P7,
    P8,
    P9,
    P10,
}
