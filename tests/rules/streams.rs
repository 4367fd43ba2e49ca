//! Rule 2 for agents that take the stream itself: an event is acknowledged when the agent asks for
//! the next one.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use marlowe::topology::TopologyError;
use marlowe::{App, RunError};
use parking_lot::Mutex;

use crate::scene::{Scene, TestResult, drain, eventually, pause, start, stop, within};

const SOON: Duration = Duration::from_millis(2);

async fn produce_numbers(scene: &Scene, topic: &str, numbers: impl IntoIterator<Item = u64>) {
    scene.produce_numbers(topic, numbers, |number| format!("key-{number}")).await;
}

#[tokio::test]
async fn an_event_is_acknowledged_only_when_the_next_is_asked_for() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("acknowledged");
    let numbers = app.topic::<String, u64>("numbers").partitions(1);
    let sums = app.table::<String, u64>("sums");
    let go_on = Arc::new(tokio::sync::Semaphore::new(0));
    let gate = go_on.clone();
    app.agent("sum", numbers).with(sums).stream(async move |sums, mut events| {
        while let Some(number) = events.next().await {
            sums.update("sum", |sum| *sum += number);
            gate.acquire().await?.forget();
        }
        Ok(())
    });
    let mut running = scene.start(app).await?;
    let view = running.open(sums.view());
    produce_numbers(&scene, "numbers", [1, 10]).await;
    pause(100).await;
    assert_eq!(view.get("sum").await?, None, "the first event is still in hand");
    go_on.add_permits(1);
    eventually("the first event is applied", async || view.get("sum").await.unwrap() == Some(1)).await;
    go_on.add_permits(1);
    drain(&mut running).await?;
    assert_eq!(view.get("sum").await?, Some(11));
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_batch_of_take_is_one_transaction_with_its_table_writes() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("batches");
    let numbers = app.topic::<String, u64>("numbers").partitions(1);
    let sums = app.table::<String, u64>("sums");
    let (sizes, failed) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU32::new(0)));
    let (noted, once) = (sizes.clone(), failed.clone());
    app.agent("sum", numbers).with(sums).backoff(SOON).stream(async move |sums, mut events| {
        loop {
            let batch = events.take(10, Duration::from_millis(50)).await;
            for number in &batch {
                sums.update("sum", |sum| *sum += number);
            }
            sums.update("batches", |batches| *batches += 1);
            if batch.contains(&15) && once.fetch_add(1, Ordering::Relaxed) == 0 {
                return Err("the batch fails once".into());
            }
            noted.lock().push(batch.len());
        }
    });
    let mut running = scene.start(app).await?;
    produce_numbers(&scene, "numbers", 0..25).await;
    drain(&mut running).await?;
    let view = running.open(sums.view());
    assert_eq!(view.get("sum").await?, Some((0..25).sum()));
    let sizes = sizes.lock().clone();
    assert_eq!(sizes.iter().sum::<usize>(), 25, "{sizes:?}");
    assert!(sizes.iter().all(|size| (1..=10).contains(size)) && sizes.contains(&10), "{sizes:?}");
    assert_eq!(view.get("batches").await?, Some(sizes.len() as u64), "the batch that failed left nothing");
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn sends_of_a_batch_to_other_partitions_are_applied_once() -> TestResult {
    const ROWS: u64 = 12;
    let scene = Scene::new().await;
    let mut app = App::new("batched-sends");
    app.partitions(4);
    let numbers = app.topic::<String, u64>("numbers");
    let sums = app.table::<String, u64>("sums").merge(|sum, more| *sum += more);
    let failed = Arc::new(AtomicU32::new(0));
    let once = failed.clone();
    app.agent("spread", numbers).with(sums.inbox()).backoff(SOON).stream(async move |sums, mut events| {
        loop {
            for number in events.take(10, Duration::from_millis(50)).await {
                for row in 0..ROWS {
                    sums.send(format!("row-{row}"), number);
                }
                if number == 15 && once.fetch_add(1, Ordering::Relaxed) == 0 {
                    return Err("the batch fails once".into());
                }
            }
        }
    });
    let mut running = start(app, scene.config().workers(2)).await?;
    // All events come on one partition, but the rows are at home in all four.
    produce_numbers(&scene, "numbers", 0..25).await;
    drain(&mut running).await?;
    let rows = running.open(sums.view()).iter().await?;
    let wanted: Vec<u64> = vec![(0..25).sum(); ROWS as usize];
    assert_eq!(rows.into_iter().map(|(_, sum)| sum).collect::<Vec<_>>(), wanted);
    assert_eq!(failed.load(Ordering::Relaxed), 2, "the batch failed, and was handled again");
    let homes: HashSet<u32> =
        scene.records("batched-sends-sums-changelog").await.into_iter().map(|record| record.partition).collect();
    assert!(homes.len() > 1, "they are all in {homes:?}");
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn take_returns_what_it_has_when_its_time_is_over() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("short");
    let numbers = app.topic::<String, u64>("numbers").partitions(1);
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let noted = sizes.clone();
    app.agent("sum", numbers).stream(async move |(), mut events| {
        loop {
            let batch = events.take(1000, Duration::from_millis(30)).await;
            noted.lock().push(batch.len());
        }
    });
    let mut running = scene.start(app).await?;
    produce_numbers(&scene, "numbers", 0..3).await;
    drain(&mut running).await?;
    assert_eq!(sizes.lock().iter().sum::<usize>(), 3);
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_stream_that_fails_restarts_at_the_event_it_failed_on() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("restarted");
    let numbers = app.topic::<String, u64>("numbers").partitions(1);
    let sums = app.table::<String, u64>("sums");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    app.agent("sum", numbers).with(sums).retries(2).backoff(SOON).stream(async move |sums, mut events| {
        while let Some(number) = events.next().await {
            noted.lock().push(number);
            sums.update("sum", |sum| *sum += number);
            let tries = noted.lock().iter().filter(|seen| **seen == 3).count();
            if number == 3 && tries == 1 {
                return Err("three, once".into());
            }
            if number == 3 && tries == 2 {
                panic!("three, twice");
            }
        }
        Ok(())
    });
    let mut running = scene.start(app).await?;
    produce_numbers(&scene, "numbers", 1..=5).await;
    drain(&mut running).await?;
    assert_eq!(*seen.lock(), [1, 2, 3, 3, 3, 4, 5]);
    assert_eq!(running.open(sums.view()).get("sum").await?, Some(15));
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_stream_that_fails_every_time_follows_its_policy() -> TestResult {
    let scene = Scene::new().await;
    let build = |skip: bool| {
        let mut app = App::new("policy");
        let numbers = app.topic::<String, u64>("numbers").partitions(1);
        let sums = app.table::<String, u64>("sums");
        let agent = app.agent("sum", numbers).with(sums).retries(1).backoff(SOON);
        let agent = if skip { agent.skip() } else { agent };
        agent.stream(async move |sums, mut events| {
            while let Some(number) = events.next().await {
                sums.update("sum", |sum| *sum += number);
                if number == 3 {
                    return Err("three".into());
                }
            }
            Ok(())
        });
        (app, sums)
    };
    let (app, _) = build(false);
    let mut running = scene.start(app).await?;
    produce_numbers(&scene, "numbers", 1..=5).await;
    let error = within(running.failed()).await;
    let RunError::Event(failure) = &error else { panic!("{error}") };
    assert_eq!((failure.offset.get(), failure.tries, &*failure.reason), (2, 2, "three"));
    stop(running).await?;
    let (app, sums) = build(true);
    let mut running = scene.start(app).await?;
    drain(&mut running).await?;
    assert_eq!(running.open(sums.view()).get("sum").await?, Some(12));
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_foreign_key_fails_the_event_of_a_stream_too() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("foreign");
    let numbers = app.topic::<String, u64>("numbers").partitions(4);
    let sums = app.table::<String, u64>("sums");
    app.agent("sum", numbers).with(sums).retries(0).stream(async |sums, mut events| {
        while let Some(number) = events.next().await {
            for key in 0..20 {
                sums.insert(format!("key-{key}"), number);
            }
        }
        Ok(())
    });
    let mut running = scene.start(app).await?;
    produce_numbers(&scene, "numbers", 1..=2).await;
    let error = within(running.failed()).await;
    assert!(error.to_string().contains("belongs to partition"), "{error}");
    assert!(scene.records("foreign-sums-changelog").await.is_empty());
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn filter_enumerate_items_and_events_yield_what_they_say() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("operators");
    let numbers = app.topic::<String, u64>("numbers").partitions(1);
    let seen = Arc::new(Mutex::new(Vec::<String>::new()));
    let note = seen.clone();
    app.agent("filter", numbers).stream(async move |(), events| {
        let mut odd = events.filter(|number| number % 2 == 1);
        while let Some(number) = odd.next().await {
            note.lock().push(format!("odd {number}"));
        }
        Ok(())
    });
    let note = seen.clone();
    app.agent("enumerate", numbers).stream(async move |(), events| {
        let mut numbered = events.enumerate();
        while let Some((count, number)) = numbered.next().await {
            note.lock().push(format!("{count}: {number}"));
        }
        Ok(())
    });
    let note = seen.clone();
    app.agent("items", numbers).stream(async move |(), events| {
        let mut items = events.items();
        while let Some((key, number)) = items.next().await {
            note.lock().push(format!("{key}={number}"));
        }
        Ok(())
    });
    let note = seen.clone();
    app.agent("events", numbers.filter(|number| *number != 6)).stream(async move |(), events| {
        let mut events = events.events();
        while let Some(event) = events.next().await {
            let (topic, at) = (&event.topic, event.timestamp.millis());
            note.lock().push(format!("{topic}[{}]@{} {} at {at}", event.partition, event.offset, event.key));
        }
        Ok(())
    });
    let mut running = scene.start(app).await?;
    produce_numbers(&scene, "numbers", [5, 6, 7]).await;
    drain(&mut running).await?;
    let mut seen = seen.lock().clone();
    seen.sort();
    let mut wanted = [
        "odd 5",
        "odd 7",
        "0: 5",
        "1: 6",
        "2: 7",
        "key-5=5",
        "key-6=6",
        "key-7=7",
        "numbers[0]@0 key-5 at 1000",
        "numbers[0]@2 key-7 at 1000",
    ]
    .map(str::to_owned);
    wanted.sort();
    assert_eq!(seen, wanted);
    stop(running).await?;
    Ok(())
}

#[test]
fn a_sink_that_a_stream_would_never_feed_is_refused() {
    let mut app = App::new("unfed");
    let numbers = app.topic::<String, u64>("numbers");
    let done = app.topic::<String, ()>("done");
    app.agent("walk", numbers)
        .stream(async |(), mut numbers| {
            while numbers.next().await.is_some() {}
            Ok(())
        })
        .sink(done);
    let error = app.topology().unwrap_err();
    assert!(matches!(error, TopologyError::UnfedSink { .. }), "{error}");
    for part in ["agent `walk`", "topic `done`", ".with(topic)"] {
        assert!(error.to_string().contains(part), "{part} is not in: {error}");
    }
}
