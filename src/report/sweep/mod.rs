//! What a sweep found, for people and for other programs.

use std::path::{Path, PathBuf};

use super::WriteError;
use super::folder::Draft;
use crate::study::sweep::Sweep;

mod document;
pub mod terminal;

/// Writes the report of a sweep into the folder `dir`, whole or not at all, and returns the path of its page.
pub fn write(dir: &Path, sweep: &Sweep, _options: &super::Options) -> Result<PathBuf, WriteError> {
    let draft = Draft::beside(dir)?;
    draft.write(DOCUMENT, &json(sweep)?)?;
    draft.publish(|name| name == DOCUMENT)?;
    Ok(dir.join(DOCUMENT))
}

/// The sweep as one JSON document with a newline at its end: `sweep.json` and what `--json` prints.
pub fn json(sweep: &Sweep) -> Result<String, WriteError> {
    document::json(sweep).map_err(WriteError::Json)
}

const DOCUMENT: &str = "sweep.json";
