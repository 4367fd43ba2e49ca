//! What a process runs on: threads, a disk and a network, which are this machine's, or those of a simulation.
//!
//! A worker does all of this through a [`Host`]. [`System`] is this machine. The simulation has a host of its own for
//! each of its processes, and nothing else in a worker knows of it.

mod join;
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

/// What a process runs on.
pub(crate) trait Host: Send + Sync {
    /// Starts a thread that does `work`, with a runtime and a `LocalSet` of its own.
    fn spawn_thread(&self, name: &str, work: BoxFuture<'static, ()>) -> io::Result<Join>;

    /// Opens the owner's store in a folder.
    fn open_store(&self, path: &Path, layout: StoreLayout, owner: String) -> Result<Arc<dyn Store>, StoreError>;

    /// Returns how many threads may be at work at a time.
    fn cores(&self) -> usize;

    /// Returns the network between workers, where it is not this machine's.
    fn network(&self) -> Option<Arc<dyn Network>>;
}
