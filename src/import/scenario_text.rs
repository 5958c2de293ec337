//! The two files that an import writes: the trace, and a scenario around it that says what was learnt and what was assumed.

use std::fmt::Write as _;

use super::recording::{ClassFound, Jobs, Measured, Recorded};
use super::time::{self, SECOND};
use crate::text::quoted;
use crate::units::{fmt_duration, fmt_rate};

/// The share of the slots that the peak keeps busy, where nobody has said how many workers there are.
const BUSY: f64 = 0.7;
/// A service time where none is known.
const GUESS: f64 = 0.010;
/// Slots of an assumed worker process.
const SLOTS: f64 = 20.0;

impl Recorded {
    /// Jobs per second over the whole time. The last window of the peak may reach beyond it.
    pub fn mean_rate(&self) -> f64 {
        (self.total as f64 / (self.span as f64 / 1e9).max(1.0)).min(self.peak_rate())
    }

    /// Jobs per second of the busiest window.
    pub fn peak_rate(&self) -> f64 {
        self.peak.0 as f64 / (self.peak.1 as f64 / 1e9)
    }

    /// How long it lasted, for people.
    pub fn lasted(&self) -> String {
        fmt_duration(self.span as f64 / 1e9)
    }

    /// When time zero is, for people; `None` where the file has no dates.
    pub fn began(&self) -> Option<String> {
        time::is_date(self.zero).then(|| time::shown(self.zero))
    }

    /// How the jobs are kept, and why.
    pub fn kept(&self) -> String {
        match &self.jobs {
            Jobs::Exact(_) => "the exact time of each job".to_owned(),
            Jobs::Counts(width, _) => format!("counts of {}", time::span(*width)),
        }
    }

    /// Seconds of service of all classes together.
    fn service(&self) -> Measured {
        let mut all = Measured::default();
        self.classes.iter().for_each(|class| all.merge(&class.service));
        all
    }

    fn is_one_class(&self) -> bool {
        self.classes.len() == 1
    }

    /// What was read, for people.
    pub fn origin(&self) -> String {
        format!("{}: {}, {}", self.files.join(", "), self.what, self.read)
    }
}

/// The trace, as CSV.
pub fn trace_text(recorded: &Recorded) -> String {
    let mut text = format!("# {}\n", one_line(&recorded.origin()));
    if let Some(began) = recorded.began() {
        let _ = writeln!(text, "# time zero is {began}");
    }
    let class = if recorded.is_one_class() { "" } else { ",class" };
    let name = |index: u32| match recorded.is_one_class() {
        true => String::new(),
        false => format!(",{}", recorded.classes[index as usize].name),
    };
    match &recorded.jobs {
        Jobs::Exact(jobs) => {
            let (unit, per) = unit_of(jobs.iter().map(|(at, ..)| *at));
            let services = || jobs.iter().filter_map(|(_, _, service)| service.map(|nanos| nanos as i64));
            let (service_unit, service_per) = unit_of(services());
            let has_service = services().next().is_some();
            let column = if has_service { format!(",service_{service_unit}") } else { String::new() };
            let _ = writeln!(text, "time_{unit}{class}{column}");
            for (at, class, service) in jobs {
                let _ = write!(text, "{}{}", at / per, name(*class));
                if has_service {
                    let _ = match service {
                        Some(nanos) => write!(text, ",{}", *nanos as i64 / service_per),
                        None => write!(text, ","),
                    };
                }
                text.push('\n');
            }
        }
        Jobs::Counts(_, rows) => {
            let (unit, per) = unit_of(rows.iter().map(|(at, ..)| *at));
            let _ = writeln!(text, "time_{unit}{class},count");
            for (at, class, count) in rows {
                let _ = writeln!(text, "{}{},{count}", at / per, name(*class));
            }
        }
    }
    text
}

/// The coarsest unit in which all are whole.
fn unit_of(times: impl Iterator<Item = i64>) -> (&'static str, i64) {
    const UNITS: [(&str, i64); 4] =
        [("s", SECOND), ("ms", SECOND / 1_000), ("us", SECOND / 1_000_000), ("ns", 1)];
    let mut at = 0;
    for time in times {
        while at < 3 && time % UNITS[at].1 != 0 {
            at += 1;
        }
    }
    UNITS[at]
}

/// The scenario that replays the trace.
pub fn scenario_text(recorded: &Recorded, trace_file: &str) -> String {
    let mut text = String::new();
    let files = recorded.files.join(", ");
    remark(&mut text, &format!("Does the service carry what was recorded in {files}?"));
    text.push_str("#\n");
    remark(&mut text, "Expected: (write down what you believe before you run it.)");
    text.push_str("#\n# Learnt from the recording:\n");
    for line in learnt(recorded) {
        item(&mut text, &line);
    }
    text.push_str("# Left out of it:\n");
    if recorded.left_out.is_empty() {
        item(&mut text, "nothing");
    }
    for left in &recorded.left_out {
        item(&mut text, &format!("{} × {}", left.count, left.what));
    }
    let service = recorded.service();
    let is_known = service.mean() > 0.0;
    text.push_str("# Assumed, because no recording of arrivals tells it. Replace it by yours:\n");
    if !is_known {
        item(&mut text, "the service time: decides more than anything else here");
    }
    for line in [
        "the workers: enough for the peak at 70% of their slots",
        "the thresholds of the policy: the defaults",
        "the objectives",
    ] {
        item(&mut text, line);
    }
    if recorded.classes.iter().all(|class| class.payload.count() == 0) {
        item(&mut text, "the size of the payloads: the default");
    }

    let duration = (recorded.span + SECOND - 1) / SECOND;
    let _ = write!(
        text,
        "\nduration = \"{}s\"\nseed = 1\nreplications = 5\n\n\
         # ASSUMED: what must hold.\nslo = [\n    \"lost_jobs.max == 0\",\n    \"rejection_probability.max < 1%\",\n    \
         \"wait_p99_seconds < 1s\",\n]\n\n[arrivals]\nprocess = \"trace\"\nfile = {}\n",
        duration.max(10),
        quoted(trace_file)
    );
    if let Jobs::Counts(width, _) = &recorded.jobs {
        let _ = writeln!(text, "interval = \"{}\"", time::span(*width));
    }
    let has_priorities =
        recorded.classes.iter().any(|class| class.priority.is_some_and(|priority| priority > 0));
    for class in &recorded.classes {
        text.push_str(&class_text(class, recorded, has_priorities));
    }
    if has_priorities {
        text.push_str("\n[queue]\ndiscipline = \"priority\"\n");
    }
    text.push_str(
        "\n# ASSUMED: the thresholds of your gateway.\n[policy]\nrecovery = 5000\nwarning = 10000\ncritical = 50000\n",
    );
    let mean = if is_known { service.mean() } else { GUESS };
    // No more than there are jobs, where few of them take long.
    let slots = (recorded.peak_rate() * mean / BUSY).ceil().min(recorded.total as f64).clamp(1.0, 1e9);
    let (processes, concurrency) = ((slots / SLOTS).ceil().min(1e6), slots.min(SLOTS));
    let _ = write!(
        text,
        "\n# ASSUMED: {} at the peak x {} of service / {BUSY} takes {slots} slots.\n[workers]\nprocesses = {processes}\nconcurrency = {concurrency}\n\
         overhead = \"1.5ms\"                  # ASSUMED: fetching and finishing a job, as measured with BullMQ\n",
        fmt_rate(recorded.peak_rate()),
        fmt_duration(mean)
    );
    if is_known {
        let _ = writeln!(text, "service_time = {}", spread(&service, "ms", 1e3));
    } else {
        text.push_str("# ASSUMED: measure it.\nservice_time = { distribution = \"lognormal\", mean = \"10ms\", cv = 0.5 }\n");
    }
    text
}

fn learnt(recorded: &Recorded) -> Vec<String> {
    let mut lines = vec![recorded.origin()];
    let span = recorded.lasted();
    let began = recorded.began().map(|began| format!(" from {began} on")).unwrap_or_default();
    lines.push(format!("{} jobs in {span}{began}; kept as {}", recorded.total, recorded.kept()));
    lines.push(format!(
        "{} in the mean, {} in the busiest {}",
        fmt_rate(recorded.mean_rate()),
        fmt_rate(recorded.peak_rate()),
        fmt_duration(recorded.peak.1 as f64 / 1e9)
    ));
    if !recorded.is_one_class() {
        let classes: Vec<String> =
            recorded.classes.iter().map(|class| format!("{} {}", class.name, class.jobs)).collect();
        lines.push(format!("jobs by class: {}", classes.join(", ")));
    }
    lines.extend(recorded.learnt.iter().cloned());
    lines
}

fn class_text(class: &ClassFound, recorded: &Recorded, has_priorities: bool) -> String {
    let is_plain = recorded.is_one_class() && class.name == "none";
    let name = if is_plain { "default" } else { class.name.as_str() };
    let mut text = format!("\n[[class]]\nname = {}\n", quoted(name));
    if let Some(priority) = class.priority.filter(|_| has_priorities) {
        let _ = writeln!(text, "priority = {:<25}# that of the gateway, from 1 to 10", priority.clamp(1, 10));
        let _ = writeln!(text, "queue_priority = {priority:<19}# that of BullMQ; 0 goes first");
    }
    if class.payload.mean() > 0.0 {
        let _ = writeln!(text, "payload = {}", spread(&class.payload, "B", 1.0));
    }
    if !recorded.is_one_class() && class.service.mean() > 0.0 {
        let _ = writeln!(text, "service_time = {}", spread(&class.service, "ms", 1e3));
    }
    text
}

/// A value that is always the same, or a distribution with the mean and spread that were measured.
fn spread(measured: &Measured, unit: &str, scale: f64) -> String {
    let thousandths = |value: f64| (value * 1e3).round() / 1e3;
    let mean = thousandths(measured.mean() * scale).max(0.001);
    let cv = thousandths(measured.cv());
    if cv == 0.0 {
        format!("\"{mean}{unit}\"")
    } else {
        format!("{{ distribution = \"lognormal\", mean = \"{mean}{unit}\", cv = {cv} }}")
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn remark(text: &mut String, sentence: &str) {
    wrapped(text, "# ", "# ", sentence);
}

fn item(text: &mut String, sentence: &str) {
    wrapped(text, "# - ", "#   ", sentence);
}

/// A sentence in lines of a readable length.
fn wrapped(text: &mut String, first: &str, others: &str, sentence: &str) {
    const WIDTH: usize = 110;
    let mut line = first.to_owned();
    for word in one_line(sentence).split_whitespace() {
        let is_begun = line.len() > others.len().max(first.len());
        if is_begun && line.chars().count() + word.chars().count() > WIDTH {
            text.push_str(line.trim_end());
            text.push('\n');
            line = others.to_owned();
        }
        line.push_str(word);
        line.push(' ');
    }
    text.push_str(line.trim_end());
    text.push('\n');
}
