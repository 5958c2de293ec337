//! Dates as others write them, and files that are no traces: what they are, and the command that makes a trace of them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::engine::time::SimDuration;
use crate::scenario::diagnostic::Code;
use crate::scenario::for_shell;
use crate::scenario::log::Mistake;

/// A date in nanoseconds since 1970: ISO 8601 with or without a zone (which is then UTC), or as access logs have it.
pub(super) fn date(text: &str) -> Option<u64> {
    // Numbers are the usual case, and no dates.
    let is_date = text.len() >= 8 && text.chars().skip(1).any(|c| matches!(c, '-' | ':' | '/'));
    if !is_date || !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let utc = |date: DateTime| date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    let time = text
        .parse::<Timestamp>()
        .ok()
        .or_else(|| text.parse::<DateTime>().ok().and_then(utc))
        .or_else(|| Timestamp::strptime("%d/%b/%Y:%H:%M:%S %z", text).ok())?;
    u64::try_from(time.as_nanosecond()).ok()
}

/// A time of a trace in messages: a date, if it is one.
pub(super) fn shown(nanos: u64) -> String {
    match Timestamp::from_nanosecond(nanos.into()) {
        Ok(time) if nanos >= super::LEAST_DATE => time.to_string(),
        _ => SimDuration(nanos).to_string(),
    }
}

/// What a file is that is no trace, and how to make one of it.
pub(super) fn recognise(text: &str, path: &str) -> Option<Mistake> {
    let body = text.trim_start_matches('\u{feff}').trim_start();
    let first = body.lines().next().unwrap_or_default();
    let name = for_shell(path);
    let mistake = |what: &str, how: String| {
        Some(Mistake::new(Code::File, format!("`{path}` is {what}, not a trace in CSV"), how))
    };
    if body.starts_with(['{', '[']) {
        let head: String = body.chars().take(100_000).collect();
        if head.contains("\"resultType\"") {
            let filter = ".data.result[0].values | (.[1][0] - .[0][0]) as $step | .[] | select(.[1] != \"NaN\") | \
                          [.[0], (.[1] | tonumber * $step | round)] | @csv";
            let how = format!("for rates: (echo time_s,count; jq -r '{filter}' {name}) > trace.csv");
            return mistake("an answer of Prometheus", how);
        }
        if head.contains("\"processedOn\"") || head.contains("\"finishedOn\"") {
            let filter = "sort_by(.timestamp)[] | [.timestamp, .finishedOn - .processedOn] | @csv";
            let how = format!("(echo time_ms,service_ms; jq -r '{filter}' {name}) > trace.csv");
            return mistake("a list of BullMQ jobs", how);
        }
        if head.contains("\"http_req") {
            let how = "it has no times; record them: k6 run --out csv=k6.csv".to_owned();
            return mistake("the summary of a run of k6", how);
        }
        return mistake("JSON", "write a header such as time_s,count and a line for each time".to_owned());
    }
    if first.starts_with("HashOwner,") || first.contains(",HashFunction,") {
        let script = "NR > 1 { for (i = 5; i <= NF; i++) n[i] += $i } END { print \"time_s,count\"; \
                      for (i = 5; i <= NF; i++) print (i - 5) * 60 \",\" n[i] }";
        return mistake(
            "a table of Azure Functions with a column for each minute",
            format!("awk -F, '{script}' {name} > trace.csv"),
        );
    }
    let in_brackets = first.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(date, _)| date);
    if in_brackets.is_some_and(|text| date(text).is_some()) {
        let how = format!("(echo timestamp; sed -E 's/^[^[]*\\[([^]]*)\\].*/\\1/' {name}) > trace.csv");
        return mistake("an access log", how);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_others_write_them() {
        let expected = Some(1_700_158_623_000_000_000);
        for text in [
            "2023-11-16T18:17:03Z",
            "2023-11-16 18:17:03",
            "2023-11-16T18:17:03.000",
            "2023-11-16T20:17:03+02:00",
            "16/Nov/2023:13:17:03 -0500",
        ] {
            assert_eq!(date(text), expected, "{text}");
        }
        for text in ["", "1700158623", "-5", "1e3", "12:30", "2023-13-16T18:17:03Z", "1969-01-01T00:00:00Z"] {
            assert_eq!(date(text), None, "{text}");
        }
        assert_eq!(shown(1_700_158_623_000_000_000), "2023-11-16T18:17:03Z");
        assert_eq!(shown(5_000_000_000), SimDuration(5_000_000_000).to_string());
    }
}
