//! Agents: what users write to handle events, and how a shard runs it.

mod answering;
mod answers;
mod ask_client;
mod concurrent;
mod definition;
mod event;
mod failure;
mod handle;
mod handler;
mod inbox;
mod repartition;
mod reply_to;
mod runner;
mod serial;
mod sink;
mod stream;

pub use answering::AnsweringAgent;
pub use ask_client::{AskClient, PendingReply, Replies};
pub(crate) use definition::{
    AgentSettings, AnyAgent, EachAgent, KeyedStreamAgent, Opening, PassesEvent, StreamAgent, Values,
};
pub use event::Event;
pub(crate) use failure::{FailurePolicy, Then};
pub(crate) use handle::AgentShared;
pub use handle::{Agent, AgentClient, AgentSender};
pub(crate) use handler::ValueReader;
pub(crate) use inbox::InboxAgent;
pub(crate) use repartition::RepartitionAgent;
pub use reply_to::{ReplyTo, RequestClient, RequestSender};
pub use stream::{Enumerate, Events, Filtered, Items, WholeEvents};
