//! The admission policy by hand: no simulator, no clock, no threads.
//!
//! The policy crate reads no clock and does no I/O. Whoever uses it says how deep the queue is and what time it is,
//! and asks for a decision; here a queue fills, and drains again.
//!
//! ```console
//! $ cargo run --example policy_alone
//! ```

use backpressure::{Config, ConfigErrors, Controller, Decision, Depth, Nanos, Priority, State};

const DEPTHS: [u64; 8] = [0, 90, 100, 500, 300, 60, 50, 0];

pub(crate) fn main() -> Result<(), ConfigErrors> {
    println!("depth  circuit    alarm     telemetry");
    for (depth, state, [alarm, telemetry]) in run()? {
        println!("{depth:>5}  {:<9}  {alarm:<8}  {telemetry}", format!("{state:?}"));
    }
    Ok(())
}

/// The circuit at each depth, and what becomes of an alarm and of telemetry.
pub(crate) fn run() -> Result<Vec<(u64, State, [&'static str; 2])>, ConfigErrors> {
    let config = Config::builder().recovery(50).warning(100).critical(500).build()?;
    let mut policy = Controller::new(config, Nanos::ZERO);
    let mut found = Vec::new();
    for (second, depth) in DEPTHS.into_iter().enumerate() {
        let now = Nanos::from_secs(second as u64);
        policy.observe(Depth::Known(depth), now);
        let answers =
            [Priority::MOST_URGENT, Priority::DEFAULT].map(|priority| match policy.decide(priority, now) {
                Decision::Admit => "admitted",
                Decision::Reject(_) => "rejected",
            });
        found.push((depth, policy.state(), answers));
    }
    Ok(found)
}
