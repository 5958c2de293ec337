//! Compares the simulator with the exact answers of `tests/data/oracle-public.json`.
//!
//! ```text
//! cargo test                                          the quick part
//! cargo test --release --test oracle -- --all         everything, at full power
//! cargo test --release --test oracle -- --all mg1     only the cases whose id begins with `mg1`
//! ```
//!
//! Each case is written as a scenario (`scenario`), run with probes (`watch`), and compared (`compare`) in a
//! study (`study`). The kinds are in `paths`, `queues`, `circuits`, `transient`, `fluids` and `stale`.

mod circuits;
mod compare;
mod fluids;
mod paths;
mod queues;
mod report;
mod scenario;
mod stale;
mod study;
mod table;
mod transient;
mod watch;

use std::process::ExitCode;
use std::time::Instant;

use compare::{FAMILY_ERROR, Row};
use statrs::distribution::{ContinuousCDF, StudentsT};
use study::{Effort, Study};
use table::Case;

/// How a case is compared.
enum Plan {
    /// By statistics.
    Study(Study),
    /// At once, against fixed tolerances.
    Fixed { quick: bool, compare: Box<dyn Fn() -> Vec<Row>> },
}

struct Options {
    all: bool,
    list: bool,
    prefixes: Vec<String>,
}

fn main() -> ExitCode {
    let options = options();
    let began = Instant::now();
    let cases: Vec<Case> = table::cases().into_iter().filter(|case| options.wants(case)).collect();
    if options.list {
        cases.iter().for_each(|case| println!("{}: test", case.id));
        return ExitCode::SUCCESS;
    }
    let plans: Vec<(Case, Vec<Plan>)> = cases
        .into_iter()
        .map(|case| {
            let plans = plans(&case).into_iter().filter(|plan| options.all || plan.is_quick()).collect();
            (case, plans)
        })
        .collect();
    let m: usize = plans.iter().flat_map(|(_, plans)| plans).map(Plan::comparisons).sum();
    let alpha = FAMILY_ERROR / m.max(1) as f64;
    let effort = if options.all { Effort::FULL } else { Effort::QUICK };
    announce(m, alpha, effort);

    let mut rows = Vec::new();
    let mut left_out = 0;
    for (case, plans) in &plans {
        left_out += usize::from(plans.is_empty());
        let began = Instant::now();
        for plan in plans {
            let found = plan.run(alpha, effort);
            found.iter().for_each(|row| println!("{}", report::line(row)));
            rows.extend(found);
        }
        if !plans.is_empty() {
            println!("# {}: {:.1} s\n", case.id, began.elapsed().as_secs_f64());
        }
    }
    println!(
        "{} cases compared, {left_out} left to --all; {:.0} s",
        plans.len() - left_out,
        began.elapsed().as_secs_f64()
    );
    if report::summary(&rows) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn announce(m: usize, alpha: f64, effort: Effort) {
    println!(
        "m = {m} statistical comparisons at a family error of {FAMILY_ERROR}: each fails at p < {alpha:.2e}"
    );
    for freedom in [19.0, 63.0, 255.0, 1023.0] {
        let student = StudentsT::new(0.0, 1.0, freedom).expect("positive degrees of freedom");
        println!(
            "  critical |t| with {freedom} degrees of freedom: {:.2}",
            -student.inverse_cdf(alpha / 2.0)
        );
    }
    println!("  standard errors asked for are {} times those of --all", effort.ease);
    println!("{}", report::header());
}

/// Each kind has its family.
fn plans(case: &Case) -> Vec<Plan> {
    let case = case.clone();
    match case.kind.as_str() {
        "policy_trace" => vec![Plan::fixed(true, move || paths::policy_trace(&case))],
        "sample_path" => vec![Plan::fixed(true, move || paths::sample_path(&case))],
        "circuit_stationary" => vec![Plan::Study(circuits::study(&case))],
        "circuit_transient" => vec![Plan::Study(transient::transient(&case))],
        "circuit_recovery" => vec![Plan::Study(transient::recovery(&case))],
        "fluid_spike" => {
            let quick = case.id.contains("many-servers") || case.id.contains("3s-short");
            vec![Plan::fixed(quick, move || fluids::spike(&case))]
        }
        "stale_fluid" => vec![Plan::fixed(false, move || fluids::stale(&case))],
        "stale_overshoot" => stale::overshoot(&case).into_iter().map(Plan::Study).collect(),
        "stale_montecarlo" => vec![Plan::Study(stale::montecarlo(&case))],
        _ => vec![Plan::Study(queues::study(&case))],
    }
}

impl Plan {
    fn fixed(quick: bool, compare: impl Fn() -> Vec<Row> + 'static) -> Self {
        Self::Fixed { quick, compare: Box::new(compare) }
    }

    fn is_quick(&self) -> bool {
        match self {
            Self::Study(study) => study.quick,
            Self::Fixed { quick, .. } => *quick,
        }
    }

    /// How many statistical comparisons it makes.
    fn comparisons(&self) -> usize {
        match self {
            Self::Study(study) => study.quantities.len(),
            Self::Fixed { .. } => 0,
        }
    }

    fn run(&self, alpha: f64, effort: Effort) -> Vec<Row> {
        match self {
            Self::Study(study) => study.run(alpha, effort),
            Self::Fixed { compare, .. } => compare(),
        }
    }
}

/// The command line; flags of the standard harness are let pass.
fn options() -> Options {
    let mut options = Options { all: false, list: false, prefixes: Vec::new() };
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--all" => options.all = true,
            "--list" => options.list = true,
            flag if flag.starts_with('-') => {}
            prefix => options.prefixes.push(prefix.to_owned()),
        }
    }
    options
}

impl Options {
    fn wants(&self, case: &Case) -> bool {
        self.prefixes.is_empty() || self.prefixes.iter().any(|prefix| case.id.starts_with(prefix.as_str()))
    }
}
