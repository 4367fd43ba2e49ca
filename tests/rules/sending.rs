//! Agents that feed each other by sinks, casts, sends and streams under other keys, each in the
//! event's transaction.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use marlowe::App;
use marlowe_broker::Cleanup;

use crate::scene::{Scene, TestResult, drain, start, stop};

#[tokio::test]
async fn several_sinks_keep_key_headers_and_timestamp() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("sinks");
    let numbers = app.topic::<String, u64>("numbers").partitions(1);
    let (first, second) = (app.topic::<String, u64>("first"), app.topic::<String, u64>("second").partitions(2));
    app.agent("double", numbers).each(async |(), number| Ok(2 * number)).sink(first).sink(second);
    let mut running = scene.start(app).await?;
    scene.produce_with("numbers", 0, Some(b"ada"), Some(b"21"), &[("trace", b"abc"), ("trace", b"def")]).await;
    scene.produce("numbers", 0, None, Some(b"4")).await;
    drain(&mut running).await?;
    for topic in ["first", "second"] {
        let records = scene.records(topic).await;
        assert_eq!(records.len(), 2);
        let keyed = records.iter().find(|record| record.key.is_some()).unwrap();
        assert_eq!((keyed.key.as_deref(), keyed.value.as_deref(), keyed.timestamp), (Some("ada"), Some("42"), 1000));
        let pair = |value: &str| ("trace".to_owned(), Some(value.as_bytes().to_vec()));
        assert_eq!(keyed.headers, [pair("abc"), pair("def")]);
        assert!(records.iter().any(|record| record.key.is_none() && record.value.as_deref() == Some("8")));
    }
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn agents_tasks_and_outside_callers_cast_to_an_agent() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("casts");
    let numbers = app.topic::<String, u64>("numbers");
    let wishes = app.topic::<String, u64>("wishes");
    let sums = app.table::<String, u64>("sums");
    let count = app.agent("count", wishes).with(sums).each_event(async |sums, event| {
        sums.update(event.key, |sum| *sum += event.value);
        Ok(())
    });
    app.agent("split", numbers).with(count).each(async |count, number| {
        for _ in 0..number {
            count.cast(&format!("key-{}", number % 4), &1);
        }
        Ok(())
    });
    app.task("wish").with(count).run(async |count| {
        count.cast(&"task".to_owned(), &5).await?;
        Ok(())
    });
    let mut running = start(app, scene.config().workers(2)).await?;
    running.open(count).cast(&"outside".to_owned(), &7).await?;
    for number in 0..20 {
        running.open(numbers).send(&number.to_string(), &number).await?;
    }
    drain(&mut running).await?;
    let rows: BTreeMap<String, u64> = running.open(sums.view()).iter().await?.into_iter().collect();
    let of = |rest: u64| (0..20).filter(|number| number % 4 == rest).sum::<u64>();
    let wanted = [("key-0", of(0)), ("key-1", of(1)), ("key-2", of(2)), ("key-3", of(3)), ("outside", 7), ("task", 10)];
    assert_eq!(rows, wanted.map(|(key, value)| (key.to_owned(), value)).into());
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_rekeyed_stream_keeps_records_and_spreads_those_without_key() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("rekeyed");
    let words = app.topic::<String, Option<String>>("words").partitions(1);
    let by_word = words.group_by(|word| word.clone());
    let seen = std::sync::Arc::new(parking_lot::Mutex::new(Vec::new()));
    let noted = seen.clone();
    app.agent("read", by_word).each_event(async move |(), event| {
        noted.lock().push((event.key, event.value, event.timestamp.millis(), event.headers, event.partition.get()));
        Ok(())
    });
    let mut running = scene.start(app).await?;
    scene.produce_with("words", 0, Some(b"old"), Some(b"\"ada\""), &[("trace", b"abc")]).await;
    for _ in 0..8 {
        scene.produce("words", 0, Some(b"old"), Some(b"null")).await;
    }
    drain(&mut running).await?;
    let seen = seen.lock().clone();
    assert_eq!(seen.len(), 9);
    let (_, value, timestamp, headers, _) = seen.iter().find(|seen| seen.0.as_deref() == Some("ada")).unwrap();
    assert_eq!((value.as_deref(), *timestamp), (Some("ada"), 1000));
    assert_eq!(*headers, [("trace".to_owned(), Some(b"abc".to_vec()))]);
    let unkeyed: std::collections::BTreeSet<u32> =
        seen.iter().filter(|seen| seen.0.is_none()).map(|seen| seen.4).collect();
    assert_eq!(unkeyed.len(), 8, "eight records over eight partitions");
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_stream_may_be_rekeyed_twice() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("twice");
    let numbers = app.topic::<String, u64>("numbers");
    let sums = app.table::<u64, u64>("sums");
    let by_tens = numbers
        .group_by(|number| format!("half-{}", number / 50))
        .filter(|number| number % 2 == 0)
        .group_by(|number| number / 10);
    app.agent("sum", by_tens).with(sums).each(async |sums, number| {
        sums.update(number / 10, |sum| *sum += number);
        Ok(())
    });
    let mut running = start(app, scene.config().workers(2)).await?;
    for number in 0..100 {
        running.open(numbers).send(&number.to_string(), &number).await?;
    }
    drain(&mut running).await?;
    let rows: HashMap<u64, u64> = running.open(sums.view()).iter().await?.into_iter().collect();
    for tens in 0..10 {
        assert_eq!(rows[&tens], (0..100).filter(|number| number / 10 == tens && number % 2 == 0).sum::<u64>());
    }
    assert_eq!(scene.records("twice-sum-before-repartition").await.len(), 100);
    assert_eq!(scene.records("twice-sum-repartition").await.len(), 50);
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn agents_share_the_topic_of_a_named_stream() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("shared");
    let numbers = app.topic::<String, u64>("numbers");
    let by_number = numbers.group_by(|number| number % 10).named("by-number");
    let (sums, counts) = (app.table::<u64, u64>("sums"), app.table::<u64, u64>("counts"));
    app.agent("sum", by_number.clone()).with(sums).each(async |sums, number| {
        sums.update(number % 10, |sum| *sum += number);
        Ok(())
    });
    app.agent("count", by_number).with(counts).each(async |counts, number| {
        counts.update(number % 10, |count| *count += 1);
        Ok(())
    });
    let mut running = scene.start(app).await?;
    for number in 0..60 {
        running.open(numbers).send(&number.to_string(), &number).await?;
    }
    drain(&mut running).await?;
    assert_eq!(scene.records("shared-by-number-repartition").await.len(), 60, "each record once, for both");
    for (key, count) in running.open(counts.view()).iter().await? {
        assert_eq!(count, 6);
        let sum = running.open(sums.view()).get(key).await?;
        assert_eq!(sum, Some((0..60).filter(|number| number % 10 == key).sum()));
    }
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn the_declared_retention_of_a_topic_reaches_the_broker() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("kept");
    let day = Duration::from_secs(24 * 60 * 60);
    app.topic::<String, u64>("all").partitions(3);
    app.topic::<String, u64>("day").retention(day);
    app.topic::<String, u64>("last").compacted();
    app.topic::<String, u64>("both").compacted().retention(day);
    app.table::<String, u64>("rows");
    let running = scene.start(app).await?;
    for (topic, partitions, cleanup) in [
        ("all", 3, Cleanup::Delete { retention: None }),
        ("day", 8, Cleanup::Delete { retention: Some(day) }),
        ("last", 8, Cleanup::Compact),
        ("both", 8, Cleanup::CompactDelete { retention: day }),
        ("kept-rows-changelog", 8, Cleanup::Compact),
    ] {
        let found = scene.broker.topic(topic).await?.unwrap();
        assert_eq!((found.partitions, found.cleanup), (partitions, cleanup), "{topic}");
    }
    stop(running).await?;
    Ok(())
}
