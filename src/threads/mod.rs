//! Threads, and what is told when something on one fails.

mod failures;
mod thread;

pub(crate) use failures::Failures;
pub(crate) use thread::{Beat, Spawner, Thread, Threads};
