//! What the parts of the detailed level did, in words and tables: clients, rejections by reason, faults, the autoscaler.

use super::chart::escape;
use super::html::{TABLE_END, push, table_start};
use super::outcome::capitalised;
use super::{number, reading};
use crate::experiment::Findings;
use crate::experiment::summary::{Estimate, Named, ScalingStep, Summary};
use crate::model::config::RetryCapacity;
use crate::model::metric::{Metric, Unit};
use crate::scenario::Scenario;

/// What became of the requests of clients: means over the replications.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ClientFigures {
    requests: f64,
    abandoned: f64,
    open: f64,
    attempts: f64,
    timed_out: f64,
    amplification: Option<f64>,
    completed: f64,
    wasted: f64,
    capacity: Option<RetryCapacity>,
}

impl ClientFigures {
    /// `None` where there are no clients.
    pub(crate) fn of(scenario: &Scenario, findings: &Findings) -> Option<Self> {
        let parts = reading::parts(&scenario.model, findings.series.details.as_ref()).clients?;
        let mean = |metric: Metric| findings.summary.metric(metric).mean.unwrap_or(0.0);
        Some(Self {
            requests: mean(Metric::Requests),
            abandoned: mean(Metric::Abandoned),
            open: parts.open_requests,
            attempts: mean(Metric::Requests) + mean(Metric::Retried),
            timed_out: mean(Metric::TimedOut),
            amplification: findings.summary.metric(Metric::Amplification).mean,
            completed: mean(Metric::Completed),
            wasted: mean(Metric::Wasted),
            capacity: scenario.model.retry_capacity(),
        })
    }

    /// A name of at most eight letters and a sentence without its full stop, for each thing worth knowing.
    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        let answered = self.requests - self.abandoned - self.open;
        let (requests, parts) = number::apportion(self.requests, &[answered, self.abandoned, self.open], 1.0);
        let count = |count: f64| number::grouped(count, 0);
        let answer = format!(
            "{} = {} answered + {} given up + {} still open",
            count(requests),
            count(parts[0]),
            count(parts[1]),
            count(parts[2])
        );
        let attempts = format!(
            "{}, {} for each request; {} timed out",
            count(self.attempts),
            amplification(self.amplification),
            count(self.timed_out)
        );
        let wasted = match share(self.wasted, self.completed) {
            Some(share) => format!(
                "{} of {} completed jobs ({}) were for nobody: their client had gone",
                count(self.wasted),
                count(self.completed),
                number::value(Unit::Fraction, share)
            ),
            None => "no job was completed".to_owned(),
        };
        let mut lines = vec![("requests", answer), ("attempts", attempts), ("wasted", wasted)];
        lines.extend(self.capacity.map(|capacity| ("capacity", retry_capacity(capacity))));
        lines
    }
}

/// Advertised and hidden capacity as a sentence without its full stop.
pub(crate) fn retry_capacity(capacity: RetryCapacity) -> String {
    let RetryCapacity { advertised, hidden, attempts } = capacity;
    let rate = |rate: f64| number::value(Unit::PerSecond, rate);
    if attempts > 1.0 {
        format!(
            "advertised {}, hidden {}: after an overload the service returns by itself only below that, because a request is \
             then sent {} times",
            rate(advertised),
            rate(hidden),
            number::trimmed(attempts, 2)
        )
    } else {
        format!(
            "advertised {}, and none of it hidden: the circuit closes below what clients wait for",
            rate(advertised)
        )
    }
}

fn share(part: f64, of: f64) -> Option<f64> {
    (of > 0.0).then(|| part / of)
}

fn amplification(factor: Option<f64>) -> String {
    factor.map_or_else(|| "–".to_owned(), |factor| number::grouped(factor, 2))
}

/// The section about clients; empty where there are none.
pub(super) fn clients(scenario: &Scenario, findings: &Findings) -> String {
    let Some(figures) = ClientFigures::of(scenario, findings) else { return String::new() };
    let sentence = |(name, text): (&str, String)| format!("{}: {}.", capitalised(name), escape(&text));
    let sentences: Vec<String> = figures.lines().into_iter().map(sentence).collect();
    let mut html = String::from("<section id=\"clients\">\n<h2>Clients</h2>\n");
    push(
        &mut html,
        format_args!(
            "<p>{}. {}</p>\n",
            capitalised(&reading::basis(findings.summary.replications)),
            sentences.join(" ")
        ),
    );
    let header = [
        "class",
        "requests",
        "attempts",
        "per request",
        "timed out",
        "given up",
        "completed",
        "wasted",
        "wasted share",
    ];
    html += &table_start(&header);
    for (name, metrics, is_total) in rows(&findings.summary) {
        let mean = |metric: Metric| mean_of(metrics, metric);
        let count = |metric: Metric| number::grouped(mean(metric), 0);
        let total = if is_total { " class=\"total\"" } else { "" };
        push(&mut html, format_args!("<tr{total}><th scope=\"row\">{}</th>", escape(name)));
        let wasted_share = share(mean(Metric::Wasted), mean(Metric::Completed));
        for cell in [
            count(Metric::Requests),
            number::grouped(mean(Metric::Requests) + mean(Metric::Retried), 0),
            amplification(metrics.get(Metric::Amplification.name()).and_then(|estimate| estimate.mean)),
            count(Metric::TimedOut),
            count(Metric::Abandoned),
            count(Metric::Completed),
            count(Metric::Wasted),
            number::optional(Unit::Fraction, wasted_share),
        ] {
            push(&mut html, format_args!("<td>{cell}</td>"));
        }
        html += "</tr>\n";
    }
    html + TABLE_END + "</section>\n"
}

/// Rejections by reason, where there is more than one; else nothing, since the outcome says it all.
pub(super) fn rejections(summary: &Summary) -> String {
    let is_used = |metric: Metric| mean_of(&summary.metrics, metric) > 0.0;
    let used: Vec<(Metric, &str)> = REASONS.into_iter().filter(|(metric, _)| is_used(*metric)).collect();
    if used.len() < 2 {
        return String::new();
    }
    let mut html = String::from("<h3>Rejected, by reason</h3>\n");
    let header: Vec<&str> =
        ["class"].into_iter().chain(used.iter().map(|(_, words)| *words)).chain(["rejected"]).collect();
    html += &table_start(&header);
    for (name, metrics, is_total) in rows(summary) {
        let total = if is_total { " class=\"total\"" } else { "" };
        push(&mut html, format_args!("<tr{total}><th scope=\"row\">{}</th>", escape(name)));
        let shown: Vec<f64> = used.iter().map(|(metric, _)| mean_of(metrics, *metric)).collect();
        let (sum, shown) = number::apportion(mean_of(metrics, Metric::Rejected), &shown, 1.0);
        for count in shown.into_iter().chain([sum]) {
            push(&mut html, format_args!("<td>{}</td>", number::grouped(count, 0)));
        }
        html += "</tr>\n";
    }
    html + TABLE_END
}

/// The section about alerts; empty where no rules are evaluated.
pub(super) fn alerts(scenario: &Scenario, summary: &Summary) -> String {
    if summary.alerts.is_empty() {
        return String::new();
    }
    let seconds = |seconds: f64| number::value(Unit::Seconds, seconds);
    let mut html = String::from("<section id=\"alerts\">\n<h2>Alerts</h2>\n");
    html += &table_start(&[
        "alert",
        "condition",
        "for",
        "true in",
        "fires in",
        "fires at",
        "before the first loss",
        "in words",
    ]);
    let of = |count: u32| format!("{count} of {}", summary.replications);
    for alert in &summary.alerts {
        push(
            &mut html,
            format_args!(
                "<tr{}><th scope=\"row\">{} <small>{}</small></th><td class=\"words\"><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
                 <td>{}</td><td class=\"words\">{}</td></tr>\n",
                if alert.fired_in > 0 { " class=\"changed\"" } else { "" },
                alert.alert,
                alert.severity,
                // Long names of metrics break between their words.
                escape(&alert.expression).replace('_', "_<wbr/>"),
                seconds(alert.for_seconds),
                of(alert.true_in),
                of(alert.fired_in),
                number::optional(Unit::Seconds, alert.fired_seconds),
                number::optional(Unit::Seconds, alert.lead_seconds),
                escape(&reading::alert(alert, summary.replications)),
            ),
        );
    }
    html += TABLE_END;
    let monitoring = &scenario.model.monitoring;
    push(
        &mut html,
        format_args!(
            "<p class=\"note\">As Prometheus would raise them, scraping every {} and evaluating every {}. Times are medians over the \
             replications in question. <code>--prometheus</code> writes the samples and the rules.</p>\n</section>\n",
            seconds(monitoring.scrape.as_secs_f64()),
            seconds(monitoring.evaluation.as_secs_f64())
        ),
    );
    html
}

/// The section about faults; empty where there are none.
pub(super) fn faults(scenario: &Scenario, summary: &Summary) -> String {
    let faults = reading::faults(scenario);
    if faults.is_empty() {
        return String::new();
    }
    let mut html = String::from("<section id=\"faults\">\n<h2>Faults</h2>\n");
    html += &table_start(&["fault", "begins", "ends", "lasts", "what goes wrong"]);
    let seconds = |seconds: f64| number::value(Unit::Seconds, seconds);
    for fault in faults {
        let (end, lasts) = if fault.is_open {
            ("–".to_owned(), "to the end".to_owned())
        } else {
            (seconds(fault.end), seconds(fault.end - fault.start))
        };
        push(
            &mut html,
            format_args!(
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{end}</td><td>{lasts}</td><td class=\"words\">{}</td></tr>\n",
                escape(&fault.name),
                seconds(fault.start),
                escape(&fault.what)
            ),
        );
    }
    html += TABLE_END;
    let (origin, at) = reading::recovery_origin(scenario);
    let remark = if reading::faults(scenario).iter().any(|fault| fault.is_open) {
        "A fault lasts to the end of the run, so there is no recovery from it to be seen.".to_owned()
    } else {
        format!(
            "Recovery counts from {}, at {}: {}.",
            origin.moment(),
            seconds(at),
            reading::recovery(scenario, summary)
        )
    };
    push(&mut html, format_args!("<p class=\"note\">{}</p>\n</section>\n", escape(&remark)));
    html
}

/// The log of the autoscaler; empty where there is none.
pub(super) fn autoscaler(scenario: &Scenario, findings: &Findings) -> String {
    let Some(config) = &scenario.model.autoscaler else { return String::new() };
    let mut html = String::from("<section id=\"autoscaler\">\n<h2>Autoscaler</h2>\n");
    push(
        &mut html,
        format_args!(
            "<p>From {} to {} worker processes, decided every {} on a depth that is {} old. In the mean over the run {} processes take \
             jobs.</p>\n",
            config.min,
            config.max,
            number::value(Unit::Seconds, config.sync.as_secs_f64()),
            number::value(Unit::Seconds, config.metric_age.as_secs_f64()),
            number::estimate(Unit::Count, findings.summary.metric(Metric::WorkerProcesses)),
        ),
    );
    let decisions = &findings.summary.scaling;
    if decisions.is_empty() {
        return html + "<p class=\"note\">It decided nothing within the run.</p>\n</section>\n";
    }
    let open = if decisions.len() <= LONGEST_OPEN_LOG { " open" } else { "" };
    push(&mut html, format_args!("<details{open}>\n<summary>Decisions ({})</summary>\n", decisions.len()));
    html += &table_start(&[
        "time",
        "depth",
        "there or ordered",
        "asked by the depth",
        "wanted",
        "what settled it",
    ]);
    for decision in decisions {
        html += &row(decision);
    }
    html += TABLE_END;
    let of = match findings.summary.replications {
        1 => "",
        _ => " of the first replication",
    };
    push(
        &mut html,
        format_args!(
            "<p class=\"note\">Decisions{of}; one that repeats the last one and changes nothing is left out.</p>\n</details>\n"
        ),
    );
    html + "</section>\n"
}

fn row(decision: &ScalingStep) -> String {
    let depth = decision.depth.map_or_else(|| "–".to_owned(), |jobs| number::grouped(jobs as f64, 0));
    let mark = if decision.wanted == decision.current { "" } else { " class=\"changed\"" };
    format!(
        "<tr{mark}><td>{}</td><td>{depth}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"words\">{}</td></tr>\n",
        number::value(Unit::Seconds, decision.seconds),
        decision.current,
        decision.recommended,
        decision.wanted,
        decision.reason
    )
}

/// The classes, and the total last if there are several.
fn rows(summary: &Summary) -> Vec<(&str, &Named<Estimate>, bool)> {
    let classes = &summary.classes.0;
    let mut rows: Vec<_> = classes.iter().map(|(name, metrics)| (name.as_str(), metrics, false)).collect();
    if classes.len() != 1 {
        rows.push(("total", &summary.metrics, true));
    }
    rows
}

fn mean_of(metrics: &Named<Estimate>, metric: Metric) -> f64 {
    metrics.get(metric.name()).and_then(|estimate| estimate.mean).unwrap_or(0.0)
}

const REASONS: [(Metric, &str); 9] = [
    (Metric::RejectedOpen, "circuit open"),
    (Metric::RejectedHalfOpen, "half-open"),
    (Metric::RejectedShed, "shed"),
    (Metric::RejectedDepthUnknown, "depth unknown"),
    (Metric::RejectedQueueLimit, "queue limit"),
    (Metric::RejectedMemory, "memory watermark"),
    (Metric::RejectedInFlight, "enqueues in flight"),
    (Metric::RejectedNoGateway, "no gateway"),
    (Metric::RejectedEnqueue, "enqueue failed"),
];
const LONGEST_OPEN_LOG: usize = 16;
