//! Does the planner find what an exhaustive run finds, how much less does it take, and does a sweep keep all
//! cores busy?
//!
//! `cargo bench --bench planner` runs a grid of 2,000 variants once exhaustively and plans it with 20 other seeds:
//! it prints how often the plan's cost is within 1% of the best feasible one of the exhaustive run, and processor
//! time as a share of the exhaustive run's. Then it plans spike-20k over 10,000 candidates, and prints how busy the
//! cores are during a sweep. Run as a test (`cargo test --benches`) it is small.

use std::path::Path;
use std::time::Instant;

use backpressure_sim::experiment::Unattended;
use backpressure_sim::plan::recent::Recent;
use backpressure_sim::plan::search::{Decision, Search};
use backpressure_sim::plan::table::Table;
use backpressure_sim::plan::{self, Plan};
use backpressure_sim::study::grid::{Grid, GridSource};
use backpressure_sim::study::sweep::Sweep;
use backpressure_sim::study::{Fold, Study};

/// A spike that thousands of replications of can be afforded; rejections have a price, so that thresholds matter.
const SMALL_SPIKE: &str = r#"
duration = "90s"
seed = 1
replications = 10
slo = [
    "recovery_seconds.p95 < 45",
    "rejection_probability.max < 20%",
    "rejected_jobs{class=alarm}.max == 0",
]
[arrivals]
phases = [
    { name = "calm", for = "20s", rate = "1k/s" },
    { name = "spike", for = "20s", rate = "2.5k/s", spike = true },
    { name = "after", rate = "1k/s" },
]
[[class]]
name = "alarm"
priority = 1
share = 0.01
[[class]]
name = "telemetry"
priority = 5
share = 0.84
[[class]]
name = "batch"
priority = 10
share = 0.15
[gateway]
check_latency = "3ms"
instances = 2
[workers]
concurrency = 2
overhead = "1.5ms"
service_time = { distribution = "lognormal", mean = "8.5ms", cv = 0.5 }
[cost]
worker = 30
rejected_job = 0.001
occurrences = 20
[sweep]
axes = [
    "workers.processes=4..23",
    "policy.critical=500..8000:*2",
    "policy.warning=0.1,0.2,0.4,0.6,0.8 of policy.critical",
    "policy.recovery=0.25,0.5,0.75,0.9 of policy.warning",
]
"#;

const SEEDS: u64 = 20;

fn main() {
    let as_test = !std::env::args().any(|argument| argument == "--bench");
    against_exhaustive(as_test);
    if !as_test {
        ten_thousand_candidates();
    }
}

/// The plan of each seed against one run of everything.
fn against_exhaustive(as_test: bool) {
    let (small, seeds): (&[&str], u64) =
        if as_test { (&["workers.processes=10..13", "policy.critical=1000,4000"], 1) } else { (&[], SEEDS) };
    let begin = (Instant::now(), processor_seconds());
    let study = Study::of(grid(1, small));
    let mut fold = Fold::new(&study);
    let take = |entry| {
        fold.add(entry);
        Ok::<_, ()>(())
    };
    let is_complete = study.run(&study.to_do(None), take, &Unattended);
    assert_eq!(is_complete, Ok(true));
    let exhaustive = processor_seconds() - begin.1;
    let wall = begin.0.elapsed().as_secs_f64();
    let threads = rayon::current_num_threads() as f64;
    let results = fold.finish().expect("all of it was run");
    let sweep = Sweep::of(study, results, &Unattended).expect("nothing interrupts it");
    let best = &sweep.results[sweep.cheapest().expect("some variant meets the objectives")];
    let best_cost = best.cost.mean.expect("it was run");
    let feasible = sweep.results.iter().filter(|result| result.passes()).count();
    println!(
        "{} variants, {feasible} feasible, the best costs {best_cost:.2}: {}",
        sweep.results.len(),
        sweep.study.grid.overrides(best.id).join(" ")
    );
    println!(
        "exhaustive: {exhaustive:.1} s of processor time in {wall:.1} s on {threads} threads: {:.1}% busy",
        100.0 * exhaustive / wall / threads
    );

    let (mut hits, mut shares) = (0, Vec::new());
    for seed in 101..101 + seeds {
        let begin = processor_seconds();
        let grid = grid(seed, small);
        let decision = decide(&grid);
        let share = 100.0 * (processor_seconds() - begin) / exhaustive;
        let Some(chosen) = decision.chosen else {
            println!("seed {seed}: nothing was chosen");
            continue;
        };
        // What the choice costs is for the exhaustive run to say.
        let found =
            sweep.results.iter().find(|result| result.id == chosen.id).expect("it is of the same grid");
        let excess = 100.0 * (found.cost.mean.expect("it was run") / best_cost - 1.0);
        let is_hit = found.passes() && excess <= 1.0;
        hits += u32::from(is_hit);
        shares.push(share);
        println!(
            "seed {seed}: {} costs {excess:+.2}%, feasible {}, {} of {} replications, {share:.2}% of the processor time",
            if is_hit { "hit " } else { "MISS" },
            found.passes(),
            decision.path.replications,
            decision.path.exhaustive,
        );
    }
    let worst = shares.iter().copied().fold(0.0, f64::max);
    println!(
        "within 1% of the best: {hits} of {seeds}; processor time at most {worst:.2}% of the exhaustive run's"
    );
}

/// The whole command but its files, on all cores.
fn ten_thousand_candidates() {
    let axes = [
        "workers.processes=4..23",
        "policy.critical=10k,20k,30k,40k,50k,60k,80k,100k,150k,200k",
        "policy.warning=0.1..0.5:0.1 of policy.critical",
        "policy.recovery=0.2,0.4,0.5,0.6,0.8 of policy.warning",
        "policy.shed_at=0.7,0.8",
    ];
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/spike-20k.toml");
    let begin = (Instant::now(), processor_seconds());
    let grid = Grid::load(&path, Vec::new(), axes.map(str::to_owned).into(), Vec::new());
    let grid = grid.unwrap_or_else(|error| panic!("{error}"));
    let decision = decide(&grid);
    let searched = begin.0.elapsed().as_secs_f64();
    let (candidates, replications) = (decision.path.candidates, decision.path.replications);
    let plan = Plan::of(
        &grid,
        None,
        decision,
        &backpressure_sim::report::plan::emitted,
        &Recent::default(),
        &Unattended,
    )
    .expect("nothing interrupts it");
    let choice = plan.choice.expect("some candidate meets the objectives");
    println!(
        "spike-20k, {candidates} candidates: {searched:.1} s for the search ({replications} replications), {:.1} s with everything else, {:.1} s of processor time: {}",
        begin.0.elapsed().as_secs_f64(),
        processor_seconds() - begin.1,
        choice.overrides.join(" ")
    );
}

fn decide(grid: &Grid) -> Decision {
    let search = Search::of(grid);
    plan::search(grid, &search, &mut Table::default(), |_| {}, &Recent::default(), &Unattended)
        .expect("nothing interrupts it")
}

fn grid(seed: u64, small: &[&str]) -> Grid {
    Grid::of(GridSource {
        file: "small-spike.toml".to_owned(),
        text: SMALL_SPIKE.to_owned(),
        overrides: vec![format!("seed={seed}")],
        axes: small.iter().map(ToString::to_string).collect(),
        constraints: Vec::new(),
    })
    .unwrap_or_else(|error| panic!("{error}"))
}

/// Processor time of all threads of the process so far.
fn processor_seconds() -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux has it");
    // The name of the program, in parentheses, may hold spaces; user and system time are fields 14 and 15.
    let after_name = stat.rsplit(')').next().expect("there is always one part");
    let times = after_name.split_whitespace().skip(11).take(2);
    times.map(|ticks| ticks.parse::<f64>().expect("a number of ticks")).sum::<f64>() / TICKS_PER_SECOND
}
