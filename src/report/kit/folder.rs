//! A folder that is replaced completely or not at all.
//!
//! Files are first written to a sibling folder. A target that holds only an earlier report is then swapped by two
//! renames. A target that also holds other files stays, and only the report's own files in it are exchanged.
//! A failure restores the earlier state in both cases.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A failed file system operation.
#[derive(Debug)]
pub struct FolderError {
    operation: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl std::fmt::Display for FolderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "failed to {} `{}`: {}", self.operation, self.path.display(), self.source)
    }
}

impl std::error::Error for FolderError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Files to be published to a folder; deleted if dropped without [`Draft::publish`].
#[derive(Debug)]
pub(crate) struct Draft {
    target: PathBuf,
    staging: PathBuf,
}

impl Draft {
    /// Starts an empty draft beside `target`, and creates its parent folders if needed.
    pub(crate) fn beside(target: &Path) -> Result<Self, FolderError> {
        // Resolves links and `..`, so that the sibling and the rename concern the real folder.
        let target = match fs::canonicalize(target) {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                std::path::absolute(target).map_err(failed("resolve", target))?
            }
            Err(error) => return Err(failed("resolve", target)(error)),
        };
        if target.exists() && !target.is_dir() {
            return Err(failed("use as a folder", &target)(io::ErrorKind::NotADirectory.into()));
        }
        let parent = target.parent().unwrap_or(&target);
        fs::create_dir_all(parent).map_err(failed("create folder", parent))?;
        let draft = Self { staging: sibling(&target, "partial"), target };
        remove(&draft.staging)?;
        fs::create_dir(&draft.staging).map_err(failed("create folder", &draft.staging))?;
        Ok(draft)
    }

    /// Adds a file.
    pub(crate) fn write(&self, name: &str, content: &(impl AsRef<[u8]> + ?Sized)) -> Result<(), FolderError> {
        let path = self.path(name);
        fs::write(&path, content).map_err(failed("write", &path))
    }

    /// Adds a file that is too large for memory.
    pub(crate) fn stream(
        &self,
        name: &str,
        write: impl FnOnce(&mut BufWriter<fs::File>) -> io::Result<()>,
    ) -> Result<(), FolderError> {
        let path = self.path(name);
        let attempt = || {
            let mut file = BufWriter::new(fs::File::create(&path)?);
            write(&mut file)?;
            file.flush()
        };
        attempt().map_err(failed("write", &path))
    }

    /// Path of a file until it is published.
    fn path(&self, name: &str) -> PathBuf {
        self.staging.join(name)
    }

    /// Moves the draft to the target. Replaces or removes only those existing files whose name is
    /// `ours`.
    pub(crate) fn publish(self, ours: impl Fn(&str) -> bool) -> Result<PathBuf, FolderError> {
        let retired = sibling(&self.target, "replaced");
        remove(&retired)?;
        if !self.target.exists() {
            fs::rename(&self.staging, &self.target).map_err(failed("create folder", &self.target))?;
        } else if self.holds_only(&ours)? && !is_around_working_folder(&self.target) {
            fs::rename(&self.target, &retired).map_err(failed("replace", &self.target))?;
            if let Err(error) = fs::rename(&self.staging, &self.target) {
                let _ = fs::rename(&retired, &self.target);
                return Err(failed("create folder", &self.target)(error));
            }
        } else {
            fs::create_dir(&retired).map_err(failed("create folder", &retired))?;
            self.exchange_files(&retired, &ours)?;
        }
        // The report is in place; leftovers of the old one are not an error.
        let _ = fs::remove_dir_all(&retired);
        Ok(self.target.clone())
    }

    fn holds_only(&self, ours: &impl Fn(&str) -> bool) -> Result<bool, FolderError> {
        let entries = names(&self.target)?;
        Ok(entries.iter().all(|name| ours(name) && self.target.join(name).is_file()))
    }

    /// Moves our old files to `retired` and the new ones in; undoes all moves if one fails.
    fn exchange_files(&self, retired: &Path, ours: &impl Fn(&str) -> bool) -> Result<(), FolderError> {
        // A folder is never ours, whatever its name; a file with its name then fails to move in.
        let old =
            names(&self.target)?.into_iter().filter(|name| ours(name) && !self.target.join(name).is_dir());
        let outward = old.map(|name| (self.target.join(&name), retired.join(&name)));
        let inward =
            names(&self.staging)?.into_iter().map(|name| (self.staging.join(&name), self.target.join(&name)));
        let mut done: Vec<(PathBuf, PathBuf)> = Vec::new();
        for (from, to) in outward.chain(inward) {
            if let Err(error) = fs::rename(&from, &to) {
                for (from, to) in done.iter().rev() {
                    let _ = fs::rename(to, from);
                }
                let _ = fs::remove_dir_all(retired);
                return Err(failed("replace", &to)(error));
            }
            done.push((from, to));
        }
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.staging);
    }
}

/// A hidden sibling path that no other process uses.
fn sibling(target: &Path, what: &str) -> PathBuf {
    let name = target.file_name().map_or_else(|| "report".into(), |name| name.to_string_lossy());
    target.with_file_name(format!(".{name}.{what}-{}", std::process::id()))
}

/// Renaming a shell's working folder would leave the shell in a deleted folder.
fn is_around_working_folder(folder: &Path) -> bool {
    std::env::current_dir().and_then(fs::canonicalize).is_ok_and(|here| here.starts_with(folder))
}

fn names(folder: &Path) -> Result<Vec<String>, FolderError> {
    let read = || -> io::Result<Vec<String>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    };
    let mut names = read().map_err(failed("read folder", folder))?;
    names.sort();
    Ok(names)
}

fn remove(folder: &Path) -> Result<(), FolderError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", folder)(error)),
        _ => Ok(()),
    }
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.to_owned();
    move |source| FolderError { operation, path, source }
}
