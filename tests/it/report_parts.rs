//! What reports show of the parts that a scenario uses, and that they do not show the others.

use std::path::Path;

use backpressure_sim::experiment::{self, Findings, Unattended};
use backpressure_sim::model::metric::Metric;
use backpressure_sim::report::{Chart, Options, run};
use backpressure_sim::scenario::{self, Scenario};

use crate::report::check_xml;

/// 60 s of 200 jobs a second in equal gaps, for two workers that do 125 a second each, with further settings of the workers
/// and further tables.
struct Run {
    scenario: Scenario,
    findings: Findings,
}

impl Run {
    #[track_caller]
    fn of(workers: &str, tables: &str) -> Self {
        let text = format!(
            "name = 'parts'\nduration = '60s'\nreplications = 1\nreport = {{ step = '1s' }}\n[arrivals]\nprocess = 'constant'\nrate = '200/s'\n\
             [gateway]\ncheck_latency = '0s'\n[workers]\nprocesses = 2\nconcurrency = 1\n{workers}\n\
             service_time = {{ distribution = 'deterministic', mean = '8ms' }}\n{tables}\n"
        );
        let loaded = scenario::from_str(&text, "parts.toml", Path::new(""), &[]);
        let scenario = loaded.unwrap_or_else(|errors| panic!("{errors:?}")).scenario;
        let findings = experiment::run(&scenario, &Unattended).expect("nobody interrupts");
        Self { scenario, findings }
    }

    fn charts(&self) -> Vec<Chart> {
        run::charts(&self.scenario, &self.findings)
    }

    #[track_caller]
    fn chart(&self, name: &str) -> Chart {
        self.charts().into_iter().find(|chart| chart.name == name).expect("there is such a chart")
    }

    fn names(&self) -> Vec<&'static str> {
        self.charts().iter().map(|chart| chart.name).collect()
    }

    fn page(&self) -> String {
        run::page(&self.scenario, &self.findings, &self.charts())
    }

    fn terminal(&self, width: usize) -> String {
        run::terminal::render(&self.scenario, &self.findings, width, false)
    }

    fn mean(&self, metric: Metric) -> f64 {
        self.findings.summary.metric(metric).mean.expect("the metric has a value")
    }

    /// The cells of a column of the table under a chart.
    #[track_caller]
    fn column(&self, chart: &str, column: &str) -> Vec<String> {
        let table = self.chart(chart).table;
        let index = table.header.iter().position(|name| name == column);
        let index = index.unwrap_or_else(|| panic!("no `{column}` among {:?}", table.header));
        table.rows.iter().map(|row| row[index].clone()).collect()
    }

    /// `timeseries.csv`: header and rows.
    fn timeseries(&self) -> (Vec<String>, Vec<Vec<String>>) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        run::write(folder.path(), &self.scenario, &self.findings, &Options::default())
            .expect("the report is written");
        let text = std::fs::read_to_string(folder.path().join("timeseries.csv")).expect("a table");
        let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect());
        (lines.next().expect("a header"), lines.collect())
    }

    /// A column of it.
    #[track_caller]
    fn recorded(&self, name: &str) -> Vec<String> {
        let (header, rows) = self.timeseries();
        let index = header.iter().position(|column| column == name);
        let index = index.unwrap_or_else(|| panic!("no `{name}` among {header:?}"));
        rows.iter().map(|row| row[index].clone()).collect()
    }
}

const CLIENTS: &str =
    "[clients]\ntimeout = '500ms'\nwait_for = 'completion'\nretries = 2\nbackoff = 'fixed'\npause = '1s'";
const LOSS: &str =
    "[[fault]]\nkind = 'worker-loss'\nname = 'half the workers'\nat = '10s'\nfor = '10s'\ncount = 1";
const USUAL: [&str; 5] = ["depth", "rates", "memory", "utilisation", "waits"];

/// Rows that begin with `time_seconds` = 1, 2, ...: the one of that second.
fn at<T: Clone>(column: &[T], second: usize) -> T {
    column[second - 1].clone()
}

#[test]
fn a_part_has_its_chart_where_it_is_used_and_only_there() {
    let with = |chart: &str| {
        let mut names = USUAL.to_vec();
        names.insert(2, if chart == "clients" { "clients" } else { "workers" });
        names
    };
    assert_eq!(Run::of("", "").names(), USUAL);
    assert_eq!(Run::of("", CLIENTS).names(), with("clients"));
    assert_eq!(Run::of("", LOSS).names(), with("workers"));
    assert_eq!(Run::of("", "[autoscaler]\nmax = 4").names(), with("workers"));
    assert_eq!(Run::of("crash_every = '20s'", "").names(), with("workers"));
    assert_eq!(Run::of("", "[[fault]]\nkind = 'depth-frozen'\nat = '10s'\nfor = '5s'").names(), USUAL);
    assert_eq!(Run::of("", "[database]\npool = 2\n[redis.operations]\ncycle = '10us'").names(), USUAL);
}

#[test]
fn unused_parts_leave_no_trace() {
    let run = Run::of("", "");
    assert!(run.findings.series.details.is_none());
    let (header, _) = run.timeseries();
    assert_eq!(header.len(), 17 + 5);
    let page = run.page();
    for absent in
        ["client_requests", "redis_utilisation", "id=\"clients\"", "id=\"faults\"", "id=\"autoscaler\""]
    {
        assert!(!page.contains(absent), "{absent}");
    }
    // Programs find every metric.
    let json = run::json(&run.findings.summary).expect("JSON");
    assert!(json.contains("\"client_requests\"") && json.contains("\"redis_utilisation\""));
    for absent in ["CLIENTS", "faults", "\n  workers"] {
        assert!(!run.terminal(100).contains(absent), "{absent}");
    }
}

#[test]
fn workers_that_are_lost_are_seen_and_come_back() {
    let run = Run::of("", LOSS);
    let shown = run.column("workers", "median");
    let recorded = run.recorded("worker_processes_mean");
    for (second, processes) in [(1, "2"), (9, "2"), (11, "1"), (19, "1"), (21, "2"), (60, "2")] {
        assert_eq!(at(&shown, second), processes, "at {second} s");
        assert_eq!(at(&recorded, second), processes, "at {second} s");
    }
    assert!(run.terminal(100).contains("workers   "));
}

#[test]
fn utilisation_is_of_the_slots_that_are_there() {
    // Twice the load that both can do: whoever is there is busy. From 30 to 40 s nobody is.
    let none = "[[fault]]\nkind = 'worker-loss'\nat = '30s'\nfor = '10s'\ncount = 'all'";
    let run = Run::of("overhead = '10ms'", &format!("{LOSS}\n{none}"));
    let shown = run.column("utilisation", "busy share");
    let recorded = run.recorded("worker_utilisation");
    for (second, share, exact) in [(5, "100 %", "1"), (15, "100 %", "1"), (25, "100 %", "1"), (35, "–", "")]
    {
        assert_eq!(at(&shown, second), share, "at {second} s");
        assert_eq!(at(&recorded, second), exact, "at {second} s");
    }
    let svg = run.chart("utilisation").svg();
    check_xml("utilisation", &svg);
    assert!(!svg.contains("NaN"));
}

#[test]
fn redis_and_the_pool_share_the_chart_of_the_workers() {
    // 200 jobs a second at 1 ms each for enqueue and cycle keep Redis busy for 40 % of the time; 8 ms of service of which half
    // needs a connection keep 0.8 of four connections busy.
    let run = Run::of(
        "",
        "[database]\npool = 4\nshare = 0.5\n[redis.operations]\nenqueue = '1ms'\ncycle = '1ms'\n[policy]\nenabled = false",
    );
    let shown = run.column("utilisation", "busiest shard");
    let recorded = run.recorded("redis_utilisation");
    for second in [2, 30, 59] {
        assert_eq!(at(&shown, second), "40 %", "at {second} s");
        let share: f64 = at(&recorded, second).parse().expect("a number");
        assert!((share - 0.4).abs() < 1e-9, "{share} at {second} s");
    }
    let parts = run.findings.series.details.as_ref().expect("the detailed level");
    let connections = run.recorded("database_connections");
    let shares = run.column("utilisation", "database pool");
    for (second, share) in (1..=60).zip(shares) {
        let used: f64 = at(&connections, second).parse().expect("a number");
        assert_eq!(used, parts.connections[second - 1]);
        let quarters = ["0 %", "25 %", "50 %", "75 %", "100 %"];
        assert_eq!(share, quarters[used as usize], "{used} of 4 at {second} s");
    }
    assert!((run.mean(Metric::DatabaseUtilisation) - 0.2).abs() < 0.001);
}

#[test]
fn clients_add_up_in_every_place() {
    // Twice the load that the workers can do, so that clients time out and try again.
    let run = Run::of("overhead = '10ms'", CLIENTS);
    let parts = run.findings.series.details.as_ref().expect("the detailed level");
    for (column, totals, metric) in [
        ("client_requests_total", &parts.requests, Metric::Requests),
        ("client_retries_total", &parts.retried, Metric::Retried),
        ("client_abandoned_total", &parts.abandoned, Metric::Abandoned),
        ("wasted_jobs_total", &parts.wasted, Metric::Wasted),
    ] {
        let recorded: Vec<f64> =
            run.recorded(column).iter().map(|cell| cell.parse().expect("a number")).collect();
        assert_eq!(&recorded, totals, "{column}");
        assert_eq!(totals[59], run.mean(metric), "{column}");
        assert!(totals[59] > 0.0, "{column}");
    }
    // The table under the chart has the differences of the totals: a point a second.
    for (column, totals) in [("first attempts/s", &parts.requests), ("wasted/s", &parts.wasted)] {
        let shown = run.column("clients", column);
        for second in [2, 17, 60] {
            let rate = totals[second - 1] - totals[second - 2];
            assert_eq!(at(&shown, second), format!("{rate:.0}"), "{column} at {second} s");
        }
    }
    let whole = |count: f64| {
        let digits = format!("{count:.0}");
        let tail = digits.len() % 3;
        let groups: Vec<&str> = std::iter::once(&digits[..tail])
            .chain((tail..digits.len()).step_by(3).map(|from| &digits[from..from + 3]))
            .filter(|group| !group.is_empty())
            .collect();
        groups.join(" ")
    };
    let (requests, abandoned, open) =
        (run.mean(Metric::Requests), run.mean(Metric::Abandoned), parts.open_requests);
    let sentence = format!(
        "{} = {} answered + {} given up + {} still open",
        whole(requests),
        whole(requests - abandoned - open),
        whole(abandoned),
        whole(open)
    );
    let plain = |text: &str| text.replace(['\u{a0}', '\u{202f}', '\u{2009}'], " ");
    assert!(plain(&run.terminal(120)).contains(&sentence), "{sentence}\n{}", run.terminal(120));
    assert!(plain(&run.page()).contains(&sentence), "{sentence}");
    assert!(run.page().contains("client_requests"), "the metric is in use");
}

#[test]
fn reasons_of_rejections_are_told_apart_where_there_are_several() {
    let policy = "[policy]\nrecovery = 50\nwarning = 100\ncritical = 200";
    let classes = "[[class]]\nname = 'telemetry'\npriority = 5\nshare = 0.8\n[[class]]\nname = 'batch'\npriority = 10\nshare = 0.2";
    let section = |page: &str| page.contains("Refused, by reason");
    let limited = Run::of("overhead = '10ms'", &format!("{policy}\n[queue]\ncapacity = 180"));
    assert!(!section(&limited.page()), "the queue limit alone");
    let both = Run::of("overhead = '10ms'", &format!("{policy}\n{classes}"));
    let page = both.page();
    assert!(section(&page), "shed, open and half-open");
    let table = &page[page.find("Refused, by reason").expect("it is there")..];
    let row = &table[table.find("class=\"total\"").expect("a row")..table.find("</tbody>").expect("an end")];
    let cells: Vec<f64> = row
        .split("<td")
        .skip(1)
        .map(|cell| {
            let cell = cell.split_once('>').map_or("", |(_, cell)| cell);
            let digits: String =
                cell.split('<').next().unwrap_or("").chars().filter(char::is_ascii_digit).collect();
            digits.parse().expect("a count")
        })
        .collect();
    let (sum, reasons) = cells.split_last().expect("there are cells");
    assert!(reasons.len() >= 2 && reasons.iter().sum::<f64>() == *sum, "{cells:?}");
    assert_eq!(*sum, both.mean(Metric::Rejected).round());
}

#[test]
fn faults_are_marked_where_they_are() {
    let run = Run::of("", LOSS);
    let svg = run.chart("depth").svg();
    check_xml("depth", &svg);
    // Plots go from 84 to 832 pixels in every chart over time, at four device units a pixel.
    let place = |second: f64| ((84.0 + second / 60.0 * 748.0) * 4.0).round();
    let spans: Vec<(f64, f64)> = svg
        .lines()
        .filter(|line| line.starts_with("<rect"))
        .map(|line| (attribute(line, "x"), attribute(line, "width")))
        .collect();
    let (from, to) = (place(10.0), place(20.0));
    let marks = spans.iter().filter(|(x, width)| (x - from).abs() <= 1.0 && (x + width - to).abs() <= 1.0);
    assert!(marks.count() >= 2, "a bar with its name and the tint of the plot at {from}..{to}: {spans:?}");
    assert!(svg.contains("half the workers") && svg.contains("faults"));
}

#[test]
fn recovery_counts_from_the_last_fault_or_spike() {
    // 10 s of half the workers leave 750 jobs, and the spare capacity is 50 a second.
    let spare = Run::of("", &format!("{LOSS}\n[policy]\nrecovery = 500\nwarning = 5000\ncritical = 10000"));
    assert!(spare.terminal(100).contains("after the last fault"), "{}", spare.terminal(100));
    let page = spare.page();
    assert!(page.contains("Recovery counts from the end of the last fault, at 20 s"), "{page}");
    let open = LOSS.replace("for = '10s'\n", "");
    let page = Run::of("", &open).page();
    assert!(page.contains("lasts until the end of the run") && page.contains("to the end</td>"));
    assert!(Run::of("", "").terminal(100).contains("recovery  no spike or fault to recover from"));
}

#[test]
fn names_of_faults_do_not_overlap() {
    let faults: String = [
        ("redis-outage", "an outage of Redis with a long name", 5.0, 2.0, ""),
        ("database-slow", "slow database", 6.0, 20.0, "factor = 2"),
        ("worker-loss", "one worker", 6.0, 1.0, "count = 1"),
        ("depth-frozen", "frozen <depth> & more", 8.0, 3.0, ""),
        ("redis-slow", "slow Redis", 50.0, 5.0, "factor = 2"),
        ("depth-missing", "missing depth until long after the end", 58.0, 500.0, ""),
        ("redis-failover", "a failover at the very end of the run", 59.0, 0.5, ""),
    ]
    .iter()
    .map(|(kind, name, at, lasts, more)| {
        format!("[[fault]]\nkind = '{kind}'\nname = '{name}'\nat = '{at}s'\nfor = '{lasts}s'\n{more}\n")
    })
    .collect();
    let run = Run::of("", &faults);
    let svg = run.chart("depth").svg();
    check_xml("depth", &svg);
    let lines: Vec<&str> = svg.lines().collect();
    let mut labels: Vec<(f64, f64, f64, &str)> = lines
        .windows(2)
        .filter(|pair| pair[0].starts_with("<text") && pair[0].contains("text-anchor=\"start\""))
        .map(|pair| {
            // Letters of the font are about half as wide as it is high, and narrower ones rarely stand together.
            let width = 0.5 * attribute(pair[0], "font-size") * pair[1].chars().count() as f64;
            (attribute(pair[0], "y"), attribute(pair[0], "x"), width, pair[1])
        })
        .collect();
    labels.sort_by(|a, b| (a.0, a.1).partial_cmp(&(b.0, b.1)).expect("numbers"));
    for name in ["slow database", "one worker", "frozen &lt;depth&gt; &amp; more", "slow Redis"] {
        assert!(labels.iter().any(|(.., text)| *text == name), "{name}: {labels:?}");
    }
    for pair in labels.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        assert!(pair[0].1 + pair[0].2 <= pair[1].1, "{pair:?}");
    }
    let beyond = labels.iter().filter(|(_, x, width, _)| x + width > 4.0 * 960.0);
    assert_eq!(beyond.count(), 0);
    let page = run.page();
    let section = &page[page.find("<section id=\"faults\">").expect("the section")..];
    let section = &section[..section.find("</section>").expect("its end") + "</section>".len()];
    check_xml("faults", section);
    assert_eq!(section.matches("<tr>").count(), 1 + 7);
    assert!(section.contains("frozen &lt;depth&gt; &amp; more"));
}

#[test]
fn the_log_of_the_autoscaler_is_that_of_the_first_replication() {
    // Twice the load that two workers can do.
    let run = Run::of("overhead = '10ms'", "[autoscaler]\nmax = 8\ntarget = 100\nstart_up = '5s'");
    let parts = run.findings.series.details.as_ref().expect("the detailed level");
    let decisions = &run.findings.summary.scaling;
    assert!(decisions.len() > 1, "{decisions:?}");
    let last = decisions.last().expect("there is one");
    assert_eq!(*parts.wanted.last().expect("a point"), f64::from(last.wanted));
    assert_eq!(at(&run.recorded("worker_processes_wanted"), 60), last.wanted.to_string());
    let page = run.page();
    let section = &page[page.find("<section id=\"autoscaler\">").expect("the section")..];
    let section = &section[..section.find("</section>").expect("its end") + "</section>".len()];
    check_xml("autoscaler", section);
    let body = &section[section.find("<tbody>").expect("a table")..];
    assert_eq!(body.matches("<tr").count(), decisions.len());
    assert!(body.contains(last.reason));
}

#[test]
fn distances_to_limits_fit_narrow_terminals() {
    let run = Run::of("", &format!("{CLIENTS}\n[redis]\nmaxmemory = '1GiB'"));
    let ahead = &run.findings.summary.limits_ahead;
    assert!(ahead.len() > 3);
    for width in [40, 60, 80, 100] {
        let shown = run.terminal(width);
        let from = shown.find("not reached, and how near each came").expect("the distances");
        let lines: Vec<&str> = shown[from..].lines().take_while(|line| !line.starts_with('█')).collect();
        assert!(lines.iter().all(|line| line.chars().count() <= width), "{width}:\n{shown}");
        for limit in ahead {
            let whole = |line: &str| {
                line.contains(limit.limit) && line[line.find(limit.limit).unwrap_or(0)..].contains('%')
            };
            assert!(lines.iter().any(|line| whole(line)), "{} at {width}:\n{shown}", limit.limit);
        }
    }
    assert!(run.page().contains("Not reached, and how near each came: "));
}

#[track_caller]
fn attribute(line: &str, name: &str) -> f64 {
    let (_, rest) = line.split_once(&format!(" {name}=\"")).unwrap_or_else(|| panic!("no {name} in {line}"));
    rest.split('"').next().and_then(|value| value.parse().ok()).expect("a number")
}
