//! Timers, crontabs, tasks and sources: what runs without an event.

mod agenda;
mod builder;
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

use agenda::Agenda;
pub use builder::{PartitionTimerBuilder, SourceBuilder, TaskBuilder, TimerBuilder};
pub(crate) use claims::Claims;
pub(crate) use crontab::Crontab;
pub(crate) use partition_timer::{AnyPartitionTimer, OpenTimer};
pub(crate) use runs::TimerRuns;
pub(crate) use schedule::{Schedule, next_tick};
pub(crate) use source::is_finished;
pub use source::{SourceError, SourceWriter};
pub(crate) use worker_timer::{AnyWorkerTimer, Outcome, WorkerTimerContext};
