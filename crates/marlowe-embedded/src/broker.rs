//! The embedded broker itself: opening it in memory or in a folder, and its side of the `Broker`
//! trait.

use std::path::Path;
use std::sync::Arc;

use marlowe_broker::{
    BoxFuture, Broker, BrokerError, CommittedOffset, GroupConfig, GroupMetadata, Isolation, Membership, Offset,
    OffsetSpec, Partition as Number, Producer, Reader, Reads, RecordBatch, RecordLimit, TopicConfig, TopicDescription,
    TopicPartition, TransactionalProducer,
};
use tokio::time::Instant;

use crate::catalog::Catalog;
use crate::config::EmbeddedConfig;
use crate::declared::DeclaredReads;
use crate::group::{GroupMembership, generation_by};
use crate::handle::Handle;
use crate::ledger::Ledger;
use crate::partition::Partition;
use crate::positions::Positions;
use crate::producer::PlainProducer;
use crate::reader::PartitionReader;
use crate::request::{Answer, GroupPositions, Request, Write};
use crate::storage::{Folder, Memory};
use crate::transaction::Transactional;

/// A broker inside the process, with Kafka's model: topics, consumer groups, transactions, log
/// compaction and fencing.
///
/// Clones are the same broker. It is closed when the last clone is dropped, and also the last
/// reader, producer and membership that it opened.
#[derive(Clone)]
pub struct EmbeddedBroker {
    handle: Arc<Handle>,
    id: Option<Arc<str>>,
}

impl EmbeddedBroker {
    /// Creates a broker that keeps everything in memory. It starts no thread, and each call does
    /// its work before it returns.
    pub fn in_memory(config: EmbeddedConfig) -> Self {
        let (catalog, declared) = (Catalog::new(Vec::new(), 0), DeclaredReads::default());
        let (storage, generation) = (Box::new(Memory::default()), generation_by(&*config.clock));
        let ledger = Ledger::new(config, storage, catalog, Positions::default(), declared, generation);
        Self { handle: Arc::new(Handle::direct(ledger)), id: None }
    }

    /// Opens the broker in `folder`. A missing or empty folder gets a new broker. A commit is on
    /// the disk when its future resolves. A thread of the broker writes.
    ///
    /// # Errors
    /// - [`BrokerError::FolderInUse`] when the folder is already open.
    /// - [`BrokerError::NotTheBroker`] when the folder is damaged, belongs to another owner, or
    ///   does not hold the expected broker.
    /// - [`BrokerError::Storage`] when the disk refuses, or the folder has the format of another
    ///   version.
    pub fn open(folder: &Path, config: EmbeddedConfig) -> Result<Self, BrokerError> {
        let (storage, held) = Folder::open(folder, &config)?;
        let positions = Positions::default();
        for (group, partition, committed) in held.positions {
            positions.set(&group, &partition.place, Some(committed));
        }
        let catalog = Catalog::new(held.topics, held.next_partition);
        let declared = DeclaredReads::new(held.reads);
        let ledger = Ledger::new(config, Box::new(storage), catalog, positions, declared, held.generation);
        ledger.clean_after_pause();
        let handle = Handle::with_writer(ledger).map_err(|error| BrokerError::Storage {
            action: "start the writer of",
            path: folder.display().to_string(),
            reason: error.to_string(),
        })?;
        Ok(Self { handle: Arc::new(handle), id: Some(held.id) })
    }

    /// Copies the broker in the folder `from` to the new folder `to`, as it was after one of its
    /// changes. Another process may have `from` open and write to it.
    ///
    /// # Errors
    /// [`BrokerError::Storage`] when `from` is damaged, or the disk refuses.
    pub fn copy(from: &Path, to: &Path) -> Result<(), BrokerError> {
        crate::storage::copy(from, to)
    }

    /// Returns the id that tells the broker from all others: 16 hexadecimal digits that its folder
    /// got when it was created. A broker in memory has none.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Does at once all that retention and compaction would do over time. Compaction leaves the
    /// last batch of each partition alone.
    ///
    /// # Errors
    /// When the storage fails. What was cleaned until then stays cleaned.
    pub async fn clean(&self) -> Result<(), BrokerError> {
        self.act("cleaning", Request::Clean).await
    }

    async fn act(&self, operation: &'static str, request: Request) -> Result<(), BrokerError> {
        self.handle.submit(operation, request).answer().await.map(drop)
    }

    fn ledger(&self) -> &Ledger {
        &self.handle.ledger
    }

    /// Returns the offset of the first record with the timestamp `time` or a later one; the end
    /// when there is none.
    fn offset_at(&self, partition: &Partition, time: i64) -> Result<u64, BrokerError> {
        let storage = &self.ledger().storage;
        let end = partition.end();
        let mut cursor = partition.start();
        while cursor < end
            && let Some(outline) = storage.outline(partition.id, cursor)?
        {
            if outline.newest >= time
                && let Some(batch) = storage.read(partition.id, cursor)?
                && let Some(index) =
                    (batch.before(cursor)..batch.len()).find(|index| batch.get(*index).timestamp.millis() >= time)
            {
                return Ok(batch.offset(index));
            }
            cursor = outline.next;
        }
        Ok(end)
    }
}

impl std::fmt::Debug for EmbeddedBroker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedBroker").field("location", &self.location()).finish_non_exhaustive()
    }
}

impl Broker for EmbeddedBroker {
    fn location(&self) -> String {
        self.ledger().storage.location()
    }

    fn record_limit(&self) -> RecordLimit {
        self.ledger().config.record_limit()
    }

    fn create_topic(&self, config: TopicConfig) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(self.act("creating a topic", Request::CreateTopic(config)))
    }

    fn delete_topic<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(self.act("deleting a topic", Request::DeleteTopic(topic.into())))
    }

    fn topic<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Option<TopicDescription>, BrokerError>> {
        Box::pin(async { Ok(self.ledger().catalog.find(topic).map(|topic| topic.description.clone())) })
    }

    fn topics(&self) -> BoxFuture<'_, Result<Vec<TopicDescription>, BrokerError>> {
        Box::pin(async { Ok(self.ledger().catalog.all().iter().map(|topic| topic.description.clone()).collect()) })
    }

    /// Returns the id of each topic's first partition. No other topic of this broker has or had
    /// that id.
    fn topic_ids<'a>(&'a self, topics: &'a [Arc<str>]) -> BoxFuture<'a, Result<Vec<Option<Arc<str>>>, BrokerError>> {
        let id = |topic: &Arc<str>| {
            let topic = self.ledger().catalog.find(topic)?;
            Some(topic.partitions.first()?.id.to_string().into())
        };
        Box::pin(std::future::ready(Ok(topics.iter().map(id).collect())))
    }

    fn offsets<'a>(
        &'a self,
        topic: &'a str,
        partitions: &'a [Number],
        spec: OffsetSpec,
    ) -> BoxFuture<'a, Result<Vec<Offset>, BrokerError>> {
        Box::pin(async move {
            let topic = self.ledger().catalog.topic(topic)?;
            let partitions =
                partitions.iter().map(|number| topic.partition(*number)).collect::<Result<Vec<_>, BrokerError>>()?;
            self.handle.barrier().await?;
            let offsets: Result<Vec<u64>, BrokerError> = match spec {
                OffsetSpec::Earliest => partitions.iter().map(|partition| Ok(partition.start())).collect(),
                OffsetSpec::Latest => {
                    self.ledger().glance(|| partitions.iter().map(|partition| Ok(partition.end())).collect())
                }
                OffsetSpec::At(time) => {
                    partitions.iter().map(|partition| self.offset_at(partition, time.millis())).collect()
                }
            };
            offsets.map(|offsets| offsets.into_iter().map(Offset::new).collect())
        })
    }

    fn delete_records<'a>(&'a self, before: &'a [(TopicPartition, Offset)]) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(self.act("deleting records", Request::DeleteRecords(before.to_vec())))
    }

    fn committed<'a>(
        &'a self,
        group: &'a str,
        partitions: &'a [TopicPartition],
    ) -> BoxFuture<'a, Result<Vec<Option<CommittedOffset>>, BrokerError>> {
        Box::pin(async move {
            self.handle.barrier().await?;
            let ledger = self.ledger();
            Ok(ledger.glance(|| partitions.iter().map(|place| ledger.positions.get(group, place)).collect()))
        })
    }

    fn commit_offsets<'a>(
        &'a self,
        group: &'a str,
        member: Option<&'a GroupMetadata>,
        offsets: &'a [(TopicPartition, CommittedOffset)],
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        let positions = GroupPositions { group: group.into(), member: member.cloned(), offsets: offsets.to_vec() };
        Box::pin(async move {
            let write = Write { epoch: None, appends: Vec::new(), positions: vec![positions], now: Instant::now() };
            self.act("committing positions", Request::Write(write)).await
        })
    }

    fn delete_group<'a>(&'a self, group: &'a str) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async move {
            self.act("deleting a group", Request::DeleteGroup { group: group.into(), now: Instant::now() }).await
        })
    }

    fn declare_reads<'a>(&'a self, group: &'a str, reads: &'a [Reads]) -> BoxFuture<'a, Result<(), BrokerError>> {
        let request = Request::DeclareReads { group: group.into(), reads: reads.to_vec() };
        Box::pin(self.act("declaring what a group reads", request))
    }

    fn reader(&self, _: Isolation) -> Result<Box<dyn Reader>, BrokerError> {
        Ok(Box::new(PartitionReader::new(self.handle.clone())))
    }

    fn producer(&self) -> Result<Box<dyn Producer>, BrokerError> {
        Ok(Box::new(PlainProducer::new(self.handle.clone())))
    }

    fn transactional_producer<'a>(
        &'a self,
        transactional_id: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn TransactionalProducer>, BrokerError>> {
        Box::pin(async move {
            let request = Request::Enlist(transactional_id.into());
            match self.handle.submit("opening a transactional producer", request).answer().await? {
                Answer::Enlisted(epoch) => {
                    let producer = Transactional::new(self.handle.clone(), epoch);
                    Ok(Box::new(producer) as Box<dyn TransactionalProducer>)
                }
                Answer::Done | Answer::Ends(_) => {
                    Err(BrokerError::InvalidState("the broker gave no epoch to a transactional producer".to_owned()))
                }
            }
        })
    }

    fn join(&self, config: GroupConfig) -> BoxFuture<'_, Result<Box<dyn Membership>, BrokerError>> {
        Box::pin(async move {
            let membership = GroupMembership::join(self.handle.clone(), config)?;
            Ok(Box::new(membership) as Box<dyn Membership>)
        })
    }
}
