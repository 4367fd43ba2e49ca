//! Tests of the command `reset`.

use marlowe::broker::{Broker, Offset, Partitioner, Timestamp};
use marlowe::embedded::{EmbeddedBroker, EmbeddedConfig};
use marlowe_broker::{Cleanup, NewRecord, TopicConfig, TopicPartition};
use serde_json::json;

use crate::common::TestResult;
use crate::program::{Worker, run, succeed};

#[test]
fn a_reset_says_what_it_would_do_and_does_it_when_told() -> TestResult {
    let folder = tempfile::tempdir()?;
    let data = folder.path().to_str().ok_or("a path of text")?;
    for _ in 0..3 {
        succeed(&["send", "words", "hello", "--data-dir", data]);
    }
    succeed(&["--drain", "--web", "off", "--data-dir", data]);

    let would = succeed(&["reset", "--data-dir", data]).out;
    for words in ["would delete", "cli-demo-counts-changelog", "tables-0", "would keep", "words", "--yes"] {
        assert!(would.contains(words), "{words}: {would}");
    }
    let plan = succeed(&["reset", "--json", "--data-dir", data]).json();
    assert_eq!(plan["done"], false);
    assert_eq!(plan["kept"], json!(["words", "orders", "numbers", "cli-demo-feed-source"]));
    assert!(folder.path().join("tables-0").is_dir(), "nothing is deleted yet");

    let done = succeed(&["reset", "--yes", "--json", "--data-dir", data]).json();
    assert_eq!(done["done"], true);
    assert!(!folder.path().join("tables-0").exists());

    // The program's topics are still there. Their records are counted again from the start, each
    // exactly once.
    let worker = Worker::start(&["--data-dir", data]);
    worker.wait_for_row("counts", "hello", &json!(3));
    worker.wait_for_row("total", "words", &json!(3));
    run(&["reset", "--yes", "--data-dir", data]).fails(1, &["in use", "pid"]);
    worker.stop();

    let done = succeed(&["reset", "--yes", "--all-topics", "--json", "--data-dir", data]).json();
    assert_eq!(done["kept"], json!([]));
    let drained = succeed(&["--drain", "--json", "--web", "off", "--data-dir", data]).out;
    assert!(drained.contains("\"events\":0"), "{drained}");
    Ok(())
}

#[test]
fn a_sources_records_and_position_are_kept_or_deleted_together() -> TestResult {
    let folder = tempfile::tempdir()?;
    let data = folder.path().to_str().ok_or("a path of text")?;
    let tallied = |feed: &str| {
        let said = succeed(&["--drain", "--json", "--web", "off", "--data-dir", data, "--feed", feed]);
        let last = said.out.lines().last().unwrap_or_default().to_owned();
        serde_json::from_str::<serde_json::Value>(&last).map(|drained| drained["agents"]["tally"].clone())
    };
    assert_eq!(tallied("50")?, 50);
    succeed(&["reset", "--yes", "--data-dir", data]);
    assert_eq!(tallied("60")?, 60, "50 are read again, and 10 are fed");
    succeed(&["reset", "--yes", "--all-topics", "--data-dir", data]);
    assert_eq!(tallied("30")?, 30);
    Ok(())
}

#[test]
fn a_missing_folder_is_not_created() -> TestResult {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("none");
    let said = succeed(&["reset", "--yes", "--data-dir", data.to_str().ok_or("a path of text")?]);
    assert!(said.out.contains("nothing to reset"), "{said:?}");
    assert!(!data.exists());
    Ok(())
}

#[tokio::test]
async fn after_a_reset_a_take_over_runs_again_and_reads_nothing_twice() -> TestResult {
    let folder = tempfile::tempdir()?;
    let data = folder.path().to_str().ok_or("a path of text")?;
    // The topics are those of a Faust app that has seen the first of two orders.
    let broker = EmbeddedBroker::open(&folder.path().join("broker"), EmbeddedConfig::default())?;
    broker.create_topic(TopicConfig::new("orders", 2)).await?;
    broker.create_topic(TopicConfig::new("old-stock-changelog", 2).cleanup(Cleanup::Compact)).await?;
    let mut producer = broker.producer()?;
    let home = Partitioner::Murmur2.partition(b"7", 2);
    let mut send = |topic: &str, value: &str| {
        let to = producer.destination(&TopicPartition::new(topic, home))?;
        let (key, value) = (Some("7".as_bytes()), Some(value.as_bytes()));
        producer.send(to, NewRecord { timestamp: Timestamp::default(), key, value, headers: &[] })
    };
    send("orders", r#"{"item":"tea","pieces":3}"#)?;
    send("old-stock-changelog", "103")?;
    send("orders", r#"{"item":"tea","pieces":2}"#)?;
    producer.flush().await?;
    broker.commit_offsets("old", None, &[(TopicPartition::new("orders", home), Offset::new(1).into())]).await?;
    drop((producer, broker));

    for _ in 0..2 {
        let worker = Worker::start(&["--take-over", "old", "--data-dir", data]);
        worker.wait_for_row("stock", "7", &json!(105));
        worker.stop();
        let drained = Worker::start(&["--take-over", "old", "--data-dir", data]);
        assert_eq!(drained.row("stock", "7"), Some(json!(105)), "a restart takes nothing");
        drained.stop();
        succeed(&["reset", "--yes", "--take-over", "old", "--data-dir", data]);
    }
    Ok(())
}

#[tokio::test]
async fn n2_8_a_reset_deletes_no_topic_of_another_app() -> TestResult {
    let folder = tempfile::tempdir()?;
    let data = folder.path().to_str().ok_or("a path of text")?;
    // The app `cli` has a table `demo-counts`. Its changelog has the same name as that of the table
    // `counts` of the app `cli-demo`.
    let broker = EmbeddedBroker::open(&folder.path().join("broker"), EmbeddedConfig::default())?;
    let changelog = "cli-demo-counts-changelog";
    for topic in ["cli-topics", changelog] {
        broker.create_topic(TopicConfig::new(topic, 1).cleanup(Cleanup::Compact)).await?;
    }
    let mut producer = broker.producer()?;
    let to = producer.destination(&TopicPartition::new("cli-topics", marlowe::broker::Partition::new(0)))?;
    let owned = json!({ "topics": [changelog] }).to_string();
    let (key, value) = (Some("topics".as_bytes()), Some(owned.as_bytes()));
    producer.send(to, NewRecord { timestamp: Timestamp::default(), key, value, headers: &[] })?;
    producer.flush().await?;
    drop((producer, broker));

    let words = [changelog, "app `cli`", "app `cli-demo`", "rename"];
    run(&["reset", "--yes", "--data-dir", data]).fails(1, &words);
    run(&["reset", "--yes", "--all-topics", "--data-dir", data]).fails(1, &words);
    run(&["--drain", "--web", "off", "--data-dir", data]).fails(1, &words);
    let broker = EmbeddedBroker::open(&folder.path().join("broker"), EmbeddedConfig::default())?;
    assert!(broker.topic(changelog).await?.is_some());
    assert!(broker.topic("cli-demo-words-inbox").await?.is_none(), "nothing is created");
    Ok(())
}
