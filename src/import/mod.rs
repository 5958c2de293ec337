//! Recordings of traffic as other tools write them: what a file is, and what jobs arrived when.
//!
//! Each format is a file with a row in [`FORMATS`]: how it is recognised, by its content and never by its name, and how it is
//! read. The reader of traces asks the same table, so that a file is called the same wherever it turns up.
//!
//! Line formats are streamed. What is kept is one record a job up to a million, and counts per bin beyond that, so memory does
//! not depend on the length of a log. Nothing is lost silently: what a reader leaves out is counted and told.

mod access_log;
mod azure;
mod bullmq;
mod input;
mod json;
mod k6;
mod pageviews;
mod prometheus;
mod recording;
mod scenario_text;
mod table;
mod time;
mod trace;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

pub use recording::{ClassFound, Jobs, LeftOut, Measured, Recorded};
pub use scenario_text::{scenario_text, trace_text};
pub use time::{date, moment, shown as shown_time};
pub use trace::TIMES;

use input::Source;
use recording::Recording;

/// What the user asks for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The kind of the files, where it is not to be found out.
    pub kind: Option<String>,
    /// What tells the classes apart: a label, a column or a field; `none` puts all into one.
    pub class_by: Option<String>,
    /// Classes with a name of their own; the others are `other`.
    pub top: usize,
    /// Nothing before it counts; nanoseconds since 1970.
    pub from: Option<i64>,
    /// Nothing from it on counts.
    pub to: Option<i64>,
    /// Counts in bins of this many nanoseconds, in place of exact times.
    pub bin: Option<i64>,
    /// What cannot be read is left out and counted, in place of an error.
    pub skip_bad: bool,
    /// Whether the values of Prometheus are of a counter or a rate; `None` where nobody has said so.
    pub counter: Option<bool>,
    /// What a gap in the samples of Prometheus means; without, it is an error.
    pub gaps: Option<Gaps>,
}

impl Options {
    /// What tells the classes apart, of the ways that a kind of file has; the first where nobody has said.
    fn way(
        &self,
        ways: &[&'static str],
        kind: &str,
        sources: &[Source],
    ) -> Result<&'static str, ImportError> {
        let Some(asked) = self.class_by.as_deref() else { return Ok(ways[0]) };
        ways.iter().copied().find(|way| *way == asked).ok_or_else(|| {
            let (message, help) = no_way(asked, ways, kind);
            ImportError::new(message, &*sources[0].shown, help)
        })
    }
}

/// What is wrong with a `--class-by` that a kind of file has not, and what is allowed.
fn no_way(asked: &str, ways: &[&str], kind: &str) -> (String, String) {
    (format!("`--class-by {asked}` is not of {kind}"), format!("allowed: {}", ways.join(", ")))
}

/// What a gap in samples means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gaps {
    /// No jobs came.
    Empty,
    /// The rate before it went on.
    Hold,
}

/// Why a file cannot be imported: what, where, and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportError {
    message: String,
    place: String,
    help: String,
    is_a_trace: bool,
}

impl ImportError {
    fn new(message: impl Into<String>, place: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), place: place.into(), help: help.into(), is_a_trace: false }
    }

    /// Whether there is nothing to import, because scenarios read files of this kind.
    pub fn is_a_trace(&self) -> bool {
        self.is_a_trace
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n --> {}", self.message, self.place)?;
        if self.help.is_empty() { Ok(()) } else { write!(f, "\n  = {}", self.help) }
    }
}

impl std::error::Error for ImportError {}

/// A kind of file.
pub struct Format {
    /// Its name on the command line.
    pub kind: &'static str,
    /// What it is, for `... is ...`.
    pub what: &'static str,
    /// Whether scenarios read it as it is.
    pub is_trace: bool,
    /// Whether it tells when jobs came, so that there is something to import.
    pub has_times: bool,
    /// What to do in place of an import, where there is nothing to import.
    pub instead: &'static str,
    recognise: fn(&str) -> bool,
    read: fn(&mut [Source], &Options, &mut Recording) -> Result<(), ImportError>,
}

/// All kinds, those with the clearer marks first.
pub const FORMATS: &[Format] = &[
    Format {
        kind: "prometheus",
        what: "an answer of Prometheus",
        is_trace: false,
        has_times: true,
        instead: "",
        recognise: prometheus::recognise,
        read: prometheus::read,
    },
    Format {
        kind: "k6",
        what: "JSON lines of k6",
        is_trace: false,
        has_times: true,
        instead: "",
        recognise: k6::recognise,
        read: k6::read,
    },
    Format {
        kind: "k6-csv",
        what: "a table of k6",
        is_trace: false,
        has_times: true,
        instead: "",
        recognise: k6::recognise_table,
        read: k6::read_table,
    },
    Format {
        kind: "k6-summary",
        what: "the summary of a run of k6",
        is_trace: false,
        has_times: false,
        instead: k6::RECORD,
        recognise: k6::recognise_summary,
        read: k6::refuse_summary,
    },
    Format {
        kind: "bullmq",
        what: "a list of BullMQ jobs",
        is_trace: false,
        has_times: true,
        instead: "",
        recognise: bullmq::recognise,
        read: bullmq::read,
    },
    Format {
        kind: "azure-functions",
        what: "a table of Azure Functions with a column for each minute",
        is_trace: false,
        has_times: true,
        instead: "",
        recognise: azure::recognise_minutes,
        read: azure::read_minutes,
    },
    Format {
        kind: "azure-invocations",
        what: "a table of Azure Functions with a line for each invocation",
        is_trace: false,
        has_times: true,
        instead: "",
        recognise: azure::recognise_invocations,
        read: azure::read_invocations,
    },
    Format {
        kind: "azure-llm",
        what: "an Azure trace of LLM requests",
        is_trace: true,
        has_times: true,
        instead: "",
        recognise: azure::recognise_llm,
        read: azure::read_llm,
    },
    Format {
        kind: "access-log",
        what: "an access log",
        is_trace: false,
        has_times: true,
        instead: "",
        recognise: access_log::recognise,
        read: access_log::read,
    },
    Format {
        kind: "pageviews",
        what: "a table of page views",
        is_trace: false,
        has_times: false,
        instead: pageviews::SUMS,
        recognise: pageviews::recognise,
        read: pageviews::refuse,
    },
    Format {
        kind: "trace",
        what: "a trace already",
        is_trace: true,
        has_times: false,
        instead: "",
        recognise: trace::recognise,
        read: trace::refuse,
    },
];

/// What a text is, by how it begins.
pub fn recognise(text: &str) -> Option<&'static Format> {
    // Readers of traces pass a whole file, and some kinds are searched for words.
    let mut end = text.len().min(input::HEAD as usize);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let head = text[..end].trim_start_matches('\u{feff}').trim_start();
    FORMATS.iter().find(|format| (format.recognise)(head))
}

/// Reads the files, all of one kind; `-` is standard input.
///
/// # Errors
///
/// What cannot be read, with its place.
pub fn read(paths: &[PathBuf], options: &Options) -> Result<Recorded, ImportError> {
    if let Some(path) = twice(paths) {
        let message = "the file is given twice, so that its jobs would count twice";
        return Err(ImportError::new(message, path.display().to_string(), "each file once"));
    }
    let mut sources = paths.iter().map(|path| Source::open(path)).collect::<Result<Vec<_>, _>>()?;
    let asked = options.kind.as_deref().and_then(|kind| FORMATS.iter().find(|format| format.kind == kind));
    let mut kinds = Vec::new();
    for source in &sources {
        kinds.push(match asked {
            Some(format) => format,
            None => recognise(&source.head).ok_or_else(|| unknown(source))?,
        });
    }
    let Some(&format) = kinds.first() else {
        return Err(ImportError::new("there is no file", "the command line", "name one, or `-`"));
    };
    if let Some(at) = kinds.iter().position(|other| other.kind != format.kind) {
        let message = format!(
            "`{}` is {}, but `{}` is {}",
            sources[0].shown, format.what, sources[at].shown, kinds[at].what
        );
        return Err(ImportError::new(message, &*sources[at].shown, "import files of one kind at a time"));
    }
    if let Some(source) = sources.iter().find(|source| source.head.trim().is_empty()) {
        let known = known();
        return Err(ImportError::new("the file is empty", &*source.shown, format!("known: {known}")));
    }
    let mut recording = Recording::new(format, options);
    (format.read)(&mut sources, options, &mut recording)?;
    recording.finish(&sources, options)
}

/// A file that is there twice, whatever leads to it.
fn twice(paths: &[PathBuf]) -> Option<&PathBuf> {
    let mut files = BTreeSet::new();
    let file = |path: &PathBuf| std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
    paths.iter().find(|path| !files.insert(file(path)))
}

fn unknown(source: &Source) -> ImportError {
    let first = source.head.trim_start().lines().next().unwrap_or_default();
    let message = if first.is_empty() {
        "the file is empty".to_owned()
    } else {
        let shown: String = first.chars().filter(|c| !c.is_control()).take(60).collect();
        let dots = if first.chars().count() > 60 { "..." } else { "" };
        format!("the file is of no known kind; it begins with `{shown}{dots}`")
    };
    let help = format!(
        "known: {}\n  = for any other: write a CSV file with the header `time_s,count` or `time_s,class`, which scenarios read",
        known()
    );
    ImportError::new(message, format!("{}:1", source.shown), help)
}

fn known() -> String {
    kinds().collect::<Vec<_>>().join(", ")
}

/// The names of the kinds that can be imported.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    FORMATS.iter().filter(|format| format.has_times).map(|format| format.kind)
}
