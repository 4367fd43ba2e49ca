//! Rule 2 for `.concurrency(n)`: up to n events are in flight, never two of one key. The result is
//! as if each had been handled after the one before it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use marlowe::{App, RunError};
use parking_lot::Mutex;

use crate::scene::{Scene, TestResult, drain, pause, start, stop, within};

const SOON: Duration = Duration::from_millis(2);

/// The keys of the events in flight, and the most that were in flight at a time.
#[derive(Default)]
struct Hands {
    keys: Mutex<HashSet<String>>,
    most: AtomicUsize,
}

impl Hands {
    fn take(&self, key: &str) {
        let mut keys = self.keys.lock();
        assert!(keys.insert(key.to_owned()), "two events of key {key} at once");
        self.most.fetch_max(keys.len(), Ordering::SeqCst);
    }

    fn give(&self, key: &str) {
        self.keys.lock().remove(key);
    }
}

#[tokio::test]
async fn up_to_n_events_are_in_flight_and_never_two_of_one_key() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("hands");
    let calls = app.topic::<String, u64>("calls").partitions(1);
    let counts = app.table::<String, u64>("counts");
    let hands = Arc::new(Hands::default());
    let taken = hands.clone();
    app.agent("call", calls).with(counts).concurrency(5).each_event(async move |counts, event| {
        taken.take(&event.key);
        pause(event.value % 7).await;
        counts.update(&event.key, |count| *count += 1);
        taken.give(&event.key);
        Ok(())
    });
    let mut running = scene.start(app).await?;
    scene.produce_numbers("calls", 0..300, |number| format!("key-{}", number % 9)).await;
    drain(&mut running).await?;
    assert_eq!(hands.most.load(Ordering::SeqCst), 5);
    let counts: u64 = running.open(counts.view()).iter().await?.into_iter().map(|(_, count)| count).sum();
    assert_eq!(counts, 300);
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn events_run_again_after_a_conflict_are_within_the_limit_too() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("conflicts");
    let calls = app.topic::<String, u64>("calls").partitions(1);
    let sums = app.table::<String, u64>("sums");
    let (now, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (in_hand, highest) = (now.clone(), most.clone());
    app.agent("call", calls).with(sums).concurrency(4).each(async move |sums, number| {
        highest.fetch_max(in_hand.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let before = sums.get("all").unwrap_or(0);
        pause(1 + number % 3).await;
        sums.insert("all", before + number);
        in_hand.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    });
    let mut running = scene.start(app).await?;
    scene.produce_numbers("calls", 0..200, |number| format!("key-{number}")).await;
    drain(&mut running).await?;
    assert_eq!(running.open(sums.view()).get("all").await?, Some((0..200).sum()));
    assert!(most.load(Ordering::SeqCst) <= 4, "{} in hand", most.load(Ordering::SeqCst));
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_row_shared_by_several_keys_ends_as_if_handled_in_order() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("serial-order");
    let letters = app.topic::<String, u64>("letters").partitions(1);
    let told = app.topic::<String, String>("told").partitions(1);
    let texts = app.table::<String, Vec<u64>>("texts");
    app.agent("append", letters).with((texts, told)).concurrency(8).each(async |(texts, told), number| {
        let mut text = texts.get("all").unwrap_or_default();
        pause((number * 7) % 4).await;
        text.push(number);
        told.send(&"k".to_owned(), &format!("{number} after {}", text.len() - 1));
        texts.insert("all", text);
        Ok(())
    });
    let mut running = scene.start(app).await?;
    scene.produce_numbers("letters", 0..120, |number| format!("key-{number}")).await;
    drain(&mut running).await?;
    assert_eq!(running.open(texts.view()).get("all").await?, Some((0..120).collect()));
    let told = scene.values("told").await;
    let wanted: Vec<String> = (0..120).map(|number| format!("\"{number} after {number}\"")).collect();
    assert_eq!(told, wanted, "what conflicted sent nothing, and what is sent keeps the order");
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn events_of_one_key_keep_their_order() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("key-order");
    let calls = app.topic::<String, u64>("calls").partitions(2);
    let seen = Arc::new(Mutex::new(HashMap::<String, Vec<u64>>::new()));
    let noted = seen.clone();
    app.agent("call", calls).concurrency(16).each_event(async move |(), event| {
        pause(10 - (event.value / 10) % 10).await;
        noted.lock().entry(event.key).or_default().push(event.value);
        Ok(())
    });
    let mut running = scene.start(app).await?;
    for number in 0..200u64 {
        let key = format!("key-{}", number % 10);
        scene.produce("calls", (number % 2) as u32, Some(key.as_bytes()), Some(number.to_string().as_bytes())).await;
    }
    drain(&mut running).await?;
    for (key, numbers) in &*seen.lock() {
        assert!(numbers.is_sorted() && numbers.len() == 20, "{key}: {numbers:?}");
    }
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn concurrent_and_serial_agents_and_a_timer_lose_no_update() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("mixed");
    let slow = app.topic::<String, u64>("slow").partitions(1);
    let fast = app.topic::<String, u64>("fast").partitions(1);
    let sums = app.table::<String, u64>("sums");
    app.agent("slow", slow).with(sums).concurrency(6).each(async |sums, number| {
        let before = sums.get("all").unwrap_or(0);
        pause(number % 3).await;
        sums.insert("all", before + 1);
        Ok(())
    });
    app.agent("fast", fast).with(sums).each(async |sums, _| {
        let before = sums.get("all").unwrap_or(0);
        tokio::task::yield_now().await;
        sums.insert("all", before + 1000);
        Ok(())
    });
    app.partition_timer("tick", Duration::from_millis(2)).with(sums).run(async |sums| {
        let before = sums.get("all").unwrap_or(0);
        tokio::task::yield_now().await;
        sums.insert("all", before + 1_000_000);
        sums.update("ticks", |ticks| *ticks += 1);
        Ok(())
    });
    let mut running = scene.start(app).await?;
    for ten in 0..15u64 {
        for topic in ["slow", "fast"] {
            scene.produce_numbers(topic, 10 * ten..10 * ten + 10, |number| format!("key-{}", number % 40)).await;
        }
    }
    drain(&mut running).await?;
    // Both rows come from one read, because the timer still runs.
    let view = running.open(sums.view());
    let rows = view.iter().await?;
    let row = |name: &str| rows.iter().find(|(key, _)| key == name).map(|(_, value)| *value).unwrap();
    assert_eq!(row("all"), 150 + 150 * 1000 + row("ticks") * 1_000_000);
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn an_event_that_fails_beside_others_is_retried_then_skipped() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("failing");
    let calls = app.topic::<String, u64>("calls").partitions(1);
    let counts = app.table::<String, u64>("counts");
    let tries = Arc::new(AtomicU32::new(0));
    let counted = tries.clone();
    app.agent("call", calls).with(counts).concurrency(4).retries(2).backoff(SOON).skip().each(
        async move |counts, number| {
            counts.update("all", |count| *count += 1);
            pause(1).await;
            if number % 10 == 3 {
                counted.fetch_add(1, Ordering::Relaxed);
                return Err("three".into());
            }
            if number % 10 == 4 {
                panic!("four");
            }
            Ok(())
        },
    );
    let mut running = scene.start(app).await?;
    scene.produce_numbers("calls", 0..50, |number| format!("key-{number}")).await;
    drain(&mut running).await?;
    assert_eq!(running.open(counts.view()).get("all").await?, Some(40));
    assert!(tries.load(Ordering::Relaxed) >= 5 * 3);
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_failure_beside_others_leaves_an_exact_committed_position() -> TestResult {
    let scene = Scene::new().await;
    let build = |broken: bool| {
        let mut app = App::new("failing");
        let calls = app.topic::<String, u64>("calls").partitions(1);
        let counts = app.table::<String, u64>("counts");
        app.agent("call", calls).with(counts).concurrency(4).retries(1).backoff(SOON).each(
            async move |counts, number| {
                pause(if number == 20 { 5 } else { 1 }).await;
                counts.update("all", |count| *count += 1);
                if broken && number == 20 { Err("twenty".into()) } else { Ok(()) }
            },
        );
        (app, counts)
    };
    let (app, _) = build(true);
    let mut running = scene.start(app).await?;
    scene.produce_numbers("calls", 0..40, |number| format!("key-{number}")).await;
    let error = within(running.failed()).await;
    let RunError::Event(failure) = &error else { panic!("{error}") };
    assert_eq!((failure.offset.get(), &*failure.reason), (20, "twenty"));
    stop(running).await?;
    let (app, counts) = build(false);
    let mut running = scene.start(app).await?;
    drain(&mut running).await?;
    assert_eq!(running.open(counts.view()).get("all").await?, Some(40));
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_failure_counts_only_after_all_earlier_events() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("opened");
    let doors = app.topic::<String, u64>("doors").partitions(1);
    let opened = app.table::<String, u64>("opened");
    app.agent("door", doors).with(opened).concurrency(4).retries(0).each(async |opened, number| {
        if number % 5 == 0 {
            pause(5).await;
            opened.insert(format!("door-{number}"), number);
            return Ok(());
        }
        opened
            .get(format!("door-{}", number - number % 5))
            .map(drop)
            .ok_or_else(|| format!("{number} is closed").into())
    });
    let mut running = scene.start(app).await?;
    scene.produce_numbers("doors", 0..50, |number| format!("key-{number}")).await;
    drain(&mut running).await?;
    assert_eq!(running.open(opened.view()).len().await?, 10);
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn events_that_all_have_one_key_are_handled_to_the_last() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("one-key");
    let calls = app.topic::<String, u64>("calls").partitions(1);
    let counts = app.table::<String, u64>("counts");
    app.agent("call", calls).with(counts).concurrency(4).each(async |counts, _| {
        counts.update("all", |count| *count += 1);
        Ok(())
    });
    let mut running = scene.start(app).await?;
    scene.produce_numbers("calls", 0..50, |_| "the one".to_owned()).await;
    drain(&mut running).await?;
    assert_eq!(running.open(counts.view()).get("all").await?, Some(50));
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_stop_waits_for_events_in_flight_and_one_that_runs_alone() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("stopping");
    let slow = app.topic::<String, u64>("slow").partitions(1);
    let fast = app.topic::<String, u64>("fast").partitions(1);
    let sums = app.table::<String, u64>("sums");
    app.agent("slow", slow).with(sums).concurrency(8).each(async |sums, _| {
        let before = sums.get("all").unwrap_or(0);
        pause(4).await;
        sums.insert("all", before + 1);
        Ok(())
    });
    app.agent("fast", fast).with(sums).each(async |sums, _| {
        sums.update("all", |sum| *sum += 1);
        Ok(())
    });
    let mut config = scene.config();
    // An event that does not finish makes the stop take too long.
    config.close_within = Duration::from_secs(3600);
    let running = start(app, config).await?;
    for topic in ["slow", "fast"] {
        scene.produce_numbers(topic, 0..300, |number| format!("key-{number}")).await;
    }
    stop(running).await?;
    Ok(())
}
