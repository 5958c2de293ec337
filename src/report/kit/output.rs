//! What all reports share when they are written: options, chart files and errors.

use std::fmt::{self, Display};

use super::card::{self, Card};
use super::chart::{Chart, DrawError};
use super::folder::{Draft, FolderError};

/// What a report contains beyond the usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Also write the summary card and each chart as PNG.
    pub png: bool,
    /// Also write samples and alerts of the first replication for Prometheus; the value is time zero in seconds since 1970.
    pub prometheus: Option<u64>,
}

/// The report could not be written; the folder is unchanged.
#[derive(Debug)]
pub enum WriteError {
    /// A file system operation failed.
    Folder(FolderError),
    /// A chart could not be drawn.
    Chart(&'static str, DrawError),
    /// The summary could not be put into JSON.
    Json(serde_json::Error),
}

impl Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::Folder(error) => error.fmt(f),
            WriteError::Chart(name, error) => write!(f, "failed to draw chart `{name}`: {error}"),
            WriteError::Json(error) => write!(f, "failed to write the summary as JSON: {error}"),
        }
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            WriteError::Folder(error) => error.source(),
            WriteError::Chart(_, error) => Some(error),
            WriteError::Json(error) => Some(error),
        }
    }
}

impl From<FolderError> for WriteError {
    fn from(error: FolderError) -> Self {
        WriteError::Folder(error)
    }
}

/// Writes each chart as SVG, and as PNG if asked for; `file` names a chart's file by its name and extension.
pub(crate) fn write_charts(
    draft: &Draft,
    charts: &[Chart],
    options: &Options,
    file: impl Fn(&str, &str) -> String,
) -> Result<(), WriteError> {
    for chart in charts {
        draft.write(&file(chart.name, "svg"), &chart.svg())?;
        if options.png {
            let png = chart.png().map_err(|error| WriteError::Chart(chart.name, error))?;
            draft.write(&file(chart.name, "png"), &png)?;
        }
    }
    Ok(())
}

/// Writes the summary card as SVG, and as PNG if asked for.
pub(crate) fn write_card(draft: &Draft, card: &Card, options: &Options) -> Result<(), WriteError> {
    write_charts(draft, &[card.picture()], options, plain_name)
}

/// `depth.svg`: a file directly in the folder.
pub(crate) fn plain_name(stem: &str, extension: &str) -> String {
    format!("{stem}.{extension}")
}

/// Whether `name` is a file of a report with these files and charts.
pub(crate) fn is_ours(name: &str, files: &[&str], charts: &[&str]) -> bool {
    let stem = name.strip_suffix(".svg").or_else(|| name.strip_suffix(".png"));
    files.contains(&name) || stem.is_some_and(|stem| stem == card::NAME || charts.contains(&stem))
}

/// The page of every report.
pub(crate) const PAGE: &str = "report.html";
