//! Asking agents: who answers, and how answers travel.

mod answering;
mod answers;
mod ask_client;
mod reply_to;

pub use answering::AnsweringAgent;
pub(crate) use answers::{Answering, LONGEST_REASON, OpenAnswers};
pub use ask_client::{AskClient, PendingReply, Replies};
pub use reply_to::{ReplyTo, RequestClient, RequestSender};
