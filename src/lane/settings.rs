//! What a lane is made of, and what bounds it.

use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{MetadataSource, SharedBroker};
use tokio::sync::mpsc;

use super::command::LaneEvent;
use super::in_flight::InFlight;
use super::watchdog::Watchdog;
use crate::metrics::LaneMetrics;
use crate::program::Program;
use crate::scope::WorkerScope;
use crate::threads::Spawner;
use crate::topology::Topology;

/// What a lane is made of.
pub(crate) struct LaneSettings {
    pub(crate) number: usize,
    pub(crate) program: Arc<Program>,
    pub(crate) topology: Arc<Topology>,
    pub(crate) worker: Arc<WorkerScope>,
    pub(crate) broker: SharedBroker,
    pub(crate) metadata: Arc<dyn MetadataSource>,
    pub(crate) limits: LaneLimits,
    pub(crate) metrics: LaneMetrics,
    pub(crate) in_flight: InFlight,
    pub(crate) events: mpsc::UnboundedSender<LaneEvent>,
    /// Runs the shards' tasks beside the lane.
    pub(crate) spawner: Spawner,
    /// Is told which shards there are.
    pub(crate) watchdog: Arc<Watchdog>,
}

/// What bounds a lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneLimits {
    /// The time between two commits.
    pub(crate) commit_interval: Duration,
    /// A commit is made before its time when so many bytes wait for it; twice as many stop the shards until it is done.
    pub(crate) commit_bytes: usize,
    /// A partition is not read further while so many bytes of it wait.
    pub(crate) queue_bytes: usize,
    /// How long events in hand may take to finish when a shard is to be closed.
    pub(crate) close_within: Duration,
}
