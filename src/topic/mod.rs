//! Topics and streams: how they are declared, read and written.
//!
//! A program declares a topic with [`App::topic`](crate::App::topic) and gets a small handle,
//! [`Topic`].
//!
//! - **Reading.** An agent reads a [`Stream`]: a topic, perhaps behind filters and under other
//!   keys. A stream is only a description. Only the agent runs.
//! - **Writing in a shard.** The handle opens to a [`TopicSender`]. The records that it sends are
//!   in the event's transaction. If the topic cannot take a record, the event fails.
//! - **Writing elsewhere.** The handle opens to a [`TopicClient`]. Each send is on its own, and
//!   returns when the broker has the record.
//! - **Writing by hand.** `WrittenRecord` is a record as people write it on the command line or
//!   over the web.
//!
//! `group_by` gives records a new key, through a topic of its own:
//!
//! ```text
//!  topic `orders`              topic `{app}-{agent}-repartition`
//!    key: order id    ------>    key: customer    ------>  agent that owns the customers' rows
//!         an agent that Marlowe adds reads, filters and sends on
//! ```
//!
//! (Kafka Streams: `selectKey` and a repartition topic. Faust: `group_by`.)

// Start reading in `handle`, then `stream` (for reading) and `sender` (for writing).

mod declaration;
mod handle;
mod record;
mod sender;
mod stream;
mod written;

pub use crate::outbound::{SendError, Sent};
pub(crate) use declaration::{AnyTopic, DeclaredTopicSettings, TopicDeclaration};
pub use handle::Topic;
pub use record::ProducerRecord;
pub(crate) use sender::{OutTopicSettings, open_out_topic};
pub use sender::{TopicClient, TopicSender};
pub(crate) use stream::{Filter, NewKey, Rekey, Route, StreamSource};
pub use stream::{IntoStream, Stream};
pub(crate) use written::{NotTaken, WrittenPlace, WrittenRecord};
