//! Lanes: the threads that process a worker's shards and commit their work.
//!
//! A worker has a fixed number of lanes ([`Config::lanes`](crate::Config::lanes)).
//! `worker::control` gives each shard to the lane with the fewest shards. A lane has one reader for
//! the inputs of all its shards, and one transactional producer. All of it runs on one thread, so
//! its state needs no locks.
//!
//! ```text
//!   broker --records--> InputReader --> record queues --> shards (agents, timers)
//!     ^                                                      |
//!     |                                                      | rows, places, sent records
//!     +--transaction-- Commit <------------------------------+
//!                        |
//!                        +--rows, after the broker's answer--> local stores
//! ```
//!
//! # In which order things happen
//!
//! 1. **Open.** The worker sends a restored shard. The lane reads its inputs, publishes its tables
//!    for readers and starts its task. If a new agent's first place must be committed before the
//!    shard counts as open, the lane commits at once and answers after that commit.
//! 2. **Read.** The reader queues each batch for the agents that read its partition. It pauses a
//!    partition of which too much waits.
//! 3. **Commit.** The lane commits the finished work of all its shards in one transaction: as soon
//!    as it has nothing else to do and its last commits' cost allows it, after `commit_interval` at
//!    the latest, or when `commit_bytes` wait. The shards go on meanwhile. When the broker has
//!    committed, the rows go into the local stores.
//! 4. **After a failed commit**, the lane drops all its shards and opens a new producer. The worker
//!    then restores the shards that it still owns, from what is committed.
//! 5. **Close.** A shard that leaves gets no more records. It finishes the events in hand, within
//!    `close_within`. The lane commits, drops the shard and answers. A shard that already belongs
//!    to another worker is dropped without a commit.
//!
//! # Where to start reading
//!
//! Start with `event_loop`, which does all of the above except for commits. `commit` is one commit
//! and explains its protocol. `committing` decides when commits begin, and what follows from each
//! outcome. `commit_pace` measures what commits cost, and `committing` follows it. `watchdog` runs
//! elsewhere: it warns about handlers that do not end.

mod command;
mod commit;
mod commit_pace;
mod committing;
mod event_loop;
mod in_flight;
mod input_reader;
mod outputs;
mod pending_closes;
mod pending_firings;
mod producer;
mod settings;
mod watchdog;

pub(crate) use command::{Dropped, LaneCommand, LaneEvent};
pub(crate) use event_loop::{Lane, thread_name};
pub(crate) use in_flight::InFlight;
pub(crate) use settings::{LaneLimits, LaneSettings};
pub(crate) use watchdog::{Patience, TIMERS, Watchdog};
