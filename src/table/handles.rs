//! The handles that a program declares tables with, their settings, and how each is opened in a
//! shard or on a worker.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use marlowe_broker::Partitioner;
use marlowe_state::{PositionSlot, SliceConfig};

use super::declaration::{InboxFailures, Keyspace, TableDeclaration, TableFormat};
use super::foreign_key::ForeignKey;
use super::global_copy::{GlobalClient, GlobalCopy, GlobalReader};
use super::inbox::{InboxSender, OpenInbox};
use super::inbox_client::InboxClient;
use super::rows::{OpenTable, TableSlice};
use super::view::TableView;
use crate::codec::{Codec, Key, TopicKey};
use crate::scope::{ClientWith, Opened, ShardScope, ShardWith, Use, Uses, WorkerScope, WorkerWith};
use crate::topic::Topic;

/// A table: keyed state that is partitioned and backed by a changelog topic.
/// [`App::table`](crate::App::table) makes it.
///
/// One partition's part of a table is a *slice*. Its owner, the shard of that partition, is the
/// only one that changes it. (Kafka Streams: the state store of one task. Faust: one partition of a
/// table.)
///
/// A handle is small and `Copy`. In `.with(...)` of an agent or a partition timer it becomes a
/// [`TableSlice`]. Elsewhere, declare its [`view`](Self::view) or [`inbox`](Self::inbox).
///
/// ```
/// # let mut app = marlowe::App::new("shop");
/// let orders = app.topic::<String, i64>("orders"); // by item: pieces
/// let stock = app.table::<String, i64>("stock").merge(|left, change| *left += change);
/// let sold = app.table::<String, i64>("sold");
///
/// // A row with the event's key: read and write it directly.
/// app.agent("sell", orders).with(sold).each_event(async |sold, order| {
///     sold.update(order.key, |pieces| *pieces += order.value);
///     Ok(())
/// });
/// // A row with any key: send a change, read what is committed.
/// app.agent("pack", orders)
///     .with((stock.inbox(), sold.view()))
///     .each_event(async |(stock, sold), order| {
///         if sold.get(&order.key).await?.is_some() {
///             stock.send("box", -1);
///         }
///         Ok(())
///     });
/// ```
///
/// Every table also has an *inbox*, the topic `{app}-{table}-inbox`, unless it is
/// [`partition_local`](Self::partition_local). Any producer can send changes to it. The key of a
/// record is the key of the row. The value is merged into the row if the table has a
/// [`merge`](Self::merge), and otherwise replaces it. A record without a value removes the row. A
/// record that does not decode stops the worker that owns the row; [`inbox_skip`](Self::inbox_skip)
/// and [`inbox_dead_letter`](Self::inbox_dead_letter) change that. (Neither Kafka Streams nor Faust
/// has inboxes: there, changes to other partitions go through a repartition topic.)
///
/// A key may have up to [`MAX_KEY_BYTES`](crate::codec::MAX_KEY_BYTES) (1,980) bytes in its
/// [ordered form](crate::codec::Key). For text and bytes this is the length of the key itself. A
/// longer key is refused when it is written. Outside events the error is
/// [`SendError::KeyTooLong`](crate::topic::SendError::KeyTooLong), and over HTTP the status is 400.
/// Inside an event it makes the event fail.
#[doc(alias = "KTable")]
pub struct Table<K: 'static, V: 'static>(pub(crate) &'static TableDeclaration<K, V>);

/// A table of which every worker keeps a complete read-only copy. (Kafka Streams: a
/// `GlobalKTable`.) [`App::global_table`](crate::App::global_table) makes it.
///
/// Each key has one writer, its owner. Everyone else reads the local copy and `send`s changes to
/// the owner. So counts are exact, unlike those of a Faust `GlobalTable`.
///
/// ```
/// use marlowe::{App, Config};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut app = App::new("counters");
/// let total = app.global_table::<String, u64>("total").merge(|total, more| *total += more);
///
/// let running = app.start(Config::default().without_web().workers(2)).await?;
/// let (here, there) = (running.open_on(0, total), running.open_on(1, total));
/// here.send("visits", 2).await?;
/// let sent = there.send("visits", 3).await?;
/// here.wait_for(&sent).await;
/// there.wait_for(&sent).await;
/// assert_eq!((here.get("visits"), there.get("visits")), (Some(5), Some(5)));
/// # running.stop().await?;
/// # Ok(())
/// # }
/// ```
#[doc(alias = "GlobalKTable")]
pub struct GlobalTable<K: 'static, V: 'static>(pub(crate) &'static TableDeclaration<K, V>);

/// A declared reader of a whole table's committed rows. (Kafka Streams: interactive queries.)
/// [`Table::view`] makes it. It opens to a [`TableView`].
#[doc(alias = "interactive query")]
pub struct View<K: 'static, V: 'static>(&'static TableDeclaration<K, V>);

/// A declared sender of changes to rows of any key. [`Table::inbox`] makes it. It opens to an
/// [`InboxSender`] in a shard and to an [`InboxClient`] outside.
pub struct Inbox<K: 'static, V: 'static>(&'static TableDeclaration<K, V>);

macro_rules! small_handles {
    ($($handle:ident),*) => {$(
        impl<K, V> Clone for $handle<K, V> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<K, V> Copy for $handle<K, V> {}

        impl<K, V> fmt::Debug for $handle<K, V> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($handle), "({})"), self.0.identity.name)
            }
        }

        impl<K, V> $handle<K, V> {
            /// Returns the table's name.
            pub fn name(&self) -> &'static str {
                &self.0.identity.name
            }
        }
    )*};
}

small_handles!(Table, GlobalTable, View, Inbox);

macro_rules! table_settings {
    ($($handle:ident),*) => {$(
        impl<K: Key, V: 'static> $handle<K, V> {
            /// Sets how a change that is sent to the table is added to a row: `merge(&mut row,
            /// change)`. (Kafka Streams calls such a function a reducer.)
            ///
            /// The function must be associative, because changes to one key are also merged with
            /// each other on their way. The first change to an absent row becomes the row. Without
            /// a merge (the default), a change replaces the row.
            pub fn merge(self, merge: impl Fn(&mut V, V) + Send + Sync + 'static) -> Self {
                self.0.settings.write().merge = Some(std::sync::Arc::new(merge));
                self
            }

            /// Sets how values become bytes (default: [`Json`](crate::codec::Json)).
            pub fn codec(self, codec: impl Codec<V>) -> Self {
                self.0.settings.write().codec = std::sync::Arc::new(codec);
                self
            }

            /// Sets how keys find their home partition (default: Kafka's murmur2). It must be the
            /// partitioner of every producer to the topics whose agents write the table. A
            /// `group_by` uses murmur2 unless [its own
            /// partitioner](crate::topic::Stream::partitioner) is set.
            pub fn partitioner(self, partitioner: Partitioner) -> Self {
                self.0.settings.write().partitioner = partitioner;
                self
            }

            /// Sets how many rows of each slice are kept decoded in memory (default: 100,000; at
            /// least 1). Rows that wait for a commit are kept in addition. All other rows are read
            /// from the store when they are needed.
            pub fn cache_rows(self, rows: usize) -> Self {
                self.0.settings.write().cache_rows = rows;
                self
            }

            /// Skips changes in the table's inbox that cannot be applied: their bytes do not
            /// decode, or another producer sent the key to a partition that is not its home. By
            /// default such a change stops the worker.
            pub fn inbox_skip(self) -> Self {
                self.0.settings.write().inbox_failures = InboxFailures::Skip;
                self
            }

            /// Sends changes in the table's inbox that cannot be applied to `topic`. The record has
            /// the original bytes, and the reason in its headers, as with
            /// [`dead_letter`](crate::app::AgentBuilder::dead_letter).
            pub fn inbox_dead_letter<K2: TopicKey, V2: 'static>(self, topic: Topic<K2, V2>) -> Self {
                let (name, partitioner) = (topic.0.name.clone(), topic.0.settings().partitioner);
                self.0.settings.write().inbox_failures = InboxFailures::DeadLetter(name, partitioner);
                self
            }

            /// Starts the table with the rows of the table of the same name in the Faust app
            /// `faust_app`. This is the app's `id`, followed by `-v2` and so on if the app has a
            /// `version`. Stop that app first, and leave it stopped.
            ///
            /// Before anything else runs, the rows of `{faust_app}-{table}-changelog` are copied
            /// into this table's own changelog, with one transaction for each partition. This
            /// happens once, and never if this table's changelog already has records. The Faust
            /// app's topic is only read. If this app has no position in an input, it begins where
            /// the Faust app's group was. So no event is counted twice or missed.
            ///
            /// Keys and values must be the JSON that Faust writes by default. Each row must be in
            /// its key's home partition, and both tables must have the same number of partitions.
            /// Otherwise the app does not start. The error names the record that does not fit, and
            /// nothing is copied. Windowed tables and tables of sets cannot be taken over.
            pub fn take_over(self, faust_app: &str) -> Self {
                self.0.settings.write().takes_over = Some(faust_app.into());
                self
            }

            /// Sets how many partitions the table has if no topic of its agents decides that
            /// (default: the app's number).
            pub fn partitions(self, partitions: u32) -> Self {
                self.0.settings.write().partitions = Some(partitions);
                self
            }
        }
    )*};
}

table_settings!(Table, GlobalTable);

impl<K: Key, V: 'static> Table<K, V> {
    /// Gives each partition its own rows, whatever their keys are. Any handler may then use any
    /// key, and sees the row of its own partition.
    ///
    /// A key of such a table has no home partition. So the table has no inbox, and its view serves
    /// [`iter`](TableView::iter) and other scans, but no reads of one key. Over the web,
    /// `?partition=` selects the partition of one row.
    pub fn partition_local(self) -> Self {
        self.0.settings.write().keyspace = Keyspace::PartitionLocal;
        self
    }

    /// Returns a handle that reads committed rows of the whole table, for agents, timers, tasks and
    /// web handlers.
    pub fn view(self) -> View<K, V> {
        View(self.0)
    }

    /// Returns a handle that sends changes to rows of any key, for agents, timers, tasks and web
    /// handlers. A [`partition_local`](Self::partition_local) table has no inbox.
    pub fn inbox(self) -> Inbox<K, V> {
        Inbox(self.0)
    }
}

impl<K: Key, V: 'static> GlobalTable<K, V> {
    /// Returns a handle that reads from the owners instead of the worker's copy. Its rows are
    /// fresher, but the reads are not local.
    pub fn view(self) -> View<K, V> {
        View(self.0)
    }

    /// Returns a handle that only sends changes, without a copy to read.
    pub fn inbox(self) -> Inbox<K, V> {
        Inbox(self.0)
    }
}

impl<K: Key, V: Clone + 'static> TableDeclaration<K, V> {
    /// Opens the table's slice in a shard. Every user in the shard gets the same one.
    pub(crate) fn open_slice(&self, shard: &ShardScope) -> Rc<OpenTable<K, V>> {
        let name = &self.identity.name;
        shard.open_once(Opened::Slice, name, || {
            let settings = self.settings();
            let index = shard.table_index(name);
            let (partition, partitions) = (shard.partition(), shard.partitions);
            let guard: Option<marlowe_state::Guard<K>> = match settings.keyspace {
                Keyspace::PartitionLocal => None,
                Keyspace::Partitioned => {
                    let (table, partitioner) = (name.clone(), settings.partitioner);
                    Some(Box::new(move |key: &K| {
                        ForeignKey::check(&table, key, partitioner, partition, partitions).map_err(Into::into)
                    }))
                }
            };
            let config = SliceConfig {
                store: shard.store.clone(),
                table: index,
                slot: PositionSlot(u32::from(index.0)),
                cache_rows: settings.cache_rows,
                isolation: shard.isolation,
            };
            OpenTable {
                slice: marlowe_state::Slice::new(config, Box::new(TableFormat { codec: settings.codec }), guard),
                turn: shard.turn.clone(),
                name: name.clone(),
                kind: self.identity.kind,
                index,
                told: Cell::new(shard.store.position(PositionSlot(u32::from(index.0))).inbox),
                changelog: shard.out_topic(&self.identity.changelog),
                limit: shard.worker.record_limit,
            }
        })
    }
}

impl<K: Key, V: 'static> TableDeclaration<K, V> {
    fn open_inbox(&self, shard: &ShardScope) -> Rc<OpenInbox<K, V>> {
        let TableDeclaration { identity, .. } = self;
        shard.open_once(Opened::Inbox, &identity.name, || {
            OpenInbox::new(
                shard.turn.clone(),
                identity.name.clone(),
                shard.out_topic(&identity.inbox),
                shard.worker.partitions(&identity.inbox),
                shard.worker.record_limit,
                self.settings(),
            )
        })
    }

    fn inbox_client(&self, worker: &WorkerScope) -> InboxClient<K, V> {
        let partitions = worker.partitions(&self.identity.inbox);
        InboxClient::new(
            self.identity.clone(),
            partitions,
            self.settings(),
            worker.producer.clone(),
            worker.clock.clone(),
        )
    }

    fn open_view(&self, worker: &WorkerScope) -> TableView<K, V> {
        let settings = self.settings();
        TableView::new(self.identity.clone(), settings, worker.routes.clone())
    }

    fn open_copy(&self, worker: &WorkerScope) -> GlobalReader<K, V> {
        let settings = self.settings();
        let copy = worker.global(&self.identity.name);
        GlobalReader::new(self.identity.clone(), copy, settings.partitioner, settings.codec)
    }
}

impl<K: Key, V: Clone + 'static> ShardWith for Table<K, V> {
    type Opened = TableSlice<K, V>;

    fn declare(&self, uses: &mut Uses) {
        uses.0.push(Use::Slice(self.0.identity.name.clone()));
    }

    #[allow(private_interfaces)]
    fn open_in_shard(&self, shard: &ShardScope) -> TableSlice<K, V> {
        TableSlice::new(self.0.open_slice(shard))
    }
}

impl<K: Key, V: 'static> ShardWith for GlobalTable<K, V> {
    type Opened = GlobalCopy<K, V>;

    fn declare(&self, uses: &mut Uses) {
        let name = &self.0.identity.name;
        uses.0.extend([Use::Copy(name.clone()), Use::Inbox(name.clone())]);
    }

    #[allow(private_interfaces)]
    fn open_in_shard(&self, shard: &ShardScope) -> GlobalCopy<K, V> {
        GlobalCopy::new(self.0.open_copy(&shard.worker), self.0.open_inbox(shard))
    }
}

impl<K: Key, V: 'static> WorkerWith for GlobalTable<K, V> {
    type Opened = GlobalClient<K, V>;

    fn declare(&self, uses: &mut Uses) {
        <Self as ShardWith>::declare(self, uses);
    }

    #[allow(private_interfaces)]
    fn open_on_worker(&self, worker: &WorkerScope) -> GlobalClient<K, V> {
        GlobalClient::new(self.0.open_copy(worker), self.0.inbox_client(worker))
    }
}

impl<K: Key, V: 'static> ShardWith for View<K, V> {
    type Opened = TableView<K, V>;

    fn declare(&self, uses: &mut Uses) {
        uses.0.push(Use::View(self.0.identity.name.clone()));
    }

    #[allow(private_interfaces)]
    fn open_in_shard(&self, shard: &ShardScope) -> TableView<K, V> {
        self.0.open_view(&shard.worker)
    }
}

impl<K: Key, V: 'static> ClientWith for View<K, V> {}

impl<K: Key, V: 'static> WorkerWith for View<K, V> {
    type Opened = TableView<K, V>;

    fn declare(&self, uses: &mut Uses) {
        <Self as ShardWith>::declare(self, uses);
    }

    #[allow(private_interfaces)]
    fn open_on_worker(&self, worker: &WorkerScope) -> TableView<K, V> {
        self.0.open_view(worker)
    }
}

impl<K: Key, V: 'static> ShardWith for Inbox<K, V> {
    type Opened = InboxSender<K, V>;

    fn declare(&self, uses: &mut Uses) {
        uses.0.push(Use::Inbox(self.0.identity.name.clone()));
    }

    #[allow(private_interfaces)]
    fn open_in_shard(&self, shard: &ShardScope) -> InboxSender<K, V> {
        InboxSender::new(self.0.open_inbox(shard))
    }
}

impl<K: Key, V: 'static> ClientWith for Inbox<K, V> {}

impl<K: Key, V: 'static> WorkerWith for Inbox<K, V> {
    type Opened = InboxClient<K, V>;

    fn declare(&self, uses: &mut Uses) {
        <Self as ShardWith>::declare(self, uses);
    }

    #[allow(private_interfaces)]
    fn open_on_worker(&self, worker: &WorkerScope) -> InboxClient<K, V> {
        self.0.inbox_client(worker)
    }
}
