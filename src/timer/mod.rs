//! Timers, crontabs, tasks and sources: what runs without an event.

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
