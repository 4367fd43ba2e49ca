//! Retention of the embedded broker: it removes old records when all groups that declared to read
//! them have read them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use marlowe::{App, Config, RunError};
use marlowe_broker::{Offset, OffsetSpec, Partition, TopicPartition};

use crate::common::address::any_port;
use crate::common::client::Client;
use crate::common::metrics::Metrics;
use crate::scene::{Scene, TestResult, drain, eventually, start, stop};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Builds an app that passes on numbers of a topic that keeps records for a day. The scene's
/// timestamps are much older than that.
fn replaying(skips: bool) -> App {
    let mut app = App::new("replaying");
    let mut numbers = app.topic::<String, u64>("numbers").partitions(1).retention(DAY);
    if skips {
        numbers = numbers.skip_expired();
    }
    let passed = app.topic::<String, u64>("passed").partitions(1);
    app.agent("pass", numbers).each(async |(), number| Ok(number)).sink(passed);
    app
}

async fn earliest(scene: &Scene) -> u64 {
    scene.broker.offsets("numbers", &[Partition::new(0)], OffsetSpec::Earliest).await.unwrap()[0].get()
}

#[tokio::test]
async fn n2_7_old_records_stay_until_they_are_read() -> TestResult {
    let scene = Scene::new().await;
    // The app declares what it reads, and has no position yet.
    stop(start(replaying(false), scene.config()).await?).await?;
    for round in 0..3 {
        for number in 0..100 {
            scene.produce_numbers("numbers", [100 * round + number], |number| number.to_string()).await;
        }
        let mut running = scene.start(replaying(false)).await?;
        drain(&mut running).await?;
        stop(running).await?;
        assert_eq!(scene.values("passed").await.len() as u64, 100 * (round + 1));
    }
    assert!(earliest(&scene).await >= 100, "what was read goes as what comes is added");
    Ok(())
}

#[tokio::test]
async fn n2_7_records_that_a_client_sends_first_stay_too() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("replaying");
    let numbers = app.topic::<String, u64>("numbers").partitions(1).retention(DAY);
    app.agent("pass", numbers).each(async |(), _| Ok(()));
    let client = marlowe::client::Client::connect(&app, scene.config()).await?;
    let sender = client.open(numbers);
    for number in 0..50 {
        sender.send_at(&"k".to_owned(), &number, marlowe::broker::Timestamp::from_millis(1000)).await?;
    }
    assert_eq!(earliest(&scene).await, 0);
    Ok(())
}

#[tokio::test]
async fn n2_7_retention_does_not_wait_if_the_topic_says_so() -> TestResult {
    let scene = Scene::new().await;
    stop(start(replaying(true), scene.config()).await?).await?;
    for number in 0..100 {
        scene.produce_numbers("numbers", [number], |number| number.to_string()).await;
    }
    assert!(earliest(&scene).await > 90);
    let mut running = scene.start(replaying(true)).await?;
    drain(&mut running).await?;
    stop(running).await?;
    // When the topic no longer skips expired records, retention waits from then on.
    stop(start(replaying(false), scene.config()).await?).await?;
    let passed = scene.values("passed").await.len();
    for number in 0..100 {
        scene.produce_numbers("numbers", [number], |number| number.to_string()).await;
    }
    let mut running = scene.start(replaying(false)).await?;
    drain(&mut running).await?;
    stop(running).await?;
    assert_eq!(scene.values("passed").await.len(), passed + 100);
    Ok(())
}

/// Builds an app whose agent holds its first number in hand until the returned flag is set, and
/// reads no further ahead meanwhile.
fn waiting(skips: bool) -> (App, Arc<AtomicBool>) {
    let may_go_on = Arc::new(AtomicBool::new(false));
    let waits = may_go_on.clone();
    let mut app = App::new("waiting");
    let mut numbers = app.topic::<String, u64>("numbers").partitions(1);
    if skips {
        numbers = numbers.skip_expired();
    }
    let passed = app.topic::<String, u64>("passed").partitions(1);
    app.agent("pass", numbers)
        .each(async move |(), number| {
            while !waits.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Ok(number)
        })
        .sink(passed);
    (app, may_go_on)
}

async fn remove_while_it_runs(scene: &Scene, app: App, may_go_on: &AtomicBool) -> Result<marlowe::Running, RunError> {
    let mut config: Config = scene.config().web(any_port());
    config.queue_bytes = 1;
    let running = start(app, config).await?;
    scene.produce_numbers("numbers", 0..10, |number| number.to_string()).await;
    // What is fetched by now is in hand, and the partition is paused.
    crate::scene::pause(200).await;
    scene.produce_numbers("numbers", 10..100, |number| number.to_string()).await;
    let at = TopicPartition::new("numbers", Partition::new(0));
    scene
        .broker
        .delete_records(&[(at, Offset::new(50))])
        .await
        .map_err(|source| RunError::Broker { doing: "removing".into(), source })?;
    may_go_on.store(true, Ordering::Relaxed);
    Ok(running)
}

#[tokio::test]
async fn n2_7_records_removed_while_the_worker_runs_stop_it() -> TestResult {
    let scene = Scene::new().await;
    let (app, may_go_on) = waiting(false);
    let mut running = remove_while_it_runs(&scene, app, &may_go_on).await?;
    let text = crate::scene::within(running.failed()).await.to_string();
    assert!(text.contains("40 records of numbers[0]") && text.contains("from 10 up to 50"), "{text}");
    let _ = stop(running).await;
    // The records before the gap are processed and committed.
    assert_eq!(scene.values("passed").await.len(), 10);
    Ok(())
}

#[tokio::test]
async fn n2_7_records_removed_while_the_worker_runs_can_be_skipped() -> TestResult {
    let scene = Scene::new().await;
    let (app, may_go_on) = waiting(true);
    let mut running = remove_while_it_runs(&scene, app, &may_go_on).await?;
    eventually("it goes on", async || scene.values("passed").await.len() == 60).await;
    drain(&mut running).await?;
    let expired = Metrics::of(&Client::of(&running)).get(r#"marlowe_records_expired_total{topic="numbers"}"#);
    assert_eq!(expired, 40.0);
    stop(running).await?;
    let passed: Vec<u64> = scene.values("passed").await.iter().map(|value| value.parse().unwrap()).collect();
    assert_eq!(passed, (0..10).chain(50..100).collect::<Vec<_>>());
    Ok(())
}
