//! Rule 7 for shards that are being restored: the others keep running, and a shard that moves
//! meanwhile is restored elsewhere.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use marlowe::broker::{Partition, Partitioner, Timestamp};
use marlowe::{App, Table, Topic};
use marlowe_broker::{NewRecord, TopicPartition};

use crate::scene::{GUARANTEES, Scene, TestResult, drain, eventually, key_where, start, stop};
use crate::watched::WatchedBroker;

const PARTITIONS: u32 = 4;

fn program() -> (App, Topic<String, u64>, Table<String, u64>) {
    let mut app = App::new("restoring");
    app.partitions(PARTITIONS);
    let numbers = app.topic::<String, u64>("numbers");
    let sums = app.table::<String, u64>("sums");
    app.agent("sum", numbers).with(sums).each_event(async |sums, event| {
        sums.update(event.key, |sum| *sum += event.value);
        Ok(())
    });
    (app, numbers, sums)
}

/// Returns a key of each partition.
fn keys() -> Vec<String> {
    let home = |key: &[u8]| Partitioner::Murmur2.partition(key, PARTITIONS);
    Partition::all(PARTITIONS).map(|partition| key_where("key", |key| home(key) == partition)).collect()
}

/// Processes a number for each partition, so that each has a row to restore.
async fn fill(scene: &Scene) -> TestResult {
    fill_with(scene, |_| {}).await
}

/// Fills the tables with a program that `change` has modified.
async fn fill_with(scene: &Scene, change: fn(&mut App)) -> TestResult {
    let (mut app, numbers, _) = program();
    change(&mut app);
    let mut running = scene.start(app).await?;
    for key in keys() {
        running.open(numbers).send(&key, &1).await?;
    }
    drain(&mut running).await?;
    Ok(stop(running).await?)
}

#[tokio::test]
async fn other_shards_are_at_work_while_one_is_restored() -> TestResult {
    let scene = Scene::new().await;
    fill(&scene).await?;
    let broker = WatchedBroker::new(&scene.broker).may_hold("restoring-sums-changelog", [0]);
    broker.reads.close();
    let (app, numbers, sums) = program();
    let mut running = app.start(scene.config().broker(Arc::new(broker.clone()))).await?;
    for key in keys() {
        running.open(numbers).send(&key, &10).await?;
    }
    let view = running.open(sums.view());
    for key in &keys()[1..] {
        eventually("the others go on", async || view.get(key).await.is_ok_and(|sum| sum == Some(11))).await;
    }
    let hurried = view.clone().within(Duration::from_millis(50));
    assert!(hurried.get(&keys()[0]).await.is_err(), "nobody has restored it");
    broker.reads.open();
    drain(&mut running).await?;
    assert_eq!(view.get(&keys()[0]).await?, Some(11));
    stop(running).await?;
    Ok(())
}

/// Opens a reader only for a shard that has something to restore. A reader is a client of its own,
/// with connections and threads on Kafka.
#[tokio::test]
async fn a_shard_with_nothing_to_restore_opens_no_reader() -> TestResult {
    for guarantee in GUARANTEES {
        let readers = async |scene: &Scene| -> Result<usize, Box<dyn std::error::Error>> {
            let broker = WatchedBroker::new(&scene.broker);
            let (mut app, ..) = program();
            guarantee(&mut app);
            let mut running = start(app, scene.config().broker(Arc::new(broker.clone()))).await?;
            drain(&mut running).await?;
            stop(running).await?;
            Ok(broker.readers.load(Ordering::Relaxed))
        };
        let (empty, filled) = (Scene::new().await, Scene::new().await);
        fill_with(&filled, guarantee).await?;
        assert_eq!(readers(&filled).await? - readers(&empty).await?, PARTITIONS as usize);
    }
    Ok(())
}

/// Looks up the positions of many shards in a few requests. Each shard asks where its input is, and
/// its worker asks for all of them together.
#[tokio::test]
async fn lookups_of_many_shards_are_coalesced() -> TestResult {
    const MANY: u32 = 64;
    let scene = Scene::new().await;
    let broker = WatchedBroker::new(&scene.broker);
    broker.lookups.close();
    let (mut app, numbers, sums) = program();
    app.partitions(MANY);
    let mut running = app.start(scene.config().broker(Arc::new(broker.clone()))).await?;
    // A shard looks up its inbox first.
    let has_begun = async || broker.looked_up("restoring-sums-inbox") >= MANY as usize && broker.lookups.is_waited_at();
    eventually("all have seen where their inbox begins, and one asks for its position", has_begun).await;
    broker.lookups.open();
    running.ready().await?;
    let requests = broker.position_requests.load(Ordering::Relaxed);
    assert!(requests <= MANY as usize / 4, "{requests} requests for {MANY} shards");
    for key in keys() {
        running.open(numbers).send(&key, &1).await?;
    }
    drain(&mut running).await?;
    assert_eq!(running.open(sums.view()).len().await?, keys().len() as u64);
    stop(running).await?;
    Ok(())
}

/// Holds up eight shards that have much to restore. Shards with nothing to restore are at work
/// meanwhile.
#[tokio::test]
async fn shards_with_little_to_restore_do_not_wait_for_large_ones() -> TestResult {
    const MUCH: u64 = 10_001;
    let program = || {
        let mut app = App::new("much");
        app.partitions(8);
        let (numbers, words) = (app.topic::<String, u64>("numbers"), app.topic::<String, u64>("words"));
        let sums = app.table::<String, u64>("sums");
        app.agent("sum", numbers).with(sums).each_event(async |sums, event| {
            sums.update(event.key, |sum| *sum += event.value);
            Ok(())
        });
        let done = app.topic::<String, u64>("done");
        app.agent("word", words).with(done).each_event(async |done, event| {
            done.send(&event.key, &event.value);
            Ok(())
        });
        (app, words, sums)
    };
    let scene = Scene::new().await;
    let mut running = scene.start(program().0).await?;
    drain(&mut running).await?;
    stop(running).await?;
    let key = |partition| key_where("key", |key: &[u8]| Partitioner::Murmur2.partition(key, 8) == partition);
    let mut producer = scene.broker.producer()?;
    for partition in Partition::all(8) {
        let changelog = producer.destination(&TopicPartition::new("much-sums-changelog", partition))?;
        let key = key(partition);
        for number in 1..=MUCH {
            let (value, timestamp) = (number.to_string(), Timestamp::from_millis(1000));
            let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
            producer.send(changelog, NewRecord { timestamp, key, value, headers: &[] })?;
        }
    }
    producer.flush().await?;

    let broker = WatchedBroker::new(&scene.broker).may_hold("much-sums-changelog", 0..8);
    broker.reads.close();
    let (app, words, sums) = program();
    let mut running = app.start(scene.config().broker(Arc::new(broker.clone()))).await?;
    for partition in Partition::all(8) {
        running.open(words).send(&key(partition), &1).await?;
    }
    eventually("who has nothing to restore is at work", async || scene.values("done").await.len() == 8).await;
    let view = running.open(sums.view());
    assert!(view.clone().within(Duration::from_millis(50)).get(&key(Partition::new(0))).await.is_err());
    broker.reads.open();
    drain(&mut running).await?;
    for partition in Partition::all(8) {
        assert_eq!(view.get(&key(partition)).await?, Some(MUCH));
    }
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_rebalance_in_the_middle_of_a_restore_loses_nothing() -> TestResult {
    let scene = Scene::new().await;
    fill(&scene).await?;
    let folder = tempfile::tempdir()?;
    let broker = WatchedBroker::new(&scene.broker).may_hold("restoring-sums-changelog", 0..PARTITIONS);
    broker.reads.close();
    let (app, numbers, sums) = program();
    let held = scene.config().broker(Arc::new(broker.clone())).data_dir(folder.path());
    let mut first = app.start(held).await?;
    for key in keys() {
        first.open(numbers).send(&key, &10).await?;
    }
    // The second worker gets some of the shards that the first is restoring, and restores them.
    let (app, _, _) = program();
    let second = start(app, scene.config()).await?;
    let moved = second.open(sums.view()).within(Duration::from_millis(200));
    let done = async |key: &String| moved.get(key).await.is_ok_and(|sum| sum == Some(11));
    eventually("the second has a share", async || {
        for key in &keys() {
            if done(key).await {
                return true;
            }
        }
        false
    })
    .await;
    broker.reads.open();
    drain(&mut first).await?;
    // The shards move back to the first worker, whose folder has some of their rows.
    stop(second).await?;
    for key in keys() {
        first.open(numbers).send(&key, &100).await?;
    }
    drain(&mut first).await?;
    let rows = first.open(sums.view()).iter().await?;
    assert_eq!((rows.len(), rows.iter().all(|(_, sum)| *sum == 111)), (4, true), "{rows:?}");
    stop(first).await?;
    Ok(())
}
