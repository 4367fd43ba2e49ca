//! Handlers read the time and the random numbers that the configuration sets, not the system's.

use std::sync::Arc;
use std::time::Duration;

use marlowe::App;
use marlowe::clock::{Clock, Entropy, RuntimeClock, SeededEntropy};
use marlowe_broker::SystemClock;

use crate::common::clock::SetClock;
use crate::scene::{Scene, TestResult, eventually, start, stop};

const SEED: u64 = 17;

fn millis(clock: &RuntimeClock) -> u64 {
    clock.now().millis() as u64
}

#[tokio::test]
async fn agents_timers_and_tasks_read_the_configured_clock() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("clocks");
    app.partitions(1);
    let words = app.topic::<String, String>("words");
    let times = app.table::<String, u64>("times").merge(|time, now| *time = now);
    let clock = app.clock();
    app.agent("note", words).with((times, clock)).each_event(async |(times, clock), event| {
        times.insert(event.key, millis(&clock));
        Ok(())
    });
    let soon = Duration::from_millis(20);
    app.partition_timer("sweep", soon).with((times, clock)).run(async |(times, clock)| {
        times.insert("partition timer".to_owned(), millis(&clock));
        Ok(())
    });
    app.timer("beat", soon).with((times.inbox(), clock)).run(async |(times, clock)| {
        times.send("timer", millis(&clock)).await?;
        Ok(())
    });
    app.task("once").with((times.inbox(), clock)).run(async |(times, clock)| {
        times.send("task", millis(&clock)).await?;
        Ok(())
    });

    // A day ago, so that no broker sees a time in the future.
    let set = SetClock::at(SystemClock.now().millis() - 24 * 60 * 60 * 1000);
    let mut config = scene.config();
    config.clock = set.clone();
    let running = start(app, config).await?;
    let (words, view, outside) = running.open((words, times.view(), clock));
    let begun = set.now().millis() as u64;
    words.send(&"agent".to_owned(), &"word".to_owned()).await?;
    for who in ["agent", "task"] {
        eventually("it noted the time", async || view.get(who).await.unwrap() == Some(begun)).await;
    }
    set.forward(Duration::from_secs(60));
    let later = begun + 60_000;
    words.send(&"agent later".to_owned(), &"word".to_owned()).await?;
    for who in ["agent later", "timer", "partition timer"] {
        eventually("it noted the later time", async || view.get(who).await.unwrap() == Some(later)).await;
    }
    assert_eq!(millis(&outside), later, "outside of events");
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn random_numbers_of_handlers_follow_the_seed() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("chances");
    app.partitions(1);
    let words = app.topic::<String, String>("words");
    let drawn = app.table::<String, u64>("drawn");
    let clock = app.clock();
    app.agent("draw", words).with((drawn, clock)).each_event(async |(drawn, clock), event| {
        drawn.insert(event.key, clock.random());
        Ok(())
    });
    let mut config = scene.config();
    config.entropy = Arc::new(SeededEntropy::new(SEED));
    let running = start(app, config).await?;
    let (words, view) = running.open((words, drawn.view()));
    for key in ["a", "b"] {
        words.send(&key.to_owned(), &"word".to_owned()).await?;
    }
    eventually("both have drawn", async || view.get("b").await.unwrap().is_some()).await;
    // The library draws some numbers of its own before and between.
    let entropy = SeededEntropy::new(SEED);
    let numbers: Vec<u64> = (0..1000).map(|_| entropy.next()).collect();
    let at = |drawn: Option<u64>| numbers.iter().position(|number| Some(*number) == drawn);
    let (first, second) = (at(view.get("a").await?), at(view.get("b").await?));
    assert!(first.is_some() && first < second, "drawn at {first:?} and {second:?} of the seed's numbers");
    stop(running).await?;
    Ok(())
}
