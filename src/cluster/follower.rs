use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{
    BrokerError, Clock, Isolation, Offset, OffsetSpec, Partition, RecordBatch, SharedBroker, TopicPartition,
};
use tokio::time::Instant;

use super::{Directory, Entry};

/// How soon to try again when the topic cannot be read.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Follows the topic of workers into the directory, for ever.
pub(crate) async fn follow(broker: SharedBroker, topic: Arc<str>, directory: Arc<Directory>, clock: Arc<dyn Clock>) {
    let partition = TopicPartition::new(topic, Partition::new(0));
    let follower = Follower { broker, partition, directory, clock };
    let mut position = None;
    loop {
        let Err(error) = follower.read_from(&mut position).await;
        if let BrokerError::OffsetOutOfRange { .. } = error {
            position = None;
        }
        tracing::warn!("the directory of workers cannot be read, and is tried again: {error}");
        tokio::time::sleep(TRY_AGAIN).await;
    }
}

struct Follower {
    broker: SharedBroker,
    partition: TopicPartition,
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
}

impl Follower {
    async fn read_from(&self, position: &mut Option<Offset>) -> Result<std::convert::Infallible, BrokerError> {
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

    /// Takes records in. Those below `end` were there before, and how long is told by their timestamps.
    fn take(&self, batch: &dyn RecordBatch, end: Offset) {
        let (now, clock) = (Instant::now(), self.clock.now().millis());
        for index in 0..batch.len() {
            let record = batch.get(index);
            let Some(worker) = record.key.and_then(|key| std::str::from_utf8(key).ok()) else { continue };
            let worker: Arc<str> = worker.into();
            let entry: Option<Entry> = match record.value.map(serde_json::from_slice).transpose() {
                Ok(entry) => entry,
                Err(error) => {
                    tracing::warn!("what worker `{worker}` says of itself is not understood: {error}");
                    continue;
                }
            };
            let age = if record.offset < end { clock.saturating_sub(record.timestamp.millis()).max(0) } else { 0 };
            let heard = now.checked_sub(Duration::from_millis(age.unsigned_abs())).unwrap_or(now);
            self.directory.hear(&worker, entry, heard);
        }
    }
}
