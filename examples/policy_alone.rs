//! The admission policy by hand: no simulator, no clock, no threads.
//!
//! The policy crate reads no clock and does no I/O. Whoever uses it says how deep the queue is and what time it is,
//! and asks for a decision; here a queue fills, and drains again.
//!
//! ```console
//! $ cargo run --example policy_alone
//! ```

use backpressure::{AnyPolicy, Config, Nanos, Policy, Priority, State};

const DEPTHS: [u64; 8] = [0, 90, 100, 500, 300, 60, 50, 0];

/// The circuit at a depth, and whether it admits an alarm and telemetry.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) depth: u64,
    pub(crate) state: State,
    pub(crate) alarm: bool,
    pub(crate) telemetry: bool,
}

pub(crate) fn main() {
    let word = |admitted: bool| if admitted { "admitted" } else { "rejected" };
    println!("depth  circuit   alarm     telemetry");
    for Row { depth, state, alarm, telemetry } in run() {
        let (state, alarm, telemetry) = (format!("{state:?}"), word(alarm), word(telemetry));
        println!("{depth:>5}  {state:<8}  {alarm}  {telemetry}");
    }
}

pub(crate) fn run() -> Vec<Row> {
    let config = Config::builder().recovery(50).warning(100).critical(500).build();
    let mut policy = AnyPolicy::new(config.expect("the thresholds are in order"), Nanos::ZERO);
    let mut rows = Vec::new();
    for (second, depth) in DEPTHS.into_iter().enumerate() {
        let now = Nanos::from_secs(second as u64);
        policy.observe(depth, now);
        let mut admits = |priority| policy.decide(priority, now).is_admit();
        let (alarm, telemetry) = (admits(Priority::MOST_URGENT), admits(Priority::DEFAULT));
        rows.push(Row { depth, state: policy.state(), alarm, telemetry });
    }
    rows
}
