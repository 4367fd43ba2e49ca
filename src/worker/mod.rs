//! Workers: lanes, membership of the group, restore, global copies, and how a process starts and stops them.

mod acquire;
mod cluster_view;
mod control;
mod directory_publisher;
mod drain;
mod global;
mod last_firing;
mod launch;
mod shared;
mod status;
mod timers;
mod trimmer;

pub(crate) use cluster_view::ClusterView;
pub(crate) use drain::{Drain, Progress};
pub(crate) use launch::{Worker, WorkerSettings};
pub(crate) use shared::Shared;
pub(crate) use status::{WorkerState, WorkerStatus};
