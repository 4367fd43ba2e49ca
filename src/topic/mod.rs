//! Topics: what is declared, what sends to them, and the streams that agents read.

mod declaration;
mod handle;
mod sender;
mod stream;
mod written;

pub(crate) use declaration::{AnyTopic, TopicDeclaration, TopicSettings};
pub use handle::Topic;
pub(crate) use sender::{OutTopicSettings, open_out_topic};
pub use sender::{TopicClient, TopicSender};
pub(crate) use stream::{Filter, Rekey, Route, StreamSource, decode_value};
pub use stream::{IntoStream, Stream};
pub(crate) use written::{NotTaken, WrittenRecord};
