//! Every thread is watched: a panic on any of them ends the worker, which reports it and is not
//! ready meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use marlowe::{App, Config, RunError, Running, Topic};

use crate::common::address::any_port;
use crate::common::client::Client;
use crate::scene::{Scene, TestResult, drain, key_where, pause, start, stop, within};
use crate::tripping::{Trip, TrippingBroker};

/// Builds a program that has work for every thread.
fn busy() -> (App, Topic<String, u64>) {
    let mut app = App::new("busy");
    let numbers = app.topic::<String, u64>("numbers").partitions(2);
    let sums = app.table::<String, u64>("sums");
    let all = app.global_table::<String, u64>("all").merge(|sum, more| *sum += more);
    app.agent("sum", numbers).with((sums, all)).each_event(async |(sums, all), event| {
        sums.update(event.key, |sum| *sum += event.value);
        all.send("all", event.value);
        Ok(())
    });
    app.source("feed", numbers).run(async |numbers| {
        for number in numbers.position()..3 {
            numbers.send(&format!("key-{number}"), &1, marlowe::broker::Timestamp::from_millis(1), number + 1).await?;
        }
        Ok(())
    });
    (app, numbers)
}

fn on_the_web(config: Config) -> Config {
    config.web(any_port())
}

/// Checks that the process learns of a panic on `thread`, is not ready then, and ends.
async fn ends_after_a_panic_on(thread: &str, mut running: Running) {
    let addresses = running.web_addresses();
    let error = within(running.failed()).await;
    let RunError::Panicked { thread: on, .. } = &error else { panic!("on {thread}, but it said: {error}") };
    assert!(on.contains(thread), "on {thread}, but it said: {error}");
    assert!(error.to_string().contains("tripped"), "{error}");
    // The names of a worker's threads begin with the worker's name, which ends with its number.
    let worker = on.split_once(&format!("-{thread}")).and_then(|(worker, _)| worker.rsplit('-').next()?.parse().ok());
    if let Some(address) = addresses.get(worker.unwrap_or(0)) {
        let ready = Client::new(*address).ask_meanwhile("GET", "/readyz", "").await;
        assert_eq!(ready.status, 503, "ready after a panic on {thread}");
    }
    // The stop may report another error, which is fine, but it must end.
    let _ = within(running.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn n3_1_a_panic_on_any_thread_ends_the_worker() {
    for thread in ["background", "restore", "control", "timers", "lane", "standby", "cluster"] {
        let scene = Scene::new().await;
        let trip = Trip::on(thread);
        let mut config = on_the_web(scene.config()).standby_replicas(1).workers(2);
        config.broker = marlowe::config::BrokerChoice::Custom(TrippingBroker::over(&scene.broker, &trip));
        trip.arm();
        let (app, _) = busy();
        match within(app.start(config)).await {
            Ok(running) => ends_after_a_panic_on(thread, running).await,
            Err(error) => panic!("{thread}: {error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn n3_1_a_panic_while_it_works_ends_run_until_with_the_error() -> TestResult {
    for thread in ["lane", "background", "cluster"] {
        let scene = Scene::new().await;
        let trip = Trip::on(thread);
        let mut config = scene.config();
        config.broker = marlowe::config::BrokerChoice::Custom(TrippingBroker::over(&scene.broker, &trip));
        let (app, numbers) = busy();
        let mut running = start(app, config).await?;
        drain(&mut running).await?;
        let numbers = running.open(numbers);
        trip.arm();
        // This gives every thread something to do.
        scene.produce("busy-workers", 0, Some(b"nobody"), None).await;
        let _ = tokio::time::timeout(Duration::from_secs(2), numbers.send(&"key".to_owned(), &1)).await;
        let ended = within(running.run_until(std::future::pending())).await;
        let error = ended.unwrap_err();
        assert!(matches!(&error, RunError::Panicked { thread: on, .. } if on.contains(thread)), "{thread}: {error}");
    }
    Ok(())
}

/// A value that panics when it is dropped, where no event can be blamed.
struct Bomb(Arc<AtomicBool>);

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(!self.0.load(Ordering::SeqCst), "tripped as it was dropped");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn n3_1_a_shard_that_panics_commits_nothing_but_others_do() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("bombs");
    let numbers = app.topic::<String, u64>("numbers").partitions(2);
    let sums = app.table::<String, u64>("sums");
    let armed = Arc::new(AtomicBool::new(true));
    let bomb = armed.clone();
    app.agent("sum", numbers).with(sums).each_event(async move |sums, event| {
        sums.update(event.key, |sum| *sum += event.value);
        // A reply is dropped after its event has ended.
        Ok((event.value == 7).then(|| Bomb(bomb.clone())))
    });
    let build = |commit: u64, lanes| {
        on_the_web(scene.config()).lanes(lanes).fixed_commit_interval(Duration::from_millis(commit))
    };
    // All shards are in one lane, which does not commit by itself before the test ends.
    let mut running = start(app, build(3_600_000, 1)).await?;
    let web = Client::of(&running);
    let open = running.open((numbers, sums.view()));
    let partition_of = |key: &[u8]| marlowe_broker::Partitioner::default().partition(key, 2).get();
    let (bad, good) = (key_where("bad", |key| partition_of(key) == 0), key_where("good", |key| partition_of(key) == 1));
    open.0.send(&good, &1).await?;
    pause(200).await;
    open.0.send(&bad, &7).await?;
    let error = within(running.failed()).await;
    assert!(matches!(&error, RunError::Panicked { thread, .. } if thread.contains("lane")), "{error}");
    assert_eq!(web.ask_meanwhile("GET", "/readyz", "").await.status, 503);
    armed.store(false, Ordering::SeqCst);
    let _ = within(running.stop()).await;
    let changes = scene.records("bombs-sums-changelog").await;
    let keys: Vec<&str> = changes.iter().filter_map(|change| change.key.as_deref()).collect();
    assert_eq!(keys, [good.as_str()], "the other shard's event, and nothing of the one that panicked");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn n3_1_a_panic_in_a_route_of_the_program_is_an_answer() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("routes");
    app.web(|_| {
        axum::Router::new().route("/bad", axum::routing::get(async || -> &str { panic!("tripped in a route") }))
    });
    let running = start(app, on_the_web(scene.config())).await?;
    let web = Client::of(&running);
    let bad = web.ask_meanwhile("GET", "/bad", "").await;
    assert_eq!(bad.status, 500);
    assert!(bad.text.contains("tripped in a route"), "{}", bad.text);
    assert_eq!(web.ask_meanwhile("GET", "/readyz", "").await.status, 200, "it is the request's failure");
    stop(running).await?;
    Ok(())
}

#[test]
fn n3_1_no_task_is_spawned_unwatched() {
    // These may spawn: where tasks are watched, where the process listens for signals, where a
    // request is waited for, and the simulation.
    const DOORS: [&str; 5] =
        ["src/threads/thread.rs", "src/host/", "src/cli/interruption.rs", "src/peer/client.rs", "src/sim/"];
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut folders, mut looked_at) = (vec![root.join("src")], 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
            if path.is_dir() {
                folders.push(path);
            } else if !DOORS.iter().any(|door| name.starts_with(door)) {
                looked_at += 1;
                let source = std::fs::read_to_string(&path).unwrap();
                // Unit tests come last in a file, and are not checked.
                let source = source.split("#[cfg(test)]").next().unwrap_or_default();
                for call in ["spawn_local(", "tokio::spawn(", "task::spawn(", "spawn_blocking(", "runtime.spawn("] {
                    assert!(!source.contains(call), "{name} uses {call}: use `Spawner`, which tells of panics");
                }
            }
        }
    }
    assert!(looked_at > 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn n3_1_a_client_whose_thread_panicked_fails_each_request() -> TestResult {
    let scene = Scene::new().await;
    let (app, numbers) = busy();
    let trip = Trip::on("client-");
    let mut config = scene.config();
    config.broker = marlowe::config::BrokerChoice::Custom(TrippingBroker::over(&scene.broker, &trip));
    let client = marlowe::client::Client::connect(&app, config).await?;
    let numbers = client.open(numbers);
    numbers.send(&"key".to_owned(), &1).await?;
    trip.arm();
    assert!(within(numbers.send(&"key".to_owned(), &1)).await.is_err());
    assert!(within(numbers.send(&"key".to_owned(), &1)).await.is_err());
    Ok(())
}
