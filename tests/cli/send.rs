//! Tests of the commands `send` and `table`.

use std::io::{Read, Write};

use marlowe::broker::{Broker, Offset, Partition};
use marlowe::embedded::{EmbeddedBroker, EmbeddedConfig};
use marlowe_broker::{Header, Isolation, TopicPartition};
use serde_json::json;

use crate::common::TestResult;
use crate::program::{Worker, run, succeed};

#[test]
fn a_record_goes_into_a_folder_that_no_worker_has() -> TestResult {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let data = data.to_str().ok_or("a path of text")?;
    let said = succeed(&["send", "words", "ada", "hello", "--data-dir", data]);
    assert!(said.out.starts_with("sent to topic words, partition ") && said.out.ends_with("offset 0\n"), "{said:?}");
    let said = succeed(&["--json", "send", "@count", "ada", "hello", "--data-dir", data]).json();
    assert_eq!((&said["topic"], &said["offset"]), (&json!("words"), &json!(1)));
    succeed(&["send", "orders", "007", r#"{"item":"pen","pieces":3}"#, "--data-dir", data]);

    let worker = Worker::start(&["--data-dir", data]);
    worker.wait_for_row("counts", "hello", &json!(2));
    worker.wait_for_row("stock", "7", &json!(3));
    worker.wait_for_row("total", "words", &json!(2));
    worker.stop();
    Ok(())
}

#[test]
fn a_record_goes_to_the_worker_that_has_the_folder() -> TestResult {
    let folder = tempfile::tempdir()?;
    let data = folder.path().to_str().ok_or("a path of text")?;
    let worker = Worker::start(&["--data-dir", data]);
    succeed(&["send", "words", "hello", "--data-dir", data, "--web", &worker.web()]);
    succeed(&["send", "words", "hello", "--web", &worker.web()]);
    worker.wait_for_row("counts", "hello", &json!(2));
    // Without the worker's address, the error names the process that has the folder.
    run(&["send", "words", "x", "--data-dir", data, "--web", "off"]).fails(1, &["in use", "pid", "--web"]);
    Ok(())
}

#[test]
fn rows_are_shown_one_or_many() {
    let worker = Worker::start(&[]);
    for word in ["cat", "car", "dog", "car"] {
        assert!(worker.post("words", &json!({ "value": word })));
    }
    worker.wait_for_row("total", "words", &json!(4));
    worker.wait_for_row("counts", "car", &json!(2));
    let web = worker.web();
    let one = succeed(&["table", "counts", "car", "--web", &web]).out;
    assert!(one.starts_with("KEY  VALUE  PARTITION\ncar  2"), "{one}");
    let rows = succeed(&["table", "counts", "--json", "--web", &web, "--prefix", "ca"]).json();
    let keys: Vec<_> = rows["rows"].as_array().into_iter().flatten().map(|row| &row["key"]).collect();
    assert_eq!(keys, ["car", "cat"]);
    let page = succeed(&["table", "counts", "--web", &web, "--limit", "1", "--from", "cat"]).out;
    assert!(page.contains("cat") && page.contains("there are more rows: add --from 'dog'"), "{page}");
    // Characters that a terminal would obey are escaped.
    succeed(&["send", "words", "\u{1b}[2Jred\u{9b}", "--web", &web]);
    worker.wait_for_row("counts", "\u{1b}[2Jred\u{9b}", &json!(1));
    let page = succeed(&["table", "counts", "--web", &web]).out;
    assert!(page.contains("\\u{1b}[2Jred\\u{9b}") && !page.contains(['\u{1b}', '\u{9b}']), "{page}");
    let page = succeed(&["table", "counts", "--json", "--web", &web]);
    assert!(!page.out.contains('\u{9b}') && page.json()["rows"][0]["key"] == "\u{1b}[2Jred\u{9b}", "{page:?}");
    run(&["table", "counts", "cow", "--web", &web]).fails(1, &["`counts`", "no row \"cow\""]);
    run(&["table", "stock", "cow", "--web", &web]).fails(1, &["`stock`", "u64"]);
}

#[test]
fn a_record_that_its_topic_does_not_take_is_not_sent() -> TestResult {
    let folder = tempfile::tempdir()?;
    let data = folder.path().to_str().ok_or("a path of text")?;
    let send = |words: &[&str]| run(&[&["send", "--data-dir", data], words].concat());
    send(&["orders", "1", "{}"]).fails(2, &["`orders`", "value", "Order", "item"]);
    send(&["orders", "1", "{bad"]).fails(2, &["`orders`", "not JSON", "{bad"]);
    send(&["orders", "one", r#"{"item":"pen","pieces":3}"#]).fails(2, &["`orders`", "key", "u64", "one"]);
    send(&["orders", r#"{"item":"pen","pieces":3}"#]).fails(2, &["`orders`", "no key"]);
    send(&["words", "1", "2", "3"]).fails(2, &["Usage"]);

    // A worker also refuses such records over HTTP.
    let worker = Worker::start(&[]);
    assert!(!worker.post("orders", &json!({ "key": "1", "value": {} })));
    assert!(!worker.post("orders", &json!({ "key": "1", "valeu": 1, "value": {"item": "pen", "pieces": 3} })));
    assert!(!worker.post("nothing", &json!({ "value": 1 })));
    Ok(())
}

#[test]
fn an_address_without_a_worker_of_this_app_is_an_error() -> TestResult {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let other = std::thread::spawn(move || -> std::io::Result<()> {
        for body in [r#"{"app":"other"}"#, "<html>"] {
            let (mut stream, _) = listener.accept()?;
            let _ = stream.read(&mut [0; 4096])?;
            let length = body.len();
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")?;
        }
        Ok(())
    });
    run(&["table", "counts", "--web", &address]).fails(1, &["runs app `other`, not `cli-demo`", &address]);
    run(&["table", "counts", "--web", &address]).fails(1, &["not a Marlowe worker", &address]);
    other.join().map_err(|_| "the other one panicked")??;
    run(&["table", "counts", "--web", &address]).fails(1, &["no worker answers", &address, "--web"]);
    run(&["send", "words", "x", "--web", &address]).fails(1, &["no worker answers", &address, "--data-dir"]);
    run(&["table", "counts", "--web", "off"]).fails(1, &["--web"]);
    Ok(())
}

#[tokio::test]
async fn n1_6_a_tombstone_a_timestamp_headers_and_a_partition() -> TestResult {
    let folder = tempfile::tempdir()?;
    let data = folder.path().to_str().ok_or("a path of text")?;
    let send = |words: &[&str]| run(&[&["send", "--data-dir", data], words].concat());
    let all =
        ["--partition", "1", "--timestamp", "5000", "--header", "a=b=c", "--header", "null", "--header", "empty="];
    let said =
        succeed(&[&["--json", "send", "--data-dir", data, "words", "ada", "--tombstone"], &all[..]].concat()).json();
    assert_eq!((&said["topic"], &said["partition"], &said["offset"]), (&json!("words"), &json!(1), &json!(0)));
    send(&["words", "ada", "hello", "--tombstone"]).fails(2, &["--tombstone", "[KEY]"]);
    send(&["words"]).fails(2, &["VALUE"]);
    send(&["words", "hello", "--partition", "99"]).fails(2, &["`words`", "no partition 99"]);

    let broker = EmbeddedBroker::open(&folder.path().join("broker"), EmbeddedConfig::default())?;
    let mut reader = broker.reader(Isolation::ReadCommitted)?;
    reader.assign(&TopicPartition::new("words", Partition::new(1)), Offset::ZERO)?;
    let batch = reader.poll().await?.remove(0).batch;
    let record = batch.get(0);
    assert_eq!((batch.len(), record.key, record.value), (1, Some(b"ada".as_slice()), None));
    assert_eq!(record.timestamp.millis(), 5_000);
    let headers = [Header::new("a", b"b=c"), Header::new("empty", b""), Header { name: "null", value: None }];
    assert_eq!(batch.headers(0), headers);
    Ok(())
}
