//! Rule 2: a handler's changes and sends apply all together when it returns `Ok`. A handler that
//! fails leaves nothing behind, and its policy decides what happens to the event.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use marlowe::{App, RunError, Table, Topic};
use parking_lot::Mutex;

use crate::scene::{Scene, TestResult, drain, pause, stop, within};

const SOON: Duration = Duration::from_millis(2);

#[derive(Clone, Copy)]
struct Places {
    numbers: Topic<String, i64>,
    outputs: Topic<String, i64>,
    replies: Topic<String, i64>,
    sums: Table<String, i64>,
    others: Table<String, i64>,
}

/// Declares an agent whose handler writes a table, sends to a topic, an inbox and a sink, and then
/// returns what `then` says.
fn program(app: &mut App, then: impl Fn(i64) -> Result<(), marlowe::HandlerError> + Send + Sync + 'static) -> Places {
    let numbers = app.topic::<String, i64>("numbers").partitions(1);
    let outputs = app.topic::<String, i64>("outputs");
    let replies = app.topic::<String, i64>("replies");
    let sums = app.table::<String, i64>("sums");
    let others = app.table::<String, i64>("others").merge(|total, more| *total += more);
    app.agent("sum", numbers)
        .with((sums, others.inbox(), outputs))
        .retries(2)
        .backoff(SOON)
        .each(async move |(sums, others, outputs), number| {
            sums.update("sum", |sum| *sum += number);
            sums.insert(format!("seen-{number}"), number);
            others.send("other", number);
            outputs.send(&"out".to_owned(), &number);
            tokio::task::yield_now().await;
            then(number)?;
            Ok(number)
        })
        .sink(replies);
    Places { numbers, outputs, replies, sums, others }
}

#[tokio::test]
async fn a_failed_attempt_leaves_nothing_and_the_next_applies_once() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("atomic");
    let tries = Arc::new(AtomicU32::new(0));
    let counted = tries.clone();
    let places = program(&mut app, move |number| {
        if number == 7 && counted.fetch_add(1, Ordering::Relaxed) < 2 {
            return Err("not yet".into());
        }
        Ok(())
    });
    let mut running = scene.start(app).await?;
    let to = running.open(places.numbers);
    for number in [1, 7, 2] {
        to.send(&"k".to_owned(), &number).await?;
    }
    drain(&mut running).await?;
    assert_eq!(tries.load(Ordering::Relaxed), 3);
    assert_eq!(running.open(places.sums.view()).get("sum").await?, Some(10));
    assert_eq!(running.open(places.sums.view()).len().await?, 4);
    assert_eq!(running.open(places.others.view()).get("other").await?, Some(10));
    for topic in [places.outputs.name(), places.replies.name()] {
        assert_eq!(scene.values(topic).await, ["1", "7", "2"], "{topic}");
    }
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn an_event_that_always_fails_stops_the_worker_without_loss() -> TestResult {
    let scene = Scene::new().await;
    let mended = Arc::new(AtomicBool::new(false));
    let tries = Arc::new(AtomicU32::new(0));
    let build = || {
        let mut app = App::new("atomic");
        let (mended, tries) = (mended.clone(), tries.clone());
        let places = program(&mut app, move |number| {
            if number == 7 && !mended.load(Ordering::Relaxed) {
                tries.fetch_add(1, Ordering::Relaxed);
                return Err("seven is no good".into());
            }
            Ok(())
        });
        (app, places)
    };
    let (app, places) = build();
    let mut running = scene.start(app).await?;
    let to = running.open(places.numbers);
    for number in [1, 2, 7, 3] {
        to.send(&"k".to_owned(), &number).await?;
    }
    let error = within(running.failed()).await;
    let RunError::Event(failure) = &error else { panic!("{error}") };
    assert_eq!((&*failure.agent, &*failure.topic, failure.offset.get()), ("sum", "numbers", 2));
    assert_eq!((failure.tries, tries.load(Ordering::Relaxed)), (3, 3), "one try and two retries");
    let text = error.to_string();
    for part in
        ["agent `sum`", "numbers[0]@2", "tried 3", "seven is no good", "nothing is lost", ".skip()", ".dead_letter("]
    {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    stop(running).await?;
    // The events before it are committed, and nothing of the failed event is.
    assert_eq!(scene.values("outputs").await, ["1", "2"]);

    mended.store(true, Ordering::Relaxed);
    let (app, places) = build();
    let mut running = scene.start(app).await?;
    drain(&mut running).await?;
    assert_eq!(running.open(places.sums.view()).get("sum").await?, Some(13));
    assert_eq!(running.open(places.others.view()).get("other").await?, Some(13));
    assert_eq!(scene.values("outputs").await, ["1", "2", "7", "3"]);
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_panic_is_a_failure_like_any_other() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("atomic");
    let places = program(&mut app, |number| {
        assert!(number != 7, "seven hurts");
        Ok(())
    });
    let mut running = scene.start(app).await?;
    running.open(places.numbers).send(&"k".to_owned(), &7).await?;
    let error = within(running.failed()).await;
    let RunError::Event(failure) = &error else { panic!("{error}") };
    assert_eq!(failure.tries, 3);
    assert!(failure.reason.contains("panicked") && failure.reason.contains("seven hurts"), "{error}");
    stop(running).await?;
    assert!(scene.values("outputs").await.is_empty());
    Ok(())
}

#[tokio::test]
async fn retries_wait_longer_each_time() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("backoff");
    let numbers = app.topic::<String, i64>("numbers").partitions(1);
    let times = Arc::new(Mutex::new(Vec::new()));
    let noted = times.clone();
    app.agent("fail", numbers).retries(3).backoff(Duration::from_millis(20)).skip().each(async move |(), _| {
        noted.lock().push(tokio::time::Instant::now());
        Err::<(), _>("always".into())
    });
    let mut running = scene.start(app).await?;
    running.open(numbers).send(&"k".to_owned(), &1).await?;
    drain(&mut running).await?;
    let times = times.lock().clone();
    let waits: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(waits.len(), 3);
    for (wait, least) in waits.iter().zip([20, 40, 80]) {
        assert!(*wait >= Duration::from_millis(least), "{waits:?}");
    }
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_dead_letter_has_the_original_record_and_says_why() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("letters");
    let numbers = app.topic::<String, i64>("numbers").partitions(1);
    let dead = app.topic::<String, i64>("dead").partitions(3);
    let sums = app.table::<String, i64>("sums");
    app.agent("sum", numbers).with(sums).retries(1).backoff(SOON).dead_letter(dead).each(async |sums, number| {
        sums.update("sum", |sum| *sum += number);
        if number < 0 { Err("negative".into()) } else { Ok(()) }
    });
    let mut running = scene.start(app).await?;
    let good: &[u8] = b"k";
    scene.produce("numbers", 0, Some(good), Some(b"1")).await;
    scene.produce_with("numbers", 0, Some(good), Some(b" -5 "), &[("trace", b"abc")]).await;
    scene.produce("numbers", 0, Some(good), Some(b"{not json")).await;
    scene.produce("numbers", 0, None, Some(b"-6")).await;
    scene.produce("numbers", 0, Some(good), Some(b"2")).await;
    drain(&mut running).await?;
    assert_eq!(running.open(sums.view()).get("sum").await?, Some(3));
    let letters = scene.records("dead").await;
    assert_eq!(letters.len(), 3, "{letters:?}");
    let letter = |value: &str| letters.iter().find(|letter| letter.value.as_deref() == Some(value)).unwrap();
    let failed = letter(" -5 ");
    assert_eq!((failed.key.as_deref(), failed.timestamp), (Some("k"), 1000));
    for (name, value) in [
        ("trace", "abc"),
        ("marlowe-error", "negative"),
        ("marlowe-agent", "sum"),
        ("marlowe-topic", "numbers"),
        ("marlowe-partition", "0"),
        ("marlowe-offset", "1"),
    ] {
        assert_eq!(failed.header(name), Some(value), "{name}");
    }
    assert!(letter("{not json").header("marlowe-error").unwrap().contains("json"), "{letters:?}");
    assert_eq!(letter("-6").key, None);
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn events_that_fail_or_do_not_decode_are_skipped() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("skips");
    let numbers = app.topic::<String, i64>("numbers").partitions(1);
    let sums = app.table::<String, i64>("sums");
    let tries = Arc::new(AtomicU32::new(0));
    let counted = tries.clone();
    app.agent("sum", numbers).with(sums).retries(1).backoff(SOON).skip().each(async move |sums, number| {
        sums.update("sum", |sum| *sum += number);
        if number < 0 {
            counted.fetch_add(1, Ordering::Relaxed);
            return Err("negative".into());
        }
        Ok(())
    });
    let mut running = scene.start(app).await?;
    for value in [b"1".as_slice(), b"oops", b"-4", b"\xff\xfe", b"2"] {
        scene.produce("numbers", 0, Some(b"k"), Some(value)).await;
    }
    drain(&mut running).await?;
    assert_eq!(running.open(sums.view()).get("sum").await?, Some(3));
    assert_eq!(tries.load(Ordering::Relaxed), 2);
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn undecodable_bytes_stop_the_worker_without_a_retry() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("undecodable");
    let numbers = app.topic::<String, i64>("numbers").partitions(1);
    app.agent("sum", numbers).each(async |(), _| Ok(()));
    let mut running = scene.start(app).await?;
    scene.produce("numbers", 0, Some(b"k"), Some(b"{\"not\": a number}")).await;
    let error = within(running.failed()).await;
    let RunError::Event(failure) = &error else { panic!("{error}") };
    assert_eq!((failure.tries, failure.offset.get()), (1, 0));
    assert!(error.to_string().contains("numbers[0]@0"), "{error}");
    assert!(failure.reason.contains("i64") && failure.reason.contains("not"), "{error}");
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn two_agents_on_one_topic_keep_their_own_positions() -> TestResult {
    let scene = Scene::new().await;
    let mended = Arc::new(AtomicBool::new(false));
    let build = || {
        let mut app = App::new("pair");
        let numbers = app.topic::<String, i64>("numbers").partitions(1);
        let (good, bad) = (app.table::<String, i64>("good"), app.table::<String, i64>("bad"));
        app.agent("good", numbers).with(good).each(async |good, number| {
            good.update("sum", |sum| *sum += number);
            Ok(())
        });
        let mended = mended.clone();
        app.agent("bad", numbers).with(bad).retries(3).backoff(Duration::from_millis(40)).each(
            async move |bad, number| {
                bad.update("sum", |sum| *sum += number);
                if number == 7 && !mended.load(Ordering::Relaxed) { Err("seven".into()) } else { Ok(()) }
            },
        );
        (app, numbers, good, bad)
    };
    let (app, numbers, _, _) = build();
    let mut running = scene.start(app).await?;
    let to = running.open(numbers);
    for number in [1, 7, 10, 100] {
        to.send(&"k".to_owned(), &number).await?;
    }
    let error = within(running.failed()).await;
    assert!(error.to_string().contains("agent `bad`"), "{error}");
    stop(running).await?;
    mended.store(true, Ordering::Relaxed);
    let (app, _, good, bad) = build();
    let mut running = scene.start(app).await?;
    drain(&mut running).await?;
    for table in [good, bad] {
        assert_eq!(running.open(table.view()).get("sum").await?, Some(118), "{table:?}");
    }
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn an_event_is_alone_in_its_shard_also_across_its_awaits() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("alone");
    let (first, second) =
        (app.topic::<String, i64>("first").partitions(1), app.topic::<String, i64>("second").partitions(1));
    let sums = app.table::<String, i64>("sums");
    let inside = Arc::new(AtomicBool::new(false));
    for (name, topic) in [("a", first), ("b", second)] {
        let inside = inside.clone();
        app.agent(name, topic).with(sums).each(async move |sums, number| {
            assert!(!inside.swap(true, Ordering::SeqCst), "two events at once");
            let before = sums.get("sum").unwrap_or(0);
            pause(1).await;
            tokio::task::yield_now().await;
            sums.insert("sum", before + number);
            inside.store(false, Ordering::SeqCst);
            Ok(())
        });
    }
    let ticking = inside.clone();
    app.partition_timer("tick", Duration::from_millis(3)).with(sums).run(async move |sums| {
        assert!(!ticking.swap(true, Ordering::SeqCst), "a timer in the middle of an event");
        let before = sums.get("ticks").unwrap_or(0);
        tokio::task::yield_now().await;
        sums.insert("ticks", before + 1);
        ticking.store(false, Ordering::SeqCst);
        Ok(())
    });
    let mut running = scene.start(app).await?;
    let (to_first, to_second) = (running.open(first), running.open(second));
    for _ in 0..100 {
        to_first.send(&"k".to_owned(), &1).await?;
        to_second.send(&"k".to_owned(), &1).await?;
    }
    drain(&mut running).await?;
    let view = running.open(sums.view());
    assert_eq!(view.get("sum").await?, Some(200));
    assert!(view.get("ticks").await? > Some(1));
    stop(running).await?;
    Ok(())
}
