//! Plain queues for ever: mm1, mmc, mmck, erlang_b, mg1, mdc, mphc, gimc and the two priority kinds.
//!
//! Runs start empty, drop a warm-up of many relaxation times, and read the simulator's own estimators:
//! histograms of waits and sojourns, integrals of depth and busy slots.

use backpressure_sim::model::Simulation;
use backpressure_sim::model::config::ModelConfig;
use backpressure_sim::model::outcome::{ClassCounts, Outcome};
use backpressure_sim::stats::histogram::Histogram;

use crate::compare::{Pair, Quantity};
use crate::scenario::{PlainQueue, distribution, exponential};
use crate::study::Study;
use crate::table::{Case, Fields, number};
use crate::watch::{Ledger, Window};

/// One replication of a plain queue, and what was measured of it.
struct Run<'a> {
    config: &'a ModelConfig,
    outcome: &'a Outcome,
    /// All classes together.
    total: &'a ClassCounts,
    ledger: &'a Ledger,
}

/// A quantity and how to get its pair.
type Measure = (Quantity, Box<dyn Fn(&Run<'_>) -> Pair + Sync>);

type HistogramOf = fn(&ClassCounts) -> &Histogram;

pub(crate) fn study(case: &Case) -> Study {
    let system = System::of(case);
    let config = system.queue(case).config();
    let (quantities, pairs): (Vec<_>, Vec<_>) = case
        .expected
        .names()
        .filter_map(|name| measure(case, &system, name))
        .map(|(quantity, pair)| {
            let is_primary = matches!(quantity.name.as_str(), "Wq" | "Wq_all" | "p_loss");
            (if is_primary { quantity.primary() } else { quantity }, pair)
        })
        .unzip();
    let centre = case.expected.number_or("Wq", 0.0);
    let warmup = backpressure_sim::engine::time::SimTime(config.warmup.0);
    Study {
        case: case.id.clone(),
        quantities,
        observe: Box::new(move |seed, replication| {
            let mut ledger = Ledger::new(&config, Window::From(warmup)).with_waits(&[], centre);
            let outcome = Simulation::new(&config, seed, replication, &mut ledger).run();
            let total = outcome.total();
            let run = Run { config: &config, outcome: &outcome, total: &total, ledger: &ledger };
            pairs.iter().map(|pair| pair(&run)).collect()
        }),
        first: 64,
        most: 8192,
        quick: true,
    }
}

/// The parameters, whatever the kind calls them.
struct System {
    rate: f64,
    /// Squared coefficients of variation of gaps and service.
    variation: f64,
    mean_service: f64,
    servers: u64,
}

impl System {
    fn of(case: &Case) -> Self {
        let params = &case.params;
        let scv = |law: &Fields| match law.word("type") {
            "exp" => 1.0,
            "det" => 0.0,
            "erlang" => 1.0 / law.number("k"),
            _ => law.number("scv"),
        };
        let servers = if params.has("c") { params.count("c") } else { 1 };
        let (mut arrival_scv, mut service_scv) = (1.0, 1.0);
        let mut mean_service = 1.0;
        if params.has("service") {
            let law = params.below("service");
            (service_scv, mean_service) = (scv(&law), law.number("mean"));
        } else if params.has("D") {
            (service_scv, mean_service) = (0.0, params.number("D"));
        } else if params.has("mu") {
            mean_service = 1.0 / params.number("mu");
        } else if params.has("services") {
            let laws = params.list("services").iter().cloned().map(Fields);
            service_scv = laws.map(|law| scv(&law)).fold(0.0, f64::max);
        }
        let rate = if params.has("lam") {
            params.number("lam")
        } else if params.has("a") {
            params.number("a") / mean_service
        } else if params.has("inter") {
            let law = params.below("inter");
            arrival_scv = scv(&law);
            1.0 / law.number("mean")
        } else {
            params.list("rates").iter().map(number).sum()
        };
        Self { rate, variation: f64::midpoint(arrival_scv, service_scv), mean_service, servers }
    }

    fn capacity(&self) -> f64 {
        self.servers as f64 / self.mean_service
    }

    /// About 1 / (sqrt(c mu) - sqrt(lambda))^2 seconds, longer for variable service, and a few services at least.
    fn relaxation(&self) -> f64 {
        let heavy = self.variation.max(0.5) / (self.capacity().sqrt() - self.rate.sqrt()).powi(2);
        heavy.max(5.0 * self.mean_service)
    }

    fn queue(&self, case: &Case) -> PlainQueue {
        let params = &case.params;
        let duration = (300.0 * self.relaxation()).max(3000.0 / self.rate).ceil();
        let poisson = |rate: f64| format!("rate = \"{rate:?}/s\"");
        let mut queue = PlainQueue {
            arrivals: Some(poisson(self.rate)),
            classes: Vec::new(),
            service: exponential(self.mean_service),
            servers: self.servers,
            capacity: None,
            discipline: "fifo",
            duration,
            warmup: (duration / 10.0).ceil(),
        };
        match case.kind.as_str() {
            "mm1" | "mmc" => {}
            "mmck" => queue.capacity = Some(params.count("K")),
            "erlang_b" => queue.capacity = Some(self.servers),
            "mdc" => queue.service = format!("\"{:?}s\"", params.number("D")),
            "mg1" | "mphc" => queue.service = distribution(&params.below("service")),
            "gimc" => {
                let gaps = distribution(&params.below("inter"));
                queue.arrivals = Some(format!("process = \"renewal\"\ninterarrival = {gaps}"));
            }
            "priority_mg1" | "priority_mmc" => {
                queue.discipline = "priority";
                queue.arrivals = None;
                for (index, rate) in params.list("rates").iter().enumerate() {
                    let mut class = format!(
                        "name = \"class{index}\"\npriority = {}\narrivals = {{ {} }}",
                        index + 1,
                        poisson(number(rate))
                    );
                    if params.has("services") {
                        let law = Fields(params.list("services")[index].clone());
                        class += &format!("\nservice_time = {}", distribution(&law));
                    }
                    queue.classes.push(class);
                }
            }
            other => panic!("{other} is no plain queue"),
        }
        queue
    }
}

/// What a name of `expected` means in a run; `None` for what is no observable.
fn measure(case: &Case, system: &System, name: &str) -> Option<Measure> {
    let exact = case.expected.number(name);
    let mean = |pair: Box<dyn Fn(&Run<'_>) -> Pair + Sync>| Some((Quantity::mean(name, exact), pair));
    let share = |pair: Box<dyn Fn(&Run<'_>) -> Pair + Sync>| Some((Quantity::share(name, exact), pair));
    if let Some((histogram, level)) = quantile_of(name) {
        return Some(if exact > 0.0 {
            (
                Quantity::tail(format!("P(X > {name})"), level),
                Box::new(move |run| share_above(histogram(run.total), exact)),
            )
        } else {
            (Quantity::tail_at_most(format!("P(X > {name})"), level), Box::new(move |run| waited(run.total)))
        });
    }
    if let Some(class) = name.strip_prefix("Wq_class") {
        let class: usize = class.parse().expect("the number of a class");
        return mean(Box::new(move |run| sum_of(&run.outcome.classes[class].wait)));
    }
    match name {
        "rho" | "utilization" => {
            share(Box::new(|run| (run.outcome.busy_area as f64, measured(run) * slots(run))))
        }
        "p_wait" | "p_wait_accepted" => share(Box::new(|run| waited(run.total))),
        "p_loss" => share(Box::new(|run| (sum(&run.ledger.rejected), sum(&run.ledger.offered)))),
        "L" => mean(Box::new(|run| (run.outcome.depth_area as f64, measured(run)))),
        "Lq" => {
            mean(Box::new(|run| ((run.outcome.depth_area - run.outcome.busy_area) as f64, measured(run))))
        }
        "Wq" | "Wq_all" => mean(Box::new(|run| sum_of(&run.total.wait))),
        "T" => mean(Box::new(|run| sum_of(&run.total.sojourn))),
        "throughput" => mean(Box::new(|run| (run.total.completed_after_warmup as f64 * 1e9, measured(run)))),
        "var_Wq" => Some((
            Quantity::spread(name, exact),
            Box::new(|run| (run.ledger.wait_squares, run.ledger.started as f64)),
        )),
        // With exponential service the wait of those who wait is exponential with rate c mu (1 - sigma)
        // (Kleinrock, "Queueing Systems" I, 1975, sec. 6.3), so sigma can be observed.
        "sigma" => Some((
            Quantity::mean("mean wait if any, of sigma", 1.0 / (system.capacity() * (1.0 - exact))),
            Box::new(|run| (sum_of(&run.total.wait).0, waited(run.total).0)),
        )),
        other => panic!("the table has a quantity {other} that is not known here"),
    }
}

/// `wq_p95`, `T_p50` and the like: whose quantile at which level.
fn quantile_of(name: &str) -> Option<(HistogramOf, f64)> {
    let (of, digits) = name.rsplit_once("_p")?;
    let level: f64 = format!("0.{digits}").parse().ok()?;
    match of {
        "wq" => Some((|counts| &counts.wait, level)),
        "T" => Some((|counts| &counts.sojourn, level)),
        _ => None,
    }
}

fn share_above(histogram: &Histogram, seconds: f64) -> Pair {
    let count = histogram.count() as f64;
    (count * (1.0 - histogram.share_at_most(seconds * 1e9).unwrap_or(0.0)), count)
}

fn waited(counts: &ClassCounts) -> Pair {
    ((counts.wait.count() - counts.wait.zeros()) as f64, counts.wait.count() as f64)
}

/// Seconds and count.
fn sum_of(histogram: &Histogram) -> Pair {
    let count = histogram.count() as f64;
    (histogram.mean().unwrap_or(0.0) / 1e9 * count, count)
}

/// Nanoseconds after the warm-up.
fn measured(run: &Run<'_>) -> f64 {
    (run.config.horizon - run.config.warmup).0 as f64
}

fn slots(run: &Run<'_>) -> f64 {
    f64::from(run.config.workers.slots())
}

fn sum(counts: &[u64]) -> f64 {
    counts.iter().sum::<u64>() as f64
}
