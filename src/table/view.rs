//! Committed reads of a whole table from anywhere: the public side of [`query`](crate::query).

use std::fmt;
use std::ops::RangeBounds;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use marlowe_broker::{Partition, Partitioner};
use marlowe_state::KeyRange;

use super::as_key::AsKey;
use super::declaration::{Keyspace, TableIdentity, TableSettings};
use super::read::{Position, Read};
use super::rows::{UndecodableRow, decode_row, ordered_range, pass_over};
use super::view_error::ViewError;
use crate::codec::{Codec, CodecError, Key};
use crate::limits::after;
use crate::outbound::Sent;
use crate::peer::Wanted;
use crate::query::{RouteError, Routes, SlicePlace};

/// Reads of a whole table from anywhere. They see committed state only, each from one snapshot, and
/// never run on a shard's thread. (Kafka Streams: interactive queries.)
///
/// A slice that is open in this process is read directly. Any other slice is asked of its owner,
/// through the web server of the owner's process. While a slice moves or is restored, a read waits
/// for it, up to [a deadline](Self::within).
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

/// The number of rows that are read from one slice at a time.
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

    /// Returns this view with another deadline (default: 10 seconds). This is the longest time that
    /// a read waits for slices that are not open. In a scan each page has the whole time.
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Returns this view, which now also accepts answers of standbys that lack at most the changes
    /// of the last `bound` (default: only the owner answers). So reads go on after an owner is
    /// lost. They are local if this process has a [standby](crate::Config::standby_replicas).
    ///
    /// The order of attempts is: the owner in this process, a standby in this process, the owner in
    /// another process, a standby in another process. [`Read::stale`] says whether a standby
    /// answered.
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
    /// assert!(
    ///     read.stale.is_none_or(|stale| stale <= Duration::from_secs(3)),
    ///     "with the time it was on its way"
    /// );
    /// # running.stop().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn stale_within(mut self, bound: Duration) -> Self {
        self.stale_within = Some(bound);
        self
    }

    /// Returns the row of `key`, if there is one.
    ///
    /// # Errors
    /// - [`ViewError::Unavailable`] if no worker has the key's slice open within the deadline.
    /// - [`ViewError::Undecodable`] if the row does not decode.
    /// - [`ViewError::PartitionLocal`] if the table is
    ///   [`partition_local`](crate::Table::partition_local), because the key alone names no row.
    /// - [`ViewError::Refused`] if the owner is in another process and refuses to answer.
    /// - [`ViewError::Store`] if the store in this process cannot be read.
    pub async fn get(&self, key: impl AsKey<K>) -> Result<Option<V>, ViewError> {
        Ok(self.read(key).await?.value)
    }

    /// Returns the row of `key`, with the position of the state that it was read from.
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
        let partition = self.routes.slices.home(&self.table.name, self.partitioner, &topic_key);
        let place = self.place(partition);
        let (row, as_of) = self.routes.row(&place, ordered.clone()).await.map_err(|error| self.error(&place, error))?;
        let value = row.map(|bytes| self.codec.decode(&bytes)).transpose();
        let value = value.map_err(|reason| self.undecodable_row(partition, &ordered, reason))?;
        Ok(Read { value, partition, position: as_of.position.into(), stale: as_of.stale })
    }

    /// Waits until the owner's committed state includes the change `sent`, and returns the state's
    /// position.
    ///
    /// # Errors
    /// [`ViewError::Behind`] if the state does not include the change within the deadline.
    /// Otherwise as [`get`](Self::get).
    pub async fn wait_for(&self, sent: &Sent) -> Result<Position, ViewError> {
        let wanted = Wanted { changelog: None, inbox: Some(sent.offset.get()) };
        let place = SlicePlace { wanted, stale_within: None, ..self.place(sent.partition) };
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

    /// Returns all rows of all partitions, in key order. Each partition is read in pages, and each
    /// page is one snapshot.
    ///
    /// Rows that do not decode are skipped with a warning; [`undecodable`](Self::undecodable) lists
    /// them.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn iter(&self) -> Result<Vec<(K, V)>, ViewError> {
        self.collect(KeyRange::all(), usize::MAX).await
    }

    /// Returns the rows of all partitions that do not decode. This reads the whole table.
    ///
    /// # Errors
    /// [`ViewError::Unavailable`] if no worker has one of the slices open within the deadline.
    pub async fn undecodable(&self) -> Result<Vec<UndecodableRow>, ViewError> {
        let rows = self.rows(KeyRange::all(), usize::MAX).await?;
        Ok(rows.into_iter().filter_map(|row| row.row.err()).collect())
    }

    /// Returns the rows whose keys lie in `keys`, in key order: text in byte order, integers in
    /// numeric order.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn range(&self, keys: impl RangeBounds<K>) -> Result<Vec<(K, V)>, ViewError> {
        self.collect(ordered_range(&keys), usize::MAX).await
    }

    /// Returns the first `limit` rows whose keys lie in `keys`, in key order.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn page(&self, keys: impl RangeBounds<K>, limit: usize) -> Result<Vec<(K, V)>, ViewError> {
        self.collect(ordered_range(&keys), limit).await
    }

    /// Returns the number of rows in the table.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn len(&self) -> Result<u64, ViewError> {
        let counts = self
            .places()
            .map(|place| async move { self.routes.count(&place).await.map_err(|error| self.error(&place, error)) });
        Ok(try_join_all(counts).await?.into_iter().sum())
    }

    /// Returns `true` if the table has no rows.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn is_empty(&self) -> Result<bool, ViewError> {
        Ok(self.len().await? == 0)
    }

    /// Returns the first `limit` rows of a range that decode.
    async fn collect(&self, range: KeyRange, limit: usize) -> Result<Vec<(K, V)>, ViewError> {
        let rows = self.rows(range, limit).await?;
        let mut rows = pass_over(rows.into_iter().map(|row| row.row));
        rows.truncate(limit);
        Ok(rows)
    }

    /// Returns rows of a range in key order: at least the first `limit` that decode, and those
    /// between them that do not.
    async fn rows(&self, range: KeyRange, limit: usize) -> Result<Vec<ViewedRow<K, V>>, ViewError> {
        let parts = try_join_all(self.places().map(|place| self.rows_of(place, range.clone(), limit))).await?;
        let mut rows: Vec<ViewedRow<K, V>> = parts.into_iter().flatten().collect();
        rows.sort_by(|one, next| one.ordered.cmp(&next.ordered));
        Ok(rows)
    }

    /// Returns these rows for one partition. They are read in pages.
    async fn rows_of(
        &self,
        mut place: SlicePlace,
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

    fn place(&self, partition: Partition) -> SlicePlace {
        SlicePlace {
            table: self.table.name.clone(),
            partition,
            wanted: Wanted::default(),
            deadline: after(self.deadline),
            stale_within: self.stale_within,
        }
    }

    /// Returns the places of all partitions, with one common deadline.
    fn places(&self) -> impl Iterator<Item = SlicePlace> {
        let first = self.place(Partition::new(0));
        Partition::all(self.partitions()).map(move |partition| SlicePlace { partition, ..first.clone() })
    }

    fn error(&self, place: &SlicePlace, error: RouteError) -> ViewError {
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

/// A row of a scan, with its key in ordered form.
struct ViewedRow<K, V> {
    ordered: Box<[u8]>,
    row: Result<(K, V), UndecodableRow>,
}

impl<V: 'static> TableView<String, V> {
    /// Returns the rows whose keys start with `prefix`, in key order.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn prefix(&self, prefix: &str) -> Result<Vec<(String, V)>, ViewError> {
        self.collect(KeyRange::prefix(prefix.as_bytes()), usize::MAX).await
    }
}
