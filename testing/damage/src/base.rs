//! The intact folder, and the copies of it that are damaged.

use std::fs;
use std::io;
use std::path::Path;

use tempfile::TempDir;

use crate::program;

/// An intact folder. Its copies are damaged.
pub(crate) struct Base(TempDir);

impl Base {
    /// Creates a folder with rows. Another `edition` has other rows.
    pub(crate) fn filled(edition: u64) -> Result<Self, Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        program::fill(folder.path(), edition)?;
        Ok(Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn copy(&self) -> io::Result<TempDir> {
        let folder = tempfile::tempdir()?;
        copy(self.path(), folder.path())?;
        Ok(folder)
    }
}

/// Copies a folder or a file.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return fs::copy(from, to).map(drop);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}
