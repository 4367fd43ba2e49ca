use std::sync::Arc;

/// Whose a data folder is. Each store in it says so, too.
#[derive(Clone, Debug)]
pub(crate) struct FolderOwner {
    pub(crate) app: Arc<str>,
    /// The folder's id.
    pub(crate) folder: Arc<str>,
}

impl FolderOwner {
    /// Says whose the store is that is called `name`.
    pub(crate) fn of_store(&self, name: &str) -> String {
        format!("{name} of app `{}`, folder {}", self.app, self.folder)
    }
}
