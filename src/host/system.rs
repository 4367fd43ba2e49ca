//! The host that is this machine.

use std::io;
use std::path::Path;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use marlowe_state::{LmdbOptions, LmdbStore, Store, StoreError, StoreLayout};
use tokio::task::LocalSet;

use super::Host;
use super::join::Join;
use super::network::Network;

/// The threads, disks and sockets of this machine.
pub(crate) struct System;

impl Host for System {
    fn spawn_thread(&self, name: &str, work: BoxFuture<'static, ()>) -> io::Result<Join> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let main = move || LocalSet::new().block_on(&runtime, work);
        std::thread::Builder::new().name(name.to_owned()).spawn(main).map(Join::of)
    }

    fn open_store(&self, path: &Path, layout: StoreLayout, owner: String) -> Result<Arc<dyn Store>, StoreError> {
        let options = LmdbOptions { owner: Some(owner), ..LmdbOptions::default() };
        Ok(Arc::new(LmdbStore::open(path, layout, options)?))
    }

    fn cores(&self) -> usize {
        std::thread::available_parallelism().map_or(1, |cores| cores.get())
    }

    fn network(&self) -> Option<Arc<dyn Network>> {
        None
    }
}
