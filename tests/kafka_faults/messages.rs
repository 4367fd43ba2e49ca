//! Records that are too large: for the client, or for their topic.

use marlowe::{App, Running, Table, Topic};
use rdkafka::admin::{AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};

use crate::audit::records;
use crate::scene::{Scene, crash, meanwhile, stop, within};
use crate::topics::admin;

/// A program that passes on as many bytes as it is told, and keeps as many in a table.
struct Growing {
    app: App,
    sizes: Topic<String, usize>,
    kept: Table<String, usize>,
}

/// What becomes of an event whose record is too large.
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

/// The lengths of what was passed on.
async fn passed_on(scene: &Scene) -> Vec<usize> {
    // Two quotation marks each.
    records(&scene.broker, &texts(scene)).await.iter().map(|record| record.value.as_ref().unwrap().len() - 2).collect()
}

async fn feed(worker: &Running, sizes: Topic<String, usize>, all: &[usize]) {
    let to = worker.open(sizes);
    for size in all {
        to.send(&"key".to_owned(), size).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_too_large_for_the_client_fails_its_event() {
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

    // With the policy to stop, one error tells which event, how large the record was, and what the limit is.
    let scene = Scene::shared().await;
    let Growing { app, sizes, .. } = growing(&scene, Policy::Stop);
    let mut worker = within(app.start(scene.config())).await.unwrap();
    feed(&worker, sizes, &[10, 2_000_000, 20]).await;
    let told = within(worker.failed()).await.to_string();
    for words in ["agent `grow`", "@1", &texts(&scene), "2000005", "999964", "message.max.bytes"] {
        assert!(told.contains(words), "`{words}` is not in {told}");
    }
    crash(worker).await;

    // With more room it goes on where it was.
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
async fn what_is_too_large_for_its_topic_is_told_with_the_topic_and_the_mend() {
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
