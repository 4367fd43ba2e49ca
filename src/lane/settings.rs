//! The settings of a lane: the parts it is made of, and its limits.

use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{MetadataSource, SharedBroker};
use tokio::sync::mpsc;

use super::command::LaneEvent;
use super::commit_pace::CommitLimits;
use super::in_flight::InFlight;
use super::watchdog::Watchdog;
use crate::config::Config;
use crate::metrics::LaneMetrics;
use crate::program::Program;
use crate::scope::WorkerScope;
use crate::threads::Spawner;
use crate::topology::Topology;

/// The parts that a lane is made of.
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
    /// Runs the shards' tasks on the lane's thread.
    pub(crate) spawner: Spawner,
    /// Watches the open shards.
    pub(crate) watchdog: Arc<Watchdog>,
}

/// The limits of a lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneLimits {
    /// How often the lane commits.
    pub(crate) commits: CommitLimits,
    /// A commit begins early when this many bytes wait for it. When twice as many wait, the shards
    /// begin no new events until it is done.
    pub(crate) commit_bytes: usize,
    /// A partition is not read further while this many of its bytes wait.
    pub(crate) queue_bytes: usize,
    /// How long the events in hand may take to finish when a shard is closed.
    pub(crate) close_within: Duration,
}

impl LaneLimits {
    /// Returns the limits that the settings give to each lane.
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            commits: CommitLimits {
                longest: config.commit_interval,
                shortest: config.min_commit_interval,
                share: config.commit_share,
            },
            commit_bytes: config.commit_bytes,
            queue_bytes: config.queue_bytes,
            close_within: config.close_within,
        }
    }
}
