//! A table as declared: its identity, its settings, and the encoding of its rows.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use marlowe_broker::Partitioner;
use marlowe_state::{FormatError, RowFormat, SliceConfig};
use parking_lot::RwLock;

use crate::codec::{Codec, CodecError, Key};
use crate::panics::panic_message;
use crate::topology::TableKind;

/// A function that adds a change to a row: `merge(&mut row, change)`. Kafka Streams calls it a
/// reducer.
pub(crate) type Merge<V> = Arc<dyn Fn(&mut V, V) + Send + Sync>;

/// The name and kind of a table, and the names of its topics.
#[derive(Clone, Debug)]
pub(crate) struct TableIdentity {
    pub(crate) name: Arc<str>,
    pub(crate) kind: TableKind,
    pub(crate) changelog: Arc<str>,
    pub(crate) inbox: Arc<str>,
}

/// The rule for which partition a table's rows belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyspace {
    /// A row belongs to its key's home partition.
    Partitioned,
    /// Each partition has its own rows, whatever their keys are.
    PartitionLocal,
}

/// A table as declared. It lives as long as the process, because the program that declares it does.
pub(crate) struct TableDeclaration<K, V> {
    pub(crate) identity: TableIdentity,
    pub(crate) settings: RwLock<TableSettings<V>>,
    key: std::marker::PhantomData<fn() -> K>,
}

pub(crate) struct TableSettings<V> {
    pub(crate) codec: Arc<dyn Codec<V>>,
    pub(crate) merge: Option<Merge<V>>,
    pub(crate) partitioner: Partitioner,
    pub(crate) keyspace: Keyspace,
    pub(crate) cache_rows: usize,
    pub(crate) partitions: Option<u32>,
    pub(crate) inbox_failures: InboxFailures,
    /// The Faust app whose table of the same name supplies this table's first rows.
    pub(crate) takes_over: Option<Arc<str>>,
}

/// The treatment of a change in a table's inbox that cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InboxFailures {
    Stop,
    Skip,
    DeadLetter(Arc<str>, Partitioner),
}

impl<V> Clone for TableSettings<V> {
    fn clone(&self) -> Self {
        Self {
            codec: self.codec.clone(),
            merge: self.merge.clone(),
            partitioner: self.partitioner,
            keyspace: self.keyspace,
            cache_rows: self.cache_rows,
            partitions: self.partitions,
            inbox_failures: self.inbox_failures.clone(),
            takes_over: self.takes_over.clone(),
        }
    }
}

impl<K: Key, V: 'static> TableDeclaration<K, V> {
    pub(crate) fn new(app: &str, name: &str, kind: TableKind, codec: impl Codec<V>) -> Self {
        Self {
            identity: TableIdentity {
                name: name.into(),
                kind,
                changelog: format!("{app}-{name}-changelog").into(),
                inbox: format!("{app}-{name}-inbox").into(),
            },
            settings: RwLock::new(TableSettings {
                codec: Arc::new(codec),
                merge: None,
                partitioner: Partitioner::default(),
                keyspace: Keyspace::Partitioned,
                cache_rows: SliceConfig::DEFAULT_CACHE_ROWS,
                partitions: None,
                inbox_failures: InboxFailures::Stop,
                takes_over: None,
            }),
            key: std::marker::PhantomData,
        }
    }

    pub(crate) fn settings(&self) -> TableSettings<V> {
        self.settings.read().clone()
    }
}

/// The encoding of a table's keys and values, as its slices need it.
pub(crate) struct TableFormat<V> {
    pub(crate) codec: Arc<dyn Codec<V>>,
}

impl<K: Key, V: 'static> RowFormat<K, V> for TableFormat<V> {
    fn encode_key(&self, key: &K, out: &mut Vec<u8>) {
        key.encode_ordered(out);
    }

    fn decode_key(&self, bytes: &[u8]) -> Result<K, FormatError> {
        K::decode_ordered(bytes).map_err(format_error)
    }

    fn encode_topic_key(&self, key: &K, out: &mut Vec<u8>) {
        key.encode(out);
    }

    fn same_key_bytes(&self) -> bool {
        K::ORDERED_AS_TOPIC
    }

    // A row is also encoded between events. There a panic of the user's code would end the lane.
    fn encode_value(&self, value: &V, out: &mut Vec<u8>) -> Result<(), FormatError> {
        match catch_unwind(AssertUnwindSafe(|| self.codec.encode(value, out))) {
            Ok(encoded) => encoded.map_err(format_error),
            Err(panic) => Err(FormatError(format!("encoding it panicked: {}", panic_message(&*panic)))),
        }
    }

    fn decode_value(&self, bytes: &[u8]) -> Result<V, FormatError> {
        self.codec.decode(bytes).map_err(format_error)
    }
}

fn format_error(error: CodecError) -> FormatError {
    FormatError(error.to_string())
}
