//! Building blocks of JSON documents for other programs.

use serde::Serialize;

use super::output::WriteError;
use crate::study::axis;

/// A document as pretty JSON with a newline at its end.
pub(crate) fn json(document: &impl Serialize) -> Result<String, WriteError> {
    let text = serde_json::to_string_pretty(document).map_err(WriteError::Json)?;
    Ok(text + "\n")
}

/// A varied setting and its values.
#[derive(Serialize)]
pub(crate) struct Axis<'a> {
    setting: &'a str,
    /// The setting of which the values are fractions.
    of: Option<&'a str>,
    values: Vec<&'a str>,
}

impl<'a> Axis<'a> {
    pub(crate) fn all(axes: &'a [axis::Axis]) -> Vec<Self> {
        let axis = |axis: &'a axis::Axis| Self {
            setting: &axis.path,
            of: axis.of.as_deref(),
            values: axis.points.iter().map(|point| point.written.as_str()).collect(),
        };
        axes.iter().map(axis).collect()
    }
}
