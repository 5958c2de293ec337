//! The examples run, and show what they say.

use backpressure::State;

#[path = "../../examples/erlang_c.rs"]
mod erlang_c;
#[path = "../../examples/policy_alone.rs"]
mod policy_alone;
#[path = "../../examples/threshold_sweep.rs"]
mod threshold_sweep;

#[test]
fn a_higher_threshold_rejects_less_and_queues_more() {
    threshold_sweep::main().unwrap();
    let [low, high] = [250, 1_000].map(|critical| threshold_sweep::at(critical).unwrap());
    assert!(low[0] < high[0] && low[1] > high[1], "{low:?} {high:?}");
}

#[test]
fn simulation_and_erlang_agree() {
    erlang_c::main().unwrap();
    // L. Kleinrock, Queueing Systems I (1975), 3.5: one server waits as often as it is busy.
    assert!((erlang_c::erlang_c(1, 0.5) - 0.5).abs() < 1e-12);
    let (found, half_width) = erlang_c::simulate(10, 80.0).unwrap();
    let exact = erlang_c::erlang_c(10, 8.0);
    // 95% intervals miss one time in twenty; twice as wide, one time in two thousand.
    assert!((found - exact).abs() < 2.0 * half_width, "{found} {half_width} {exact}");
}

#[test]
fn a_circuit_opens_at_critical_and_closes_at_recovery() {
    policy_alone::main();
    let rows = policy_alone::run();
    let open: Vec<u64> = rows.iter().filter(|row| row.state == State::Open).map(|row| row.depth).collect();
    assert!(open.contains(&500) && !open.contains(&90), "{rows:?}");
    assert!(rows.iter().all(|row| row.alarm), "{rows:?}");
    assert!(rows.iter().any(|row| !row.telemetry), "{rows:?}");
}
