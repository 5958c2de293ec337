//! Writes a case as the text of a scenario and reads it back, so that the comparison also proves that the
//! format can say it.

use std::fmt::Write as _;
use std::path::Path;

use backpressure_sim::model::config::ModelConfig;
use backpressure_sim::scenario;

use crate::table::Fields;

/// The three classes of the circuit kinds: name and priority.
pub(crate) const CLASSES: [(&str, u8); 3] = [("p1", 1), ("p5", 5), ("p10", 10)];

/// What a run of a circuit case adds to the parameters of the case.
#[derive(Clone, Debug)]
pub(crate) struct CircuitRun {
    /// Seconds and rates of each part of the load; the last part lasts to the end, whatever it says.
    pub(crate) load: Vec<(f64, Fields)>,
    /// Whether recovery is counted from the end of the last part but one.
    pub(crate) spike: bool,
    pub(crate) duration: f64,
    pub(crate) warmup: f64,
    pub(crate) depth: u64,
    /// As the table writes it.
    pub(crate) circuit: String,
    pub(crate) latency: f64,
}

/// A plain queue: no policy decides.
#[derive(Clone, Debug)]
pub(crate) struct PlainQueue {
    /// The body of `[arrivals]`, if all classes share them.
    pub(crate) arrivals: Option<String>,
    /// The body of each `[[class]]`.
    pub(crate) classes: Vec<String>,
    pub(crate) service: String,
    pub(crate) servers: u64,
    pub(crate) capacity: Option<u64>,
    pub(crate) discipline: &'static str,
    pub(crate) duration: f64,
    pub(crate) warmup: f64,
}

/// Reads a text that must be a scenario.
pub(crate) fn load(text: &str, folder: &Path) -> ModelConfig {
    match scenario::from_str(text, "case.toml", folder, &[]) {
        Ok(loaded) => loaded.scenario.model,
        Err(error) => panic!("the scenario is refused: {error:?}\n{text}"),
    }
}

impl PlainQueue {
    pub(crate) fn config(&self) -> ModelConfig {
        let mut text = run_length(self.duration, self.warmup);
        if let Some(arrivals) = &self.arrivals {
            let _ = writeln!(text, "[arrivals]\n{arrivals}");
        }
        for class in &self.classes {
            let _ = writeln!(text, "[[class]]\n{class}");
        }
        let _ = writeln!(text, "[policy]\nenabled = false");
        let _ = writeln!(text, "[queue]\ndiscipline = \"{}\"", self.discipline);
        if let Some(capacity) = self.capacity {
            let _ = writeln!(text, "capacity = {capacity}");
        }
        text += &workers(self.servers, &self.service);
        load(&text, Path::new(""))
    }
}

/// A circuit case; `params` has its thresholds, servers and when it observes.
pub(crate) fn circuit(params: &Fields, run: &CircuitRun) -> ModelConfig {
    let mut text = run_length(run.duration, run.warmup);
    for (name, priority) in CLASSES {
        let phases: Vec<String> = run
            .load
            .iter()
            .enumerate()
            .map(|(index, (seconds, rates))| {
                let is_last = index + 1 == run.load.len();
                let length = if is_last { String::new() } else { format!("for = \"{seconds:?}s\", ") };
                let spike = run.spike && index + 2 == run.load.len();
                format!("{{ {length}rate = \"{:?}/s\", spike = {spike} }}", rates.number(name))
            })
            .collect();
        let phases = phases.join(", ");
        let _ = writeln!(
            text,
            "[[class]]\nname = \"{name}\"\npriority = {priority}\narrivals = {{ phases = [{phases}] }}"
        );
    }
    text += &policy(params);
    let _ = writeln!(text, "[start]\ndepth = {}\ncircuit = \"{}\"", run.depth, run.circuit.to_lowercase());
    let _ = writeln!(text, "[gateway]\ncheck_latency = \"{:?}s\"", run.latency);
    text += &workers(params.count("c"), &exponential(1.0 / params.number("mu")));
    load(&text, Path::new(""))
}

/// A case with recorded arrivals, `arrivals.csv` in the folder.
pub(crate) fn traced(params: &Fields, duration: f64, folder: &Path) -> ModelConfig {
    let mut text = run_length(duration, 0.0);
    let _ = writeln!(text, "[arrivals]\nprocess = \"trace\"\nfile = \"arrivals.csv\"");
    for (name, priority) in CLASSES {
        let _ = writeln!(text, "[[class]]\nname = \"{name}\"\npriority = {priority}");
    }
    text += &policy(params);
    let _ = writeln!(text, "[gateway]\ncheck_latency = \"{}us\"", params.count("latency_us"));
    text += &workers(params.count("c"), "\"1s\"");
    load(&text, folder)
}

/// A distribution of the table, `{type, mean, ...}`.
pub(crate) fn distribution(law: &Fields) -> String {
    let mean = law.number("mean");
    let shape = |words: String| format!("{{ distribution = {words}, mean = \"{mean:?}s\" }}");
    match law.word("type") {
        "exp" => exponential(mean),
        "det" => format!("\"{mean:?}s\""),
        "erlang" => shape(format!("\"erlang\", shape = {}", law.count("k"))),
        "h2" => shape(format!("\"hyperexponential\", cv = {:?}", law.number("scv").sqrt())),
        "lognormal" => shape(format!("\"lognormal\", cv = {:?}", law.number("scv").sqrt())),
        other => panic!("the table has a distribution {other} that is not known here"),
    }
}

pub(crate) fn exponential(mean: f64) -> String {
    format!("{{ distribution = \"exponential\", mean = \"{mean:?}s\" }}")
}

fn run_length(duration: f64, warmup: f64) -> String {
    // A single point of the series: nobody reads it.
    format!("duration = \"{duration:?}s\"\nwarmup = \"{warmup:?}s\"\n[report]\nstep = \"{duration:?}s\"\n")
}

fn policy(params: &Fields) -> String {
    let observe = if params.has("observe") { params.word("observe") } else { "arrival" };
    format!(
        "[policy]\nrecovery = {}\nwarning = {}\ncritical = {}\nreopen_at = {}\nshed_at = {:?}\nobserve = \"{observe}\"\n",
        params.count("R"),
        params.count("W"),
        params.count("C"),
        params.count("reopen_at"),
        params.number("shed_fraction"),
    )
}

fn workers(servers: u64, service: &str) -> String {
    format!("[workers]\nconcurrency = {servers}\noverhead = \"0s\"\nservice_time = {service}\n")
}
