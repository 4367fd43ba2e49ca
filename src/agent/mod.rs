//! Agents: the handlers that a program declares for the events of a topic, and the code that runs
//! them in a shard.
//!
//! An *agent* has the meaning that it has in Faust. In Kafka Streams it is a processor of a topic.
//! This module declares agents, decodes their records, calls their handlers and applies their
//! failure policy. It does not decide which agent goes next (`shard::StrandTask` does), and it does
//! not keep the changes of an event (`turn` and its participants do).

// # The way of an event
//
// ```text
//  turn::RecordQueue          records that were fetched and are not finished
//         │ peek
//         ▼
//  serial | concurrent | stream     takes an event and waits for the turn
//         │
//         ▼
//  Runner::attempt ──► Handler::handle     decodes, filters, calls the user's code
//         │
//         ├── Ok ────────► ShardLink::apply, RecordQueue::finish
//         ├── conflict ──► discarded, handled again (only with concurrency)
//         └── failure ───► discarded; retries, then FailurePolicy::then:
//                          stop the worker, skip the event, or send it to a dead-letter topic
// ```
//
// An agent runs in one of three ways. `serial` handles one event at a time and holds the turn
// meanwhile. `concurrent` handles several events at a time and needs the turn only to apply them.
// `stream` gives the handler the events themselves, and an event ends when the handler asks for
// the next one.
//
// Marlowe adds agents of its own, which use the same code: `InboxAgent` applies the changes that
// were sent to a table, and `RepartitionAgent` sends records on under another key (`group_by`).
//
// # Requests and answers
//
// An agent that is declared with `answers` sends the value that its handler returns to the program
// that asked. `answering` is the declaration, `ask_client` asks and waits outside of shards,
// `reply_to` asks from inside an event, and `answers` is the shard's side.
//
// # Where to start reading
//
// `serial.rs` is the shortest loop. `runner.rs` has one attempt and the failure policy. Then read
// `concurrent.rs` and `stream.rs`.

mod asking;
mod concurrent;
mod definition;
mod event;
mod failure;
mod handle;
mod handler;
mod inbox;
mod open;
mod repartition;
mod runner;
mod serial;
mod sink;
mod stream;
mod stream_adaptors;

pub use crate::outbound::AskError;
pub use asking::{AnsweringAgent, AskClient, PendingReply, Replies, ReplyTo, RequestClient, RequestSender};
pub(crate) use definition::{AgentSettings, AnyAgent, EachAgent, Opening, StreamAgent, Take, TakesEvents, TakesValues};
pub use event::Event;
pub(crate) use failure::{FailurePolicy, Then};
pub(crate) use handle::AgentShared;
pub use handle::{Agent, AgentClient, AgentSender};
pub(crate) use handler::ValueReader;
pub(crate) use inbox::InboxAgent;
pub(crate) use open::{OpenAgent, RunningAgent};
pub(crate) use repartition::RepartitionAgent;
pub use stream::{Events, WholeEvents};
pub use stream_adaptors::{Enumerate, Filtered, Items};
