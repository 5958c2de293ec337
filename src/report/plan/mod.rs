//! What an operator applies.

use std::path::{Path, PathBuf};

use super::WriteError;
use crate::plan::Plan;

pub mod terminal;

pub fn write(dir: &Path, _plans: &[Plan], _options: &super::Options) -> Result<PathBuf, WriteError> {
    Ok(dir.to_owned())
}

pub fn json(_plans: &[Plan]) -> Result<String, WriteError> {
    Ok(String::new())
}
