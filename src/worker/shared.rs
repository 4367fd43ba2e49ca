//! The parts that all workers of a process share.

use std::sync::Arc;

use marlowe_broker::{Clock, Entropy, SharedBroker};

use crate::program::Program;
use crate::query::Routes;
use crate::threads::Threads;
use crate::topology::Topology;
use crate::watch;

/// The program, the broker and the other parts that all workers of a process share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) program: Arc<Program>,
    pub(crate) topology: Arc<Topology>,
    pub(crate) broker: SharedBroker,
    pub(crate) routes: Arc<Routes>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// Set when the process stops. Timers and tasks end then, before any worker gives its place to
    /// another.
    pub(crate) stopping: watch::Receiver<bool>,
    /// Starts threads of the process.
    pub(crate) threads: Threads,
}
