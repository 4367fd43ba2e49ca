//! Tables that begin with the rows of a Faust app. The changelogs of the app are read byte for
//! byte, taken once, and not written to.

use std::sync::Arc;
use std::time::Duration;

use marlowe::broker::{Offset, Partition, Partitioner};
use marlowe::{App, GlobalTable, RunError, Table, Topic};
use marlowe_broker::{Cleanup, CommittedOffset, TopicConfig, TopicPartition};
use serde::{Deserialize, Serialize};

use crate::common::text::assert_names;
use crate::scene::{Scene, TestResult, drain, eventually, key_where, start, stop, within};
use crate::watched::WatchedBroker;

const PARTITIONS: u32 = 4;

/// The state of a Faust app on the broker.
struct Faust<'a> {
    scene: &'a Scene,
    id: &'static str,
}

impl Faust<'_> {
    /// Declares a table, as `app.Table(name)` does.
    async fn table(&self, name: &str) -> Result<(), marlowe::broker::BrokerError> {
        let changelog = TopicConfig::new(self.changelog(name), PARTITIONS).cleanup(Cleanup::Compact);
        self.scene.broker.create_topic(changelog).await
    }

    fn changelog(&self, table: &str) -> String {
        format!("{}-{table}-changelog", self.id)
    }

    /// Writes what `table[key] = value` writes during an event with the key `event_key`. Faust's
    /// producer sends the record to the partition that murmur2 gives for the raw `event_key`. The
    /// JSON is Python's, which escapes characters that are not ASCII.
    async fn set(&self, table: &str, event_key: &str, key: &str, value: Option<&str>) {
        let partition = Partitioner::Murmur2.partition(event_key.as_bytes(), PARTITIONS).get();
        let (key, value) = (Some(key.as_bytes()), value.map(str::as_bytes));
        self.scene.produce(&self.changelog(table), partition, key, value).await;
    }

    /// Commits the positions of an app that has processed `events` of each partition of a topic.
    async fn committed(&self, topic: &str, events: &[u64]) -> Result<(), marlowe::broker::BrokerError> {
        let at = |(partition, offset): (Partition, &u64)| {
            (TopicPartition::new(topic, partition), CommittedOffset::from(Offset::new(*offset)))
        };
        let offsets: Vec<_> = Partition::all(PARTITIONS).zip(events).map(at).collect();
        self.scene.broker.commit_offsets(self.id, None, &offsets).await
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Profile {
    name: String,
    score: f64,
}

struct Places {
    clicks: Topic<String, u64>,
    counts: Table<String, u64>,
    profiles: Table<u64, Profile>,
    rates: GlobalTable<String, f64>,
}

/// Builds the successor of a Faust app that counts clicks by user.
fn successor(faust: &str) -> (App, Places) {
    let mut app = App::new("successor");
    app.partitions(PARTITIONS);
    let clicks = app.topic::<String, u64>("clicks");
    let counts = app.table::<String, u64>("counts").take_over(faust);
    let profiles = app.table::<u64, Profile>("profiles").take_over(faust);
    let rates = app.global_table::<String, f64>("rates").take_over(faust);
    app.agent("count", clicks).with(counts).each_event(async |counts, event| {
        counts.update(event.key, |count| *count += event.value);
        Ok(())
    });
    (app, Places { clicks, counts, profiles, rates })
}

fn users() -> Vec<String> {
    (0..20).map(|number| format!("user{number}")).chain(["Zürich".to_owned(), "a \"b\"".to_owned()]).collect()
}

/// Creates the state of a Faust app that counted one click of each user, and stopped before it saw
/// the second.
async fn faust_that_counted_one_each(scene: &Scene) -> Result<Faust<'_>, marlowe::broker::BrokerError> {
    let faust = Faust { scene, id: "faustapp" };
    scene.broker.create_topic(TopicConfig::new("clicks", PARTITIONS)).await?;
    for table in ["counts", "profiles", "rates"] {
        faust.table(table).await?;
    }
    let mut processed = vec![0; PARTITIONS as usize];
    for user in users() {
        let partition = Partitioner::Murmur2.partition(user.as_bytes(), PARTITIONS).get();
        scene.produce("clicks", partition, Some(user.as_bytes()), Some(b"1")).await;
        processed[partition as usize] += 1;
        let key = serde_json::to_string(&user).unwrap().replace('ü', "\\u00fc");
        faust.set("counts", &user, &key, Some("1")).await;
    }
    faust.committed("clicks", &processed).await?;
    for user in users() {
        let partition = Partitioner::Murmur2.partition(user.as_bytes(), PARTITIONS).get();
        scene.produce("clicks", partition, Some(user.as_bytes()), Some(b"1")).await;
    }
    // One row was deleted, and one was changed.
    for value in [Some("5"), None] {
        faust.set("counts", "gone", "\"gone\"", value).await;
    }
    for value in ["0.5", "1.25"] {
        faust.set("rates", "EUR", "\"EUR\"", Some(value)).await;
    }
    let ada = r#"{"name":"Ada","score":2.5,"__faust":{"ns":"app.Profile"}}"#;
    faust.set("profiles", "12", "12", Some(ada)).await;
    Ok(faust)
}

async fn counts(running: &marlowe::Running, places: &Places) -> Result<Vec<(String, u64)>, marlowe::table::ViewError> {
    running.open(places.counts.view()).iter().await
}

fn each_user_has(count: u64) -> Vec<(String, u64)> {
    let mut rows: Vec<_> = users().into_iter().map(|user| (user, count)).collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn a_table_begins_with_fausts_rows_and_agents_at_its_positions() -> TestResult {
    let scene = Scene::new().await;
    let faust = faust_that_counted_one_each(&scene).await?;
    let before = scene.records("faustapp-counts-changelog").await;

    let (app, places) = successor("faustapp");
    let mut running = start(app, scene.config().workers(2)).await?;
    // The copies have the rows before anything runs.
    for worker in 0..2 {
        assert_eq!(running.open_on(worker, places.rates).get("EUR"), Some(1.25), "worker {worker}");
    }
    drain(&mut running).await?;
    assert_eq!(counts(&running, &places).await?, each_user_has(2), "one click counted by Faust, one here");
    let ada = Profile { name: "Ada".into(), score: 2.5 };
    assert_eq!(running.open(places.profiles.view()).iter().await?, [(12, ada)]);
    stop(running).await?;
    let changelog = scene.records("successor-counts-changelog").await;
    assert!(changelog.iter().any(|record| record.key.as_deref() == Some("Zürich")), "keys are as topics have them");
    assert_eq!(scene.records("faustapp-counts-changelog").await, before, "Faust's topic is only read");

    // Rows are taken over once. What is written to Faust's topic later is ignored, and the topic
    // may be deleted.
    faust.set("counts", "user1", "\"user1\"", Some("999")).await;
    faust.committed("clicks", &[0; PARTITIONS as usize]).await?;
    let (app, places) = successor("faustapp");
    let mut running = start(app, scene.config()).await?;
    running.open(places.clicks).send(&"user1".to_owned(), &10).await?;
    drain(&mut running).await?;
    assert_eq!(running.open(places.counts.view()).get("user1").await?, Some(12));
    stop(running).await?;
    for table in ["counts", "profiles", "rates"] {
        scene.broker.delete_topic(&faust.changelog(table)).await?;
    }
    let (app, places) = successor("faustapp");
    let running = start(app, scene.config()).await?;
    assert_eq!(running.open(places.counts.view()).get("user1").await?, Some(12));
    assert_eq!(running.open(places.rates).get("EUR"), Some(1.25));
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_row_that_was_taken_over_and_removed_does_not_come_back() -> TestResult {
    let scene = Scene::new().await;
    let faust = Faust { scene: &scene, id: "faustapp" };
    faust.table("rates").await?;
    faust.set("rates", "EUR", "\"EUR\"", Some("1.0")).await;
    let build = || {
        let mut app = App::new("removing");
        let rates = app.partitions(PARTITIONS).table::<String, f64>("rates").take_over("faustapp");
        (app, rates)
    };
    let (app, rates) = build();
    let mut running = scene.start(app).await?;
    running.open(rates.inbox()).remove("EUR").await?;
    drain(&mut running).await?;
    assert_eq!(running.open(rates.view()).len().await?, 0);
    stop(running).await?;
    // It does not come back after a restore either. Each start here restores the store.
    let (app, rates) = build();
    let running = scene.start(app).await?;
    assert_eq!(running.open(rates.view()).len().await?, 0);
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn concurrent_and_interrupted_starts_take_over_once() -> TestResult {
    let scene = Scene::new().await;
    faust_that_counted_one_each(&scene).await?;
    // This process ends while it reads.
    let broker = WatchedBroker::new(&scene.broker).may_hold("faustapp-counts-changelog", 0..PARTITIONS);
    broker.reads.close();
    let (app, _) = successor("faustapp");
    let starting = app.start(scene.config().broker(Arc::new(broker.clone())));
    assert!(tokio::time::timeout(Duration::from_millis(300), starting).await.is_err());

    let start_one = async || -> Result<_, RunError> {
        let (app, places) = successor("faustapp");
        Ok((within(app.start(scene.config())).await?, places))
    };
    let (first, second) = tokio::join!(start_one(), start_one());
    let ((mut first, places), (second, _)) = (first?, second?);
    stop(second).await?;
    drain(&mut first).await?;
    assert_eq!(counts(&first, &places).await?, each_user_has(2));
    stop(first).await?;
    let taken = scene.records("successor-counts-changelog").await;
    for partition in 0..PARTITIONS {
        let mark = |key: &str| key.starts_with('\0');
        let mut keys =
            taken.iter().filter(|record| record.partition == partition).filter_map(|record| record.key.as_deref());
        assert!(keys.next().is_some_and(mark), "each partition begins with its mark");
        assert!(!keys.any(mark), "and has no other");
    }
    assert_eq!(taken.iter().filter(|record| record.value.as_deref() == Some("1")).count(), users().len());
    Ok(())
}

#[tokio::test]
async fn an_overtaken_process_writes_nothing() -> TestResult {
    let scene = Scene::new().await;
    faust_that_counted_one_each(&scene).await?;
    let broker = WatchedBroker::new(&scene.broker).may_hold("faustapp-counts-changelog", 0..PARTITIONS);
    broker.producers.close();
    let slow = async {
        let (app, _) = successor("faustapp");
        stop(within(app.start(scene.config().broker(Arc::new(broker.clone())))).await?).await
    };
    let fast = async {
        eventually("it is ready to write", async || broker.producers.is_waited_at()).await;
        broker.reads.close();
        broker.producers.open();
        eventually("it has seen that nothing is taken over yet", async || broker.reads.is_waited_at()).await;
        let (app, _) = successor("faustapp");
        let mut running = start(app, scene.config()).await?;
        drain(&mut running).await?;
        stop(running).await?;
        broker.reads.open();
        Ok::<_, RunError>(())
    };
    let (slow, fast) = tokio::join!(slow, fast);
    slow?;
    fast?;
    let (app, places) = successor("faustapp");
    let mut running = start(app, scene.config()).await?;
    drain(&mut running).await?;
    assert_eq!(counts(&running, &places).await?, each_user_has(2), "what came of the table in the meantime stands");
    stop(running).await?;
    Ok(())
}

/// Returns the error of an app that takes tables over and does not start.
async fn refusal(scene: &Scene, app: App) -> String {
    match scene.start(app).await {
        Err(error @ RunError::TakeOver { .. }) => error.to_string(),
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it started"),
    }
}

#[tokio::test]
async fn a_record_that_does_not_fit_stops_the_takeover_and_is_named() -> TestResult {
    let scene = Scene::new().await;
    let faust = Faust { scene: &scene, id: "faustapp" };
    let build = |table: &str| {
        let mut app = App::new("picky");
        app.partitions(PARTITIONS);
        app.table::<String, u64>("good").take_over("faustapp");
        app.table::<String, u64>(table).take_over("faustapp");
        app
    };
    faust.table("good").await?;
    faust.set("good", "user1", "\"user1\"", Some("1")).await;
    let home = |key: &[u8]| Partitioner::Murmur2.partition(key, PARTITIONS);
    let elsewhere = key_where("another", |key| home(key) != home(b"user2"));
    let cases = [
        ("value", "user2", "\"user2\"", "\"many\"", ["its value does not fit", "u64", "many"]),
        ("float", "user2", "\"user2\"", "2.5", ["its value does not fit", "u64", "2.5"]),
        ("raw", "user2", "user2", "2", ["its key does not fit", "JSON", "user2"]),
        ("window", "user2", "[\"user2\",[0.0,9.9]]", "2", ["its key does not fit", "String", "windows"]),
        ("home", &elsewhere, "\"user2\"", "2", ["its home is partition", "murmur2", "inbox"]),
    ];
    for (table, event_key, key, value, parts) in cases {
        faust.table(table).await?;
        faust.set(table, "user1", "\"user1\"", Some("1")).await;
        faust.set(table, event_key, key, Some(value)).await;
        let text = refusal(&scene, build(table)).await;
        assert_names(&text, &parts);
        let place = format!("faustapp-{table}-changelog[{}], offset", home(event_key.as_bytes()));
        assert_names(&text, &[&format!("table `{table}`"), &place, key]);
        assert_eq!(scene.records(&format!("picky-{table}-changelog")).await, []);
        assert_eq!(scene.records("picky-good-changelog").await, [], "of the others nothing is taken either");
    }
    // A record that was overwritten or deleted need not fit.
    faust.set("value", "user2", "\"user2\"", Some("2")).await;
    faust.set("raw", "user2", "user2", None).await;
    for table in ["value", "raw"] {
        stop(scene.start(build(table)).await?).await?;
        let rows = scene.records(&format!("picky-{table}-changelog")).await;
        assert!(rows.iter().any(|row| row.key.as_deref() == Some("user1")), "{rows:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_missing_or_unfit_faust_table_is_refused_at_the_start() -> TestResult {
    let scene = Scene::new().await;
    let faust = Faust { scene: &scene, id: "faustapp" };
    faust.table("counts").await?;
    let build = |id: &str, partitions, from: &[(&str, &str)]| {
        let mut app = App::new(id);
        app.partitions(partitions);
        for (table, faust) in from {
            app.table::<String, u64>(table).take_over(faust);
        }
        app
    };
    let missing = refusal(&scene, build("new", PARTITIONS, &[("sums", "faustapp")])).await;
    assert_names(&missing, &["table `sums`", "`faustapp-sums-changelog`", "no such topic", "faustapp"]);
    let count = refusal(&scene, build("new", 6, &[("counts", "faustapp")])).await;
    assert_names(&count, &["table `counts`", "has 4 partitions", "the table 6", ".partitions(4)"]);
    let own = refusal(&scene, build("faustapp", PARTITIONS, &[("counts", "faustapp")])).await;
    assert_names(&own, &["own changelog", "another id"]);
    let two = build("new", PARTITIONS, &[("counts", "faustapp"), ("sums", "other")]);
    assert_names(&refusal(&scene, two).await, &["table `sums`", "`faustapp`", "one Faust app"]);
    let made = scene.broker.topics().await?.into_iter().filter(|topic| topic.name.starts_with("new-")).count();
    assert_eq!(made, 0);
    Ok(())
}
