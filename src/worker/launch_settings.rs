//! The settings with which a worker is started.

use std::sync::Arc;
use std::time::Duration;

use crate::lane::{LaneLimits, Patience};
use crate::restore::{Logs, StateStore};

/// The settings of a worker.
pub(crate) struct WorkerSettings {
    /// The worker's name among the workers of its app.
    pub(crate) name: Arc<str>,
    /// The worker's static name in the group, if it has one.
    pub(crate) instance: Option<Arc<str>>,
    /// The URL at which other workers can ask this one, if there is one.
    pub(crate) url: Option<Arc<str>>,
    pub(crate) lanes: usize,
    pub(crate) stores: StateStore,
    /// The changelogs from which the tables in a folder are restored.
    pub(crate) logs: Logs,
    pub(crate) limits: LaneLimits,
    pub(crate) patience: Patience,
    /// How many workers are standbys for a shard.
    pub(crate) standby_replicas: usize,
    pub(crate) session_timeout: Duration,
    /// The time between two trims of the inbox and repartition topics.
    pub(crate) trim_interval: Duration,
}
