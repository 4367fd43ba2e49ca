//! Sending records and asking agents from outside shards: from timers, tasks, web handlers, the
//! command line and other programs.
//!
//! Inside a shard, sends are part of the event's transaction and go through the lane's producer.
//! Everything else in a worker sends through one [`ClientProducer`]. Records that wait at the same
//! time are flushed together. A send returns when the broker has the record, with its place
//! ([`Sent`]).
//!
//! Asking an agent is a request and a reply, both records in topics (Faust: `agent.ask`, with
//! `reply_to` and `correlation_id`):
//!
//! ```text
//!  asker                                             agent, in its shard
//!  -----                                             -------------------
//!  start to read `{app}-replies/{partition}`
//!  send the request  -- to the agent's topic ----->  handle it as an event
//!    marlowe-asks: the agent's name
//!    marlowe-reply-to: {app}-replies/{partition}
//!    marlowe-correlation: {run}-{number}
//!  match the number  <- to {app}-replies ----------  send the reply in the event's transaction
//!                                                      marlowe-correlation: {run}-{number}
//!                                                      marlowe-error: the reason, if it failed
//! ```
//!
//! 1. With its first request, an asker starts to read one partition of the topic of replies. It
//!    waits until it knows the position from which it reads. Only then does it send, so it cannot
//!    miss the reply.
//! 2. Askers share partitions, so each also reads replies to others. `{run}` is a random name of
//!    this asker's run. Replies to other runs are skipped.
//! 3. The reply is part of the transaction of the event. So it arrives only after the handler's
//!    work is committed, under each guarantee. An event that fails and is skipped gets a reply
//!    with `marlowe-error`. An event that stops the worker gets no reply yet, because it is handled
//!    again after a restart.
//! 4. A request that has no reply within its time limit fails for the caller. The request itself is
//!    in the topic and may still be handled. A reply that arrives later is dropped and counted.
//!
//! An agent cannot wait for another agent's reply. It has the reply sent to a topic instead, under
//! the key in `marlowe-reply-key`.
//!
//! Start reading in `producer`, then `ask_headers` and `asker`. The agent's side is in
//! `agent::answers`.

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
