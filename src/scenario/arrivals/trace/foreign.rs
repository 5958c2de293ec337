//! Times of a trace for people, and files that are no traces: what they are, and the command that makes a trace of them.

use jiff::Timestamp;

use crate::engine::time::SimDuration;
use crate::import;
use crate::scenario::diagnostic::Code;
use crate::scenario::for_shell;
use crate::scenario::log::Mistake;

/// A time of a trace in messages: a date, if it is one.
pub(super) fn shown(nanos: u64) -> String {
    match Timestamp::from_nanosecond(nanos.into()) {
        Ok(time) if nanos >= super::LEAST_DATE => time.to_string(),
        _ => SimDuration(nanos).to_string(),
    }
}

/// What a file is that is no trace, and how to make one of it.
pub(super) fn recognise(text: &str, path: &str) -> Option<Mistake> {
    let mistake = |what: &str, how: String| {
        Mistake::new(Code::File, format!("`{path}` is {what}, not a trace in CSV"), how)
    };
    if let Some(format) = import::recognise(text) {
        let how = match format.instead {
            "" => format!("convert it: simulate import {}", for_shell(path)),
            instead => instead.to_owned(),
        };
        return (!format.is_trace).then(|| mistake(format.what, how));
    }
    let is_json = text.trim_start_matches('\u{feff}').trim_start().starts_with(['{', '[']);
    let how = "write a header such as time_s,count and a line for each time";
    is_json.then(|| mistake("JSON", how.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_shown_as_dates() {
        assert_eq!(shown(1_700_158_623_000_000_000), "2023-11-16T18:17:03Z");
        assert_eq!(shown(5_000_000_000), SimDuration(5_000_000_000).to_string());
    }
}
