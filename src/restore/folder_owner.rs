//! The owner of a data folder, as its stores note it.

use std::sync::Arc;

/// The owner of a data folder. Each store in the folder names it too.
#[derive(Clone, Debug)]
pub(crate) struct FolderOwner {
    pub(crate) app: Arc<str>,
    /// The folder's id.
    pub(crate) folder: Arc<str>,
}

impl FolderOwner {
    /// Returns the text that names the owner of the store `name`.
    pub(crate) fn of_store(&self, name: &str) -> String {
        format!("{name} of app `{}`, folder {}", self.app, self.folder)
    }
}
