//! Tests of global tables on three processes. Each plays a fault that users of Faust reported, and
//! is named after the report (`rh` is robinhood/faust, `fs` is faust-streaming/faust).

use std::collections::BTreeSet;
use std::time::Duration;

use marlowe::broker::Partition;
use marlowe::table::GlobalClient;
use marlowe::{App, GlobalTable, Running, Topic};

use crate::common::client::Client;
use crate::held::Held;
use crate::scene::{Cluster, TestResult, drain, eventually, pause, start, stop, within};

const PROCESSES: usize = 3;

struct Greetings {
    app: App,
    greetings: Topic<String, u64>,
    greeted: GlobalTable<String, u64>,
}

/// Declares a topic of three partitions and a global table of three partitions. An agent puts the
/// topic's events into the table, under any key.
fn greetings(name: &str) -> Greetings {
    let mut app = App::new(name);
    app.partitions(3);
    let greetings = app.topic::<String, u64>("greetings");
    let greeted = app.global_table::<String, u64>("greeted");
    app.agent("greet", greetings).with(greeted).each_event(async |greeted, event| {
        greeted.send(&event.key, event.value);
        Ok(())
    });
    Greetings { app, greetings, greeted }
}

async fn three(cluster: &Cluster, name: &str) -> Vec<Running> {
    let mut processes = Vec::new();
    for _ in 0..PROCESSES {
        processes.push(start(greetings(name).app, cluster.calm()).await.unwrap());
    }
    processes
}

/// Returns the copy of each process.
fn copies(processes: &[Running], table: GlobalTable<String, u64>) -> Vec<GlobalClient<String, u64>> {
    processes.iter().map(|running| running.open(table)).collect()
}

async fn stop_all(processes: Vec<Running>) -> TestResult {
    for running in processes {
        stop(running).await?;
    }
    Ok(())
}

/// Plays the report "All the keys should get printed in all the workers (3 workers on 3 different
/// machines). Only some keys get printed." The program has three partitions, and an agent that
/// writes its events into the table. Then all of the table is listed in each process.
#[tokio::test]
async fn rh_475_all_keys_are_in_all_of_more_than_two_workers() -> TestResult {
    let cluster = Cluster::new().await;
    let mut processes = three(&cluster, "rh-475").await;
    let Greetings { greetings, greeted, .. } = greetings("rh-475");
    let keys: BTreeSet<String> = (0..90).map(|number| format!("key-{number}")).collect();
    for (number, key) in keys.iter().enumerate() {
        processes[number % PROCESSES].open(greetings).send(key, &7).await?;
    }
    drain(&mut processes[0]).await?;
    for copy in copies(&processes, greeted) {
        // The drain waits only for the copy of its own process. The other copies follow a fetch
        // later.
        eventually("the copy has all keys", async || copy.len().unwrap() == 90).await;
        assert!(copy.iter()?.into_iter().map(|(key, _)| key).eq(keys.iter().cloned()));
    }
    stop_all(processes).await
}

/// Plays the report "Pushing data to the GlobalTable topic doesn't propagate to every worker; at
/// least half of them don't get it." Another producer writes text keys and values. It knows nothing
/// of the program but the topic's name.
#[tokio::test]
async fn rh_541_records_of_another_producer_reach_every_worker() -> TestResult {
    let cluster = Cluster::new().await;
    let processes = three(&cluster, "rh-541").await;
    let greeted = greetings("rh-541").greeted;
    let copies = copies(&processes, greeted);
    for number in 0..60u64 {
        let key = format!("{number}");
        let partition = copies[0].partition_of(&key);
        let sent = cluster.produce("rh-541-greeted-inbox", partition, &key, &number.to_string()).await;
        for (worker, copy) in copies.iter().enumerate() {
            let position = within(copy.wait_for(&sent)).await;
            assert!(position.includes(&sent));
            assert_eq!(copy.get(&key), Some(number), "worker {worker}");
        }
    }
    stop_all(processes).await
}

/// Plays the report "Dropping of messages and/or delay in updating messages". There the first
/// worker has all partitions for a while, and updates that come while the others join are buffered
/// on some workers, or lost. Here updates go on through every rebalance, so few that no buffer
/// fills. The test waits for each update on every worker that is there.
#[tokio::test]
async fn rh_580_no_update_is_lost_or_late_while_workers_come_and_go() -> TestResult {
    let cluster = Cluster::new().await;
    let Greetings { greeted, .. } = greetings("rh-580");
    let mut processes = vec![start(greetings("rh-580").app, cluster.calm()).await?];
    let mut round = 0u64;
    let mut expected = std::collections::BTreeMap::new();
    let mut update = async |processes: &[Running]| -> TestResult {
        for _ in 0..6 {
            round += 1;
            let key = format!("key-{}", round % 9);
            let from = &processes[round as usize % processes.len()];
            let sent = from.open(greeted).send(&key, round).await?;
            expected.insert(key.clone(), round);
            for copy in copies(processes, greeted) {
                within(copy.wait_for(&sent)).await;
                assert_eq!(copy.get(&key), Some(round), "update {round}");
            }
        }
        for copy in copies(processes, greeted) {
            assert!(copy.iter()?.into_iter().eq(expected.clone()));
        }
        Ok(())
    };
    update(&processes).await?;
    for _ in 1..PROCESSES {
        // The test does not wait for this start, so the updates meet the rebalance.
        processes.push(greetings("rh-580").app.start(cluster.calm()).await?);
        update(&processes[..processes.len() - 1]).await?;
        let last = processes.last_mut().ok_or("one was started")?;
        within(last.ready()).await?;
        update(&processes).await?;
    }
    while processes.len() > 1 {
        let leaving = tokio::spawn(processes.remove(0).stop());
        update(&processes).await?;
        within(leaving).await??;
        update(&processes).await?;
    }
    stop_all(processes).await
}

/// Plays the report "The table is supposed to have 300,000 keys. Only 1 of the 3 workers has them.
/// The 2nd has 104,688 and the 3rd 23,583." There is one partition, and more keys than fit into one
/// read, one chunk or one commit.
#[tokio::test]
async fn rh_716_every_worker_has_all_of_300_000_keys() -> TestResult {
    const KEYS: u64 = 300_000;
    let cluster = Cluster::new().await;
    let build = || {
        let mut app = App::new("rh-716");
        app.partitions(1);
        let codes = app.topic::<String, u64>("codes");
        let lookup = app.global_table::<String, u64>("lookup");
        app.agent("load", codes).with(lookup).each_event(async |lookup, event| {
            lookup.send(event.key, event.value);
            Ok(())
        });
        (app, lookup)
    };
    let lookup = build().1;
    let mut processes = Vec::new();
    for _ in 0..PROCESSES - 1 {
        processes.push(start(build().0, cluster.calm()).await?);
    }
    cluster
        .produce_many("codes", Partition::new(0), (0..KEYS).map(|key| (format!("upc-{key}"), key.to_string())))
        .await;
    // Two processes were there from the start, one comes in the middle, and one when all is there.
    processes.push(build().0.start(cluster.calm()).await?);
    within(processes[PROCESSES - 1].ready()).await?;
    drain(&mut processes[0]).await?;
    processes.push(start(build().0, cluster.calm()).await?);
    for (worker, copy) in copies(&processes, lookup).into_iter().enumerate() {
        eventually("the copy has all keys", async || copy.len().unwrap() == KEYS).await;
        for key in [0, 23_583, 104_688, KEYS - 1] {
            assert_eq!(copy.get(format!("upc-{key}")), Some(key), "worker {worker}");
        }
    }
    stop_all(processes).await
}

/// Plays the report "All events that are fetched after the recovery has ended don't get added to
/// the table." A worker restarts, and records of its standby partitions arrive around the moment at
/// which it says that it is ready. What was there before is in the copy when the worker serves, and
/// what comes after follows.
#[tokio::test]
async fn fs_212_updates_around_the_end_of_recovery_are_in_the_table() -> TestResult {
    let cluster = Cluster::new().await;
    let Greetings { greeted, .. } = greetings("fs-212");
    let mut processes = three(&cluster, "fs-212").await;
    let mut total = 0u64;
    for round in 0..5 {
        stop(processes.remove(0)).await?;
        // Updates come while it is away, while it recovers, and after that. None of them may be
        // missing.
        let mut last = Vec::new();
        for _ in 0..100 {
            total += 1;
            last.push(processes[0].open(greeted).send(format!("key-{total}"), total).await?);
        }
        let before = total;
        for sent in &last {
            within(processes[0].open(greeted).wait_for(sent)).await;
        }
        // It recovers slowly, and more updates come meanwhile.
        let slow = Held::over(cluster.broker.clone());
        slow.changelogs.send_replace(true);
        let mut restarted = greetings("fs-212").app.start(cluster.calm().broker(slow.clone())).await?;
        let web = Client::of(&restarted);
        for _ in 0..20 {
            assert_eq!(web.get("/readyz").status, 503, "it is not ready before it has what was there");
            assert!(web.get("/tables/greeted/key-1?wait=0").error(503).contains("not up to date"));
            total += 1;
            processes[0].open(greeted).send(format!("key-{total}"), total).await?;
            pause(10).await;
        }
        slow.changelogs.send_replace(false);
        eventually("it is ready", async || web.get("/readyz").status == 200).await;
        let copy = restarted.open(greeted);
        for key in 1..=before {
            assert_eq!(copy.get(format!("key-{key}")), Some(key), "round {round}, ready without key-{key}");
        }
        within(restarted.ready()).await?;
        for _ in 0..20 {
            total += 1;
            processes[0].open(greeted).send(format!("key-{total}"), total).await?;
        }
        eventually("what came after is there too", async || copy.len().unwrap() == total).await;
        processes.push(restarted);
    }
    for copy in copies(&processes, greeted) {
        eventually("all copies are alike", async || copy.len().unwrap() == total).await;
        assert!(copy.iter()?.iter().all(|(key, value)| *key == format!("key-{value}")));
    }
    // After all have restarted, each copy also has what its own process wrote.
    stop_all(processes).await?;
    let again = three(&cluster, "fs-212").await;
    for copy in copies(&again, greeted) {
        assert_eq!(copy.len()?, total);
    }
    stop_all(again).await
}

/// Plays the report "By pushing a message to one partition, the instance listening to that
/// partition detects the message and updates the GlobalTable, whilst the other instance will not
/// update its version." The test does this for every partition, and looks at every instance.
#[tokio::test]
async fn fs_283_a_message_to_one_partition_updates_every_instance() -> TestResult {
    let cluster = Cluster::new().await;
    let processes = three(&cluster, "fs-283").await;
    let Greetings { greeted, .. } = greetings("fs-283");
    let copies = copies(&processes, greeted);
    for round in 1..=20u64 {
        for partition in 0..3 {
            let value = 10 * round + u64::from(partition);
            // The partition of the event does not matter, because the worker that owns the key in
            // the table writes the row.
            cluster
                .produce("greetings", Partition::new(partition), &format!("from-{partition}"), &value.to_string())
                .await;
            for (worker, copy) in copies.iter().enumerate() {
                let shows = async || copy.get(format!("from-{partition}")) == Some(value);
                eventually(&format!("worker {worker} has {value} of partition {partition}"), shows).await;
            }
        }
    }
    stop_all(processes).await
}

/// Counts events of all workers on shared keys, which all the reports are about. The counts must be
/// exact on each worker, also after a crash.
#[tokio::test]
async fn counts_of_shared_keys_are_exact_on_each_worker() -> TestResult {
    let cluster = Cluster::new().await;
    let build = || {
        let mut app = App::new("exact");
        app.partitions(6);
        let visits = app.topic::<String, u64>("visits");
        let totals = app.global_table::<String, u64>("totals").merge(|total, more| *total += more);
        app.agent("count", visits).with(totals).each_event(async |totals, event| {
            totals.send("all", event.value);
            totals.send(format!("last-digit-{}", event.value % 10), 1);
            Ok(())
        });
        (app, visits, totals)
    };
    let (_, visits, totals) = build();
    let mut config = cluster.config();
    config.session_timeout = Duration::from_secs(2);
    let mut processes = Vec::new();
    for _ in 0..PROCESSES {
        processes.push(start(build().0, config.clone()).await?);
    }
    for number in 0..900u64 {
        processes[0].open(visits).send(&format!("user-{}", number % 50), &number).await?;
        if number == 450 {
            drop(processes.pop());
        }
    }
    processes.push(start(build().0, config).await?);
    drain(&mut processes[0]).await?;
    for running in &processes {
        let copy = running.open(totals);
        eventually("the copy has all", async || copy.get("all") == Some((0..900).sum())).await;
        for digit in 0..10 {
            assert_eq!(copy.get(format!("last-digit-{digit}")), Some(90));
        }
        let view = running.open(totals.view());
        assert_eq!(view.get("all").await?, Some((0..900).sum()));
    }
    for running in processes {
        stop(running).await?;
    }
    Ok(())
}
