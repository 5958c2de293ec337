//! Checks that output can be written before time is spent on a run.

use std::io;
use std::path::{Path, PathBuf};

/// The output cannot be written, which is better known before the run than after.
#[derive(Debug)]
pub(super) struct OutputRefused {
    path: PathBuf,
    cause: io::Error,
    allowed: &'static str,
}

impl std::fmt::Display for OutputRefused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { path, cause, allowed } = self;
        write!(f, "`{}` cannot be written: {cause}\n  = allowed: {allowed}", path.display())
    }
}

impl std::error::Error for OutputRefused {}

/// Checks that a report can be written to a folder.
pub(super) fn check_output(folder: &Path) -> Result<(), OutputRefused> {
    check_folder(folder).map_err(|cause| OutputRefused { path: folder.to_owned(), cause, allowed: FOLDER })
}

/// Checks that a file can be written.
pub(super) fn check_file(path: &Path) -> Result<(), OutputRefused> {
    let refused = |cause| OutputRefused { path: path.to_owned(), cause, allowed: FILE };
    if path.is_dir() {
        return Err(refused(io::ErrorKind::IsADirectory.into()));
    }
    check_folder(path.parent().unwrap_or(Path::new(""))).map_err(refused)
}

fn check_folder(folder: &Path) -> io::Result<()> {
    let existing = folder.ancestors().find(|ancestor| ancestor.exists());
    let existing = existing.filter(|ancestor| !ancestor.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !existing.is_dir() {
        return Err(io::Error::new(io::ErrorKind::NotADirectory, "part of the path is a file"));
    }
    // Only trying finds out: permissions, read-only mounts and quotas all matter.
    tempfile::Builder::new().prefix(".simulate-").tempfile_in(existing).map(drop)
}

/// A file beside the folder, named after it.
pub(super) fn beside(folder: &Path, what: &str) -> PathBuf {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    folder.with_file_name(format!("{name}.{what}"))
}

const FOLDER: &str =
    "a folder that exists or can be made, and can be written to; choose one with --output DIR";
const FILE: &str = "a file in a folder that exists or can be made, and can be written to";
