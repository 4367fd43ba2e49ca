//! Tests of `POST`, `PUT` and `DELETE /tables/{table}/{key}`, and of `POST /topics/{topic}`.

use std::sync::Arc;

use marlowe::{App, Config};
use parking_lot::Mutex;
use serde_json::json;

use crate::common::TestResult;
use crate::common::address::any_port;
use crate::common::client::Client;
use crate::common::worker;
use crate::program::program;

#[tokio::test]
async fn a_change_is_applied_by_the_owner() -> TestResult {
    let (running, clients) = program().start(2).await?;
    for (turn, client) in clients.iter().enumerate() {
        let sent = client.post("/tables/pages/home", "5").expect(202);
        assert_eq!(sent["topic"], "web-test-pages-inbox");
        let row = client.get(&format!("/tables/pages/home?inbox={}&wait=5000", sent["offset"])).expect(200);
        assert_eq!((&row["value"], &row["partition"]), (&json!(5), &sent["partition"]), "worker {turn}");
        // In a table without a merge, a change is the new value.
        let waited = client.post("/tables/pages/home?wait=5000", "7").expect(200);
        assert!(waited["position"]["inbox"].as_u64() > waited["offset"].as_u64(), "{waited}");
        assert_eq!(client.get("/tables/pages/home").expect(200)["value"], 7);
    }
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn with_a_merge_post_adds_put_replaces_and_delete_removes() -> TestResult {
    let (running, clients) = program().start(2).await?;
    let client = &clients[0];
    let total = || client.get("/tables/totals/a");
    for (method, body, expected) in [("POST", "3", 3), ("POST", "4", 7), ("PUT", "100", 100), ("POST", "1", 101)] {
        client.ask(method, "/tables/totals/a?wait=5000", &[], body).expect(200);
        assert_eq!(total().expect(200)["value"], expected, "{method} {body}");
    }
    client.delete("/tables/totals/a?wait=5000").expect(200);
    assert_eq!(total().status, 404);
    // The copy of every worker has the same value.
    let sent = clients[1].put("/tables/totals/a?wait=5000", "9").expect(200);
    for client in &clients {
        let row = client.get(&format!("/tables/totals/a?inbox={}&wait=5000", sent["offset"])).expect(200);
        assert_eq!(row["value"], 9);
    }
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_change_that_does_not_fit_is_refused() -> TestResult {
    let (running, clients) = program().start(1).await?;
    let client = &clients[0];
    let error = client.post("/tables/pages/home", "\"five\"").error(400);
    assert!(error.contains("table `pages`") && error.contains("a u64 in JSON"), "{error}");
    assert!(client.post("/tables/numbers/1", "one").error(400).contains("text is JSON in quotes"));
    assert!(client.put("/tables/pairs/%5B%22a%22,1%5D", "[1,-1]").error(400).contains("Vec<u64>"));
    assert!(client.post("/tables/pages/home", "").error(400).contains("not JSON"));
    assert!(client.post("/tables/numbers/one", "\"1\"").error(400).contains("i32"));
    assert!(client.post("/tables/nope/x", "1").error(404).contains("no table `nope`"));
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    let refused = client.post("/tables/numbers/1", &large);
    assert!(refused.error(413).contains("at most 1048576 bytes"), "{}", refused.text);
    let local = client.post("/tables/here/seen", "1");
    assert!(local.error(405).contains("only be read"), "{}", local.text);
    assert_eq!(local.header("allow"), "GET,HEAD");
    let list = client.post("/tables/pages", "1");
    assert!(list.error(405).contains("/tables/pages does not support POST"), "{}", list.text);
    assert_eq!(list.header("allow"), "GET,HEAD");
    // None of these changes was applied.
    assert_eq!(client.get("/tables/pages").expect(200)["rows"], json!([]));
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_record_is_sent_to_a_topic() -> TestResult {
    let (mut running, clients) = program().start(1).await?;
    let client = &clients[0];
    let sent = client.post("/topics/visits", r#"{"key": "page-0007", "value": 7}"#).expect(200);
    assert_eq!((&sent["topic"], &sent["offset"]), (&json!("visits"), &json!(0)));
    running.drain().await?;
    assert_eq!(client.get("/tables/pages/page-0007").expect(200)["value"], 7);
    assert!(client.post("/topics/nope", "{}").error(404).contains("its topics: `visits`"));
    assert!(client.post("/topics/visits", "7").error(400).contains("the body is not a record"));
    assert!(client.post("/topics/visits", r#"{"key": "k", "value": "seven"}"#).error(400).contains("u64"));
    let large = format!(r#"{{"value": "{}"}}"#, "x".repeat(1 << 20));
    assert!(client.post("/topics/visits", &large).error(413).contains("at most 1048576 bytes"));
    assert!(client.get("/topics/visits").error(405).contains("does not support GET"));
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn another_sites_page_cannot_change_a_table() -> TestResult {
    let (running, clients) = program().start(1).await?;
    let client = &clients[0];
    let own = format!("http://{}", running.web_addresses()[0]);
    let change = |origin: &str| client.ask("POST", "/tables/pages/home?wait=5000", &[("origin", origin)], "1");
    assert!(change("http://elsewhere.example").error(403).contains("another site"));
    assert!(change("null").error(403).contains("another site"));
    change(&own).expect(200);
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn n1_6_a_web_record_may_have_no_value_and_name_its_partition() -> TestResult {
    let mut app = App::new("web-records");
    let gone = app.topic::<String, Option<u64>>("gone").partitions(4);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    app.agent("note", gone).each_event(async move |(), event| {
        noted.lock().push((event.value, event.partition.get(), event.timestamp.millis(), event.headers));
        Ok(())
    });
    let mut running = worker::start(app, Config::default().web(any_port())).await?;
    let client = Client::of(&running);
    let body = r#"{"key":"k","tombstone":true,"partition":2,"timestamp":7,"headers":{"a":"b","c":null}}"#;
    assert_eq!(client.post("/topics/gone", body).expect(200)["partition"], 2);
    client.post("/topics/gone", r#"{"key":"k","value":null,"timestamp":8,"partition":2}"#).expect(200);
    running.drain().await?;
    let headers = vec![("a".to_owned(), Some(b"b".to_vec())), ("c".to_owned(), None)];
    assert_eq!(*seen.lock(), [(None, 2, 7, headers), (None, 2, 8, Vec::new())]);
    let error = client.post("/topics/gone", r#"{"key":"k"}"#).error(400);
    assert!(error.contains("tombstone"), "{error}");
    client.post("/topics/gone", r#"{"key":"k","value":1,"tombstone":true}"#).error(400);
    let error = client.post("/topics/gone", r#"{"key":"k","value":1,"partition":4}"#).error(400);
    assert!(error.contains("no partition 4"), "{error}");
    running.stop().await?;
    Ok(())
}
