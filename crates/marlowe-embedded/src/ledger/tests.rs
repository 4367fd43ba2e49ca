//! Tests of the ledger: which writes are stored together, and what a deletion leaves in the
//! storage.

use std::sync::atomic::{AtomicUsize, Ordering};

use marlowe_broker::{Cleanup, NewRecord, Partition as Number, Timestamp, TopicPartition};
use tokio::sync::oneshot;

use super::*;
use crate::staging::Staging;
use crate::storage::{Memory, Outline};

/// A storage in memory that counts its writes, and refuses a write of more than `most` batches.
struct Counting {
    memory: Memory,
    writes: Arc<AtomicUsize>,
    most: usize,
}

impl Storage for Counting {
    fn location(&self) -> String {
        self.memory.location()
    }

    fn batch_bytes(&self) -> usize {
        self.memory.batch_bytes()
    }

    fn apply(&self, steps: &[Step]) -> Result<(), BrokerError> {
        let batches = steps.iter().map(|step| if let Step::Append { batches, .. } = step { batches.len() } else { 0 });
        if batches.sum::<usize>() > self.most {
            return Err(BrokerError::Storage { action: "write to", path: String::new(), reason: "full".to_owned() });
        }
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.memory.apply(steps)
    }

    fn seek(&self, partition: u32, offset: u64) -> Result<Option<Arc<Batch>>, BrokerError> {
        self.memory.seek(partition, offset)
    }

    fn outline(&self, partition: u32, offset: u64) -> Result<Option<Outline>, BrokerError> {
        self.memory.outline(partition, offset)
    }
}

fn ledger(most: usize) -> (Ledger, Arc<AtomicUsize>) {
    let writes = Arc::new(AtomicUsize::new(0));
    let storage = Counting { memory: Memory::default(), writes: writes.clone(), most };
    let config = EmbeddedConfig::default();
    let ledger = Ledger::new(
        config,
        Box::new(storage),
        Catalog::new(Vec::new(), 0),
        Positions::default(),
        DeclaredReads::default(),
        0,
    );
    let config = TopicConfig::new("topic", 1).cleanup(Cleanup::Delete { retention: None });
    ledger.create_topic(&config).unwrap();
    writes.store(0, Ordering::Relaxed);
    (ledger, writes)
}

type Reply = oneshot::Receiver<Result<Answer, BrokerError>>;

/// Creates a write of `batches` batches of one record each. It is transactional when it has a
/// producer's `id`.
fn write(ledger: &Ledger, batches: usize, id: Option<&str>) -> (Submission, Reply) {
    let partition = ledger.catalog.partition(&TopicPartition::new("topic", Number::new(0))).unwrap();
    let batch = || {
        let mut staging = Staging::new(1024);
        let record = NewRecord { timestamp: Timestamp::default(), key: None, value: Some(b"x"), headers: &[] };
        staging.push(&record, 1);
        staging.take().remove(0)
    };
    let append = Append { partition, batches: (0..batches).map(|_| batch()).collect() };
    let epoch = id.map(|id| ledger.epochs.enlist(id.into()));
    let write = Write { epoch, appends: vec![append], positions: Vec::new(), now: Instant::now() };
    let (reply, answer) = oneshot::channel();
    (Submission { request: Request::Write(write), reply }, answer)
}

fn end(mut reply: Reply) -> Option<u64> {
    match reply.try_recv().unwrap() {
        Ok(Answer::Ends(ends)) => Some(ends[0].get()),
        _ => None,
    }
}

#[test]
fn writes_that_wait_together_are_stored_as_one() {
    let (ledger, writes) = ledger(usize::MAX);
    let (submissions, replies): (Vec<_>, Vec<_>) =
        [None, Some("a"), Some("b"), None].into_iter().map(|id| write(&ledger, 2, id)).unzip();
    ledger.carry_out(submissions);
    // A marker follows each of the transactions.
    assert_eq!(replies.into_iter().map(end).collect::<Vec<_>>(), [Some(2), Some(4), Some(7), Some(10)]);
    assert_eq!(writes.load(Ordering::Relaxed), 1);
}

#[test]
fn a_refused_write_leaves_the_others_of_its_run_alone() {
    let (ledger, writes) = ledger(usize::MAX);
    let (first, of_first) = write(&ledger, 1, Some("a"));
    let (second, of_second) = write(&ledger, 1, Some("a"));
    let (third, of_third) = write(&ledger, 1, None);
    ledger.carry_out(vec![first, second, third]);
    assert_eq!([end(of_first), end(of_second), end(of_third)], [None, Some(1), Some(3)]);
    assert_eq!(writes.load(Ordering::Relaxed), 1);
}

#[test]
fn what_the_storage_does_not_take_together_it_may_take_alone() {
    let (ledger, writes) = ledger(3);
    let (submissions, replies): (Vec<_>, Vec<_>) =
        [2, 5, 3].into_iter().map(|batches| write(&ledger, batches, None)).unzip();
    ledger.carry_out(submissions);
    assert_eq!(replies.into_iter().map(end).collect::<Vec<_>>(), [Some(2), None, Some(5)]);
    assert_eq!(writes.load(Ordering::Relaxed), 2);
    let batch = ledger.storage.seek(0, 4).unwrap().unwrap();
    assert_eq!((batch.base(), batch.next()), (4, 5), "numbered anew after the failure");
}

#[test]
fn n4_3_deleted_batches_are_gone_from_the_storage() {
    let (ledger, _) = ledger(usize::MAX);
    for _ in 0..100 {
        let (submission, _) = write(&ledger, 10, None);
        ledger.carry_out(vec![submission]);
    }
    let place = TopicPartition::new("topic", Number::new(0));
    let partition = ledger.catalog.partition(&place).unwrap();
    assert_eq!(partition.extent.lock().end, 1000);
    let bytes = partition.extent.lock().dirty_bytes;
    ledger.delete_records(&[(place, Offset::new(990))]).unwrap();
    let first = ledger.storage.outline(partition.id, 0).unwrap();
    assert_eq!(first.map(|outline| outline.base), Some(990));
    assert_eq!(partition.extent.lock().dirty_bytes, bytes / 100);
}
