//! Workers: lanes, membership of the group, restore, global copies, and how a process starts and stops them.

mod announce;
mod commit;
mod control;
mod drain;
mod error;
mod feeds;
mod folder;
mod global;
mod lane;
mod lane_command;
mod lane_producer;
mod last_firing;
mod launch;
mod metrics;
mod neighbours;
mod replay;
mod restore;
mod status;
mod thread;
mod topics;
mod under_way;

pub(crate) use drain::{Drain, Progress};
pub use error::RunError;
pub(crate) use folder::TablesFolder;
pub(crate) use lane::LaneLimits;
pub(crate) use launch::{Shared, Worker, WorkerSettings};
pub(crate) use metrics::Metrics;
pub(crate) use neighbours::Neighbours;
pub(crate) use restore::{RestoreProgress, StateStore};
pub(crate) use status::{WorkerState, WorkerStatus};
pub(crate) use thread::Thread;
pub(crate) use topics::prepare_topics;
