//! Standbys: copies of other workers' shards, with which this worker can take a shard over quickly.
//!
//! With [`Config::standby_replicas`](crate::Config::standby_replicas), each worker follows the
//! changelogs of some shards that other workers own, into stores of its own. When the group then
//! gives it such a shard, the restore has only the tail of the changelogs to read. A standby also
//! answers reads that may be stale.
//!
//! Which workers follow a shard is decided by rendezvous hashing over the live workers in the
//! directory (`cluster::stand_by`). All workers compute the same answer. Which worker gets the
//! shard is the group's choice, and it may be one without a standby.
//!
//! ```text
//!   directory of workers --which shards?--+
//!                                         v
//!   changelogs --records--> StandbyTask: one Follower for each shard --> stores
//!                             |        ^                                   |
//!            Release: store   |        |  Offer: store                     v
//!                             v        |                           reads that may be stale
//!                          restore    shard that left
//! ```
//!
//! # In which order things happen
//!
//! 1. **Choosing.** When the directory changes, and every 100 ms, the task compares the shards that
//!    it should follow with those that it follows.
//! 2. **Following.** It opens the shard's store, finds out what to read as a restore does, and
//!    publishes the tables for stale reads. One reader reads the changelogs of all shards.
//! 3. **Freshness.** It looks up the ends of the logs every 100 ms. When a store is as far as the
//!    ends were at a moment, it has all that was committed then.
//! 4. **Hand-over.** A shard that comes to this worker takes its store along, and a shard that
//!    leaves brings its store. `task` describes both.
//!
//! # Where to start reading
//!
//! Start with `task`, which does all of this. `replica` is one shard that is followed. `handle` is
//! what the rest of the worker uses.

mod handle;
mod replica;
mod task;

pub(crate) use handle::{Followed, Standbys};
pub(crate) use task::StandbyTask;
