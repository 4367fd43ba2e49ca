//! Timers, crontabs, tasks and sources: the code of a program that runs without an event.
//!
//! | declared with | runs | what it can do |
//! |---|---|---|
//! | `partition_timer` | in each shard, every interval | reads and writes tables, sends |
//! | `timer` | on each worker or on the leader, every interval | reads views and sends |
//! | `crontab` | on each worker or on the leader, at times of day | reads views and sends |
//! | `task` | once, on each worker or on the leader | reads views and sends |
//! | `source` | on the leader, until it has fed its topic | sends each record exactly once |
//!
//! A partition timer is the punctuator of Kafka Streams. Faust has `timer`, `crontab` and `task`,
//! also with `on_leader`.

// A partition timer is polled by its shard (`shard::StrandTask`), and its run is a transaction
// like an event. The others implement `AnyWorkerTimer`, and a worker runs each of them as a
// future of its own.
//
// # A crontab on the leader
//
// 1. `Agenda` waits until a time has come that the crontab names. It handles clocks that are set
//    or stand still.
// 2. If the worker leads, it claims the run for this time with the group (`Claims`). So a time has
//    one run, even if the leader changes.
// 3. The handler runs, and `TimerRuns` notes the run for the watchdog.
//
// # Where to start reading
//
// Read `schedule.rs` and `worker_timer.rs`, then `agenda.rs` and `claims.rs` for crontabs, and
// `source.rs` for sources.

mod agenda;
mod claims;
mod crontab;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod partition_timer;
mod runs;
mod schedule;
mod source;
mod source_log;
mod worker_timer;

pub(crate) use claims::Claims;
pub(crate) use crontab::Crontab;
pub(crate) use partition_timer::{AnyPartitionTimer, OpenTimer, PartitionTimer};
pub(crate) use runs::TimerRuns;
pub(crate) use schedule::{Schedule, next_tick};
pub(crate) use source::{Source, is_finished};
pub use source::{SourceError, SourceWriter};
pub(crate) use worker_timer::{AnyWorkerTimer, Outcome, WorkerTimer, WorkerTimerContext};
