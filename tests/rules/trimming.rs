//! Marlowe's internal topics do not grow for ever: records that all of their readers have committed
//! are deleted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use marlowe::{App, Config, Table, Topic};
use marlowe_broker::{Offset, OffsetSpec, Partition, TopicPartition};

use crate::scene::{Scene, TestResult, drain, eventually, start, stop};

const PARTITIONS: u32 = 2;

fn trims_often(mut config: Config) -> Config {
    config.trim_interval = Some(Duration::from_millis(50));
    config
}

/// Builds an app that counts numbers by their last digit.
fn counting(app: &str) -> (App, Topic<String, u64>, Table<u64, u64>) {
    let mut app = App::new(app);
    let numbers = app.topic::<String, u64>("numbers").partitions(1);
    let counts = app.table::<u64, u64>("counts").partitions(PARTITIONS).merge(|count, more| *count += more);
    app.agent("count", numbers.group_by(|number| number % 10)).with(counts).each_event(async |counts, event| {
        counts.update(event.key, |count| *count += 1);
        Ok(())
    });
    (app, numbers, counts)
}

async fn offsets(scene: &Scene, topic: &str, partitions: u32, spec: OffsetSpec) -> Vec<Offset> {
    let partitions: Vec<Partition> = Partition::all(partitions).collect();
    scene.broker.offsets(topic, &partitions, spec).await.unwrap()
}

async fn committed(scene: &Scene, app: &str, topic: &str) -> Vec<Offset> {
    let places: Vec<_> = Partition::all(PARTITIONS).map(|partition| TopicPartition::new(topic, partition)).collect();
    let committed = scene.broker.committed(app, &places).await.unwrap();
    committed.into_iter().map(|committed| committed.map_or(Offset::ZERO, |committed| committed.offset)).collect()
}

#[tokio::test]
async fn n4_3_a_repartition_topic_begins_where_its_reader_is() -> TestResult {
    let scene = Scene::new().await;
    let topic = "grouped-count-repartition";
    for round in 1..=2 {
        let (app, _, counts) = counting("grouped");
        let mut running = start(app, trims_often(scene.config())).await?;
        scene.produce_numbers("numbers", 0..3000, |number| number.to_string()).await;
        drain(&mut running).await?;
        let ends = offsets(&scene, topic, PARTITIONS, OffsetSpec::Latest).await;
        assert!(ends.iter().all(|end| end.get() > 500 * round), "{ends:?}");
        eventually("what is committed is deleted", async || {
            let starts = offsets(&scene, topic, PARTITIONS, OffsetSpec::Earliest).await;
            starts == committed(&scene, "grouped", topic).await && starts.iter().all(|start| start.get() > 500 * round)
        })
        .await;
        // Each number is read, counted once and deleted, also after a start at what is left.
        let rows = running.open(counts.view()).iter().await?;
        assert_eq!(rows, (0..10).map(|digit| (digit, 300 * round)).collect::<Vec<_>>());
        stop(running).await?;
    }
    // A topic that the program declared is not trimmed.
    assert_eq!(offsets(&scene, "numbers", 1, OffsetSpec::Earliest).await, [Offset::ZERO]);
    Ok(())
}

#[tokio::test]
async fn n4_3_an_inbox_begins_where_its_table_is() -> TestResult {
    let scene = Scene::new().await;
    let (app, _, counts) = counting("boxed");
    let mut running = start(app, trims_often(scene.config())).await?;
    let (inbox, view) = (running.open(counts.inbox()), running.open(counts.view()));
    for round in 1..=3 {
        let mut sent = None;
        for key in 0..50 {
            sent = Some(inbox.send(key, 1).await?);
        }
        if let Some(sent) = sent {
            view.wait_for(&sent).await?;
        }
        drain(&mut running).await?;
        eventually("what is committed is deleted", async || {
            let starts = offsets(&scene, "boxed-counts-inbox", PARTITIONS, OffsetSpec::Earliest).await;
            starts == offsets(&scene, "boxed-counts-inbox", PARTITIONS, OffsetSpec::Latest).await
                || starts == committed(&scene, "boxed", "boxed-counts-inbox").await
                    && starts.iter().all(|start| start.get() > 0)
        })
        .await;
        assert_eq!(view.get(&7).await?, Some(round));
    }
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn n4_3_nothing_is_deleted_that_one_of_several_readers_needs() -> TestResult {
    let scene = Scene::new().await;
    let topic = "shared-by-digit-repartition";
    let may_go_on = Arc::new(AtomicBool::new(false));
    let waits = may_go_on.clone();
    let mut app = App::new("shared");
    let numbers = app.topic::<String, u64>("numbers").partitions(1);
    let (fast, slow) = (app.topic::<u64, u64>("fast").partitions(1), app.topic::<u64, u64>("slow").partitions(1));
    app.partitions(PARTITIONS);
    let by_digit = || numbers.group_by(|number| number % 10).named("by-digit");
    app.agent("fast", by_digit()).each(async |(), number| Ok(number)).sink(fast);
    app.agent("slow", by_digit())
        .retries(100_000)
        .backoff(Duration::from_millis(5))
        .each(async move |(), number| {
            if number == 150 && !waits.load(Ordering::Relaxed) {
                return Err("not yet".into());
            }
            Ok(number)
        })
        .sink(slow);
    let mut running = start(app, trims_often(scene.config())).await?;
    scene.produce_numbers("numbers", 0..1000, |number| number.to_string()).await;
    eventually("the fast one has all of the other partition", async || scene.values("fast").await.len() >= 100).await;
    eventually("something is deleted", async || {
        offsets(&scene, topic, PARTITIONS, OffsetSpec::Earliest).await.iter().any(|start| start.get() > 0)
    })
    .await;
    let (starts, positions) =
        (offsets(&scene, topic, PARTITIONS, OffsetSpec::Earliest).await, committed(&scene, "shared", topic).await);
    assert!(starts.iter().zip(&positions).all(|(start, position)| start <= position), "{starts:?} {positions:?}");
    may_go_on.store(true, Ordering::Relaxed);
    drain(&mut running).await?;
    stop(running).await?;
    let mut values: Vec<u64> = scene.values("slow").await.iter().map(|value| value.parse().unwrap()).collect();
    values.sort_unstable();
    assert_eq!(values, (0..1000).collect::<Vec<_>>());
    assert_eq!(scene.values("fast").await.len(), 1000);
    Ok(())
}
