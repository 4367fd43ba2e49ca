//! Tests of the command `skip`.

use marlowe::broker::{Broker, Timestamp};
use marlowe::embedded::{EmbeddedBroker, EmbeddedConfig};
use marlowe_broker::{NewRecord, TopicPartition};
use serde_json::json;

use crate::common::TestResult;
use crate::program::{Said, Worker, run, succeed};

/// Returns the topic, partition and offset of the event that stopped a worker.
pub(crate) fn stopped_at(said: &Said) -> Result<[String; 3], String> {
    let place = said.err.split(" failed on ").nth(1).and_then(|rest| rest.split(" (tried").next());
    let (topic, rest) = place.and_then(|place| place.split_once('[')).ok_or(format!("it names no event: {said:?}"))?;
    let (partition, offset) = rest.split_once("]@").ok_or(format!("it names no offset: {said:?}"))?;
    Ok([topic, partition, offset].map(str::to_owned))
}

#[test]
fn n2_5_an_event_that_stops_the_program_is_skipped() -> TestResult {
    let folder = tempfile::tempdir()?;
    let data = folder.path().to_str().ok_or("a path of text")?;
    for word in ["hello", "fail", "world"] {
        succeed(&["send", "words", word, "--data-dir", data]);
    }
    let drain = ["--drain", "--web", "off", "--data-dir", data];
    let failed = run(&drain);
    failed.fails(1, &["the word is `fail`", "`skip cli-demo-count-repartition "]);
    let [topic, partition, offset] = stopped_at(&failed)?;
    assert_eq!(topic, "cli-demo-count-repartition");

    // Without `--yes`, the command says what it would do and does nothing.
    let skip = ["skip", &topic, &partition, &offset, "--data-dir", data];
    let would = succeed(&skip).out;
    for words in ["would be skipped", "count", "key fail", "--yes"] {
        assert!(would.contains(words), "{words}: {would}");
    }
    run(&drain).fails(1, &["the word is `fail`"]);

    let plan = succeed(&[&skip[..], &["--yes", "--json"]].concat()).json();
    assert_eq!((&plan["done"], &plan["skips"]), (&json!(true), &json!(["count"])), "{plan}");
    assert_eq!(plan["offset"].to_string(), offset);
    let worker = Worker::start(&["--data-dir", data]);
    worker.wait_for_row("counts", "hello", &json!(1));
    worker.wait_for_row("counts", "world", &json!(1));
    assert_eq!(worker.row("counts", "fail"), None);
    run(&[&skip[..], &["--yes"]].concat()).fails(1, &["in use", "pid"]);
    worker.stop();
    run(&skip).fails(1, &["offset", &offset, "`count`", "handled all"]);
    Ok(())
}

#[test]
fn n2_5_each_agent_of_a_topic_has_its_own_position() -> TestResult {
    let folder = tempfile::tempdir()?;
    let data = folder.path().to_str().ok_or("a path of text")?;
    for pieces in [2, 13, 5] {
        let order = json!({ "item": "tea", "pieces": pieces }).to_string();
        succeed(&["send", "orders", "7", &order, "--data-dir", data]);
    }
    succeed(&["--drain", "--web", "off", "--data-dir", data]);
    // The program gets another agent, which fails on the second order.
    let drain = ["--audit", "--drain", "--web", "off", "--data-dir", data];
    let failed = run(&drain);
    failed.fails(1, &["`audit`", "thirteen"]);
    let [topic, partition, offset] = stopped_at(&failed)?;
    let skip = ["--audit", "skip", &topic, &partition, &offset, "--data-dir", data, "--json"];
    run(&[&skip[..], &["--agent", "order"]].concat()).fails(1, &["`order`", "audit", &offset]);
    run(&[&skip[..], &["--agent", "audti"]].concat()).fails(2, &["audti", "`audit`"]);
    let plan = succeed(&[&skip[..], &["--agent", "audit", "--yes"]].concat()).json();
    assert_eq!(plan["skips"], json!(["audit"]));
    assert_eq!(plan["elsewhere"], json!([{ "agent": "order", "next": null }]));
    succeed(&drain);
    let worker = Worker::start(&["--audit", "--data-dir", data]);
    assert_eq!(worker.row("stock", "7"), Some(json!(20)), "nothing is counted twice");
    let audited = succeed(&["--audit", "table", "audited", "7", "--json", "--web", &worker.web()]).json();
    assert_eq!(audited["value"], 2, "all but the second");
    worker.stop();
    Ok(())
}

#[tokio::test]
async fn n2_5_a_change_that_a_table_cannot_take_is_skipped() -> TestResult {
    let folder = tempfile::tempdir()?;
    let data = folder.path().to_str().ok_or("a path of text")?;
    let drain = ["--drain", "--web", "off", "--data-dir", data];
    succeed(&drain);
    let broker = EmbeddedBroker::open(&folder.path().join("broker"), EmbeddedConfig::default())?;
    let mut producer = broker.producer()?;
    let to = producer.destination(&TopicPartition::new("cli-demo-counts-inbox", marlowe::broker::Partition::new(0)))?;
    let (key, value) = (Some("\"x\"".as_bytes()), Some("no number".as_bytes()));
    producer.send(to, NewRecord { timestamp: Timestamp::default(), key, value, headers: &[] })?;
    producer.flush().await?;
    drop((producer, broker));
    let failed = run(&drain);
    failed.fails(1, &["counts-inbox"]);
    let [topic, partition, offset] = stopped_at(&failed)?;
    succeed(&["skip", &topic, &partition, &offset, "--yes", "--data-dir", data]);
    succeed(&drain);
    Ok(())
}

#[test]
fn n2_5_a_skip_that_is_impossible_says_why() -> TestResult {
    let folder = tempfile::tempdir()?;
    let data = folder.path().to_str().ok_or("a path of text")?;
    run(&["skip", "words", "0", "0"]).fails(2, &["--data-dir"]);
    run(&["skip", "words", "0", "0", "--data-dir", data]).fails(2, &["nothing"]);
    succeed(&["send", "words", "hello", "--data-dir", data]);
    run(&["skip", "words", "0", "7", "--data-dir", data]).fails(1, &["offset 7", "count-repartition"]);
    succeed(&["--drain", "--web", "off", "--data-dir", data]);
    run(&["skip", "wrods", "0", "0", "--data-dir", data]).fails(2, &["`wrods`", "`words`"]);
    run(&["skip", "words", "99", "0", "--data-dir", data]).fails(2, &["partition 99", "words"]);
    run(&["skip", "cli-demo-counts-changelog", "0", "0", "--data-dir", data]).fails(2, &["no agent"]);
    Ok(())
}
