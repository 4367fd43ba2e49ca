//! Rule 8: queues, caches and batches are bounded. Data that is larger than a bound is still
//! handled correctly.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use marlowe::{App, Config};

use crate::scene::{Scene, TestResult, drain, eventually, pause, start, stop, within};
use crate::watched::WatchedBroker;

async fn count_in_a_small_cache(config: Config) -> TestResult {
    const ROWS: u64 = 2000;
    let mut app = App::new("small");
    app.partitions(2);
    let numbers = app.topic::<u64, u64>("numbers");
    let sums = app.table::<u64, u64>("sums").cache_rows(ROWS as usize / 2 / 10);
    app.agent("sum", numbers).with(sums).each_event(async |sums, event| {
        sums.update(event.key, |sum| *sum += event.value);
        if event.key % 5 == 4 {
            sums.remove(event.key);
        }
        Ok(())
    });
    let mut running = start(app, config).await?;
    let to = running.open(numbers);
    for round in 1..=3 {
        for key in 0..ROWS {
            to.send(&key, &(key * round)).await?;
        }
    }
    drain(&mut running).await?;
    let rows = running.open(sums.view()).iter().await?;
    let wanted: Vec<(u64, u64)> = (0..ROWS).filter(|key| key % 5 != 4).map(|key| (key, key * (1 + 2 + 3))).collect();
    assert_eq!(rows, wanted);
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_table_ten_times_larger_than_its_cache_is_right_in_memory() -> TestResult {
    count_in_a_small_cache(Scene::new().await.config()).await
}

#[tokio::test]
async fn a_table_ten_times_larger_than_its_cache_is_right_on_disk() -> TestResult {
    let folder = tempfile::tempdir()?;
    count_in_a_small_cache(Scene::new().await.config_in(folder.path())).await
}

#[tokio::test]
async fn a_slow_consumer_pauses_its_partition_and_the_others_go_on() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("slow");
    let letters = app.topic::<(), String>("letters").partitions(2);
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let quick = Arc::new(AtomicU64::new(0));
    let (open, handled) = (gate.clone(), quick.clone());
    app.agent("read", letters).each_event(async move |(), event| {
        if event.partition.get() == 0 {
            open.acquire().await?.forget();
        } else {
            handled.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    });
    let broker = WatchedBroker::new(&scene.broker).counts("letters", 0);
    let read = broker.read.clone();
    let mut config = scene.config().lanes(1).broker(Arc::new(broker));
    config.queue_bytes = 4000;
    let mut running = start(app, config).await?;
    let letter = format!("\"{}\"", "x".repeat(1000));
    for _ in 0..200 {
        for partition in 0..2 {
            scene.produce("letters", partition, None, Some(letter.as_bytes())).await;
        }
    }
    eventually("the other partition goes on", async || quick.load(Ordering::Relaxed) == 200).await;
    let ahead = read.load(Ordering::Relaxed);
    assert!(ahead > 0 && ahead < 40_000, "{ahead} of 200,000 bytes were read ahead");
    gate.add_permits(200);
    drain(&mut running).await?;
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn many_uncommitted_bytes_are_committed_early() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("pressure");
    let letters = app.topic::<String, String>("letters").partitions(1);
    let copies = app.topic::<String, String>("copies").partitions(1);
    let last = app.table::<String, String>("last");
    let handled = Arc::new(tokio::sync::Semaphore::new(0));
    let done = handled.clone();
    app.agent("copy", letters).with((last, copies)).each(async move |(last, copies), letter: String| {
        copies.send(&"k".to_owned(), &letter);
        last.insert("last", letter);
        done.add_permits(1);
        Ok(())
    });
    let mut config = scene.config().lanes(1).fixed_commit_interval(Duration::from_secs(3600));
    config.commit_bytes = 10_000;
    let running = start(app, config).await?;
    let letter = format!("\"{}\"", "x".repeat(1000));
    for _ in 0..30 {
        scene.produce("letters", 0, Some(b"k"), Some(letter.as_bytes())).await;
    }
    within(handled.acquire_many(30)).await?.forget();
    eventually("most is committed", async || scene.values("copies").await.len() >= 20).await;
    pause(50).await;
    assert!(scene.values("copies").await.len() <= 30);
    stop(running).await?;
    assert_eq!(scene.values("copies").await.len(), 30);
    Ok(())
}

#[tokio::test]
async fn a_slow_output_stops_the_intake_at_the_bounds() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("slow-output");
    let letters = app.topic::<String, String>("letters").partitions(1);
    let copies = app.topic::<String, String>("copies").partitions(1);
    let handled = Arc::new(AtomicU64::new(0));
    let count = handled.clone();
    app.agent("copy", letters)
        .each(async move |(), letter: String| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(letter)
        })
        .sink(copies);
    let broker = WatchedBroker::new(&scene.broker).counts("letters", 0);
    let (read, outputs) = (broker.read.clone(), broker.outputs.clone());
    let mut config = scene.config().lanes(1).broker(Arc::new(broker));
    (config.queue_bytes, config.commit_bytes) = (4000, 10_000);
    let mut running = start(app, config).await?;
    outputs.close();
    let letter = format!("\"{}\"", "x".repeat(1000));
    for _ in 0..800 {
        scene.produce("letters", 0, Some(b"k"), Some(letter.as_bytes())).await;
    }
    eventually("the output is waited for", async || outputs.is_waited_at()).await;
    // Wait until nothing more is taken in.
    let taken_in = || (read.load(Ordering::Relaxed), handled.load(Ordering::Relaxed));
    let mut before = taken_in();
    eventually("nothing more is taken in", async || {
        pause(300).await;
        let now = taken_in();
        std::mem::replace(&mut before, now) == now
    })
    .await;
    let (read, handled) = before;
    // Work in hand is finished when a bound is reached. That is some tens of letters more than fit
    // into 10,000 bytes.
    assert!(read < 300_000 && handled < 200, "{read} of 800,000 bytes were read, {handled} of 800 letters handled");
    assert_eq!(scene.values("copies").await.len(), 0, "nothing is committed");
    outputs.open();
    drain(&mut running).await?;
    stop(running).await?;
    assert_eq!(scene.values("copies").await.len(), 800);
    Ok(())
}
