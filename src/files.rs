//! A file that is replaced as a whole or not at all: written beside its place first, then renamed into it. And what gzip packed.

use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

/// A file that could not be written; what was there before is still there.
#[derive(Debug)]
pub struct FileError {
    path: PathBuf,
    source: io::Error,
}

impl std::fmt::Display for FileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "failed to write `{}`: {}", self.path.display(), self.source)
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Writes the file, and the folders above it where they are missing.
///
/// # Errors
///
/// If the file system refuses; nothing has changed then but for new folders.
pub fn replace(path: &Path, text: &str) -> Result<(), FileError> {
    replace_bytes(path, text.as_bytes())
}

/// [`replace`] for what need not be text.
///
/// # Errors
///
/// As of [`replace`].
pub fn replace_bytes(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let failed = |source| FileError { path: path.to_owned(), source };
    // Through links, so that it is the file itself that is replaced and the link stays.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let name = target.file_name().ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
    // A name that no other process uses.
    let draft = target.with_file_name(format!(".{}.partial-{}", name.to_string_lossy(), std::process::id()));
    let written = write(&draft, content).and_then(|()| fs::rename(&draft, &target));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written.map_err(failed)
}

/// What a gzip file of one or several members (RFC 1952) holds.
pub fn gunzip<R: Read>(packed: R) -> MultiGzDecoder<R> {
    MultiGzDecoder::new(packed)
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    // Otherwise a crash soon after could leave the new name with no content.
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_file_leaves_the_old_one_and_no_draft() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below/file");
        replace(&path, "old").unwrap();
        // A folder in the way of the rename.
        let blocked = folder.path().join("below/blocked");
        fs::create_dir(&blocked).unwrap();
        assert!(replace(&blocked, "new").unwrap_err().to_string().contains("blocked"));
        replace(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path().join("below")).unwrap().count(), 2);
    }
}
