//! Workers: members of the app's consumer group, which take shards, process them in lanes, and hand
//! them on.
//!
//! A process has one worker or several. Each is a set of threads that talk by channels, with
//! `control` at its center.
//!
//! ```text
//!   consumer group                          directory of workers
//!     |  ^                                       ^
//!     |  | acknowledged                          | entry
//!     v  |                                       |
//!   control --status--------------------> directory_publisher
//!     |  ^
//!     |  +--plan--- acquire <--store--> standby task
//!     |               |
//!     |               +--> restore threads
//!     | Open, Close, Drop, Fire
//!     v
//!   lanes (agents, partition timers, commits)
//! ```
//!
//! # The life of a worker
//!
//! 1. **Start** ([`Worker::start`]). The worker locks the folder of its tables and starts its
//!    threads. The copies of global tables begin to follow their changelogs (`global`).
//! 2. **Join.** When these copies have reached the ends that their logs had at the start, the
//!    worker joins the group and opens its lanes.
//! 3. **Shards come.** The group assigns shards. Each is restored, from the store of a standby if
//!    there is one (`acquire`), and opened in the lane with the fewest shards.
//! 4. **Work.** The lanes process and commit. When all shards are open, the worker's timers, tasks
//!    and sources start (`timers`). `directory_publisher` tells other processes which shards are
//!    here, and `trimmer` deletes records that have been read.
//! 5. **Shards go.** A revoked shard is closed with a commit and then acknowledged. A lost one is
//!    dropped without a commit. `control` explains both.
//! 6. **Stop** ([`Worker::stop`]). The worker commits, closes all shards, leaves the group and
//!    takes its entry in the directory back.
//!
//! A drain (`drain`) runs beside this. It waits until everything is processed, and
//! has timers fire once more.
//!
//! # Where to start reading
//!
//! Start with `launch`, which wires the parts, and then `control`, which is the heart of a worker.

mod acquire;
mod cluster_view;
mod control;
mod directory_publisher;
mod drain;
mod global;
mod launch;
mod launch_settings;
mod owned;
mod parts;
mod shared;
mod status;
mod timers;
mod trimmer;
mod worker_threads;

pub(crate) use cluster_view::ClusterView;
pub(crate) use drain::{Drain, Progress};
pub(crate) use launch::Worker;
pub(crate) use launch_settings::WorkerSettings;
pub(crate) use parts::open_outbound;
pub(crate) use shared::Shared;
pub(crate) use status::{WorkerState, WorkerStatus};
