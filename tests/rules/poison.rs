//! Faults that show only in the commit: rows and changes that cannot be written, and records that
//! the broker refuses. They are blamed on the event that caused them, and reported.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use marlowe::broker::Timestamp;
use marlowe::topic::ProducerRecord;
use marlowe::{App, Config, RunError};
use serde::{Deserialize, Serialize, Serializer};

use crate::scene::{GUARANTEES, Record, Scene, TestResult, drain, start, stop, within};

/// A value that does not always encode.
#[derive(Clone, Debug, PartialEq, Default, Deserialize)]
struct Fragile(i64);

const NO_FORM: i64 = 13;
const PANICS: i64 = 17;

impl Serialize for Fragile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            NO_FORM => Err(serde::ser::Error::custom("thirteen has no form")),
            PANICS => panic!("seventeen is too much"),
            number => serializer.serialize_i64(number),
        }
    }
}

/// Returns a text that fits into a record once, but not twice.
fn more_than_half(scene: &Scene) -> String {
    "x".repeat(scene.broker.record_limit().bytes * 2 / 3)
}

fn a_day_ahead() -> Timestamp {
    Config::default().clock.now() + Duration::from_secs(24 * 60 * 60)
}

fn errors(letters: &[Record]) -> Vec<&str> {
    letters.iter().filter_map(|letter| letter.header("marlowe-error")).collect()
}

#[tokio::test]
async fn n1_2_a_row_that_does_not_encode_fails_its_event() -> TestResult {
    a_row_that_does_not_encode_fails_its_event(GUARANTEES[0]).await
}

#[tokio::test]
async fn n1_2_a_row_that_does_not_encode_fails_at_least_once_too() -> TestResult {
    a_row_that_does_not_encode_fails_its_event(GUARANTEES[1]).await
}

async fn a_row_that_does_not_encode_fails_its_event(prepare: impl Fn(&mut App)) -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("fragile");
    prepare(&mut app);
    let numbers = app.topic::<String, i64>("numbers").partitions(2);
    let letters = app.topic::<String, i64>("letters").partitions(1);
    let rows = app.table::<(String, i64), Fragile>("rows").partition_local();
    let sums = app.table::<String, i64>("sums");
    app.agent("keep", numbers)
        .with((rows, sums))
        .retries(1)
        .backoff(Duration::from_millis(1))
        .dead_letter(letters)
        .each_event(async |(rows, sums), event| {
            sums.update(event.key.clone(), |sum| *sum += event.value);
            // Each event has its own row, because a value that is overwritten before the commit is
            // never encoded.
            rows.insert((event.key, event.value), Fragile(event.value));
            Ok(())
        });
    let mut running = scene.start(app).await?;
    let to = running.open(numbers);
    for round in 0..30 {
        for key in ["a", "b", "c"] {
            to.send(&key.to_owned(), &round).await?;
        }
    }
    drain(&mut running).await?;
    let sums = running.open(sums.view());
    let rows = scene.records("fragile-rows-changelog").await.into_iter().filter_map(|row| row.value);
    let rows: BTreeSet<String> = rows.filter(|value| value.parse::<i64>().is_ok()).collect();
    assert_eq!(rows.len(), 28);
    for key in ["a", "b", "c"] {
        assert_eq!(
            sums.get(key).await?,
            Some((0..30).sum::<i64>() - NO_FORM - PANICS),
            "nothing of a failed event is left"
        );
    }
    let letters = scene.records("letters").await;
    let different: BTreeSet<_> = letters.iter().map(|letter| (&letter.key, &letter.value)).collect();
    assert_eq!(different.len(), 6, "at least once, a letter may come twice");
    for error in errors(&letters) {
        assert!(error.contains("table `rows`") && (error.contains("no form") || error.contains("too much")), "{error}");
        assert!(["\"a\"", "\"b\"", "\"c\""].iter().any(|key| error.contains(key)), "{error}");
    }
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn n1_2_by_default_the_worker_stops_and_names_the_event() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("fragile");
    let numbers = app.topic::<String, i64>("numbers").partitions(1);
    let rows = app.table::<String, Fragile>("rows");
    app.agent("keep", numbers).with(rows).retries(0).each_event(async |rows, event| {
        rows.insert(event.key, Fragile(event.value));
        Ok(())
    });
    let mut running = scene.start(app).await?;
    let to = running.open(numbers);
    for number in [1, 2, PANICS, 3] {
        to.send(&format!("key-{number}"), &number).await?;
    }
    let error = within(running.failed()).await;
    let RunError::Event(failure) = &error else { panic!("{error}") };
    assert_eq!((&*failure.agent, &*failure.topic, failure.offset.get()), ("keep", "numbers", 2));
    assert!(failure.reason.contains("table `rows`") && failure.reason.contains("key-17"), "{error}");
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn n1_2_a_row_over_the_record_limit_fails_its_event() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("large");
    let texts = app.topic::<String, String>("texts").partitions(1);
    let letters = app.topic::<String, String>("letters").partitions(1);
    let rows = app.table::<String, String>("rows");
    app.agent("append", texts).with(rows).retries(0).dead_letter(letters).each_event(async |rows, event| {
        rows.update(event.key, |text| text.push_str(&event.value));
        Ok(())
    });
    let mut running = scene.start(app).await?;
    let to = running.open(texts);
    let large = more_than_half(&scene);
    for text in [large.as_str(), "-", large.as_str(), "."] {
        to.send(&"one".to_owned(), &text.to_owned()).await?;
        to.send(&"two".to_owned(), &"-".to_owned()).await?;
    }
    drain(&mut running).await?;
    let view = running.open(rows.view());
    assert_eq!(view.get("one").await?.map(|row| row.len()), Some(large.len() + 2));
    assert_eq!(view.get("two").await?.as_deref(), Some("----"));
    let letters = scene.records("letters").await;
    let error = errors(&letters).concat();
    assert_eq!(letters.len(), 1, "{error}");
    for part in ["table `rows`", "\"one\"", "over the limit"] {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
    stop(running).await?;
    Ok(())
}

/// Sends changes that fit one by one, but not when they are merged into one row. A change of
/// another key still fits.
#[tokio::test]
async fn n1_2_changes_that_grow_too_large_together_fail_the_last() -> TestResult {
    for is_global in [false, true] {
        let scene = Scene::new().await;
        let mut app = App::new("growing");
        let texts = app.topic::<String, String>("texts").partitions(1);
        let letters = app.topic::<String, String>("letters").partitions(1);
        let append = |row: &mut String, more: String| row.push_str(&more);
        let rows = match is_global {
            false => app.table::<String, String>("rows").merge(append).inbox_dead_letter(letters).inbox(),
            true => app.global_table::<String, String>("rows").merge(append).inbox_dead_letter(letters).inbox(),
        };
        app.agent("send", texts).with(rows).retries(0).each_event(async |rows, event| {
            rows.send(event.key, event.value);
            Ok(())
        });
        let mut running = scene.start(app).await?;
        let to = running.open(texts);
        let large = more_than_half(&scene);
        for text in [&large, &large] {
            to.send(&"one".to_owned(), text).await?;
        }
        to.send(&"two".to_owned(), &"-".to_owned()).await?;
        drain(&mut running).await?;
        to.send(&"one".to_owned(), &".".to_owned()).await?;
        drain(&mut running).await?;
        let rows = scene.records("growing-rows-changelog").await;
        let last = rows.iter().rfind(|row| row.key.as_deref() == Some("one"));
        let size = last.and_then(|row| row.value.as_ref()).map(|value| value.len());
        assert_eq!(size, Some(large.len() + 1 + 2), "with its quotes");
        let letters = scene.records("letters").await;
        assert_eq!(letters.len(), 1, "{:?}", errors(&letters));
        let error = errors(&letters).concat();
        assert!(error.contains("table `rows`") && error.contains("\"one\""), "{error}");
        stop(running).await?;
    }
    Ok(())
}

#[tokio::test]
async fn n1_2_a_partition_timer_that_writes_a_bad_row_fails_alone() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("timed");
    let numbers = app.topic::<String, i64>("numbers").partitions(1);
    let rows = app.table::<String, Fragile>("rows");
    let runs = Arc::new(AtomicU64::new(0));
    let counted = runs.clone();
    app.agent("keep", numbers).with(rows).each_event(async |rows, event| {
        rows.insert(event.key, Fragile(event.value));
        Ok(())
    });
    app.partition_timer("spoil", Duration::from_millis(50)).with(rows).run(async move |rows| {
        counted.fetch_add(1, Ordering::Relaxed);
        rows.insert("timer", Fragile(NO_FORM));
        rows.insert("beside", Fragile(1));
        Ok(())
    });
    let mut running = scene.start(app).await?;
    let to = running.open(numbers);
    for number in 0..10 {
        to.send(&"agent".to_owned(), &number).await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drain(&mut running).await?;
    let view = running.open(rows.view());
    assert_eq!(view.get("agent").await?, Some(Fragile(9)));
    assert_eq!((view.get("timer").await?, view.get("beside").await?), (None, None));
    assert!(runs.load(Ordering::Relaxed) > 2);
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn n1_2_many_bad_rows_do_not_hold_up_the_others() -> TestResult {
    const EVENTS: i64 = 3000;
    for concurrency in [1, 4] {
        let scene = Scene::new().await;
        let mut app = App::new("fragile");
        let numbers = app.topic::<String, i64>("numbers").partitions(1);
        let rows = app.table::<String, Fragile>("rows");
        let agent = app.agent("keep", numbers).with(rows).retries(0).skip().concurrency(concurrency);
        agent.each_event(async |rows, event| {
            let poison = event.value % 10 == 3;
            rows.insert(event.key, Fragile(if poison { NO_FORM } else { event.value * 100 }));
            Ok(())
        });
        let mut running = scene.start(app).await?;
        scene.produce_numbers("numbers", 0..EVENTS as u64, |number| format!("key-{number}")).await;
        drain(&mut running).await?;
        assert_eq!(running.open(rows.view()).len().await?, EVENTS as u64 * 9 / 10);
        stop(running).await?;
    }
    Ok(())
}

#[tokio::test]
async fn n2_1_a_record_that_the_broker_refuses_fails_its_event() -> TestResult {
    const EVENTS: u64 = 400;
    let cases = GUARANTEES.into_iter().flat_map(|guarantee| [(guarantee, 1), (guarantee, 4)]);
    for (guarantee, concurrency) in cases {
        let scene = Scene::new().await;
        let mut app = App::new("refused");
        guarantee(&mut app);
        let numbers = app.topic::<String, u64>("numbers").partitions(1);
        let latest = app.topic::<String, u64>("latest").partitions(1);
        let letters = app.topic::<String, u64>("letters").partitions(1);
        let sums = app.table::<String, u64>("sums");
        let agent = app.agent("send", numbers).with((sums, latest)).retries(0).concurrency(concurrency);
        agent.dead_letter(letters).each_event(async |(sums, latest), event| {
            sums.update(event.key.clone(), |sum| *sum += 1);
            let record = ProducerRecord::new(&event.key, &event.value);
            // The broker refuses a timestamp that is more than an hour ahead.
            let is_far = [100, 250].contains(&event.value);
            latest.send_record(if is_far { record.timestamp(a_day_ahead()) } else { record });
            Ok(())
        });
        let mut running = scene.start(app).await?;
        scene.produce_numbers("numbers", 0..EVENTS, |number| format!("key-{}", number % 7)).await;
        drain(&mut running).await?;
        let view = running.open(sums.view());
        let mut sum = 0;
        for key in 0..7 {
            sum += view.get(&format!("key-{key}")).await?.unwrap_or_default();
        }
        assert_eq!(sum, EVENTS - 2);
        let letters = scene.records("letters").await;
        let mut values: Vec<_> = letters.iter().filter_map(|letter| letter.value.as_deref()).collect();
        values.sort_unstable();
        assert_eq!(values, ["100", "250"], "{:?}", errors(&letters));
        assert!(errors(&letters).iter().all(|error| error.contains("latest`")), "{:?}", errors(&letters));
        stop(running).await?;
    }
    Ok(())
}

/// Checks that agents that share nothing are not blamed for each other, whatever their order is.
#[tokio::test]
async fn n2_1_no_other_agent_of_the_shard_is_blamed() -> TestResult {
    for concurrency in [1, 4] {
        let scene = Scene::new().await;
        let mut app = App::new("beside");
        let numbers = app.topic::<String, u64>("numbers").partitions(1);
        let [copies, latest, letters] =
            ["copies", "latest", "letters"].map(|topic| app.topic::<String, u64>(topic).partitions(1));
        let sums = app.table::<String, u64>("sums");
        // This agent stops the worker if it is blamed.
        app.agent("copy", numbers).retries(0).each_event(async |(), event| Ok(event.value)).sink(copies);
        let agent = app.agent("send", numbers).with((sums, latest)).retries(0).concurrency(concurrency);
        agent.dead_letter(letters).each_event(async |(sums, latest), event| {
            sums.update(event.key.clone(), |sum| *sum += 1);
            let record = ProducerRecord::new(&event.key, &event.value);
            latest.send_record(if event.value == 20 { record.timestamp(a_day_ahead()) } else { record });
            Ok(())
        });
        let mut running = scene.start(app).await?;
        scene.produce_numbers("numbers", 0..40, |number| format!("key-{}", number % 7)).await;
        drain(&mut running).await?;
        stop(running).await?;
        assert_eq!(scene.values("copies").await.len(), 40);
        assert_eq!(scene.values("letters").await, ["20"]);
    }
    Ok(())
}

/// Lets a timer commit while the event fails. Its commits succeed and say nothing about the event.
/// The tables are in a folder, because commits take time there.
#[tokio::test]
async fn n2_1_a_refused_event_fails_soon_beside_a_busy_timer() -> TestResult {
    let (scene, folder) = (Scene::new().await, tempfile::tempdir()?);
    let mut app = App::new("timed");
    let numbers = app.topic::<String, u64>("numbers").partitions(1);
    let [latest, letters] = ["latest", "letters"].map(|topic| app.topic::<String, u64>(topic).partitions(1));
    let sums = app.table::<String, u64>("sums");
    let tries = Arc::new(AtomicU64::new(0));
    let counted = tries.clone();
    let agent = app.agent("send", numbers).with((sums, latest)).retries(0).dead_letter(letters);
    agent.stream(async move |(sums, latest), events| {
        let mut events = events.events();
        while let Some(event) = events.next().await {
            sums.update(event.key.clone(), |sum| *sum += 1);
            let record = ProducerRecord::new(&event.key, &event.value);
            let is_far = event.value == 9;
            counted.fetch_add(u64::from(is_far), Ordering::Relaxed);
            latest.send_record(if is_far { record.timestamp(a_day_ahead()) } else { record });
        }
        Ok(())
    });
    app.partition_timer("touch", Duration::from_millis(1)).with(sums).run(async |sums| {
        sums.update("timer", |runs| *runs += 1);
        Ok(())
    });
    let mut running = start(app, scene.config_in(folder.path()).commit_interval(Duration::from_millis(5))).await?;
    let to = running.open(numbers);
    for number in 0..10 {
        to.send(&format!("key-{number}"), &number).await?;
    }
    drain(&mut running).await?;
    let view = running.open(sums.view());
    assert_eq!((view.get("key-8").await?, view.get("key-9").await?), (Some(1), None));
    stop(running).await?;
    let tries = tries.load(Ordering::Relaxed);
    assert!(tries < 10, "it was handled {tries} times");
    Ok(())
}

#[tokio::test]
async fn n2_1_by_default_the_worker_stops_and_names_the_event() -> TestResult {
    for guarantee in GUARANTEES {
        let scene = Scene::new().await;
        let mut app = App::new("refused");
        guarantee(&mut app);
        let numbers = app.topic::<String, u64>("numbers").partitions(1);
        let latest = app.topic::<String, u64>("latest").partitions(1);
        app.agent("send", numbers).with(latest).each_event(async |latest, event| {
            let record = ProducerRecord::new(&event.key, &event.value);
            latest.send_record(if event.value == 5 { record.timestamp(a_day_ahead()) } else { record });
            Ok(())
        });
        let mut running = scene.start(app).await?;
        scene.produce_numbers("numbers", 0..9, |number| format!("key-{number}")).await;
        let error = within(running.failed()).await;
        let RunError::Event(failure) = &error else { panic!("{error}") };
        assert_eq!((&*failure.agent, failure.offset.get()), ("send", 5), "{error}");
        assert!(failure.reason.contains("latest`"), "{error}");
        stop(running).await?;
        assert_eq!(scene.values("latest").await, ["0", "1", "2", "3", "4"]);
    }
    Ok(())
}

#[tokio::test]
async fn n2_2_a_dead_letter_that_does_not_fit_is_shortened() -> TestResult {
    let scene = Scene::new().await;
    let limit = scene.broker.record_limit().bytes;
    let mut app = App::new("letters");
    let texts = app.topic::<String, String>("texts").partitions(1);
    let letters = app.topic::<String, String>("letters").partitions(1);
    let seen = app.table::<String, u64>("seen");
    app.agent("fail", texts).with(seen).retries(0).dead_letter(letters).each_event(async |seen, event| {
        if event.key != "good" {
            return Err("e".repeat(1 << 20).into());
        }
        seen.update("good", |seen| *seen += 1);
        Ok(())
    });
    let mut running = scene.start(app).await?;
    // Two bytes are quotes, and the key is in the record, too.
    let full = format!("\"{}\"", "x".repeat(limit - 2 - "full".len()));
    let many = vec![b'h'; limit / 2];
    scene.produce("texts", 0, Some(b"full"), Some(full.as_bytes())).await;
    scene.produce("texts", 0, Some(b"good"), Some(b"\"\"")).await;
    let headers: [(&str, &[u8]); 1] = [("many", &many)];
    let half = format!("\"{}\"", "x".repeat(limit / 2 - 500));
    scene.produce_with("texts", 0, Some(b"half"), Some(half.as_bytes()), &headers).await;
    scene.produce("texts", 0, Some(b"good"), Some(b"\"\"")).await;
    drain(&mut running).await?;
    assert_eq!(running.open(seen.view()).get("good").await?, Some(2), "no other event fails for it");
    let letters = scene.records("letters").await;
    assert_eq!(letters.len(), 2);
    assert_eq!((letters[0].value.as_deref(), letters[0].header("marlowe-offset")), (None, Some("0")));
    assert_eq!((letters[1].value.as_deref(), letters[1].header("many")), (Some(half.as_str()), None));
    assert!(errors(&letters).iter().all(|error| error.len() == 1024));
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn n2_2_a_refusal_that_does_not_fit_touches_no_other_event() -> TestResult {
    let scene = Scene::new().await;
    let limit = scene.broker.record_limit().bytes;
    let mut app = App::new("asked");
    let numbers = app.topic::<String, u64>("numbers").partitions(1);
    let seen = app.table::<String, u64>("seen");
    let agent = app.agent("answer", numbers).with(seen).retries(0).skip().each_event(async |seen, event| {
        if event.value == 0 {
            return Err("zero is refused".into());
        }
        seen.update(event.key, |seen| *seen += 1);
        Ok(event.value)
    });
    let _ = agent.answers();
    let mut running = scene.start(app).await?;
    // Any producer may send this correlation, which comes back with the answer.
    let correlation = vec![b'c'; limit - 100];
    let headers: [(&str, &[u8]); 3] =
        [("marlowe-asks", b"answer"), ("marlowe-reply-to", b"asked-replies/0"), ("marlowe-correlation", &correlation)];
    scene.produce_with("numbers", 0, Some(b"k"), Some(b"0"), &headers).await;
    scene.produce("numbers", 0, Some(b"k"), Some(b"1")).await;
    scene.produce("numbers", 0, Some(b"k"), Some(b"2")).await;
    drain(&mut running).await?;
    assert_eq!(running.open(seen.view()).get("k").await?, Some(2));
    stop(running).await?;
    Ok(())
}

/// Fails the event of the table's owner. The event that sends a change is already done when changes
/// are combined for the commit.
#[tokio::test]
async fn n3_1_a_merge_that_panics_fails_the_change() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("merging");
    let numbers = app.topic::<String, i64>("numbers").partitions(2);
    let letters = app.topic::<String, i64>("letters").partitions(1);
    let sums = app.table::<String, i64>("sums").inbox_dead_letter(letters).merge(|sum, more| {
        assert_ne!(more, NO_FORM, "thirteen is too much");
        *sum += more;
    });
    app.agent("send", numbers).with(sums.inbox()).each_event(async |sums, event| {
        sums.send("sum", event.value);
        Ok(())
    });
    let mut running = scene.start(app).await?;
    scene.produce_numbers("numbers", 1..30, |number| format!("key-{number}")).await;
    drain(&mut running).await?;
    assert_eq!(running.open(sums.view()).get("sum").await?, Some((1..30).sum::<i64>() - NO_FORM));
    let letters = scene.records("letters").await;
    assert_eq!(letters.iter().filter_map(|letter| letter.value.as_deref()).collect::<Vec<_>>(), ["13"]);
    assert!(errors(&letters).concat().contains("thirteen is too much"));
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn n3_1_a_panic_in_user_code_around_a_handler_fails_its_event() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("around");
    let numbers = app.topic::<String, u64>("numbers").partitions(1);
    let out = app.topic::<String, Fragile>("out").partitions(1);
    let by_key = app.table::<String, u64>("by-key");
    let passed = app.table::<String, u64>("passed");
    let picky = |at: u64| {
        move |number: &u64| {
            assert_ne!(*number, at, "a filter's panic");
            true
        }
    };
    // A panic in the key of a group_by, in a filter before it, in a filter of an agent, and in the
    // encoding of a sink.
    let grouped = numbers.filter(picky(1)).group_by(|number| {
        assert_ne!(*number, 2, "a key's panic");
        number.to_string()
    });
    app.agent("grouped", grouped.filter(picky(3))).with(by_key).retries(0).skip().each(async |by_key, number| {
        by_key.insert(number.to_string(), number);
        Ok(())
    });
    let agent = app.agent("sink", numbers).retries(0).skip().each(async |(), number| Ok(Fragile(number as i64)));
    agent.sink(out);
    app.agent("stream", numbers.filter(picky(4))).with(passed).retries(0).skip().stream(async |passed, mut numbers| {
        while let Some(number) = numbers.next().await {
            passed.insert(number.to_string(), number);
        }
        Ok(())
    });
    let mut running = scene.start(app).await?;
    scene.produce_numbers("numbers", 0..20, |_| "k".into()).await;
    drain(&mut running).await?;
    assert_eq!(running.open(by_key.view()).len().await?, 17);
    assert_eq!(scene.values("out").await.len(), 18);
    assert_eq!(scene.records("around-passed-changelog").await.len(), 19);
    stop(running).await?;
    Ok(())
}
