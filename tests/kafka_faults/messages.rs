//! Tests of records that are refused: too large for the client or for their topic, or with a
//! timestamp out of bounds.

use marlowe::{App, Running, Table, Topic};
use rdkafka::admin::{AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};

use crate::audit::records;
use crate::scene::{Scene, crash, meanwhile, stop, within};
use crate::topics::admin;

/// A program that passes on as many bytes as each event says, and adds up these numbers in a table.
struct Growing {
    app: App,
    sizes: Topic<String, usize>,
    kept: Table<String, usize>,
}

/// The policy for an event whose record is too large.
#[derive(Clone, Copy)]
enum Policy {
    Stop,
    DeadLetter,
}

fn growing(scene: &Scene, policy: Policy) -> Growing {
    let mut app = App::new(&scene.app);
    app.partitions(1);
    let sizes = app.topic::<String, usize>(&format!("{}-sizes", scene.app));
    let texts = app.topic::<String, String>(&texts(scene));
    let kept = app.table::<String, usize>("kept");
    let bad = app.topic::<String, usize>(&format!("{}-bad", scene.app));
    let agent = app.agent("grow", sizes);
    let agent = match policy {
        Policy::Stop => agent.retries(0),
        Policy::DeadLetter => agent.retries(0).dead_letter(bad),
    };
    agent.with((kept, texts)).each_event(async |(kept, texts), event| {
        kept.update(event.key.clone(), |sum| *sum += event.value);
        texts.send(&event.key, &"x".repeat(event.value));
        Ok(())
    });
    Growing { app, sizes, kept }
}

fn texts(scene: &Scene) -> String {
    format!("{}-texts", scene.app)
}

/// Returns the lengths of the texts that were passed on.
async fn passed_on(scene: &Scene) -> Vec<usize> {
    // Each value is JSON, so two of its bytes are quotation marks.
    records(&scene.broker, &texts(scene)).await.iter().map(|record| record.value.as_ref().unwrap().len() - 2).collect()
}

async fn feed(worker: &Running, sizes: Topic<String, usize>, all: &[usize]) {
    let to = worker.open(sizes);
    for size in all {
        to.send(&"key".to_owned(), size).await.unwrap();
    }
}

#[tokio::test]
async fn a_record_too_large_for_the_client_fails_its_event() {
    let scene = Scene::shared().await;
    let Growing { app, sizes, kept } = growing(&scene, Policy::DeadLetter);
    let mut worker = within(app.start(scene.config())).await.unwrap();
    feed(&worker, sizes, &[10, 2_000_000, 20]).await;
    within(worker.drain()).await.unwrap();
    assert_eq!(passed_on(&scene).await, [10, 20], "the others are done");
    assert_eq!(worker.open(kept.view()).get("key").await.unwrap(), Some(30), "and nothing of it");
    let bad = records(&scene.broker, &format!("{}-bad", scene.app)).await;
    assert_eq!(bad.len(), 1);
    assert_eq!(bad[0].value.as_deref(), Some("2000000"));
    stop(worker).await;

    // With the policy to stop, one error says which event it was, how large the record was, and
    // what the limit is.
    let scene = Scene::shared().await;
    let Growing { app, sizes, .. } = growing(&scene, Policy::Stop);
    let mut worker = within(app.start(scene.config())).await.unwrap();
    feed(&worker, sizes, &[10, 2_000_000, 20]).await;
    let told = within(worker.failed()).await.to_string();
    for words in ["agent `grow`", "@1", &texts(&scene), "2000005", "999964", "message.max.bytes"] {
        assert!(told.contains(words), "`{words}` is not in {told}");
    }
    crash(worker).await;

    // With more room the program goes on where it was.
    let Growing { app, .. } = growing(&scene, Policy::Stop);
    let kafka = scene.kafka.clone().set("message.max.bytes", "3000000");
    let admin = admin(&scene);
    let topic = texts(&scene);
    let room = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set("max.message.bytes", "3000000");
    admin.alter_configs([&room], &AdminOptions::new()).await.unwrap().remove(0).unwrap();
    let mut worker = within(app.start(scene.config().kafka(kafka))).await.unwrap();
    within(worker.drain()).await.unwrap();
    assert_eq!(passed_on(&scene).await, [10, 2_000_000, 20]);
    stop(worker).await;
}

#[tokio::test]
async fn a_record_too_large_for_its_topic_is_reported_with_the_fix() {
    let scene = Scene::shared().await;
    let (admin, topic) = (admin(&scene), texts(&scene));
    let small = NewTopic::new(&topic, 1, TopicReplication::Fixed(1)).set("max.message.bytes", "2000");
    admin.create_topics([&small], &AdminOptions::new()).await.unwrap().remove(0).unwrap();
    let Growing { app, sizes, .. } = growing(&scene, Policy::Stop);
    let mut worker = within(app.start(scene.config())).await.unwrap();
    feed(&worker, sizes, &[10]).await;
    meanwhile(
        &mut [&mut worker],
        crate::scene::eventually("the first is passed on", async || passed_on(&scene).await == [10]),
    )
    .await;
    feed(&worker, sizes, &[5000, 20]).await;
    let told = within(worker.failed()).await.to_string();
    for words in [topic.as_str(), "max.message.bytes"] {
        assert!(told.contains(words), "`{words}` is not in {told}");
    }
    crash(worker).await;

    let room = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set("max.message.bytes", "100000");
    admin.alter_configs([&room], &AdminOptions::new()).await.unwrap().remove(0).unwrap();
    let Growing { app, kept, .. } = growing(&scene, Policy::Stop);
    let mut worker = within(app.start(scene.config())).await.unwrap();
    within(worker.drain()).await.unwrap();
    assert_eq!(passed_on(&scene).await, [10, 5000, 20], "nothing is lost, and nothing there twice");
    assert_eq!(worker.open(kept.view()).get("key").await.unwrap(), Some(5030));
    stop(worker).await;
}

#[tokio::test]
async fn n2_1_created_topics_take_the_largest_record_that_is_sent() {
    let scene = Scene::shared().await;
    let Growing { app, sizes, kept } = growing(&scene, Policy::Stop);
    let mut worker = within(app.start(scene.config().max_message_bytes(3_000_000))).await.unwrap();
    feed(&worker, sizes, &[10, 2_000_000, 20]).await;
    within(worker.drain()).await.unwrap();
    assert_eq!(passed_on(&scene).await, [10, 2_000_000, 20]);
    assert_eq!(worker.open(kept.view()).get("key").await.unwrap(), Some(2_000_030));
    stop(worker).await;
}

/// Sends two events with timestamps a day ahead. Kafka takes no record whose timestamp is more than
/// an hour ahead of its clock.
#[tokio::test]
async fn n2_1_a_timestamp_out_of_bounds_fails_its_event() {
    let scene = Scene::shared().await;
    let mut app = App::new(&scene.app);
    app.partitions(1);
    let numbers = app.topic::<String, u64>(&format!("{}-numbers", scene.app));
    let bad = app.topic::<String, u64>(&format!("{}-bad", scene.app));
    let sums = app.table::<String, u64>("sums");
    let by_parity = numbers.group_by(|number| (number % 2).to_string());
    app.agent("sum", by_parity).with(sums).dead_letter(bad).each_event(async |sums, event| {
        sums.update(event.key, |sum| *sum += event.value);
        Ok(())
    });
    // The input topic itself takes any timestamp, as a topic of an older Kafka does.
    let any = NewTopic::new(numbers.name(), 1, TopicReplication::Fixed(1))
        .set("message.timestamp.after.max.ms", "9223372036854775807");
    admin(&scene).create_topics([&any], &AdminOptions::new()).await.unwrap().remove(0).unwrap();
    let mut worker = within(app.start(scene.config())).await.unwrap();
    let to = worker.open(numbers);
    let now = scene.config().clock.now();
    for number in 1..=40 {
        let ahead = if number % 20 == 7 { 24 * 60 * 60 * 1000 } else { 0 };
        to.send_at(&"k".to_owned(), &number, marlowe::broker::Timestamp::from_millis(now.millis() + ahead))
            .await
            .unwrap();
    }
    within(worker.drain()).await.unwrap();
    let view = worker.open(sums.view());
    let sums = (view.get("0").await.unwrap(), view.get("1").await.unwrap());
    assert_eq!(sums, (Some((2..=40).step_by(2).sum()), Some((1..40).step_by(2).sum::<u64>() - 7 - 27)));
    // Dead letters with these timestamps would be refused too, so they only say where the event is.
    let bad = records(&scene.broker, &format!("{}-bad", scene.app)).await;
    let told: Vec<_> = bad.iter().map(|letter| (letter.value.clone(), letter.key.clone())).collect();
    let place = |offset| (None, format!("{}[0]@{offset}", numbers.name()));
    assert_eq!(told, [place(6), place(26)]);
    stop(worker).await;
}
