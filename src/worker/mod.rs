//! Workers: lanes, membership of the group, restore, global copies, and how a process starts and stops them.

mod acquire;
mod announce;
mod control;
mod drain;
mod global;
mod last_firing;
mod launch;
mod neighbours;
mod shared;
mod status;
mod timers;
mod trimmer;

pub(crate) use drain::{Drain, Progress};
pub(crate) use launch::{Worker, WorkerSettings};
pub(crate) use neighbours::Neighbours;
pub(crate) use shared::Shared;
pub(crate) use status::{WorkerState, WorkerStatus};
