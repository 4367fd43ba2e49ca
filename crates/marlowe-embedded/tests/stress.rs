//! Many threads that write and read at once.

mod exchange;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use exchange::{place, record};
use marlowe_broker::{Broker, Isolation, Offset, TopicConfig};
use marlowe_embedded::{EmbeddedBroker, EmbeddedConfig};

const WRITERS: usize = 4;
const ROUNDS: u64 = 60;

/// Has four writers commit transactions with one record in each of three partitions. Two readers
/// check that every writer's records come once and in order in each partition.
async fn transactions_of_many_threads(broker: EmbeddedBroker) {
    broker.create_topic(TopicConfig::new("topic", 3)).await.unwrap();
    let broker = Arc::new(broker);
    let done = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for writer in 0..WRITERS {
        let (broker, done) = (broker.clone(), done.clone());
        tasks.push(tokio::spawn(async move {
            let mut producer = broker.transactional_producer(&format!("writer {writer}")).await.unwrap();
            for round in 0..ROUNDS {
                producer.begin().unwrap();
                for partition in 0..3 {
                    let to = producer.destination(&place("topic", partition)).unwrap();
                    producer.send(to, record(&writer.to_string(), Some(&round.to_string()), 0)).unwrap();
                }
                producer.commit().await.unwrap();
            }
            done.fetch_add(1, Ordering::Relaxed);
        }));
    }
    for _ in 0..2 {
        let broker = broker.clone();
        tasks.push(tokio::spawn(async move {
            let mut reader = broker.reader(Isolation::ReadCommitted).unwrap();
            let sources: Vec<_> =
                (0..3).map(|partition| reader.assign(&place("topic", partition), Offset::ZERO).unwrap()).collect();
            let mut next = [[0u64; WRITERS]; 3];
            while next.iter().flatten().any(|next| *next < ROUNDS) {
                for fetched in reader.poll().await.unwrap() {
                    let partition = sources.iter().position(|source| *source == fetched.source).unwrap();
                    for index in 0..fetched.batch.len() {
                        let record = fetched.batch.get(index);
                        let number = |bytes: &[u8]| String::from_utf8_lossy(bytes).parse::<u64>().unwrap();
                        let writer = number(record.key.unwrap()) as usize;
                        assert_eq!(number(record.value.unwrap()), next[partition][writer]);
                        next[partition][writer] += 1;
                    }
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(done.load(Ordering::Relaxed), WRITERS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_memory() {
    transactions_of_many_threads(EmbeddedBroker::in_memory(EmbeddedConfig::default())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    transactions_of_many_threads(EmbeddedBroker::open(folder.path(), EmbeddedConfig::default()).unwrap()).await;
}
