//! CSV that scenarios read as it is: nothing is to be converted.

use super::input::Source;
use super::recording::Recording;
use super::{ImportError, Options};

/// Names that others give the time: dates, or numbers whose size tells their unit.
pub const TIMES: &[&str] = &["time", "timestamp", "ts", "date", "datetime"];

pub(super) fn recognise(head: &str) -> bool {
    let mut lines = head.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let header = lines.next().unwrap_or_default();
    let mut names = header.split([',', ';', '\t']).map(|name| name.trim().trim_matches('"').to_lowercase());
    let is_time =
        |name: &str| TIMES.contains(&name) || matches!(name, "time_s" | "time_ms" | "time_us" | "time_ns");
    names.any(|name| is_time(&name))
}

pub(super) fn refuse(sources: &mut [Source], _: &Options, _: &mut Recording) -> Result<(), ImportError> {
    let source = &sources[0];
    let file = if source.shown == "standard input" { "FILE" } else { source.shown.as_str() };
    let help = format!(
        "write in the scenario, with a [[class]] for each name of its column `class`, if it has one:\n\n    \
         [arrivals]\n    process = \"trace\"\n    file = {}\n",
        crate::text::quoted(file)
    );
    let message = "this is a trace already, and nothing has to be converted";
    Err(ImportError { is_a_trace: true, ..ImportError::new(message, &*source.shown, help) })
}
