use backpressure_sim::model::config::*;
use backpressure_sim::model::distribution::Distribution;
use backpressure_sim::model::metric::Metric;
use backpressure_sim::engine::time::*;
use backpressure::{Priority, State};
fn main() {
    let which = std::env::args().nth(1).unwrap();
    let (c, rate, secs, spike) = match which.as_str() { "60" => (60, 7200.0, 300, false), "2000" => (2000, 240000.0, 20, false), _ => (100, 6000.0, 300, true) };
    let p = |n| Priority::new(n).unwrap();
    let class = |n: &str, pr, svc: &Distribution| JobClass { name: n.into(), priority: p(pr), payload: Distribution::Deterministic{mean: 512.0}, service_time: svc.clone() };
    let (svc, classes, shares, phases, latency) = if spike {
        let svc = Distribution::Lognormal{mean: 0.0085, cv: 0.5};
        let ph = |n: &str, end, rate, spike| Phase{name: n.into(), end, rate, spike};
        (svc.clone(), vec![class("a",1,&svc), class("b",5,&svc), class("c",10,&svc)], vec![(0,0.01),(1,0.84),(2,0.15)],
        vec![ph("calm", SimTime(60_000_000_000), 6000.0,false), ph("spike", SimTime(120_000_000_000), 20000.0,true), ph("after", SimTime::NEVER, 6000.0,false)], SimDuration(3_000_000))
    } else {
        let svc = Distribution::Exponential{mean: 0.0075};
        (svc.clone(), vec![class("a",5,&svc)], vec![(0,1.0)], vec![Phase{name:"".into(), end: SimTime::NEVER, rate, spike:false}], SimDuration::ZERO)
    };
    let config = ModelConfig {
        horizon: SimDuration(secs*1_000_000_000), warmup: SimDuration::ZERO, recovery_hold: SimDuration::ZERO, series_step: SimDuration::SECOND,
        classes, sources: vec![ArrivalSource{process: ArrivalProcess::Poisson, phases, classes: shares}],
        start: Start{jobs:0, circuit: State::Closed},
        policy: PolicyConfig{config: backpressure::Config::builder().enabled(spike).build().unwrap(), observe: Observe::Arrival},
        gateway: Gateway{instances: if spike {4} else {1}, check_latency: latency, depth_age: SimDuration::ZERO},
        queue: Queue{discipline: Discipline::Fifo, capacity: None},
        workers: Workers{processes: 1, concurrency: c, overhead: SimDuration(if spike {1_500_000} else {0})},
        redis: Redis{maxmemory: Some(2<<30), on_full: OnFull::Reject, base: 1<<20, job_overhead: 700.0, payload_factor: 1.2, restart_after: SimDuration::SECOND},
    };
    for rep in 0..std::env::args().nth(2).map_or(5, |n| n.parse().unwrap()) {
        let t = std::time::Instant::now();
        let out = backpressure_sim::model::run(&config, 42, rep);
        let el = t.elapsed();
        let tot = out.total();
        let m = out.metrics(&config);
        println!("{} jobs {:.1} ns/job", tot.offered, el.as_nanos() as f64 / tot.offered as f64);
        if rep == 0 { for k in Metric::ALL { println!("  {} {:?}", k.name(), m.get(*k)); } }
    }
}
