//! Topics: what is declared, what sends to them, and the streams that agents read.

mod declaration;
mod handle;
mod record;
mod sender;
mod stream;
mod written;

pub(crate) use declaration::{AnyTopic, TopicDeclaration, TopicSettings};
pub use handle::Topic;
pub use record::ProducerRecord;
pub(crate) use sender::{OutTopicSettings, open_out_topic};
pub use sender::{TopicClient, TopicSender};
pub(crate) use stream::{Filter, NewKey, Rekey, Route, StreamSource};
pub use stream::{IntoStream, Stream};
pub(crate) use written::{NotTaken, WrittenPlace, WrittenRecord};
