//! Tests of what a worker says before it is ready.

use std::sync::Arc;

use marlowe::Config;
use marlowe::embedded::{EmbeddedBroker, EmbeddedConfig};

use crate::common::TestResult;
use crate::common::address::any_port;
use crate::common::client::Client;
use crate::common::wait::{eventually, pause};
use crate::held::Held;
use crate::program::program;

/// Returns a broker that makes a worker wait when it joins and when it looks up its committed
/// positions, until the test lets it go on.
fn waiting() -> Arc<Held> {
    let held = Held::over(Arc::new(EmbeddedBroker::in_memory(EmbeddedConfig::default())));
    held.joins.send_replace(true);
    held.positions.send_replace(true);
    held
}

async fn until_state(client: &Client, state: &str) {
    eventually(&format!("it is {state}"), async || client.get("/readyz").json()["state"] == state).await;
}

#[tokio::test]
async fn a_worker_listens_at_once_and_says_what_it_waits_for() -> TestResult {
    let held = waiting();
    let mut running = program().app.start(Config::default().web(any_port()).broker(held.clone())).await?;
    let client = Client::of(&running);

    let starting = client.get("/readyz");
    assert_eq!(starting.expect(503)["state"], "starting");
    assert_eq!(starting.header("retry-after"), "1");
    client.get("/healthz").expect(200);
    let row = client.get("/tables/pages/x?wait=20");
    assert!(row.error(503).contains("table `pages`, partition"), "{}", row.text);
    assert_eq!(row.header("retry-after"), "1");
    let copy = client.get("/tables/totals/x?wait=20");
    assert!(copy.error(503).contains("the copy on worker"), "{}", copy.text);
    assert!(client.get("/tables/pages?wait=0").error(503).contains("no worker has it open"));
    assert!(client.get("/").text.contains(">starting<"));

    held.joins.send_replace(false);
    until_state(&client, "restoring").await;
    let restoring = client.get("/readyz").expect(503);
    assert!(restoring["restoring"].as_u64().unwrap() > 0, "{restoring}");
    let row = client.get("/tables/pages/x?wait=20");
    assert!(row.error(503).contains("is being restored"), "{}", row.text);
    assert_eq!(row.json()["state"], "restoring");
    assert!(client.get("/metrics").text.contains("marlowe_worker_state{state=\"restoring\"} 1"));
    // A change is taken at once, and applied when the owner of its key is ready.
    let sent = client.post("/tables/pages/early?wait=20", "1").expect(202);

    held.positions.send_replace(false);
    running.ready().await?;
    let ready = client.get("/readyz").expect(200);
    assert_eq!((&ready["state"], &ready["restoring"], &ready["leader"]), (&"ready".into(), &0.into(), &true.into()));
    let row = client.get(&format!("/tables/pages/early?inbox={}&wait=5000", sent["offset"])).expect(200);
    assert_eq!(row["value"], 1);
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_read_waits_for_a_worker_that_is_almost_ready() -> TestResult {
    let held = waiting();
    let mut running = program().app.start(Config::default().web(any_port()).broker(held.clone())).await?;
    let client = Client::of(&running);
    let asked = tokio::task::spawn_blocking(move || {
        (client.get("/tables/pages/x?wait=10000"), client.get("/tables/totals/x?wait=10000"))
    });
    pause(50).await;
    held.joins.send_replace(false);
    held.positions.send_replace(false);
    running.ready().await?;
    let (row, copy) = asked.await?;
    assert_eq!((row.status, copy.status), (404, 404), "{row:?} {copy:?}");
    running.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_worker_that_failed_is_not_healthy() -> TestResult {
    let mut program = program();
    let bad = program.app.topic::<String, u64>("bad");
    program.app.agent("fails", bad).retries(0).each(async |_, _| Err::<(), _>("on purpose".into()));
    let (mut running, clients) = program.start(1).await?;
    running.open(bad).send(&"k".to_owned(), &1).await?;
    running.failed().await;
    until_state(&clients[0], "stopped").await;
    assert!(clients[0].get("/healthz").error(503).contains("has stopped"));
    assert!(clients[0].get("/tables/totals/x?wait=20").error(503).contains("the worker is stopped"));
    drop(running);
    Ok(())
}
