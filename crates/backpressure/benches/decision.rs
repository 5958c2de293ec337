//! What does a decision cost, and what would it cost to share the circuit between threads in other ways?
//!
//! `cargo bench -p backpressure` prints nanoseconds per operation, the median of several rounds and the best of them,
//! which is what a machine with nothing else to do would show. Targets: observing and deciding with one owner below 5 ns,
//! deciding through the shared gate below 2 ns. Two rows put the numbers in proportion: `empty loop` is the cost of fetching
//! the inputs, contained in every other row; `Mutex<AnyPolicy>` is the obvious way to share a circuit, and shows what the
//! gate saves.
//!
//! The last column counts admissions. It depends on nothing but the inputs, so it must not change between runs or machines.
//! With `--test`, and under `cargo test --benches`, sizes are small and times mean nothing.

use std::hint::black_box;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use backpressure::{AnyPolicy, Config, Depth, Gate, Nanos, Policy, Priority, SharedGate, State};

fn main() {
    // `cargo bench` passes `--bench`; `cargo test` does not.
    let args: Vec<String> = std::env::args().collect();
    let measured = args.iter().any(|arg| arg == "--bench") && !args.iter().any(|arg| arg == "--test");
    let bench = if measured {
        Bench { operations: 4 << 20, rounds: 15 }
    } else {
        Bench { operations: 4 << 10, rounds: 3 }
    };
    let calm = inputs(|i| 20_000 + i % 7);
    // The depth of a sustained overload: up to critical, down to warning, some thousand jobs per step of the way.
    let cycling = inputs(|i| {
        let phase = (i * 97) % 80_000;
        if phase < 40_000 { 10_000 + phase } else { 89_999 - phase }
    });
    // The worst there is: every observation crosses every threshold, up or down, and moves the circuit.
    let flapping = inputs(|i| if i % 2 == 0 { 0 } else { 100_000 });
    let open = circuit(State::Open, 60_000);
    let closed = circuit(State::Closed, 20_000);

    println!("{:<44} {:>8} {:>8}  {:>12}", "ns per operation", "median", "best", "admissions");
    bench.run("empty loop", 1, || {
        each(bench.operations, &calm, |depth, priority, now| {
            black_box(depth.known().unwrap_or(0) ^ now.0);
            priority.get() <= 5
        })
    });
    bench.run("observe + decide, closed", 1, || {
        let mut controller = closed.clone();
        each(bench.operations, &calm, |depth, priority, now| {
            controller.observe(depth, now);
            controller.decide(priority, now).is_admit()
        })
    });
    bench.run("observe + decide, cycling overload", 1, || {
        let mut controller = closed.clone();
        each(bench.operations, &cycling, |depth, priority, now| {
            controller.observe(depth, now);
            controller.decide(priority, now).is_admit()
        })
    });
    bench.run("observe + decide, moving every time", 1, || {
        let mut controller = closed.clone();
        each(bench.operations, &flapping, |depth, priority, now| {
            controller.observe(depth, now);
            controller.decide(priority, now).is_admit()
        })
    });
    bench.run("decide, closed", 1, || {
        let mut controller = closed.clone();
        each(bench.operations, &calm, |_, priority, now| controller.decide(priority, now).is_admit())
    });
    bench.run("decide, open: 99% rejected with hint", 1, || {
        let mut controller = open.clone();
        each(bench.operations, &calm, |_, priority, now| {
            black_box(controller.decide(priority, now)).is_admit()
        })
    });
    for threads in [1, 2] {
        let gate = SharedGate::new(open.gate());
        bench.run(&format!("SharedGate::admits, {threads} thread(s)"), threads, || {
            on_threads(threads, || {
                each(bench.operations, &calm, |_, priority, now| gate.admits(priority, now))
            })
        });
    }
    bench.run("SharedGate::admits, 1 thread, 1 publishing", 1, || {
        let shared = SharedGate::new(Gate::ADMIT_ALL);
        let (admitting, rejecting) = (closed.gate(), open.gate());
        let done = std::sync::atomic::AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    shared.publish(rejecting);
                    shared.publish(admitting);
                    thread::yield_now();
                }
            });
            // How many are admitted depends on the race, so the sum leaves it out.
            each(bench.operations, &calm, |_, priority, now| {
                black_box(shared.admits(priority, now));
                false
            });
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            0
        })
    });
    for threads in [1, 2] {
        let mutex = Mutex::new(open.clone());
        bench.run(&format!("Mutex<AnyPolicy>::decide, {threads} thread(s)"), threads, || {
            let decide =
                |_, priority, now| mutex.lock().expect("no holder panics").decide(priority, now).is_admit();
            on_threads(threads, || each(bench.operations, &calm, decide))
        });
    }
}

/// How much to measure.
#[derive(Clone, Copy)]
struct Bench {
    /// Per round and thread.
    operations: usize,
    rounds: usize,
}

impl Bench {
    /// Runs `round` several times and prints the median and the best wall time per operation of one thread.
    fn run(&self, name: &str, threads: u64, mut round: impl FnMut() -> u64) {
        let mut nanos = Vec::new();
        let mut admitted = round(); // warms up, too
        for _ in 0..self.rounds {
            let begin = Instant::now();
            let sum = round();
            nanos.push(begin.elapsed().as_nanos() as f64 / self.operations as f64);
            assert_eq!(sum, admitted, "{name}: rounds differ");
            admitted = sum;
        }
        nanos.sort_by(f64::total_cmp);
        let (median, best) = (nanos[nanos.len() / 2], nanos[0]);
        println!("{name:<44} {median:>8.2} {best:>8.2}  {:>12}", admitted / threads);
    }
}

/// One job to decide on.
type Input = (Depth, Priority);

/// A block of jobs, 1% of them priority 1, 84% priority 5, 15% priority 10, in mixed order.
fn inputs(depth: impl Fn(u64) -> u64) -> Vec<Input> {
    let priority = |i: u64| match (i * 37) % 100 {
        0 => Priority::MOST_URGENT,
        1..=84 => Priority::DEFAULT,
        _ => Priority::LEAST_URGENT,
    };
    (0..BLOCK as u64).map(|i| (Depth::Known(depth(i)), priority(i))).collect()
}

/// Offers `operations` jobs, 100 us apart, and counts the admitted ones.
#[inline(always)]
fn each(operations: usize, inputs: &[Input], mut admit: impl FnMut(Depth, Priority, Nanos) -> bool) -> u64 {
    let inputs: &[Input; BLOCK] = black_box(inputs).try_into().expect("a block");
    let mut admitted = 0;
    for i in 0..operations {
        let (depth, priority) = inputs[i % BLOCK];
        admitted += u64::from(admit(depth, priority, Nanos((i as u64 + 1) * 100_000)));
    }
    admitted
}

/// Runs `work` on so many threads at once and adds up what they return.
fn on_threads(threads: u64, work: impl Fn() -> u64 + Sync) -> u64 {
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(&work)).collect();
        work() + others.into_iter().map(|other| other.join().expect("no thread panics")).sum::<u64>()
    })
}

fn circuit(state: State, depth: u64) -> AnyPolicy {
    let mut controller = AnyPolicy::starting_in(Config::default(), state, Nanos(0));
    controller.observe(Depth::Known(depth), Nanos(0));
    assert_eq!(controller.state(), state);
    controller
}

const BLOCK: usize = 4096;
