//! Records without a value, headers without a value, and all else that a record can have: sent,
//! sent on and read.

use std::sync::Arc;

use marlowe::App;
use marlowe::broker::{BrokerError, Partition, Partitioner, Timestamp};
use marlowe::codec::{Bytes, Text};
use marlowe::topic::{ProducerRecord, SendError};
use marlowe_broker::{Cleanup, TopicConfig};
use parking_lot::Mutex;

use crate::scene::{Scene, TestResult, drain, stop};

type Noted<T> = Arc<Mutex<Vec<T>>>;

type Headers = Vec<(String, Option<Vec<u8>>)>;

#[tokio::test]
async fn n1_6_tombstones_are_sent_from_everywhere_and_read_as_none() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("gone");
    app.partitions(1);
    let orders = app.topic::<String, String>("orders");
    let texts = app.topic::<String, Option<String>>("texts").codec(Text);
    let bytes = app.topic::<String, Option<Vec<u8>>>("bytes").codec(Bytes);
    let numbers = app.topic::<String, Option<u64>>("numbers");
    app.agent("send", orders).with((texts, bytes, numbers)).each(async |(texts, bytes, numbers), _| {
        let key = "inside".to_owned();
        texts.send_tombstone(&key);
        texts.send(&key, &None);
        texts.send(&key, &Some("null".to_owned()));
        texts.send(&key, &Some(String::new()));
        bytes.send_tombstone(&key);
        bytes.send(&key, &Some(b"null".to_vec()));
        numbers.send_record(ProducerRecord::tombstone(&key));
        numbers.send(&key, &None);
        numbers.send(&key, &Some(1));
        Ok(())
    });
    app.source("fed", numbers).run(async |numbers| {
        let key = "source".to_owned();
        if numbers.position() == 0 {
            numbers.send_record(ProducerRecord::tombstone(&key).header("from", b"source"), 1).await?;
        }
        Ok(())
    });
    let (seen_texts, seen_bytes): (Noted<Option<String>>, Noted<Option<Vec<u8>>>) = Default::default();
    let seen_numbers: Noted<(String, Option<u64>)> = Noted::default();
    let streamed: Noted<Option<u64>> = Noted::default();
    let noted = seen_texts.clone();
    let by_text = texts.filter(|text| text.as_deref() != Some("")).group_by(|text| text.is_some());
    app.agent("texts", by_text).each_event(async move |(), event| {
        assert_eq!(event.key, event.value.is_some());
        noted.lock().push(event.value);
        Ok(())
    });
    let noted = seen_bytes.clone();
    app.agent("bytes", bytes).each(async move |(), bytes| {
        noted.lock().push(bytes);
        Ok(())
    });
    let noted = seen_numbers.clone();
    app.agent("numbers", numbers).each_event(async move |(), event| {
        noted.lock().push((event.key, event.value));
        Ok(())
    });
    let noted = streamed.clone();
    app.agent("stream", numbers).stream(async move |(), mut numbers| {
        while let Some(number) = numbers.next().await {
            noted.lock().push(number);
        }
        Ok(())
    });
    let mut running = scene.start(app).await?;
    running.open(orders).send(&"k".to_owned(), &"go".to_owned()).await?;
    running.open(texts).send_tombstone(&"outside".to_owned()).await?;
    running.open(numbers).send_tombstone(&"outside".to_owned()).await?;
    drain(&mut running).await?;
    // The order of the senders is not defined.
    let sorted = |mut of: Vec<Option<String>>| {
        of.sort();
        of
    };
    assert_eq!(sorted(seen_texts.lock().clone()), [None, None, None, Some("null".to_owned())]);
    assert_eq!(*seen_bytes.lock(), [None, Some(b"null".to_vec())]);
    let mut numbers = seen_numbers.lock().clone();
    numbers.sort();
    let inside = |number| ("inside".to_owned(), number);
    let wanted =
        [inside(None), inside(None), inside(Some(1)), ("outside".to_owned(), None), ("source".to_owned(), None)];
    assert_eq!(numbers, wanted);
    assert_eq!(streamed.lock().len(), 5);
    // A tombstone stays a tombstone, and JSON's null is a value.
    let of = |topic: &'static str| {
        let scene = &scene;
        async move { scene.records(topic).await.into_iter().filter(|record| record.value.is_none()).count() }
    };
    assert_eq!((of("texts").await, of("bytes").await, of("numbers").await), (3, 1, 3));
    let repartitioned = scene.records("gone-texts-repartition").await;
    assert_eq!(repartitioned.iter().filter(|record| record.value.is_none()).count(), 3);
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn n1_6_a_missing_value_is_neither_text_nor_bytes() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("no-value");
    app.partitions(1);
    let texts = app.topic::<String, String>("texts").codec(Text);
    let bytes = app.topic::<String, Vec<u8>>("bytes").codec(Bytes);
    let numbers = app.topic::<String, u64>("numbers");
    let letters = app.topic::<String, Option<String>>("letters").codec(Text);
    let seen: Noted<String> = Noted::default();
    let noted = seen.clone();
    app.agent("texts", texts).dead_letter(letters).each(async move |(), text| {
        noted.lock().push(text);
        Ok(())
    });
    let noted = seen.clone();
    app.agent("bytes", bytes.group_by(|bytes| bytes.len() as u64)).dead_letter(letters).each(async move |(), bytes| {
        noted.lock().push(String::from_utf8(bytes)?);
        Ok(())
    });
    app.agent("numbers", numbers).dead_letter(letters).each(async |(), _| Ok(()));
    let mut running = scene.start(app).await?;
    for topic in ["texts", "bytes", "numbers"] {
        scene.produce_with(topic, 0, Some(b"k"), None, &[("trace", b"1")]).await;
    }
    running.open(texts).send(&"k".to_owned(), &"null".to_owned()).await?;
    running.open(bytes).send(&"k".to_owned(), &Vec::new()).await?;
    drain(&mut running).await?;
    let mut seen = seen.lock().clone();
    seen.sort();
    assert_eq!(seen, ["", "null"]);
    let letters = scene.records("letters").await;
    assert_eq!(letters.len(), 3);
    for letter in letters {
        assert_eq!((&letter.value, letter.header("trace")), (&None, Some("1")), "a dead letter has no value either");
        let why = letter.header("marlowe-error").unwrap();
        assert!(why.contains("has no value") && why.contains("Option<"), "{why}");
    }
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn n1_6_senders_choose_timestamp_headers_and_partition() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("chosen");
    app.partitions(4);
    let orders = app.topic::<String, u64>("orders");
    let (out, copies) = (app.topic::<String, u64>("out"), app.topic::<String, u64>("copies"));
    fn record<'a>(key: &'a String, value: &'a u64, partition: u32) -> ProducerRecord<'a, String, u64> {
        ProducerRecord::new(key, value)
            .timestamp(Timestamp::from_millis(5_000 + i64::from(partition)))
            .partition(Partition::new(partition))
            .header("trace", b"one")
            .header("trace", b"two")
            .null_header("null")
            .header("empty", b"")
    }
    app.agent("send", orders).with(out).each_event(async |out, order| {
        out.send_record(record(&order.key, &order.value, 3));
        Ok(())
    });
    app.source("feed", out).run(async |out| {
        if out.position() == 0 {
            out.send_record(record(&"k".to_owned(), &7, 1), 1).await?;
        }
        Ok(())
    });
    let seen: Noted<(u64, Headers)> = Noted::default();
    let noted = seen.clone();
    let agent = app.agent("copy", out.group_by(|number| format!("new-{number}")));
    agent
        .each_event(async move |(), event| {
            noted.lock().push((event.value, event.headers));
            Ok(event.value)
        })
        .sink(copies);
    let mut running = scene.start(app).await?;
    running.open(orders).send(&"k".to_owned(), &9).await?;
    running.open(out).send_record(record(&"k".to_owned(), &8, 2)).await?;
    drain(&mut running).await?;
    let headers: Headers = [("trace", Some("one")), ("trace", Some("two")), ("null", None), ("empty", Some(""))]
        .map(|(name, value)| (name.to_owned(), value.map(|value| value.as_bytes().to_vec())))
        .to_vec();
    let records = scene.records("out").await;
    assert_eq!(records.len(), 3);
    for (record, (partition, value)) in records.iter().zip([(1, "7"), (2, "8"), (3, "9")]) {
        assert_eq!((record.partition, record.value.as_deref()), (partition, Some(value)));
        assert_eq!((record.timestamp, &record.headers), (5_000 + i64::from(partition), &headers));
    }
    for topic in ["chosen-copy-repartition", "copies"] {
        let records = scene.records(topic).await;
        assert_eq!(records.len(), 3, "{topic}");
        assert!(records.iter().all(|record| record.headers == headers), "{topic}: {records:?}");
    }
    let mut seen = seen.lock().clone();
    seen.sort();
    assert_eq!(seen, [7, 8, 9].map(|number| (number, headers.clone())));
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn n1_6_a_record_unfit_for_its_topic_is_refused_at_the_send() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("cannot");
    let orders = app.topic::<String, String>("orders").partitions(1);
    let out = app.topic::<Option<String>, u64>("out").partitions(2);
    let last = app.topic::<Option<String>, Option<u64>>("last").partitions(2).compacted();
    let letters = app.topic::<String, String>("letters").partitions(1);
    // This topic exists already, and is compacted whatever the program says.
    let found = app.topic::<Option<String>, u64>("found").partitions(1);
    scene.broker.create_topic(TopicConfig::new("found", 1).cleanup(Cleanup::Compact)).await?;
    app.agent("send", orders).retries(0).with((out, last, found)).dead_letter(letters).each(
        async |(out, last, found), order: String| {
            let key = Some("k".to_owned());
            out.send(&key, &1);
            match order.as_str() {
                "partition" => out.send_record(ProducerRecord::new(&key, &2).partition(Partition::new(2))),
                "keyless" => last.send(&None, &Some(3)),
                "keyless tombstone" => last.send_tombstone(&None),
                "found" => found.send(&None, &1),
                _ => last.send_tombstone(&key),
            }
            Ok(())
        },
    );
    let mut running = scene.start(app).await?;
    for order in ["partition", "keyless", "keyless tombstone", "found", "good"] {
        running.open(orders).send(&"k".to_owned(), &order.to_owned()).await?;
    }
    let (outside, compacted) = (running.open(out), running.open(last));
    let refused = outside.send_record(ProducerRecord::new(&None, &1).partition(Partition::new(9))).await;
    let unknown =
        |error: &BrokerError| matches!(error, BrokerError::UnknownPartition { partition, .. } if partition.get() == 9);
    assert!(matches!(&refused, Err(SendError::Broker { source, .. }) if unknown(source)), "{refused:?}");
    let refused = compacted.send(&None, &Some(1)).await.unwrap_err().to_string();
    assert!(refused.contains("`last`") && refused.contains("compacted"), "{refused}");
    drain(&mut running).await?;
    assert_eq!(scene.values("out").await, ["1"], "of the events that failed nothing is there");
    let kept = scene.records("last").await;
    assert_eq!(
        kept.iter().map(|record| (record.key.as_deref(), record.value.as_deref())).collect::<Vec<_>>(),
        [(Some("k"), None)]
    );
    let letters = scene.records("letters").await;
    let why: Vec<&str> = letters.iter().filter_map(|letter| letter.header("marlowe-error")).collect();
    assert_eq!(why.len(), 4);
    assert!(why[0].contains("no partition 2"), "{why:?}");
    assert!(why[1..].iter().all(|why| why.contains("must have a key")) && why[3].contains("`found`"), "{why:?}");
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn n1_6_a_chosen_partition_does_not_move_a_keys_home() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("home");
    let numbers = app.topic::<String, u64>("numbers").partitions(2);
    let sums = app.table::<String, u64>("sums");
    let letters = app.topic::<String, u64>("letters").partitions(1);
    app.agent("sum", numbers).retries(0).with(sums).dead_letter(letters).each_event(async |sums, event| {
        sums.update(event.key, |sum| *sum += event.value);
        Ok(())
    });
    let mut running = scene.start(app).await?;
    let (key, to) = ("k".to_owned(), running.open(numbers));
    let home = Partitioner::Murmur2.partition(key.as_bytes(), 2);
    to.send_record(ProducerRecord::new(&key, &1).partition(home)).await?;
    to.send_record(ProducerRecord::new(&key, &10).partition(Partition::new(1 - home.get()))).await?;
    drain(&mut running).await?;
    assert_eq!(running.open(sums.view()).iter().await?, [(key, 1)]);
    let letters = scene.records("letters").await;
    assert!(
        letters.len() == 1
            && letters[0].header("marlowe-error").is_some_and(|why| why.contains("belongs to partition"))
    );
    stop(running).await?;
    Ok(())
}
