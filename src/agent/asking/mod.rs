//! Asking an agent, and answering.
//!
//! ```text
//! AskClient::ask ── request, with the reply topic and a number in headers ──▶ the agent's topic
//!                                                                              │ handled as any
//!    event Asker ◀── {app}-replies ◀── answer, in the event's transaction ◀── answers ◀─┘
//! ```
//!
//! [`AnsweringAgent`] is the handle of an agent that can be asked. [`AskClient`] asks it from
//! outside of shards and waits for the answer. [`ReplyTo`] sends the answer to a topic of the
//! program, which also works inside of events. `answers` is the answering side, in the shard.

mod answering;
mod answers;
mod ask_client;
mod reply_to;

pub use answering::AnsweringAgent;
pub(crate) use answers::{Answering, LONGEST_REASON, OpenAnswers};
pub use ask_client::{AskClient, PendingReply, Replies};
pub use reply_to::{ReplyTo, RequestClient, RequestSender};
