use std::sync::Arc;

use marlowe_broker::Partitioner;

use crate::codec::{Codec, CodecError, TopicKey, decode_value};

/// Whether a value is kept.
pub(crate) type Filter<V> = Arc<dyn Fn(&V) -> bool + Send + Sync>;

/// What an agent reads: a topic, or one seen through filters and under other keys.
///
/// It is a description; nothing runs until an agent reads it.
pub struct Stream<K, V> {
    pub(crate) source: StreamSource,
    pub(crate) codec: Arc<dyn Codec<V>>,
    pub(crate) filters: Vec<Filter<V>>,
    /// How records sent to the stream's own topic find their partition.
    pub(crate) partitioner: Partitioner,
    key: std::marker::PhantomData<fn() -> K>,
}

/// Where a stream's records come from.
#[derive(Clone)]
pub(crate) enum StreamSource {
    Topic(Arc<str>),
    Repartition(Box<RepartitionStep>),
}

/// Records sent on under another key.
#[derive(Clone)]
pub(crate) struct RepartitionStep {
    pub(crate) from: StreamSource,
    /// Its own name, if it was given one; otherwise it is named after the agent that reads it.
    pub(crate) name: Option<Arc<str>>,
    pub(crate) partitioner: Partitioner,
    pub(crate) rekey: Rekey,
}

/// Finds the new key of a record from its value, into the buffers of its forms.
pub(crate) type Rekey = Arc<dyn Fn(Option<&[u8]>, &mut NewKey) -> Result<Route, CodecError> + Send + Sync>;

/// Buffers for the forms of a new key.
#[derive(Default)]
pub(crate) struct NewKey {
    /// The topic form.
    pub(crate) topic: Vec<u8>,
    /// The ordered form, of what may be the key of a row.
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

/// What becomes of a record on its way to another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// It has the key that was written.
    Keyed,
    /// It has no key.
    Unkeyed,
    /// It did not pass the filters, and is not sent on.
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

    /// Only the records whose values pass. What comes before a [`group_by`](Self::group_by) is not sent on at all.
    pub fn filter(mut self, keep: impl Fn(&V) -> bool + Send + Sync + 'static) -> Self {
        self.filters.push(Arc::new(keep));
        self
    }

    /// The same records under another key, through a topic of their own, `{app}-{agent}-repartition`: each goes to the
    /// partition that is the new key's home, so that the agent which reads them owns the rows of that key. Values,
    /// headers and timestamps stay as they are. It is part of the transaction that read the original.
    ///
    /// Where an agent that reads the stream uses a table, whose rows then have these keys, a key over
    /// [`MAX_KEY_BYTES`](crate::MAX_KEY_BYTES) makes the event fail, by the policy of that agent. Elsewhere keys may be of any
    /// length.
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

    /// How the last [`group_by`](Self::group_by) finds the partition of a key (default: Kafka's murmur2). It must be that of the
    /// tables that the stream's agents write.
    pub fn partitioner(mut self, partitioner: Partitioner) -> Self {
        if let StreamSource::Repartition(step) = &mut self.source {
            step.partitioner = partitioner;
            self.partitioner = partitioner;
        }
        self
    }

    /// Names the topic that the last [`group_by`](Self::group_by) goes through: `{app}-{name}-repartition`. Agents that
    /// read streams of one name share the topic.
    pub fn named(mut self, name: &str) -> Self {
        if let StreamSource::Repartition(step) = &mut self.source {
            step.name = Some(name.into());
        }
        self
    }
}

/// What can be read by an agent: a [`Topic`](crate::Topic) or a [`Stream`].
pub trait IntoStream<K, V> {
    /// The stream.
    fn into_stream(self) -> Stream<K, V>;
}

impl<K, V> IntoStream<K, V> for Stream<K, V> {
    fn into_stream(self) -> Stream<K, V> {
        self
    }
}
