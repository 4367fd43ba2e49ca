//! Agents: what users write to handle events, and how a shard runs it.

mod answering;
mod answers;
mod ask_client;
mod builder;
mod concurrent;
mod counters;
mod definition;
mod event;
mod failure;
mod handle;
mod handler;
mod inbox;
mod input;
mod link;
mod repartition;
mod reply_to;
mod runner;
mod serial;
mod sink;
mod stream;

pub use answering::AnsweringAgent;
pub use ask_client::{AskClient, PendingReply, Replies};
pub use builder::AgentBuilder;
pub(crate) use counters::Counters;
pub(crate) use definition::{AgentSettings, AnyAgent, Opening};
pub use event::Event;
pub use failure::EventFailure;
pub(crate) use failure::{FailurePolicy, panic_message, panic_text};
pub use handle::{Agent, AgentClient, AgentSender};
pub(crate) use inbox::InboxAgent;
pub(crate) use input::Input;
pub(crate) use link::ShardLink;
pub(crate) use repartition::RepartitionAgent;
pub use reply_to::{ReplyTo, RequestClient, RequestSender};
pub(crate) use runner::ALONE;
pub use stream::{Enumerate, Events, Filtered, Items, WholeEvents};
