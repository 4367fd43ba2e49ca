//! Timers, crontabs, tasks and sources: what runs without an event.

mod builder;
mod crontab;
mod partition_timer;
mod schedule;
mod source;
mod worker_timer;

pub use builder::{PartitionTimerBuilder, SourceBuilder, TaskBuilder, TimerBuilder};
pub(crate) use crontab::Crontab;
pub(crate) use partition_timer::{AnyPartitionTimer, OpenTimer};
pub(crate) use schedule::{Schedule, next_tick};
pub(crate) use source::is_finished;
pub use source::{SourceError, SourceWriter};
pub(crate) use worker_timer::{AnyWorkerTimer, Outcome, WorkerTimerContext};
