//! Tests of the directory: the topic in which each worker announces its address and its shards.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::common::client::Client;
use crate::program::{owners, program, settle};
use crate::scene::{Cluster, TestResult, eventually, start, stop};

/// Returns the latest entry of each worker in the topic.
async fn entries(cluster: &Cluster, app: &str) -> BTreeMap<String, Value> {
    let mut entries = BTreeMap::new();
    for (worker, entry) in cluster.records(&format!("{app}-workers")).await {
        match entry {
            Some(entry) => drop(entries.insert(worker, serde_json::from_str(&entry).unwrap())),
            None => drop(entries.remove(&worker)),
        }
    }
    entries
}

fn claims(entry: &Value) -> usize {
    entry["shards"].as_object().map_or(0, |groups| groups.values().map(|claims| claims.as_array().unwrap().len()).sum())
}

#[tokio::test]
async fn a_worker_announces_its_shards_and_withdraws_when_it_stops() -> TestResult {
    let cluster = Cluster::new().await;
    let mut processes = cluster.processes(2, "entries", cluster.calm()).await;
    // There are three groups of six partitions each: `pages` with `here`, `squares`, and `totals`.
    eventually("each shard is claimed once", async || {
        entries(&cluster, "entries").await.values().map(claims).sum::<usize>() == 18
    })
    .await;
    let said = entries(&cluster, "entries").await;
    assert_eq!(said.len(), 2);
    assert_eq!(said.values().filter(|entry| entry["leads"].is_u64()).count(), 1);
    for running in &processes {
        let worker = Client::of(running).get("/readyz").json()["worker"].as_str().unwrap().to_owned();
        assert_eq!(said[&worker]["url"], format!("http://{}", running.web_addresses()[0]));
    }
    stop(processes.pop().unwrap()).await?;
    assert_eq!(entries(&cluster, "entries").await.len(), 1, "it took its entry back before it ended");
    eventually("the other has all", async || {
        let said = entries(&cluster, "entries").await;
        said.len() == 1 && said.values().map(claims).sum::<usize>() == 18
    })
    .await;
    stop(processes.pop().unwrap()).await?;
    assert!(entries(&cluster, "entries").await.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_crashed_workers_claims_are_superseded_and_then_removed() -> TestResult {
    let cluster = Cluster::new().await;
    let mut processes = cluster.processes(2, "forgotten", cluster.config()).await;
    drop(processes.pop().unwrap());
    let client = Client::of(&processes[0]);
    let own = format!("http://{}", processes[0].web_addresses()[0]);
    eventually("all is with the other", async || owners(&client).into_iter().eq([own.clone()])).await;
    eventually("only one entry is left", async || entries(&cluster, "forgotten").await.len() == 1).await;
    stop(processes.pop().unwrap()).await?;
    Ok(())
}

#[tokio::test]
async fn a_new_process_reads_the_directory_from_its_start() -> TestResult {
    let cluster = Cluster::new().await;
    let first = start(program("late").app, cluster.calm()).await?;
    // The late process owns nothing, because it is asked before the group has given it anything.
    let late = program("late").app.start(cluster.calm()).await?;
    let view = late.open(program("late").squares.view()).within(Duration::from_secs(30));
    for number in 0..40u64 {
        assert_eq!(view.get(number).await?, None);
    }
    stop(late).await?;
    stop(first).await?;
    Ok(())
}

#[tokio::test]
async fn an_entry_of_a_static_name_belongs_to_the_last_process() -> TestResult {
    let cluster = Cluster::new().await;
    let first = start(program("named").app, cluster.calm().instance("one")).await?;
    let second = start(program("named").app, cluster.calm().instance("two")).await?;
    let processes = [first, second];
    settle(&processes).await;
    let [mut first, second] = processes;
    // Another process starts with the name of the first one. When the first process learns this, it
    // ends. It must not remove the entry.
    let successor = start(program("named").app, cluster.calm().instance("one")).await?;
    let error = crate::scene::within(first.failed()).await;
    assert!(error.to_string().contains("one"), "{error}");
    let _ = stop(first).await;
    let url = format!("http://{}", successor.web_addresses()[0]);
    eventually("its entry is the successor's", async || {
        entries(&cluster, "named").await.get("one").is_some_and(|entry| entry["url"] == url)
    })
    .await;
    let view = second.open(program("named").squares.view());
    for number in 0..40u64 {
        assert_eq!(view.get(number).await?, None);
    }
    stop(second).await?;
    stop(successor).await?;
    Ok(())
}
