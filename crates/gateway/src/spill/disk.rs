//! What the journal needs of a disk: one folder with files that are appended to, synced, renamed and removed.
//!
//! [`Folder`] is a real one. The tests have a simulated one that fails, fills up and crashes as told, so nothing else here may touch
//! the file system.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// One folder.
pub(super) trait Disk {
    /// A file that is open. It can be read and appended to even after its name is gone.
    type File;

    /// Makes the folder if it is not there. Its own name is durable then.
    fn make(&self) -> io::Result<()>;
    /// The names of its files, in no order.
    fn names(&self) -> io::Result<Vec<String>>;
    /// A new file; fails if the name is taken.
    fn create(&self, name: &str) -> io::Result<Self::File>;
    /// A file that is there.
    fn open(&self, name: &str) -> io::Result<Self::File>;
    fn length(&self, file: &Self::File) -> io::Result<u64>;
    /// Fills `into` as far as the file reaches: how far.
    fn read(&self, file: &Self::File, at: u64, into: &mut [u8]) -> io::Result<usize>;
    /// After an error, any part of `bytes` may be there.
    fn append(&self, file: &Self::File, bytes: &[u8]) -> io::Result<()>;
    /// Makes the file that short.
    fn cut(&self, file: &Self::File, length: u64) -> io::Result<()>;
    /// What was written is durable when this returns, though not the name.
    fn sync(&self, file: &Self::File) -> io::Result<()>;
    /// Whether that name still is the name of this very file.
    fn is_named(&self, file: &Self::File, name: &str) -> bool;
    /// Takes the place of a file that has the new name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&self, name: &str) -> io::Result<()>;
    /// All names are durable when this returns.
    fn sync_folder(&self) -> io::Result<()>;
    /// Locks a file until it is dropped; `false` if somebody else has locked it.
    fn try_lock(&self, file: &Self::File) -> io::Result<bool>;
}

/// A folder of the file system.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: &Path) -> Folder {
        Folder(path.to_owned())
    }
}

impl Disk for Folder {
    type File = File;

    fn make(&self) -> io::Result<()> {
        if self.0.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(&self.0)?;
        // A relative path of one part has an empty parent.
        let parent = self.0.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let names = fs::read_dir(&self.0)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(io::Result::transpose).collect()
    }

    fn create(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).append(true).create_new(true).open(self.0.join(name))
    }

    fn open(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).append(true).open(self.0.join(name))
    }

    fn length(&self, file: &File) -> io::Result<u64> {
        Ok(file.metadata()?.len())
    }

    fn read(&self, file: &File, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < into.len() {
            match file.read_at(&mut into[done..], at + done as u64) {
                Ok(0) => break,
                Ok(bytes) => done += bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn append(&self, mut file: &File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn cut(&self, file: &File, length: u64) -> io::Result<()> {
        file.set_len(length)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn is_named(&self, file: &File, name: &str) -> bool {
        let (Ok(own), Ok(named)) = (file.metadata(), fs::symlink_metadata(self.0.join(name))) else {
            return false;
        };
        own.nlink() > 0 && (own.dev(), own.ino()) == (named.dev(), named.ino())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }

    fn try_lock(&self, file: &File) -> io::Result<bool> {
        match file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}
