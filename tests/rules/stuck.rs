//! Work that does not end is reported: a handler that awaits for ever, and a handler that blocks
//! its lane.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use marlowe::{App, Config, Running};
use tokio::sync::Notify;

use crate::common::address::any_port;
use crate::common::client::{Answer, Client};
use crate::common::metrics::Metrics;
use crate::scene::{Scene, TestResult, eventually, pause, start, stop};

fn impatient(scene: &Scene) -> Config {
    let mut config = scene.config().lanes(1).web(any_port());
    config.stuck_after = Duration::from_millis(200);
    config.unready_after = Some(Duration::from_millis(400));
    config
}

async fn get(running: &Running, path: &str) -> Answer {
    Client::of(running).ask_meanwhile("GET", path, "").await
}

/// Waits until `/readyz` says that the worker is not ready, and returns the reason it gives.
async fn unready(running: &Running) -> String {
    let mut says = String::new();
    eventually("it is not ready", async || {
        let answer = get(running, "/readyz").await;
        says = answer.text;
        answer.status == 503
    })
    .await;
    says
}

/// Returns the `marlowe_handler_seconds` gauge of a thread.
async fn seconds(running: &Running, thread: &str) -> f64 {
    let metrics = Metrics::parse(&get(running, "/metrics").await.text);
    metrics.get(&format!("marlowe_handler_seconds{{thread=\"{thread}\"}}"))
}

async fn ready_again(running: &Running) {
    eventually("it is ready again", async || get(running, "/readyz").await.status == 200).await;
    eventually("nothing is in hand", async || seconds(running, "lane-0").await < 0.2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn n3_2_a_handler_that_does_not_end_is_reported_with_its_event() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("endless");
    let numbers = app.topic::<String, u64>("numbers").partitions(1);
    let gate = Arc::new(Notify::new());
    let passes = gate.clone();
    app.agent("wait", numbers).each(async move |(), number| {
        if number == 3 {
            passes.notified().await;
        }
        Ok(())
    });
    let running = start(app, impatient(&scene)).await?;
    assert_eq!(get(&running, "/readyz").await.status, 200);
    scene.produce_numbers("numbers", 1..=5, |number| format!("key\n{number}")).await;
    let says = unready(&running).await;
    for part in ["agent `wait`", "numbers[0]@2", r"key\\n3", "lane-0 is not blocked", ".await"] {
        assert!(says.contains(part), "{part} is not in {says}");
    }
    assert!(seconds(&running, "lane-0").await >= 0.4);
    gate.notify_one();
    ready_again(&running).await;
    stop(running).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn n3_2_a_blocked_lane_is_reported_with_the_blocking_event() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("blocked");
    let numbers = app.topic::<String, u64>("numbers").partitions(1);
    let sums = app.table::<String, u64>("sums");
    let blocks = Arc::new(AtomicBool::new(true));
    let blocking = blocks.clone();
    app.agent("block", numbers).with(sums).each(async move |_, number| {
        while number == 3 && blocking.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        Ok(())
    });
    let running = start(app, impatient(&scene)).await?;
    scene.produce_numbers("numbers", 1..=5, |number| format!("key-{number}")).await;
    let says = unready(&running).await;
    for part in ["agent `block`", "numbers[0]@2", "key-3", "blocks thread lane-0", "spawn_blocking"] {
        assert!(says.contains(part), "{part} is not in {says}");
    }
    assert!(seconds(&running, "lane-0").await >= 0.4);
    blocks.store(false, Ordering::SeqCst);
    ready_again(&running).await;
    stop(running).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn n3_2_endless_timers_events_and_batches_are_reported() -> TestResult {
    type Build = fn(&mut App, Arc<Notify>);
    let cases: [(&str, Build, &[&str]); 4] = [
        (
            "a partition timer",
            |app, gate| {
                let sums = app.table::<String, u64>("sums").partitions(1);
                app.partition_timer("tick", Duration::from_millis(20)).with(sums).run(async move |_| {
                    gate.notified().await;
                    Ok(())
                });
            },
            &["partition timer `tick`", "partition 0", "lane-0"],
        ),
        (
            "a timer",
            |app, gate| {
                app.timer("tock", Duration::from_millis(20)).run(async move |()| {
                    gate.notified().await;
                    Ok(())
                });
            },
            &["timer `tock`", "thread timers"],
        ),
        (
            "concurrent events",
            |app, gate| {
                let numbers = app.topic::<String, u64>("numbers").partitions(1);
                app.agent("many", numbers).concurrency(4).each(async move |(), number| {
                    if number == 2 {
                        gate.notified().await;
                    }
                    Ok(())
                });
            },
            &["agent `many`", "numbers[0]@1", "key-2"],
        ),
        (
            "a batch",
            |app, gate| {
                let numbers = app.topic::<String, u64>("numbers").partitions(1);
                app.agent("batch", numbers).stream(async move |(), mut events| {
                    loop {
                        events.take(3, Duration::from_millis(10)).await;
                        gate.notified().await;
                    }
                });
            },
            &["agent `batch`", "numbers[0]@0", "key-1"],
        ),
    ];
    for (case, build, parts) in cases {
        let scene = Scene::new().await;
        let mut app = App::new("cases");
        let gate = Arc::new(Notify::new());
        build(&mut app, gate.clone());
        let running = start(app, impatient(&scene)).await?;
        if scene.broker.topic("numbers").await?.is_some() {
            scene.produce_numbers("numbers", 1..=3, |number| format!("key-{number}")).await;
        }
        let says = unready(&running).await;
        for part in parts {
            assert!(says.contains(part), "{case}: {part} is not in {says}");
        }
        // Everything that waits goes on, now and later.
        let opens = tokio::spawn(async move {
            loop {
                gate.notify_waiters();
                pause(5).await;
            }
        });
        eventually("it is ready again", async || get(&running, "/readyz").await.status == 200).await;
        stop(running).await?;
        opens.abort();
    }
    Ok(())
}
