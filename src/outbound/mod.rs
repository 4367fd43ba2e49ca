//! Sending and asking from outside a shard: timers, tasks, web handlers, the command line, other programs.

mod ask_error;
pub(crate) mod ask_headers;
mod asker;
mod producer;
mod sent;

pub use ask_error::AskError;
pub(crate) use ask_headers::{ASKS, CORRELATION, REPLY_ERROR, REPLY_KEY, REPLY_TO, find, is_about_a_request};
pub(crate) use asker::{AskCounters, Asker, Pending};
pub use producer::SendError;
pub(crate) use producer::{ClientProducer, Outgoing};
pub use sent::Sent;
