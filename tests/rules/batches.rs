//! Batches of `take`: a full buffer is a full batch, only events that fail alone are given up, and
//! a dropped future loses nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use marlowe::App;
use parking_lot::Mutex;

use crate::common::worker::crash;
use crate::scene::{Scene, TestResult, drain, eventually, pause, start, stop};

const SOON: Duration = Duration::from_millis(2);

#[tokio::test]
async fn n2_4_a_full_buffer_is_a_full_batch() -> TestResult {
    const EVENTS: u64 = 20_000;
    let scene = Scene::new().await;
    let mut app = App::new("full");
    let numbers = app.topic::<String, u64>("numbers").partitions(1);
    let (sizes, handled) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let (noted, counted) = (sizes.clone(), handled.clone());
    app.agent("sum", numbers).stream(async move |(), mut events| {
        loop {
            let batch = events.take(5000, Duration::from_secs(20)).await;
            counted.fetch_add(batch.len(), Ordering::Relaxed);
            noted.lock().push(batch.len());
        }
    });
    scene.broker.create_topic(marlowe_broker::TopicConfig::new("numbers", 1)).await?;
    for hundred in 0..EVENTS / 100 {
        scene.produce_numbers("numbers", hundred * 100..(hundred + 1) * 100, |number| format!("key-{number}")).await;
    }
    let mut config = scene.config();
    config.queue_bytes = 16 << 10;
    let began = tokio::time::Instant::now();
    let running = start(app, config).await?;
    // The last batch is left out, because it is not full and may wait for more events.
    eventually("most are handled", async || handled.load(Ordering::Relaxed) as u64 > EVENTS * 3 / 4).await;
    assert!(began.elapsed() < Duration::from_secs(10), "it waited for more than the buffer holds");
    let sizes = sizes.lock().clone();
    assert!(sizes.iter().sum::<usize>() / sizes.len() >= 100, "batches are worth their name: {sizes:?}");
    crash(running).await;
    Ok(())
}

#[tokio::test]
async fn n2_4_a_failed_batch_gives_up_only_events_that_fail_alone() -> TestResult {
    for whole in [false, true] {
        for letters in [false, true] {
            let scene = Scene::new().await;
            let mut app = App::new("split");
            let numbers = app.topic::<String, u64>("numbers").partitions(1);
            let dead = app.topic::<String, u64>("dead").partitions(1);
            let sums = app.table::<String, u64>("sums");
            let seen: Arc<Mutex<Vec<Vec<u64>>>> = Arc::default();
            let noted = seen.clone();
            let agent = app.agent("sum", numbers).with(sums).retries(1).backoff(SOON);
            let agent = if letters { agent.dead_letter(dead) } else { agent.skip() };
            agent.stream(async move |sums, events| {
                let mut events = events.events();
                loop {
                    let batch: Vec<u64> = if whole {
                        let batch = events.take(10, Duration::from_millis(100)).await;
                        batch.into_iter().map(|event| event.value).collect()
                    } else {
                        vec![events.next().await.ok_or("it ended")?.value]
                    };
                    noted.lock().push(batch.clone());
                    for number in batch {
                        sums.update("sum", |sum| *sum += number);
                        sums.update("count", |count| *count += 1);
                        match number {
                            3 => return Err("three".into()),
                            7 => panic!("seven"),
                            _ => {}
                        }
                    }
                }
            });
            let mut running = scene.start(app).await?;
            scene.produce_numbers("numbers", 0..20, |number| format!("key-{number}")).await;
            drain(&mut running).await?;
            let view = running.open(sums.view());
            assert_eq!(view.get("sum").await?, Some((0..20).sum::<u64>() - 10), "all that are good are in");
            assert_eq!(view.get("count").await?, Some(18));
            let dead = scene.values("dead").await;
            assert_eq!(dead, if letters { vec!["3", "7"] } else { vec![] });
            let seen = seen.lock().clone();
            let alone = |number: u64| seen.iter().filter(|batch| **batch == [number]).count();
            assert_eq!((alone(3), alone(7)), (2, 2), "each is tried alone as often as any event: {seen:?}");
            if whole {
                assert_eq!(seen[0], seen[1], "the batch is tried again first");
                let last = seen.last().unwrap();
                assert_eq!((last.len(), last[9]), (10, 19), "then there are batches again: {seen:?}");
            }
            stop(running).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn n2_4_a_dropped_next_loses_nothing_and_holds_up_no_agent() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("dropped");
    let (numbers, others) =
        (app.topic::<String, u64>("numbers").partitions(1), app.topic::<String, u64>("others").partitions(1));
    let sums = app.table::<String, u64>("sums");
    let dropped = Arc::new(AtomicU32::new(0));
    let drops = dropped.clone();
    app.agent("sum", numbers).with(sums).stream(async move |sums, mut events| {
        loop {
            let next = tokio::select! {
                biased;
                next = events.next() => next,
                () = tokio::time::sleep(Duration::from_millis(3)) => None,
            };
            match next {
                Some(number) => sums.update("sum", |sum| *sum += number),
                None => {
                    drops.fetch_add(1, Ordering::Relaxed);
                    // The agent has no event in hand now, so the others get their turn.
                    pause(20).await;
                }
            }
            let batch = tokio::time::timeout(Duration::from_millis(3), events.take(4, Duration::from_secs(60))).await;
            drops.fetch_add(u32::from(batch.is_err()), Ordering::Relaxed);
            for number in batch.unwrap_or_default() {
                sums.update("sum", |sum| *sum += number);
            }
        }
    });
    app.agent("other", others).with(sums).each(async |sums, number| {
        sums.update("others", |others| *others += number);
        Ok(())
    });
    let mut running = start(app, scene.config()).await?;
    for number in 1..=40 {
        scene.produce_numbers("numbers", [number], |number| format!("key-{number}")).await;
        scene.produce_numbers("others", [number], |number| format!("key-{number}")).await;
        pause(4).await;
    }
    drain(&mut running).await?;
    let view = running.open(sums.view());
    assert_eq!(view.get("sum").await?, Some((1..=40).sum()));
    assert_eq!(view.get("others").await?, Some((1..=40).sum()));
    assert!(dropped.load(Ordering::Relaxed) > 3);
    stop(running).await?;
    Ok(())
}
