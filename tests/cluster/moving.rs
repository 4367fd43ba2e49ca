//! While shards move between processes: reads wait and then answer, and none goes back.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use marlowe::{Partition, Position, TableView};

use crate::program::{program, settle};
use crate::scene::{Cluster, TestResult, drain, eventually, pause, start, stop, within};

/// Reads all keys over and over, and checks that neither a partition's position nor a row goes back.
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
async fn processes_join_and_leave_while_others_read_and_nothing_goes_back() -> TestResult {
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
