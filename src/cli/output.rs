//! Makes sure of the output folder before time is spent on a run.

use std::io;
use std::path::{Path, PathBuf};

/// The report cannot go where it should; better said before the run than after.
#[derive(Debug)]
pub(super) struct OutputRefused {
    folder: PathBuf,
    cause: io::Error,
}

impl std::fmt::Display for OutputRefused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { folder, cause } = self;
        write!(
            f,
            "the report cannot be written to `{}`: {cause}\n  = allowed: a folder that exists or can be made, and can be written to; choose one with --output DIR",
            folder.display()
        )
    }
}

impl std::error::Error for OutputRefused {}

/// Makes sure that the report can be written, before time is spent on the run.
pub(super) fn check_output(folder: &Path) -> Result<(), OutputRefused> {
    let refused = |cause| OutputRefused { folder: folder.to_owned(), cause };
    let existing = folder.ancestors().find(|ancestor| ancestor.exists());
    let existing = existing.filter(|ancestor| !ancestor.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !existing.is_dir() {
        return Err(refused(io::Error::new(io::ErrorKind::NotADirectory, "part of the path is a file")));
    }
    // Only trying tells: permissions, read-only mounts and quotas all count.
    tempfile::Builder::new().prefix(".simulate-").tempfile_in(existing).map_err(refused)?;
    Ok(())
}

/// A file beside the folder, named after it.
pub(super) fn beside(folder: &Path, what: &str) -> PathBuf {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    folder.with_file_name(format!("{name}.{what}"))
}
