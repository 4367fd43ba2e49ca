use std::path::Path;
use std::sync::Arc;

use marlowe_state::{LmdbOptions, LmdbStore, Store, StoreError, StoreLayout};

/// What a process runs in.
#[derive(Clone, Default)]
pub(crate) enum Surroundings {
    /// This machine: the system's threads, and a network.
    #[default]
    System,
    /// A simulation, in which it is one process of many.
    #[cfg(feature = "sim")]
    Simulated(Arc<crate::sim::Process>),
}

impl Surroundings {
    /// Opens the owner's store in a folder.
    pub(crate) fn open_store(
        &self,
        path: &Path,
        layout: StoreLayout,
        owner: String,
    ) -> Result<Arc<dyn Store>, StoreError> {
        match self {
            Self::System => {
                let options = LmdbOptions { owner: Some(owner), ..LmdbOptions::default() };
                Ok(Arc::new(LmdbStore::open(path, layout, options)?))
            }
            #[cfg(feature = "sim")]
            Self::Simulated(process) => process.open_store(path, layout, owner),
        }
    }

    /// How many threads may be at work at a time.
    pub(crate) fn cores(&self) -> usize {
        match self {
            Self::System => std::thread::available_parallelism().map_or(1, |cores| cores.get()),
            #[cfg(feature = "sim")]
            Self::Simulated(_) => 2,
        }
    }
}
