//! A process that is killed while it commits leaves whole transactions, and every one that it
//! reported.

mod exchange;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use exchange::{place, read};
use marlowe_broker::{Broker, BrokerError, Entropy, GroupConfig, Offset, SystemEntropy, TopicConfig};
use marlowe_embedded::{EmbeddedBroker, EmbeddedConfig};

const FOLDER: &str = "MARLOWE_CRASH_FOLDER";
const TOPIC: &str = "topic";

/// Commits transactions forever. Each has a record in both partitions, and the position that counts
/// the transactions. Continues after the folder's last commit, and prints each commit when it is
/// done.
async fn commit_for_ever(folder: &Path) {
    let config = EmbeddedConfig { clean_after_bytes: 10_000, ..EmbeddedConfig::default() };
    let broker = EmbeddedBroker::open(folder, config).unwrap();
    if broker.topic(TOPIC).await.unwrap().is_none() {
        broker.create_topic(TopicConfig::new(TOPIC, 2)).await.unwrap();
    }
    let member = broker.join(GroupConfig::new("group", [TOPIC.into()])).await.unwrap();
    let mut producer = broker.transactional_producer("id").await.unwrap();
    let to = [0, 1].map(|partition| producer.destination(&place(TOPIC, partition)).unwrap());
    let committed = broker.committed("group", &[place(TOPIC, 0)]).await.unwrap();
    let mut done = committed[0].as_ref().map_or(0, |committed| committed.offset.get());
    let filling = "x".repeat(3_000);
    loop {
        producer.begin().unwrap();
        for to in to {
            producer.send(to, exchange::record(&done.to_string(), Some(&filling), 0)).unwrap();
        }
        let offsets = [(place(TOPIC, 0), Offset::new(done + 1).into())];
        producer.send_offsets(&offsets, &member.metadata().current()).unwrap();
        producer.commit().await.unwrap();
        done += 1;
        println!("\ncommitted {done}");
        std::io::stdout().flush().unwrap();
    }
}

#[tokio::test]
async fn a_killed_process_leaves_whole_transactions() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return commit_for_ever(Path::new(&folder)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut told = 0;
    for _ in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_killed_process_leaves_whole_transactions", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut commits = lines.by_ref().map_while(Result::ok).filter_map(|line| number(&line));
        told = commits.nth((SystemEntropy.next() % 10) as usize).expect("it commits until it is killed");
        // The child holds the folder, and the error has its process id.
        let in_use = EmbeddedBroker::open(folder.path(), EmbeddedConfig::default());
        let holder = child.id();
        assert!(matches!(in_use, Err(BrokerError::FolderInUse { holder: Some(pid), .. }) if pid == holder));
        tokio::time::sleep(Duration::from_micros(SystemEntropy.next() % 10_000)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        told = commits.last().unwrap_or(told);

        let broker = EmbeddedBroker::open(folder.path(), EmbeddedConfig::default()).unwrap();
        let committed = broker.committed("group", &[place(TOPIC, 0)]).await.unwrap();
        let position = committed[0].as_ref().map_or(0, |committed| committed.offset.get());
        assert!(position >= told, "{told} commits were told, {position} are left");
        for partition in 0..2 {
            let keys: Vec<String> =
                read(&broker, &place(TOPIC, partition)).await.into_iter().map(|read| read.key).collect();
            let expected: Vec<String> = (0..position).map(|number| number.to_string()).collect();
            assert_eq!(keys, expected, "partition {partition}");
        }
    }
    assert!(told >= 12);
}

fn number(line: &str) -> Option<u64> {
    line.strip_prefix("committed ")?.parse().ok()
}
