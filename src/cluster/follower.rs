//! The reader of the topic of workers, which fills the directory.

use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{
    BrokerError, Clock, Isolation, Offset, OffsetSpec, Partition, RecordBatch, SharedBroker, TopicPartition,
};
use tokio::time::Instant;

use super::directory::Directory;
use super::entry::{Entry, SIGNATURE, is_signed};
use super::token::ClusterToken;
use crate::backoff::Backoff;

/// The pause before another attempt if the topic cannot be read.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// The shortest time between two warnings about ignored records.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Reads the topic of workers into the directory. Runs for ever. If there is a token, only records
/// that are signed with it count.
pub(crate) async fn follow(
    broker: SharedBroker,
    topic: Arc<str>,
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
    token: Option<ClusterToken>,
) {
    let partition = TopicPartition::new(topic, Partition::new(0));
    let mut follower = DirectoryFollower { broker, partition, directory, clock, token, told: None };
    let (mut position, mut backoff) = (None, Backoff::every(TRY_AGAIN));
    loop {
        let Err(error) = follower.read_from(&mut position).await;
        if let BrokerError::OffsetOutOfRange { .. } = error {
            position = None;
        }
        tracing::warn!("the directory of workers cannot be read; trying again: {error}");
        backoff.wait().await;
    }
}

struct DirectoryFollower {
    broker: SharedBroker,
    partition: TopicPartition,
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
    token: Option<ClusterToken>,
    /// The time of the last warning about an ignored record.
    told: Option<Instant>,
}

impl DirectoryFollower {
    async fn read_from(&mut self, position: &mut Option<Offset>) -> Result<std::convert::Infallible, BrokerError> {
        let TopicPartition { topic, partition } = &self.partition;
        let place = async |spec| {
            let offsets = self.broker.offsets(topic, std::slice::from_ref(partition), spec).await?;
            Ok::<_, BrokerError>(offsets.first().copied().unwrap_or_default())
        };
        let from = match *position {
            Some(position) => position,
            None => place(OffsetSpec::Earliest).await?,
        };
        let end = place(OffsetSpec::Latest).await?;
        let mut reader = self.broker.reader(Isolation::ReadCommitted)?;
        reader.assign(&self.partition, from)?;
        loop {
            for fetched in reader.poll().await? {
                self.take(&*fetched.batch, end);
                *position = Some(fetched.batch.next_offset());
            }
        }
    }

    /// Puts records into the directory. Records below `end` were written before this process began
    /// to read, so their timestamps say when their workers were last heard of.
    fn take(&mut self, batch: &dyn RecordBatch, end: Offset) {
        let (now, clock) = (Instant::now(), self.clock.now().millis());
        for index in 0..batch.len() {
            let record = batch.get(index);
            let Some(worker) = record.key.and_then(|key| std::str::from_utf8(key).ok()) else { continue };
            if let Some(token) = &self.token {
                let headers = batch.headers(index);
                let signature = headers.iter().find(|header| header.name == SIGNATURE).and_then(|header| header.value);
                let topic = &self.partition.topic;
                if !is_signed(token, topic, worker, record.timestamp, record.value, signature.unwrap_or_default()) {
                    self.directory.note_unsigned(worker);
                    self.ignored(worker, "it is not signed with this worker's --cluster-token");
                    continue;
                }
            }
            let entry = match record.value.map(Entry::parse).transpose() {
                Ok(entry) => entry,
                Err(reason) => {
                    self.ignored(worker, &reason);
                    continue;
                }
            };
            let worker: Arc<str> = worker.into();
            let age = if record.offset < end { clock.saturating_sub(record.timestamp.millis()).max(0) } else { 0 };
            let heard = now.checked_sub(Duration::from_millis(age.unsigned_abs())).unwrap_or(now);
            self.directory.hear(&worker, entry, heard);
        }
    }

    /// Warns that a record is ignored, but not for every record: otherwise anyone who writes to the
    /// topic could fill the log.
    fn ignored(&mut self, worker: &str, reason: &str) {
        if self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            self.told = Some(Instant::now());
            let (topic, worker) = (&self.partition.topic, worker.escape_debug());
            tracing::warn!("a record of worker `{worker}` in `{topic}` is ignored: {reason}");
        }
    }
}
