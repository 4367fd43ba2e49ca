//! Tests of what a test may do to brokers: stop, kill, pause and start them again.

use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use kafka_cluster::{Cluster, ClusterConfig, Error, Version};

/// Asks until there is an answer. The first question makes Kafka create the topic of the groups,
/// which takes a while.
#[allow(clippy::disallowed_methods, reason = "waits for real processes")]
fn some<T>(mut ask: impl FnMut() -> io::Result<Option<T>>) -> T {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        match ask() {
            Ok(Some(answer)) => return answer,
            other if Instant::now() >= until => panic!("no answer in time: {:?}", other.map(|_| ())),
            _ => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

#[test]
fn a_broker_answers_again_after_a_stop_a_kill_or_a_pause() -> Result<(), Error> {
    let cluster = Cluster::start(ClusterConfig::one())?;
    let broker = cluster.broker(1);
    assert_eq!(cluster.bootstrap(), broker.address().to_string());
    assert_eq!(some(|| cluster.group_coordinator("some")), 1);

    broker.stop()?;
    assert!(!broker.is_running());
    assert!(TcpStream::connect(broker.address()).is_err());
    assert!(matches!(broker.stop(), Err(Error::NotRunning { .. })));
    broker.start()?;
    assert_eq!(some(|| cluster.leader("__consumer_offsets", 0)), 1, "what was there is there again");

    let before = broker.process_id();
    broker.kill()?;
    assert!(!broker.is_running());
    broker.start()?;
    assert_ne!(broker.process_id(), before);
    assert_eq!(some(|| cluster.leader("__consumer_offsets", 0)), 1);

    broker.pause()?;
    assert!(broker.is_running());
    let silent = cluster.leader("__consumer_offsets", 0).expect_err("a paused broker does not answer");
    assert!(matches!(silent.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{silent}");
    broker.resume()?;
    assert_eq!(some(|| cluster.leader("__consumer_offsets", 0)), 1);
    Ok(())
}

#[test]
fn of_three_brokers_two_go_on_and_all_come_back() -> Result<(), Error> {
    let cluster = Cluster::start(ClusterConfig::three())?;
    assert_eq!(cluster.brokers().len(), 3);
    // The topic of the groups has a replica on each broker, so it is created only while all three
    // brokers run.
    let lost = some(|| cluster.group_coordinator("some"));

    cluster.broker(lost).kill()?;
    let next = some(|| cluster.group_coordinator("some").map(|id| id.filter(|id| *id != lost)));
    assert_ne!(next, lost);
    cluster.broker(lost).start()?;

    cluster.stop_all()?;
    assert!(cluster.brokers().iter().all(|broker| !broker.is_running()));
    cluster.start_all()?;
    some(|| cluster.group_coordinator("some"));
    Ok(())
}

#[test]
fn a_broker_that_cannot_start_says_why() {
    let refused = Cluster::start(ClusterConfig::one().set("num.io.threads", "none")).err();
    let refused = refused.expect("no number of threads").to_string();
    assert!(refused.contains("broker 1 ended"), "{refused}");
    assert!(refused.contains("Invalid value none for configuration num.io.threads"), "{refused}");
}

#[test]
fn n5_brokers_of_the_oldest_and_the_newest_version_start() -> Result<(), Error> {
    for version in [Version::OLDEST, Version::NEWEST] {
        let cluster = Cluster::start(ClusterConfig::one().version(version.parse()?))?;
        assert_eq!(cluster.version().to_string(), version);
        assert_eq!(some(|| cluster.group_coordinator("some")), 1, "{version}");
    }
    Ok(())
}
