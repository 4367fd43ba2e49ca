//! Tests of reads while shards move between processes: they wait and then answer, and never go
//! back.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use marlowe::broker::Partition;
use marlowe::table::{Position, TableView};

use crate::common::client::Client;
use crate::program::{program, settle};
use crate::scene::{Cluster, TestResult, drain, eventually, pause, start, stop, within};

/// Reads all keys over and over, and asserts that neither a partition's position nor a row goes
/// back.
async fn read_on(view: TableView<String, u64>, keys: u64, done: Arc<AtomicBool>, rounds: Arc<AtomicU64>) {
    let mut positions: HashMap<Partition, Position> = HashMap::new();
    let mut values: HashMap<u64, Option<u64>> = HashMap::new();
    while !done.load(Ordering::Relaxed) {
        for key in 0..keys {
            let read = view.read(format!("page-{key}")).await.unwrap();
            let before = positions.entry(read.partition).or_insert(read.position);
            assert!(read.position >= *before, "partition {}: {before:?}, then {:?}", read.partition, read.position);
            *before = read.position;
            let before = values.entry(key).or_default();
            assert!(read.value >= *before, "page-{key}: {before:?}, then {:?}", read.value);
            *before = read.value;
        }
        rounds.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_never_go_back_while_processes_join_and_leave() -> TestResult {
    const KEYS: u64 = 24;
    let cluster = Cluster::new().await;
    let mut processes = cluster.processes(2, "moving", cluster.calm()).await;
    let program = program("moving");
    let (done, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut readers = Vec::new();
    for running in &processes {
        let view = running.open(program.pages.view()).within(Duration::from_secs(30));
        readers.push(tokio::spawn(read_on(view, KEYS, done.clone(), rounds.clone())));
    }
    let visits = processes[0].open(program.visits);
    let send = async |count: u64| {
        for number in 0..count {
            visits.send(&format!("page-{}", number % KEYS), &1).await.unwrap();
        }
    };
    for _ in 0..3 {
        let before = rounds.load(Ordering::Relaxed);
        let third = start(crate::program::program("moving").app, cluster.calm()).await?;
        send(150).await;
        processes.push(third);
        settle(&processes).await;
        send(150).await;
        stop(processes.pop().unwrap()).await?;
        eventually("they read on", async || rounds.load(Ordering::Relaxed) > before + 4).await;
    }
    drain(&mut processes[0]).await?;
    done.store(true, Ordering::Relaxed);
    for reader in readers {
        within(reader).await?;
    }
    for running in &processes {
        let rows = running.open(program.pages.view()).iter().await?;
        assert_eq!(rows.len() as u64, KEYS);
        assert_eq!(rows.iter().map(|(_, sum)| sum).sum::<u64>(), 900);
    }
    for running in processes {
        stop(running).await?;
    }
    Ok(())
}

/// Asks a process for all rows over HTTP, over and over. Each answer must be at least as new as the
/// one before, or say when to come back.
fn ask_on(client: &Client, keys: u64, done: &AtomicBool, rounds: &AtomicU64) {
    let mut positions: HashMap<u64, u64> = HashMap::new();
    let mut values: HashMap<u64, u64> = HashMap::new();
    while !done.load(Ordering::Relaxed) {
        for key in 0..keys {
            let answer = client.get(&format!("/tables/pages/page-{key}"));
            match answer.status {
                200 => {
                    let row = answer.json();
                    let (partition, at) = (row["partition"].as_u64(), row["position"]["changelog"].as_u64());
                    let (partition, at) = (partition.unwrap(), at.unwrap());
                    let before = positions.insert(partition, at).unwrap_or_default();
                    assert!(at >= before, "partition {partition}: {before}, then {at}");
                    let value = row["value"].as_u64().unwrap();
                    let before = values.insert(key, value).unwrap_or_default();
                    assert!(value >= before, "page-{key}: {before}, then {value}");
                }
                404 => assert!(!values.contains_key(&key), "page-{key} was there: {}", answer.text),
                503 => assert_eq!(answer.header("retry-after"), "1", "{}", answer.text),
                other => panic!("{other}: {}", answer.text),
            }
        }
        rounds.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_over_http_never_go_back_while_shards_move() -> TestResult {
    const KEYS: u64 = 24;
    let cluster = Cluster::new().await;
    let mut processes = cluster.processes(2, "asked-on", cluster.calm()).await;
    let program = program("asked-on");
    let (done, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut asking = Vec::new();
    for client in processes.iter().map(Client::of) {
        let (done, rounds) = (done.clone(), rounds.clone());
        asking.push(tokio::task::spawn_blocking(move || ask_on(&client, KEYS, &done, &rounds)));
    }
    let visits = processes[0].open(program.visits);
    for _ in 0..3 {
        let before = rounds.load(Ordering::Relaxed);
        processes.push(start(crate::program::program("asked-on").app, cluster.calm()).await?);
        for number in 0..150 {
            visits.send(&format!("page-{}", number % KEYS), &1).await?;
        }
        settle(&processes).await;
        stop(processes.pop().unwrap()).await?;
        let asked = async || rounds.load(Ordering::Relaxed) > before + 4 || asking.iter().any(|one| one.is_finished());
        eventually("they are asked on", asked).await;
    }
    drain(&mut processes[0]).await?;
    done.store(true, Ordering::Relaxed);
    for asking in asking {
        within(asking).await?;
    }
    for client in processes.iter().map(Client::of) {
        let value = |key| client.get(&format!("/tables/pages/page-{key}")).expect(200)["value"].as_u64().unwrap();
        assert_eq!((0..KEYS).map(value).sum::<u64>(), 450);
    }
    for running in processes {
        stop(running).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_read_waits_for_an_owner_that_restores_elsewhere() -> TestResult {
    let cluster = Cluster::new().await;
    let mut processes = cluster.processes(2, "restoring", cluster.calm()).await;
    let program = program("restoring");
    let inbox = processes[0].open(program.squares.inbox());
    for number in 0..50u64 {
        inbox.send(number, number).await?;
    }
    drain(&mut processes[0]).await?;
    let view = processes[0].open(program.squares.view());
    let third = start(crate::program::program("restoring").app, cluster.calm()).await?;
    for number in 0..50u64 {
        assert_eq!(within(view.get(number)).await?, Some(number));
    }
    pause(1).await;
    stop(third).await?;
    for number in 0..50u64 {
        assert_eq!(within(view.get(number)).await?, Some(number));
    }
    for running in processes {
        stop(running).await?;
    }
    Ok(())
}
