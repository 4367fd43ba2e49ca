use std::fmt;
use std::ops::RangeBounds;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use marlowe_broker::{Partition, Partitioner};
use marlowe_state::KeyRange;

use super::as_key::AsKey;
use super::declaration::{Keyspace, TableIdentity, TableSettings};
use super::key_range::ordered_range;
use super::read::{Position, Read};
use super::undecodable::{UndecodableRow, decode_row, pass_over};
use super::view_error::ViewError;
use crate::codec::{Codec, CodecError, Key};
use crate::limits::after;
use crate::outbound::Sent;
use crate::peer::Wanted;
use crate::query::{Place, RouteError, Routes};

/// Reads of a whole table, whoever owns its slices, in this process or another: committed state only, from a snapshot, never
/// on a shard's thread.
///
/// What this process owns is read where it is. The rest is asked of its owner, over the owner's web server. A read waits
/// for a slice that is just moving or being restored, up to [a deadline](Self::within).
///
/// ```
/// use marlowe::{App, Config};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut app = App::new("bank");
/// let balances = app.table::<String, i64>("balances").merge(|balance, change| *balance += change);
///
/// let running = app.start(Config::default().without_web()).await?;
/// let (view, inbox) = running.open((balances.view(), balances.inbox()));
/// inbox.send("ada", 100).await?;
/// let sent = inbox.send("ada", -30).await?;
/// view.wait_for(&sent).await?;
///
/// let read = view.read("ada").await?;
/// assert_eq!(read.value, Some(70));
/// assert!(read.position.includes(&sent));
/// assert_eq!(view.prefix("a").await?, [("ada".to_owned(), 70)]);
/// # running.stop().await?;
/// # Ok(())
/// # }
/// ```
pub struct TableView<K, V> {
    table: TableIdentity,
    partitioner: Partitioner,
    keyspace: Keyspace,
    codec: Arc<dyn Codec<V>>,
    routes: Arc<Routes>,
    deadline: Duration,
    stale_within: Option<Duration>,
    key: std::marker::PhantomData<fn() -> K>,
}

impl<K, V> Clone for TableView<K, V> {
    fn clone(&self) -> Self {
        Self {
            table: self.table.clone(),
            partitioner: self.partitioner,
            keyspace: self.keyspace,
            codec: self.codec.clone(),
            routes: self.routes.clone(),
            deadline: self.deadline,
            stale_within: self.stale_within,
            key: self.key,
        }
    }
}

impl<K, V> fmt::Debug for TableView<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TableView({})", self.table.name)
    }
}

/// How many rows are read from one slice at a time.
const PAGE: usize = 1024;

impl<K: Key, V: 'static> TableView<K, V> {
    pub(crate) fn new(table: TableIdentity, settings: TableSettings<V>, routes: Arc<Routes>) -> Self {
        Self {
            table,
            partitioner: settings.partitioner,
            keyspace: settings.keyspace,
            codec: settings.codec,
            routes,
            deadline: Duration::from_secs(10),
            stale_within: None,
            key: std::marker::PhantomData,
        }
    }

    /// The same view with another deadline (default: 10 seconds): how long a read may wait for slices that are not open.
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The same view, that takes a standby's answer too when it lacks at most the last so long of changes: so reads go on
    /// while an owner is gone, and are local where there is a [standby](crate::Config::standby_replicas) here.
    ///
    /// Asked are, in this order: the owner in this process, a standby in this process, the owner elsewhere, a standby
    /// elsewhere. [`Read::stale`] says which it was.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use marlowe::{App, Config};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut app = App::new("bank");
    /// # let balances = app.table::<String, i64>("balances");
    /// # let running = app.start(Config::default().without_web()).await?;
    /// let view = running.open(balances.view()).stale_within(Duration::from_secs(2));
    /// let read = view.read("ada").await?;
    /// assert!(read.stale.is_none_or(|stale| stale <= Duration::from_secs(3)), "with the time it was on its way");
    /// # running.stop().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn stale_within(mut self, bound: Duration) -> Self {
        self.stale_within = Some(bound);
        self
    }

    /// The row of `key`, if there is one. Of a [`partition_local`](crate::Table::partition_local) table it is the row
    /// in the partition that `key` hashes to, which need not be the one you mean.
    ///
    /// # Errors
    /// [`ViewError::Unavailable`] when no worker has the key's slice open within the deadline, and
    /// [`ViewError::Undecodable`] when the row does not decode.
    pub async fn get(&self, key: impl AsKey<K>) -> Result<Option<V>, ViewError> {
        Ok(self.read(key).await?.value)
    }

    /// The row of `key`, and how far the state it was read from is.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn read(&self, key: impl AsKey<K>) -> Result<Read<V>, ViewError> {
        if self.keyspace == Keyspace::PartitionLocal {
            return Err(ViewError::PartitionLocal { table: self.table.name.clone() });
        }
        let (topic_key, ordered) = key.lend(|key| {
            let (mut topic_key, mut ordered) = (Vec::new(), Vec::new());
            key.encode(&mut topic_key);
            key.encode_ordered(&mut ordered);
            (topic_key, ordered)
        });
        let partition = match self.partitions() {
            0 => Partition::new(0),
            partitions => self.partitioner.partition(&topic_key, partitions),
        };
        let place = self.place(partition);
        let (row, as_of) = self.routes.row(&place, ordered.clone()).await.map_err(|error| self.error(&place, error))?;
        let value = row.map(|bytes| self.codec.decode(&bytes)).transpose();
        let value = value.map_err(|reason| self.undecodable_row(partition, &ordered, reason))?;
        Ok(Read { value, partition, position: as_of.position.into(), stale: as_of.stale })
    }

    /// Waits until the owner's state has a change that was sent to this table, and tells its position.
    ///
    /// # Errors
    /// [`ViewError::Behind`] when it has not within the deadline, or as [`get`](Self::get).
    pub async fn wait_for(&self, sent: &Sent) -> Result<Position, ViewError> {
        let wanted = Wanted { changelog: None, inbox: Some(sent.offset.get()) };
        let place = Place { wanted, stale_within: None, ..self.place(sent.partition) };
        let position = self.routes.position(&place).await.map_err(|error| match error {
            RouteError::Behind(_) => ViewError::Behind {
                table: self.table.name.clone(),
                partition: sent.partition,
                sent: sent.to_string(),
                waited: self.deadline,
            },
            error => self.error(&place, error),
        })?;
        Ok(position.into())
    }

    /// All rows, in key order, from all partitions. Each partition's part is read in pages; a page is one snapshot.
    ///
    /// Rows that do not decode are passed over, with a warning; [`undecodable`](Self::undecodable) lists them.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn iter(&self) -> Result<Vec<(K, V)>, ViewError> {
        self.collect(KeyRange::all(), usize::MAX).await
    }

    /// The rows that do not decode, of all partitions. The whole table is read for it.
    ///
    /// # Errors
    /// [`ViewError::Unavailable`] when no worker has a slice open within the deadline.
    pub async fn undecodable(&self) -> Result<Vec<UndecodableRow>, ViewError> {
        let rows = self.rows(KeyRange::all(), usize::MAX).await?;
        Ok(rows.into_iter().filter_map(|row| row.row.err()).collect())
    }

    /// The rows whose keys lie in `keys`, in key order: text in byte order, integers in numeric order.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn range(&self, keys: impl RangeBounds<K>) -> Result<Vec<(K, V)>, ViewError> {
        self.collect(ordered_range(&keys), usize::MAX).await
    }

    /// The first `limit` rows whose keys lie in `keys`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn page(&self, keys: impl RangeBounds<K>, limit: usize) -> Result<Vec<(K, V)>, ViewError> {
        self.collect(ordered_range(&keys), limit).await
    }

    /// How many rows the table has.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn len(&self) -> Result<u64, ViewError> {
        let counts = self
            .places()
            .map(|place| async move { self.routes.count(&place).await.map_err(|error| self.error(&place, error)) });
        Ok(try_join_all(counts).await?.into_iter().sum())
    }

    /// Whether the table has no row.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn is_empty(&self) -> Result<bool, ViewError> {
        Ok(self.len().await? == 0)
    }

    /// The first `limit` rows of a range that decode.
    async fn collect(&self, range: KeyRange, limit: usize) -> Result<Vec<(K, V)>, ViewError> {
        let rows = self.rows(range, limit).await?;
        let mut rows = pass_over(rows.into_iter().map(|row| row.row));
        rows.truncate(limit);
        Ok(rows)
    }

    /// The rows of a range in key order: at least the first `limit` that decode, with those between that do not.
    async fn rows(&self, range: KeyRange, limit: usize) -> Result<Vec<ViewedRow<K, V>>, ViewError> {
        let parts = try_join_all(self.places().map(|place| self.rows_of(place, range.clone(), limit))).await?;
        let mut rows: Vec<ViewedRow<K, V>> = parts.into_iter().flatten().collect();
        rows.sort_by(|one, next| one.ordered.cmp(&next.ordered));
        Ok(rows)
    }

    /// The same of one partition, read in pages.
    async fn rows_of(
        &self,
        mut place: Place,
        mut range: KeyRange,
        limit: usize,
    ) -> Result<Vec<ViewedRow<K, V>>, ViewError> {
        let (mut all, mut decoded) = (Vec::new(), 0);
        while decoded < limit {
            place.deadline = after(self.deadline);
            let page = self.routes.rows(&place, range.clone(), PAGE.min(limit - decoded)).await;
            let (rows, more) = page.map_err(|error| self.error(&place, error))?;
            for (ordered, value) in rows.iter() {
                let row = decode_row(&*self.codec, ordered, value.unwrap_or_default())
                    .map_err(|reason| self.undecodable_row(place.partition, ordered, reason));
                decoded += usize::from(row.is_ok());
                all.push(ViewedRow { ordered: ordered.into(), row });
            }
            match all.last() {
                Some(last) if more => range.start = std::ops::Bound::Excluded(last.ordered.to_vec()),
                _ => break,
            }
        }
        Ok(all)
    }

    fn partitions(&self) -> u32 {
        self.routes.slices.partitions(&self.table.name)
    }

    fn place(&self, partition: Partition) -> Place {
        Place {
            table: self.table.name.clone(),
            partition,
            wanted: Wanted::default(),
            deadline: after(self.deadline),
            stale_within: self.stale_within,
        }
    }

    /// All partitions, with one deadline.
    fn places(&self) -> impl Iterator<Item = Place> {
        let first = self.place(Partition::new(0));
        Partition::all(self.partitions()).map(move |partition| Place { partition, ..first.clone() })
    }

    fn error(&self, place: &Place, error: RouteError) -> ViewError {
        let (table, partition, waited) = (self.table.name.clone(), place.partition, self.deadline);
        match error {
            RouteError::Closed(absence) => {
                ViewError::Unavailable { table, partition, waited, reason: absence.to_string() }
            }
            RouteError::Behind(_) => {
                ViewError::Unavailable { table, partition, waited, reason: RouteError::to_string(&error) }
            }
            RouteError::Refused { worker, reason } => ViewError::Refused { table, partition, worker, reason },
            RouteError::Store(source) => ViewError::Store { table, source },
        }
    }

    fn undecodable_row(&self, partition: Partition, ordered: &[u8], reason: CodecError) -> UndecodableRow {
        UndecodableRow::new::<K>(self.table.name.clone(), Some(partition), ordered, reason)
    }
}

/// A row of a scan, with its key in the store's form.
struct ViewedRow<K, V> {
    ordered: Box<[u8]>,
    row: Result<(K, V), UndecodableRow>,
}

impl<V: 'static> TableView<String, V> {
    /// The rows whose keys start with `prefix`, in key order.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn prefix(&self, prefix: &str) -> Result<Vec<(String, V)>, ViewError> {
        self.collect(KeyRange::prefix(prefix.as_bytes()), usize::MAX).await
    }
}
