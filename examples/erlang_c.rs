//! Does the simulator agree with Erlang?
//!
//! Without a policy, with Poisson arrivals and exponential service, the service is an M/M/c queue, and a job waits with
//! the probability of Erlang's C formula. This prints the formula beside the simulation and its 95% interval.
//!
//! ```console
//! $ cargo run --release --example erlang_c
//! ```

use std::path::Path;

use backpressure_sim::experiment::{self, Unattended};
use backpressure_sim::model::metric::Metric;
use backpressure_sim::scenario::{self, ScenarioError};

/// Jobs that one worker finishes in a second.
const SERVICE_RATE: f64 = 10.0;

pub(crate) fn main() -> Result<(), ScenarioError> {
    println!("workers  load  Erlang C  simulated");
    for (workers, rate) in [(1, 5.0), (10, 80.0), (50, 450.0)] {
        let exact = erlang_c(workers, rate / SERVICE_RATE);
        let (found, half_width) = simulate(workers, rate)?;
        let load = rate / SERVICE_RATE / f64::from(workers);
        println!("{workers:>7}  {load:>4.2}  {exact:>8.4}  {found:.4} ± {half_width:.4}");
    }
    Ok(())
}

/// Probability that an arrival finds all servers busy: A. K. Erlang (1917); here by the recursion for Erlang B, which
/// does not overflow.
pub(crate) fn erlang_c(servers: u32, offered: f64) -> f64 {
    let blocked = (1..=servers).fold(1.0, |b, n| offered * b / (f64::from(n) + offered * b));
    let load = offered / f64::from(servers);
    blocked / (1.0 - load * (1.0 - blocked))
}

/// The simulated probability of a wait, and half its 95% interval.
pub(crate) fn simulate(workers: u32, rate: f64) -> Result<(f64, f64), ScenarioError> {
    let text = format!(
        r#"
        duration = "600s"
        warmup = "60s"
        replications = 20

        [arrivals]
        rate = "{rate}/s"

        [policy]
        enabled = false

        [workers]
        concurrency = {workers}
        overhead = "0s"
        service_time = {{ distribution = "exponential", mean = "100ms" }}
        "#
    );
    let loaded = scenario::from_str(&text, "mmc.toml", Path::new(""), &[])?;
    let findings = experiment::run(&loaded.scenario, &Unattended).expect("nobody interrupts it");
    let waits = findings.summary.metric(Metric::WaitProbability);
    Ok((waits.mean.expect("jobs were served"), waits.half_width.expect("there are 20 replications")))
}
