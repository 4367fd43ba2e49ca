//! The host of a process: the threads, the disk and the network that it runs on.
//!
//! A worker starts threads, opens stores and reaches other workers only through a [`Host`]. There
//! are two implementations:
//!
//! - [`System`] is this machine, with threads, LMDB stores and sockets.
//! - The simulation (`src/sim`) has a host for each of its processes. There a thread is a task, a
//!   disk can lose what was not synced, and the network can lose or delay requests.
//!
//! The rest of a worker does not know which one it runs on. Start reading at [`Host`].

pub(crate) mod join;
mod network;
mod request_error;
mod system;

pub(crate) use join::Join;
pub(crate) use network::{Network, Serve};
pub(crate) use request_error::{RequestError, chain};
pub(crate) use system::System;

use std::io;
use std::path::Path;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use marlowe_state::{Store, StoreError, StoreLayout};

/// The threads, the disk and the network that a process runs on.
pub(crate) trait Host: Send + Sync {
    /// Starts a thread that runs `work`, on its own runtime and `LocalSet`.
    fn spawn_thread(&self, name: &str, work: BoxFuture<'static, ()>) -> io::Result<Join>;

    /// Opens the store of `owner` in the folder `path`.
    fn open_store(&self, path: &Path, layout: StoreLayout, owner: String) -> Result<Arc<dyn Store>, StoreError>;

    /// Returns how many threads can run at the same time.
    fn cores(&self) -> usize;

    /// Returns the network between workers, or `None` for the sockets of this machine.
    fn network(&self) -> Option<Arc<dyn Network>>;
}
