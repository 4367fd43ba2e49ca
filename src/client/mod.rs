//! Sending from outside a shard: timers, tasks, web handlers, the command line.

mod producer;
mod sent;

pub use producer::SendError;
pub(crate) use producer::{ClientProducer, Outgoing};
pub use sent::Sent;
