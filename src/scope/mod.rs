//! What a declared handle is opened in: a shard, or a worker.

mod shard;
mod with;
mod worker;

pub(crate) use shard::{Opened, ShardScope};
pub use with::{ClientWith, ShardWith, WorkerWith};
pub(crate) use with::{Use, Uses};
pub(crate) use worker::WorkerScope;
