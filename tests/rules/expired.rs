//! Records that are removed before they were read: the worker stops with an error, unless the topic
//! is declared to go on.

use marlowe::{App, RunError, Running};
use marlowe_broker::{Offset, OffsetSpec, Partition, TopicPartition};

use crate::common::address::any_port;
use crate::common::client::Client;
use crate::common::metrics::Metrics;
use crate::scene::{Scene, TestResult, drain, start, stop};

/// Builds an app that passes on numbers with their keys. With `skips`, the topic is declared
/// `skip_expired`.
fn passing(skips: bool) -> App {
    let mut app = App::new("passing");
    let mut numbers = app.topic::<String, u64>("numbers").partitions(1);
    if skips {
        numbers = numbers.skip_expired();
    }
    let passed = app.topic::<String, u64>("passed").partitions(1);
    app.agent("pass", numbers).each(async |(), number| Ok(number)).sink(passed);
    app
}

/// Removes the records of partition 0 before the offset `before`, as retention does.
async fn remove(scene: &Scene, topic: &str, before: u64) {
    let at = TopicPartition::new(topic, Partition::new(0));
    scene.broker.delete_records(&[(at, Offset::new(before))]).await.unwrap();
}

/// Lets the program read the first three of ten numbers, stops it, and removes the first six.
async fn six_of_ten_are_gone(scene: &Scene) -> TestResult {
    let mut running = scene.start(passing(false)).await?;
    scene.produce_numbers("numbers", 0..3, |number| number.to_string()).await;
    drain(&mut running).await?;
    stop(running).await?;
    scene.produce_numbers("numbers", 3..10, |number| number.to_string()).await;
    remove(scene, "numbers", 6).await;
    Ok(())
}

#[tokio::test]
async fn n2_7_records_removed_unread_stop_the_worker() -> TestResult {
    let scene = Scene::new().await;
    six_of_ten_are_gone(&scene).await?;
    for _ in 0..2 {
        let mut running = passing(false).start(scene.config()).await?;
        let error = crate::scene::within(running.failed()).await;
        assert!(matches!(&error, RunError::Expired { from, to, .. } if (from.get(), to.get()) == (3, 6)), "{error}");
        let text = error.to_string();
        let parts = ["3 records of numbers[0]", "from 3 up to 6", "retention", "`.skip_expired()`", "`reset`"];
        for part in parts {
            assert!(text.contains(part), "`{part}` is not in: {text}");
        }
        let _ = stop(running).await;
    }
    assert_eq!(scene.values("passed").await, ["0", "1", "2"]);
    Ok(())
}

#[tokio::test]
async fn n2_7_a_topic_that_skips_expired_counts_what_is_gone() -> TestResult {
    let scene = Scene::new().await;
    six_of_ten_are_gone(&scene).await?;
    let mut running = start(passing(true), scene.config().web(any_port())).await?;
    drain(&mut running).await?;
    assert_eq!(scene.values("passed").await, ["0", "1", "2", "6", "7", "8", "9"]);
    let expired =
        |running: &Running| Metrics::of(&Client::of(running)).get(r#"marlowe_records_expired_total{topic="numbers"}"#);
    assert_eq!(expired(&running), 3.0);
    stop(running).await?;
    // The loss is reported once, so the next run does not count it.
    let running = start(passing(true), scene.config().web(any_port())).await?;
    assert_eq!(expired(&running), 0.0);
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn n2_7_all_records_may_be_gone() -> TestResult {
    let scene = Scene::new().await;
    six_of_ten_are_gone(&scene).await?;
    remove(&scene, "numbers", 10).await;
    let mut running = scene.start(passing(true)).await?;
    drain(&mut running).await?;
    stop(running).await?;
    // The position is now the start of the partition, so later records are not reported as gone.
    let mut running = scene.start(passing(false)).await?;
    scene.produce_numbers("numbers", 10..12, |number| number.to_string()).await;
    drain(&mut running).await?;
    stop(running).await?;
    assert_eq!(scene.values("passed").await, ["0", "1", "2", "10", "11"]);
    Ok(())
}

#[tokio::test]
async fn n2_7_a_new_app_begins_with_the_records_that_are_there() -> TestResult {
    let scene = Scene::new().await;
    scene.broker.create_topic(marlowe_broker::TopicConfig::new("numbers", 1)).await?;
    scene.produce_numbers("numbers", 0..10, |number| number.to_string()).await;
    remove(&scene, "numbers", 6).await;
    let mut running = scene.start(passing(false)).await?;
    drain(&mut running).await?;
    stop(running).await?;
    assert_eq!(scene.values("passed").await, ["6", "7", "8", "9"]);
    Ok(())
}

#[tokio::test]
async fn n2_7_the_agent_that_is_furthest_behind_counts() -> TestResult {
    let scene = Scene::new().await;
    let build = || {
        let mut app = App::new("places");
        let numbers = app.topic::<String, u64>("numbers").partitions(1);
        let seen = app.topic::<String, u64>("seen").partitions(1);
        app.agent("ahead", numbers).each(async |(), _| Ok(()));
        app.agent("behind", numbers).each(async |(), number| Ok(number)).sink(seen);
        app
    };
    // This run creates the topics, and has nothing to read yet.
    let mut running = scene.start(build()).await?;
    drain(&mut running).await?;
    stop(running).await?;
    scene.produce_numbers("numbers", 0..10, |number| number.to_string()).await;
    // These are the positions after one agent was faster than the other.
    let at = TopicPartition::new("numbers", Partition::new(0));
    let position = marlowe_broker::CommittedOffset { offset: Offset::new(4), metadata: "ahead=9".into() };
    scene.broker.commit_offsets("places", None, &[(at, position)]).await?;
    remove(&scene, "numbers", 7).await;
    let mut running = build().start(scene.config()).await?;
    let text = crate::scene::within(running.failed()).await.to_string();
    assert!(text.contains("3 records of numbers[0]") && text.contains("from 4 up to 7"), "{text}");
    let _ = stop(running).await;
    Ok(())
}

#[tokio::test]
async fn n2_7_an_internal_topic_never_skips_unread_records() -> TestResult {
    let scene = Scene::new().await;
    let build = || {
        let mut app = App::new("inner");
        let numbers = app.topic::<String, u64>("numbers").partitions(1).skip_expired();
        let sums = app.table::<u64, u64>("sums").partitions(1).merge(|sum, more| *sum += more);
        app.agent("sum", numbers.group_by(|number| number % 2)).with(sums).each_event(async |sums, event| {
            sums.update(event.key, |sum| *sum += event.value);
            Ok(())
        });
        (app, sums)
    };
    let (app, sums) = build();
    let mut running = scene.start(app).await?;
    running.open(sums.inbox()).send(7, 7).await?;
    drain(&mut running).await?;
    stop(running).await?;
    scene.produce("inner-sums-inbox", 0, Some(b"7"), Some(b"7")).await;
    let end = scene.broker.offsets("inner-sums-inbox", &[Partition::new(0)], OffsetSpec::Latest).await?[0];
    remove(&scene, "inner-sums-inbox", end.get()).await;
    let mut running = build().0.start(scene.config()).await?;
    let text = crate::scene::within(running.failed()).await.to_string();
    for part in ["inner-sums-inbox[0]", "Marlowe keeps this topic", "retention.ms", "`reset`"] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    let _ = stop(running).await;
    Ok(())
}
