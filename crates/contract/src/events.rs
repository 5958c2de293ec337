//! The event types of the specification, and the priority of each.

/// An event type that has a priority without being told one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventType {
    /// As clients write it.
    pub name: &'static str,
    /// 1 (most urgent) to 10.
    pub priority: u8,
}

/// All of them. Every other type has the default priority.
pub const ALL: &[EventType] = &[
    EventType { name: "scheduled", priority: 1 },
    EventType { name: "critical-alarm", priority: 1 },
    EventType { name: "telemetry-data", priority: 5 },
    EventType { name: "batch-operation", priority: 10 },
];

/// The class, in metrics, of the types that are in no table: clients must not be able to make labels.
pub const OTHER: &str = "other";
