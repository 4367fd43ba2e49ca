//! Streams: topics as agents read them, behind filters and under other keys.

use std::sync::Arc;

use marlowe_broker::Partitioner;

use crate::codec::{Codec, CodecError, TopicKey, decode_value};

/// A predicate that decides which values an agent gets.
pub(crate) type Filter<V> = Arc<dyn Fn(&V) -> bool + Send + Sync>;

/// The input of an agent: a topic, perhaps behind filters and under other keys. (Faust: a stream.
/// Kafka Streams: a `KStream`.)
///
/// It is only a description. Nothing runs until an agent reads it.
#[doc(alias = "KStream")]
pub struct Stream<K, V> {
    pub(crate) source: StreamSource,
    pub(crate) codec: Arc<dyn Codec<V>>,
    pub(crate) filters: Vec<Filter<V>>,
    /// The partitioner of records that are sent to the stream's own topic.
    pub(crate) partitioner: Partitioner,
    key: std::marker::PhantomData<fn() -> K>,
}

/// The source of a stream's records.
#[derive(Clone)]
pub(crate) enum StreamSource {
    Topic(Arc<str>),
    Repartition(Box<RepartitionStep>),
}

/// A step that sends records on under another key.
#[derive(Clone)]
pub(crate) struct RepartitionStep {
    pub(crate) from: StreamSource,
    /// The step's own name, if it was given one. Otherwise the step is named after the agent that
    /// reads it.
    pub(crate) name: Option<Arc<str>>,
    pub(crate) partitioner: Partitioner,
    pub(crate) rekey: Rekey,
}

/// A function that writes the new key of a record into the buffers, from the record's value.
pub(crate) type Rekey = Arc<dyn Fn(Option<&[u8]>, &mut NewKey) -> Result<Route, CodecError> + Send + Sync>;

/// Buffers for the two forms of a new key.
#[derive(Default)]
pub(crate) struct NewKey {
    /// The topic form.
    pub(crate) topic: Vec<u8>,
    /// The ordered form, if the key can be the key of a row.
    pub(crate) ordered: Vec<u8>,
}

impl NewKey {
    fn encode(&mut self, key: &impl TopicKey) -> Route {
        self.topic.clear();
        self.ordered.clear();
        key.encode_row_key(&mut self.ordered);
        if key.encode_key(&mut self.topic) { Route::Keyed } else { Route::Unkeyed }
    }
}

/// The result of looking for a record's new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// It is sent on under the key that was written.
    Keyed,
    /// It is sent on without a key.
    Unkeyed,
    /// It did not pass the filters and is not sent on.
    Dropped,
}

impl<K, V> Clone for Stream<K, V> {
    fn clone(&self) -> Self {
        Self {
            source: self.source.clone(),
            codec: self.codec.clone(),
            filters: self.filters.clone(),
            partitioner: self.partitioner,
            key: self.key,
        }
    }
}

impl<K: TopicKey, V: 'static> Stream<K, V> {
    pub(crate) fn of_topic(topic: Arc<str>, codec: Arc<dyn Codec<V>>, partitioner: Partitioner) -> Self {
        Self {
            source: StreamSource::Topic(topic),
            codec,
            filters: Vec::new(),
            partitioner,
            key: std::marker::PhantomData,
        }
    }

    /// Keeps only the records whose values pass `keep`. A record that a filter before a
    /// [`group_by`](Self::group_by) drops is not sent on at all.
    pub fn filter(mut self, keep: impl Fn(&V) -> bool + Send + Sync + 'static) -> Self {
        self.filters.push(Arc::new(keep));
        self
    }

    /// Returns a stream of the records under another key. They go through a topic of their own,
    /// `{app}-{agent}-repartition`, to the home partition of the new key. So the agent that reads
    /// them owns the rows of that key. Values, headers and timestamps stay as they are. The record
    /// is sent in the transaction that reads the original. (Kafka Streams: `selectKey` and a
    /// repartition topic.)
    ///
    /// If an agent that reads the stream uses a table, the table's rows have these keys. Then a key
    /// longer than [`MAX_KEY_BYTES`](crate::codec::MAX_KEY_BYTES) makes the event fail, and the
    /// policy of that agent decides what follows. Otherwise a key may have any length.
    pub fn group_by<K2: TopicKey>(self, key: impl Fn(&V) -> K2 + Send + Sync + 'static) -> Stream<K2, V> {
        let (codec, filters) = (self.codec.clone(), self.filters);
        let rekey: Rekey = Arc::new(move |value, out| {
            let value = decode_value(&*codec, value)?;
            if !filters.iter().all(|keep| keep(&value)) {
                return Ok(Route::Dropped);
            }
            Ok(out.encode(&key(&value)))
        });
        Stream {
            source: StreamSource::Repartition(Box::new(RepartitionStep {
                from: self.source,
                name: None,
                partitioner: Partitioner::default(),
                rekey,
            })),
            codec: self.codec,
            filters: Vec::new(),
            partitioner: Partitioner::default(),
            key: std::marker::PhantomData,
        }
    }

    /// Sets how the last [`group_by`](Self::group_by) finds the partition of a key (default:
    /// Kafka's murmur2). It must be the partitioner of the tables that the stream's agents write.
    pub fn partitioner(mut self, partitioner: Partitioner) -> Self {
        if let StreamSource::Repartition(step) = &mut self.source {
            step.partitioner = partitioner;
            self.partitioner = partitioner;
        }
        self
    }

    /// Sets the name of the topic that the last [`group_by`](Self::group_by) goes through:
    /// `{app}-{name}-repartition`. Agents that read streams of one name share the topic.
    pub fn named(mut self, name: &str) -> Self {
        if let StreamSource::Repartition(step) = &mut self.source {
            step.name = Some(name.into());
        }
        self
    }
}

/// A type that an agent can read: a [`Topic`](crate::Topic) or a [`Stream`].
pub trait IntoStream<K, V> {
    /// Returns the stream.
    fn into_stream(self) -> Stream<K, V>;
}

impl<K, V> IntoStream<K, V> for Stream<K, V> {
    fn into_stream(self) -> Stream<K, V> {
        self
    }
}
