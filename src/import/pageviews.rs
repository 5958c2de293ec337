//! Page views of an hour, as Wikimedia publishes them: `domain page views bytes`. They have counts, but no times.

use super::input::Source;
use super::recording::Recording;
use super::{ImportError, Options};

pub(super) const SUMS: &str = "write a CSV file with the header `time_s,count` and a line for the sum of each hourly file, such as `0,24219`";

pub(super) fn recognise(head: &str) -> bool {
    let mut lines = head.lines().take(3).peekable();
    let is_row = |line: &str| {
        let fields: Vec<&str> = line.split(' ').collect();
        fields.len() == 4 && fields[2..].iter().all(|field| field.parse::<u64>().is_ok())
    };
    lines.peek().is_some() && lines.all(is_row)
}

pub(super) fn refuse(sources: &mut [Source], _: &Options, _: &mut Recording) -> Result<(), ImportError> {
    let mut sum = 0_u64;
    let source = &mut sources[0];
    while let Some((_, line)) = source.next_record()? {
        sum = sum.saturating_add(line.split(' ').nth(2).and_then(|views| views.parse().ok()).unwrap_or(0));
    }
    let message = format!(
        "these are the page views of one hour, {sum} together, and the file does not say when they came"
    );
    Err(ImportError::new(message, &*source.shown, SUMS))
}
