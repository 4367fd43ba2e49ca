//! A broker in a folder: what is there after opening it again, and the errors when it cannot be
//! used.

mod exchange;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use exchange::{pairs, place, produce, read};
use marlowe_broker::{Broker, BrokerError, Cleanup, CommittedOffset, GroupConfig, Offset, OffsetSpec, TopicConfig};
use marlowe_embedded::{EmbeddedBroker, EmbeddedConfig};

fn open(folder: &Path) -> Result<EmbeddedBroker, BrokerError> {
    EmbeddedBroker::open(folder, EmbeddedConfig::default())
}

fn refused(opened: Result<EmbeddedBroker, BrokerError>) -> String {
    match opened {
        Ok(_) => panic!("it cannot be opened"),
        Err(error) => error.to_string(),
    }
}

/// A clock that panics on the writing thread once it is told to.
#[derive(Default)]
struct Trap(std::sync::atomic::AtomicBool);

impl marlowe_broker::Clock for Trap {
    fn now(&self) -> marlowe_broker::Timestamp {
        let here = std::thread::current().name() == Some("marlowe-writer");
        assert!(!(here && self.0.load(std::sync::atomic::Ordering::SeqCst)), "the clock is broken");
        marlowe_broker::Timestamp::from_millis(1_000_000)
    }
}

#[tokio::test]
async fn n3_1_a_panic_of_the_writer_fails_what_waits_and_what_comes() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(Trap::default());
    let config = EmbeddedConfig { clock: clock.clone(), ..EmbeddedConfig::default() };
    let broker = EmbeddedBroker::open(folder.path(), config).unwrap();
    let cleanup = Cleanup::Delete { retention: Some(Duration::from_secs(1)) };
    broker.create_topic(TopicConfig::new("topic", 1).cleanup(cleanup)).await.unwrap();
    produce(&broker, &place("topic", 0), 5, &[("a", Some("1"))]).await.unwrap();
    let mut member = broker.join(GroupConfig::new("group", vec!["topic".into()])).await.unwrap();
    member.next().await.unwrap();
    clock.0.store(true, std::sync::atomic::Ordering::SeqCst);
    let within = Duration::from_secs(5);
    let (waits, told) = tokio::join!(broker.clean(), tokio::time::timeout(within, member.next()));
    assert!(waits.unwrap_err().to_string().contains("marlowe-writer"), "what is in hand fails");
    assert!(told.expect("members learn it at once").is_err());
    let there = place("topic", 0);
    let later = produce(&broker, &there, 5, &[("b", Some("1"))]);
    assert!(tokio::time::timeout(within, later).await.unwrap().is_err(), "what comes fails");
    let asked = [place("topic", 0)];
    let committed = tokio::time::timeout(within, broker.committed("group", &asked));
    assert!(committed.await.unwrap().is_err(), "what waits for earlier writes fails");
}

#[tokio::test]
async fn n3_5_generations_grow_though_the_clock_is_set_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = 0;
    for millis in [2_000_000_000_000, 1_000_000_000_000, 0] {
        let clock = Arc::<exchange::HandClock>::default();
        clock.advance(Duration::from_millis(millis));
        let config = EmbeddedConfig { clock, ..EmbeddedConfig::default() };
        let broker = EmbeddedBroker::open(folder.path(), config).unwrap();
        let _ = broker.create_topic(TopicConfig::new("topic", 1)).await;
        let mut member = broker.join(GroupConfig::new("group", vec!["topic".into()])).await.unwrap();
        member.next().await.unwrap();
        let generation = member.metadata().current().generation;
        assert!(generation > last, "{generation} after {last}");
        last = generation;
    }
}

#[tokio::test]
async fn all_is_there_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new").join("folder");
    let cleanups = [
        Cleanup::Delete { retention: None },
        Cleanup::Delete { retention: Some(Duration::from_secs(1_000_000_000_000)) },
        Cleanup::Compact,
        Cleanup::CompactDelete { retention: Duration::from_millis(u64::MAX / 4) },
    ];
    let broker = open(&path).unwrap();
    for (number, cleanup) in cleanups.into_iter().enumerate() {
        broker.create_topic(TopicConfig::new(format!("topic-{number}"), 2).cleanup(cleanup)).await.unwrap();
        produce(&broker, &place(&format!("topic-{number}"), 1), 5, &[("a", Some("1")), ("b", None)]).await.unwrap();
    }
    let long_name = "group".repeat(300);
    let note = CommittedOffset { offset: Offset::new(7), metadata: "note".to_owned() };
    let offsets = [(place("topic-0", 1), note.clone()), (place("topic-1", 0), Offset::new(1).into())];
    broker.commit_offsets(&long_name, None, &offsets).await.unwrap();
    broker.commit_offsets("forgotten", None, &offsets).await.unwrap();
    broker.delete_group("forgotten").await.unwrap();
    broker.delete_topic("topic-1").await.unwrap();
    let topics = broker.topics().await.unwrap();
    assert!(broker.location().ends_with("new/folder"));
    drop(broker);

    let broker = open(&path).unwrap();
    assert_eq!(broker.topics().await.unwrap(), topics);
    assert_eq!(pairs(&read(&broker, &place("topic-0", 1)).await), [("a", Some("1")), ("b", None)]);
    let asked = [place("topic-0", 1), place("topic-1", 0)];
    assert_eq!(broker.committed(&long_name, &asked).await.unwrap(), [Some(note), None]);
    assert_eq!(broker.committed("forgotten", &asked).await.unwrap(), [None, None]);
    // A topic with the name of a deleted one has none of its records.
    broker.create_topic(TopicConfig::new("topic-1", 2)).await.unwrap();
    assert_eq!(read(&broker, &place("topic-1", 1)).await, []);
    let written = produce(&broker, &place("topic-0", 1), 5, &[("c", Some("1"))]).await.unwrap();
    assert_eq!(written.ends[0].1, Offset::new(3));
}

#[tokio::test]
async fn it_is_open_as_long_as_anything_of_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path()).unwrap();
    broker.create_topic(TopicConfig::new("topic", 1)).await.unwrap();
    let mut producer = broker.producer().unwrap();
    let to = producer.destination(&place("topic", 0)).unwrap();
    drop(broker);
    let BrokerError::FolderInUse { folder: named, holder } = open(folder.path()).unwrap_err() else {
        panic!("it is in use")
    };
    assert_eq!(Path::new(&named), folder.path().canonicalize().unwrap());
    assert_eq!(holder, Some(std::process::id()));
    producer.send(to, exchange::record("a", Some("1"), 0)).unwrap();
    producer.flush().await.unwrap();
    drop(producer);
    assert_eq!(read(&open(folder.path()).unwrap(), &place("topic", 0)).await.len(), 1);
}

#[test]
fn a_path_that_is_a_file_is_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let told = refused(open(&file));
    assert!(told.contains("file") && told.contains("give the path of a folder"), "{told}");
    let told = refused(open(&file.join("below")));
    assert!(told.contains("give the path of a folder"), "{told}");
}

#[test]
fn a_folder_of_something_else_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("data.mdb"), vec![b'x'; 20_000]).unwrap();
    let told = refused(open(folder.path()));
    assert!(told.contains("was not written by Marlowe"), "{told}");
}

/// Fills the topic until the broker refuses a transaction. Returns how many records it took, and
/// the error.
async fn fill(broker: &EmbeddedBroker, topic: &str) -> (usize, BrokerError) {
    let value = "x".repeat(20_000);
    let mut taken = 0;
    loop {
        let mut producer = broker.transactional_producer("id").await.unwrap();
        let to = producer.destination(&place(topic, 0)).unwrap();
        producer.begin().unwrap();
        for _ in 0..10 {
            producer.send(to, exchange::record("key", Some(&value), 0)).unwrap();
        }
        match producer.commit().await {
            Ok(_) => taken += 10,
            Err(error) => {
                // The producer can still be used.
                producer.begin().unwrap();
                producer.abort().await.unwrap();
                return (taken, error);
            }
        }
        assert!(taken < 10_000, "it never fills up");
    }
}

#[tokio::test]
async fn at_its_limit_it_keeps_all_and_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let config = EmbeddedConfig { max_folder_bytes: Some(4 << 20), ..EmbeddedConfig::default() };
    let broker = EmbeddedBroker::open(folder.path(), config.clone()).unwrap();
    for topic in ["kept", "filled"] {
        broker.create_topic(TopicConfig::new(topic, 1)).await.unwrap();
    }
    produce(&broker, &place("kept", 0), 0, &[("a", Some("1"))]).await.unwrap();
    let (taken, error) = fill(&broker, "filled").await;
    assert!(error.to_string().contains("grown to its limit") && error.to_string().contains("max_folder_bytes"));
    assert_eq!(read(&broker, &place("filled", 0)).await.len(), taken);
    // Deleting a topic makes room for small writes.
    broker.delete_topic("filled").await.unwrap();
    for round in 2..20 {
        produce(&broker, &place("kept", 0), 0, &[("a", Some(&round.to_string()))]).await.unwrap();
    }
    drop(broker);
    let broker = EmbeddedBroker::open(folder.path(), config).unwrap();
    assert_eq!(read(&broker, &place("kept", 0)).await.len(), 19);
    assert!(broker.topic("filled").await.unwrap().is_none());
}

/// A small disk for one test, where mounting is allowed.
struct Disk(tempfile::TempDir);

impl Disk {
    fn mount(options: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder.path()).output();
        mount.is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

#[tokio::test]
async fn on_a_full_disk_it_keeps_all_and_goes_on_when_there_is_room() {
    let Some(disk) = Disk::mount("size=8m") else { return };
    let (ballast, path) = (disk.0.path().join("ballast"), disk.0.path().join("broker"));
    std::fs::write(&ballast, vec![0; 3 << 20]).unwrap();
    let broker = open(&path).unwrap();
    broker.create_topic(TopicConfig::new("topic", 1)).await.unwrap();
    let (taken, error) = fill(&broker, "topic").await;
    assert!(error.to_string().contains("disk is full"), "{error}");
    assert_eq!(read(&broker, &place("topic", 0)).await.len(), taken);
    let end = exchange::bound(&broker, &place("topic", 0), OffsetSpec::Latest).await;
    std::fs::remove_file(&ballast).unwrap();
    let written = produce(&broker, &place("topic", 0), 0, &[("a", Some("after"))]).await.unwrap();
    assert_eq!(written.ends[0].1, Offset::new(end + 1));
    drop(broker);
    let broker = open(&path).unwrap();
    let all = read(&broker, &place("topic", 0)).await;
    assert_eq!((all.len(), all[taken].value.as_deref()), (taken + 1, Some("after")));
}

#[test]
fn a_folder_that_cannot_be_written_is_refused() {
    let Some(disk) = Disk::mount("size=1m,ro") else { return };
    let told = refused(open(disk.0.path()));
    assert!(told.contains("must be able to write there"), "{told}");
}

#[tokio::test]
async fn positions_after_fencing_include_accepted_commits() {
    // The commit is accepted before its member is fenced. It is still being written when another
    // asks for positions.
    let folder = tempfile::tempdir().unwrap();
    let broker = Arc::new(open(folder.path()).unwrap());
    broker.create_topic(TopicConfig::new("topic", 1)).await.unwrap();
    for round in 1..30 {
        let mut config = GroupConfig::new("group", ["topic".into()]);
        config.instance = Some("static".into());
        let member = broker.join(config.clone()).await.unwrap();
        let mut producer = broker.transactional_producer("id").await.unwrap();
        let to = producer.destination(&place("topic", 0)).unwrap();
        producer.begin().unwrap();
        producer.send(to, exchange::record("a", Some("1"), 0)).unwrap();
        let offsets = [(place("topic", 0), Offset::new(round).into())];
        producer.send_offsets(&offsets, &member.metadata().current()).unwrap();
        let before = exchange::bound(&broker, &place("topic", 0), OffsetSpec::Latest).await;
        let commit = tokio::spawn(async move { producer.commit().await });
        tokio::task::yield_now().await;
        // Fences the member while its commit is in flight.
        let _replacement = broker.join(config).await.unwrap();
        let end = exchange::bound(&broker, &place("topic", 0), OffsetSpec::Latest).await;
        let committed = broker.committed("group", &[place("topic", 0)]).await.unwrap();
        let outcome = commit.await.unwrap();
        match outcome {
            Ok(_) => {
                assert_eq!(committed, [Some(Offset::new(round).into())], "accepted, and so it is seen");
                assert!(end > before);
            }
            Err(BrokerError::Fenced { .. }) => {
                assert_ne!(committed, [Some(Offset::new(round).into())]);
                assert_eq!(end, before);
            }
            Err(error) => panic!("{error}"),
        }
    }
}
