//! A drain over several processes: each waits for work that runs in any of them, and for work that
//! a dead process left. Each process here is a `Running`, and they share nothing but the broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use marlowe::broker::Timestamp;
use marlowe::{App, Table};

use crate::scene::{Scene, TestResult, drain, eventually, pause, start, stop};

const RECORDS: u64 = 400;

/// State that the test and all processes share.
#[derive(Clone, Default)]
struct Seen {
    /// Set when the source may run to its end.
    open: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
}

/// Builds an app with a source that waits at half of its records, and an agent that counts.
fn fed(seen: &Seen) -> (App, Table<String, u64>) {
    let mut app = App::new("fed");
    app.partitions(4);
    let numbers = app.topic::<String, u64>("numbers");
    let counts = app.table::<String, u64>("counts");
    let seen = seen.clone();
    app.source("feed", numbers).run(async move |writer| {
        for number in writer.position()..RECORDS {
            while number >= RECORDS / 2 && !seen.open.load(Ordering::Relaxed) {
                pause(5).await;
            }
            writer.send(&format!("key-{}", number % 40), &1, Timestamp::from_millis(0), number + 1).await?;
            seen.sent.store(number + 1, Ordering::Relaxed);
        }
        Ok(())
    });
    app.agent("count", numbers).with(counts).each_event(async |counts, event| {
        counts.update(event.key, |count| *count += event.value);
        Ok(())
    });
    (app, counts)
}

#[tokio::test]
async fn a_drain_waits_for_a_source_of_another_or_a_dead_process() -> TestResult {
    let (scene, seen) = (Scene::new().await, Seen::default());
    let leader = start(fed(&seen).0, scene.config_for_crashes()).await?;
    eventually("the leader feeds", async || seen.sent.load(Ordering::Relaxed) == RECORDS / 2).await;
    let (app, counts) = fed(&seen);
    let mut other = start(app, scene.config_for_crashes()).await?;
    let early = tokio::time::timeout(Duration::from_millis(500), other.drain()).await;
    assert!(early.is_err(), "all that is there is processed, and the source is not done");
    drop(leader);
    seen.open.store(true, Ordering::Relaxed);
    drain(&mut other).await?;
    let rows = other.open(counts.view()).iter().await?;
    assert_eq!(rows.iter().map(|(_, count)| count).sum::<u64>(), RECORDS);
    stop(other).await?;

    // A process that starts when all is done finds nothing left to do.
    let (app, _) = fed(&seen);
    let mut late = scene.start(app).await?;
    drain(&mut late).await?;
    stop(late).await?;
    assert_eq!(scene.values("numbers").await.len() as u64, RECORDS);
    Ok(())
}

#[tokio::test]
async fn a_drain_waits_for_a_task_of_a_leader_in_another_process() -> TestResult {
    let (scene, open) = (Scene::new().await, Arc::new(AtomicBool::new(false)));
    let build = || {
        let mut app = App::new("tasked");
        app.partitions(4);
        let numbers = app.topic::<String, u64>("numbers");
        let counts = app.table::<String, u64>("counts");
        let open = open.clone();
        app.task("feed").on_leader().with(numbers).run(async move |numbers| {
            while !open.load(Ordering::Relaxed) {
                pause(5).await;
            }
            numbers.send(&"late".to_owned(), &1).await?;
            Ok(())
        });
        app.agent("count", numbers).with(counts).each_event(async |counts, event| {
            counts.update(event.key, |count| *count += event.value);
            Ok(())
        });
        app
    };
    let mut leader = scene.start(build()).await?;
    let mut other = scene.start(build()).await?;
    let early = tokio::time::timeout(Duration::from_millis(500), other.drain()).await;
    assert!(early.is_err(), "the leader's task is not done");
    open.store(true, Ordering::Relaxed);
    drain(&mut other).await?;
    assert_eq!(scene.values("tasked-counts-changelog").await, ["1"]);
    drain(&mut leader).await?;
    stop(other).await?;
    Ok(stop(leader).await?)
}

#[tokio::test]
async fn processes_that_drain_together_all_end() -> TestResult {
    let (scene, seen) = (Scene::new().await, Seen::default());
    seen.open.store(true, Ordering::Relaxed);
    let mut processes = Vec::new();
    for _ in 0..3 {
        processes.push(fed(&seen).0.start(scene.config()).await?);
    }
    let ended = processes.into_iter().map(|mut process| async move {
        drain(&mut process).await?;
        stop(process).await
    });
    futures_util::future::try_join_all(ended).await?;
    assert_eq!(scene.values("numbers").await.len() as u64, RECORDS);
    Ok(())
}

#[tokio::test]
async fn the_timers_of_a_dead_workers_shard_fire_once_more() -> TestResult {
    let build = || {
        let mut app = App::new("ranked");
        app.partitions(6);
        let numbers = app.topic::<String, u64>("numbers");
        let counts = app.table::<String, u64>("counts");
        app.agent("count", numbers).with(counts).each_event(async |counts, event| {
            counts.update(event.key, |count| *count += event.value);
            Ok(())
        });
        // The interval is longer than the test, so only a drain fires this timer.
        app.partition_timer("double", Duration::from_secs(3600)).with(counts).run(async |counts| {
            for (key, count) in counts.iter().filter(|(_, count)| *count == 1) {
                counts.insert(key, count * 2);
            }
            Ok(())
        });
        (app, numbers, counts)
    };
    let scene = Scene::new().await;
    let (app, numbers, _) = build();
    let dies = start(app, scene.config_for_crashes()).await?;
    let (app, _, counts) = build();
    let mut stays = start(app, scene.config_for_crashes()).await?;
    let to = dies.open(numbers);
    for number in 0..60 {
        to.send(&format!("key-{number}"), &1).await?;
    }
    // Both workers together have processed everything.
    eventually("all is processed", async || scene.values("ranked-counts-changelog").await.len() == 60).await;
    drop(dies);
    drain(&mut stays).await?;
    let rows = stays.open(counts.view()).iter().await?;
    assert_eq!(rows.len(), 60);
    assert!(rows.iter().all(|(_, count)| *count == 2), "some timers did not fire: {rows:?}");
    Ok(stop(stays).await?)
}
