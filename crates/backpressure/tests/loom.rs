//! Every interleaving of the shared gate, by a model checker. Only under its own flag, as it replaces the atomics:
//!
//! ```sh
//! RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom cargo test -p backpressure --test loom --release
//! ```
//!
//! The use is that of the gateway: whoever learns a depth observes under a lock and publishes before letting go of it;
//! others decide by the gate alone.
#![cfg(loom)]

use backpressure::{AnyPolicy, Config, Depth, Gate, Nanos, Policy, Priority, SharedGate, State};
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

struct Circuit {
    controller: Mutex<AnyPolicy>,
    gate: SharedGate,
}

impl Circuit {
    fn new() -> Arc<Circuit> {
        let controller = AnyPolicy::new(Config::default(), Nanos(0));
        let gate = SharedGate::new(controller.gate());
        Arc::new(Circuit { controller: Mutex::new(controller), gate })
    }

    fn observe(&self, jobs: u64, now: u64) {
        let mut controller = self.controller.lock().unwrap();
        controller.observe(Depth::Known(jobs), Nanos(now));
        self.gate.publish(controller.gate());
    }
}

/// What the owner's circuit is left in is what the gate says in the end, whichever of two observers came last.
#[test]
fn the_last_gate_is_that_of_the_last_observation() {
    loom::model(|| {
        let circuit = Circuit::new();
        let other = circuit.clone();
        let observer = thread::spawn(move || other.observe(60_000, 1));
        circuit.observe(20_000, 1);
        observer.join().unwrap();
        let controller = circuit.controller.lock().unwrap();
        assert_eq!(circuit.gate.load(), controller.gate());
    });
}

/// A decision follows a gate that was published, whole: never a mixture, never one older than what the thread knows of.
#[test]
fn a_reader_sees_whole_gates_in_the_order_of_their_publication() {
    loom::model(|| {
        let circuit = Circuit::new();
        let writer = circuit.clone();
        let observer = thread::spawn(move || {
            writer.observe(60_000, 1);
            writer.observe(8_000, 2);
        });
        let order = |gate: Gate| match gate.state() {
            State::Closed => 0,
            State::Open => 1,
            State::HalfOpen => 2,
        };
        let first = circuit.gate.load();
        let second = circuit.gate.load();
        assert!(order(first) <= order(second), "{first:?} then {second:?}");
        for gate in [first, second] {
            assert!(gate.admits(Priority::MOST_URGENT, Nanos(2)));
            assert_eq!(gate.admits(Priority::DEFAULT, Nanos(2)), gate.state() != State::Open);
            assert_eq!(gate.admits(Priority::LEAST_URGENT, Nanos(2)), gate.state() == State::Closed);
        }
        observer.join().unwrap();
    });
}

/// Whoever was told, by anything that orders memory, that the circuit has opened is not let in by an older gate.
#[test]
fn what_happens_after_an_opening_sees_it() {
    loom::model(|| {
        let circuit = Circuit::new();
        let told = Arc::new(AtomicBool::new(false));
        let (writer, tell) = (circuit.clone(), told.clone());
        let observer = thread::spawn(move || {
            writer.observe(60_000, 1);
            tell.store(true, Ordering::Release);
        });
        if told.load(Ordering::Acquire) {
            assert!(!circuit.gate.admits(Priority::DEFAULT, Nanos(1)));
        }
        observer.join().unwrap();
    });
}
