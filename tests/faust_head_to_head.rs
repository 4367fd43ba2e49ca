//! Behaviours that were measured in Faust, each with a test of what Marlowe does instead. Tests of
//! windows come with windows.

mod common;
#[allow(dead_code)]
#[path = "rules/scene.rs"]
mod scene;
#[allow(dead_code)]
#[path = "rules/stage.rs"]
mod stage;
#[allow(dead_code)]
#[path = "rules/watched.rs"]
mod watched;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::address::any_port;
use common::client::Client;
use common::process::Process;
use marlowe::broker::{Partition, Timestamp};
use marlowe::clock::{Entropy, SeededEntropy};
use marlowe::{App, Config};
use marlowe_broker::{Cleanup, NewRecord, SystemEntropy, TopicConfig, TopicPartition};
use rustix::process::Signal;
use scene::{LONGEST, Scene, TestResult, drain, eventually, start, stop, within};
use watched::WatchedBroker;

/// Differs from Faust, which ended with 100 on one worker and 100 on the other.
#[tokio::test]
async fn two_workers_with_100_increments_each_both_have_200() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("increments");
    let clicks = app.topic::<String, u64>("clicks").partitions(2);
    let users = app.global_table::<String, u64>("users").merge(|count, more| *count += more);
    app.agent("count", clicks).with(users).each(async |users, _| {
        users.send("shared", 1);
        Ok(())
    });
    let mut running = start(app, scene.config().workers(2)).await?;
    for _ in 0..100 {
        for partition in 0..2 {
            scene.produce("clicks", partition, None, Some(b"1")).await;
        }
    }
    drain(&mut running).await?;
    for worker in 0..2 {
        assert_eq!(running.open_on(worker, users).get("shared"), Some(200), "worker {worker}");
    }
    stop(running).await?;
    Ok(())
}

/// Differs from Faust, which stayed at 5100 on one worker and 1100 on the other for good.
#[tokio::test]
async fn concurrent_writes_to_one_key_end_equal_everywhere() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("quiesce");
    let users = app.global_table::<String, u64>("users").merge(|count, more| *count += more);
    let names = app.global_table::<String, String>("names");
    let mut running = start(app, scene.config().workers(3)).await?;
    let writers: Vec<_> = (0..3)
        .map(|worker| {
            let (users, names) = (running.open_on(worker, users), running.open_on(worker, names));
            tokio::spawn(async move {
                for round in 0..50 {
                    users.send("shared", [1, 100, 10_000][worker]).await.unwrap();
                    names.replace("shared", format!("{worker} in round {round}")).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        within(writer).await?;
    }
    drain(&mut running).await?;
    let name = running.open(names.view()).get("shared").await?;
    assert!(name.is_some());
    for worker in 0..3 {
        assert_eq!(running.open_on(worker, users).get("shared"), Some(50 * 10_101), "worker {worker}");
        assert_eq!(running.open_on(worker, names).get("shared"), name, "worker {worker}");
    }
    stop(running).await?;
    Ok(())
}

/// Lets agent a add 1 to a key, and agent b read it and add 100, in turn.
async fn two_agents_in_turn(config: Config) -> Result<Option<u64>, Box<dyn std::error::Error>> {
    let mut app = App::new("stores");
    let (ones, hundreds) = (app.topic::<String, u64>("ones"), app.topic::<String, u64>("hundreds"));
    let sums = app.table::<String, u64>("sums");
    for (name, topic) in [("a", ones), ("b", hundreds)] {
        app.agent(name, topic.group_by(|_| "k".to_owned())).with(sums).each(async |sums, number| {
            let before = sums.get("k").unwrap_or(0);
            sums.insert("k", before + number);
            Ok(())
        });
    }
    let mut running = start(app, config).await?;
    for _ in 0..2 {
        // These keys lie in different partitions of the sources.
        running.open(ones).send(&"source-1".to_owned(), &1).await?;
        drain(&mut running).await?;
        running.open(hundreds).send(&"source-3".to_owned(), &100).await?;
        drain(&mut running).await?;
    }
    let sum = running.open(sums.view()).get("k").await?;
    stop(running).await?;
    Ok(sum)
}

/// Differs from Faust, which gave 202 in memory and 200 on disk.
#[tokio::test]
async fn memory_and_disk_stores_give_the_same_result() -> TestResult {
    let folder = tempfile::tempdir()?;
    assert_eq!(two_agents_in_turn(Scene::new().await.config()).await?, Some(202));
    let on_disk = Config::default().without_web().data_dir(folder.path());
    assert_eq!(two_agents_in_turn(on_disk).await?, Some(202));
    Ok(())
}

/// Differs from Faust, which raises `TypeError: Cannot modify table key from outside of stream
/// iteration`.
#[tokio::test]
async fn writes_of_timers_the_web_and_batches_go_to_the_owner() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("eventless");
    let numbers = app.topic::<String, u64>("numbers").partitions(8);
    let rows = app.table::<String, u64>("rows").merge(|row, more| *row += more);
    app.agent("batch", numbers).with(rows).stream(async |rows, mut events| {
        loop {
            let mut events = events.take(10, Duration::from_millis(20)).await;
            events.dedup();
            rows.update("in-a-batch", |row| *row += 1);
        }
    });
    app.timer("tick", Duration::from_secs(3600)).on_leader().with(rows.inbox()).run(async |rows| {
        for number in 0..20 {
            rows.send(format!("by-timer-{number}"), 1).await?;
        }
        Ok(())
    });
    let mut running = start(app, scene.config().workers(2).web(any_port())).await?;
    let home = marlowe::broker::Partitioner::Murmur2.partition(b"in-a-batch", 8).get();
    scene.produce("numbers", home, Some(b"in-a-batch"), Some(b"1")).await;
    for (index, client) in running.web_addresses().into_iter().map(Client::new).enumerate() {
        for number in 0..20 {
            let row = format!("/tables/rows/by-web-{index}-{number}");
            client.ask_meanwhile("POST", &row, "5").await.expect(202);
        }
    }
    drain(&mut running).await?;
    let view = running.open(rows.view());
    assert_eq!(view.get("in-a-batch").await?, Some(1));
    for number in 0..20 {
        assert_eq!(view.get(format!("by-timer-{number}")).await?, Some(1), "{number}");
        for worker in 0..2 {
            assert_eq!(view.get(format!("by-web-{worker}-{number}")).await?, Some(5), "{worker}, {number}");
        }
    }
    stop(running).await?;
    Ok(())
}

/// Differs from Faust, which sends 87 % of such requests to the wrong partition.
#[tokio::test]
async fn an_http_read_of_a_string_key_is_right_from_any_worker() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("routed");
    let words = app.topic::<String, u64>("words").partitions(8);
    let counts = app.table::<String, u64>("counts");
    app.agent("count", words).with(counts).each_event(async |counts, event| {
        counts.update(event.key, |count| *count += event.value);
        Ok(())
    });
    let mut running = start(app, scene.config().workers(3).web(any_port())).await?;
    for number in 0..60 {
        running.open(words).send(&format!("user_{number}"), &number).await?;
    }
    drain(&mut running).await?;
    let addresses = running.web_addresses();
    assert_eq!(addresses.len(), 3);
    for client in addresses.into_iter().map(Client::new) {
        for number in 0..60u64 {
            let row = client.ask_meanwhile("GET", &format!("/tables/counts/user_{number}"), "").await.expect(200);
            assert_eq!((&row["key"], &row["value"]), (&format!("user_{number}").into(), &number.into()), "{row}");
        }
    }
    stop(running).await?;
    Ok(())
}

/// Differs from Faust, which sends all of them.
#[tokio::test]
async fn filter_then_group_by_sends_on_only_kept_records() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("kept");
    let numbers = app.topic::<String, u64>("numbers");
    let sums = app.table::<u64, u64>("sums");
    let odd = numbers.filter(|number| number % 2 == 1).group_by(|number| number % 10);
    app.agent("sum", odd).with(sums).each(async |sums, number| {
        sums.update(number % 10, |sum| *sum += number);
        Ok(())
    });
    let mut running = scene.start(app).await?;
    for number in 0..100 {
        running.open(numbers).send(&number.to_string(), &number).await?;
    }
    drain(&mut running).await?;
    assert_eq!(scene.records("kept-sum-repartition").await.len(), 50);
    assert_eq!(running.open(sums.view()).len().await?, 5);
    stop(running).await?;
    Ok(())
}

/// Differs from Faust, which acknowledges the event and loses it.
#[tokio::test]
async fn an_agent_that_raises_retries_then_follows_its_policy() -> TestResult {
    for policy in ["retry", "stop", "skip", "dead-letter"] {
        let scene = Scene::new().await;
        let mut app = App::new("raises");
        let numbers = app.topic::<String, u64>("numbers").partitions(1);
        let dead = app.topic::<String, u64>("dead");
        let tries = Arc::new(AtomicU64::new(0));
        let counted = tries.clone();
        let agent = app.agent("raise", numbers).retries(2).backoff(Duration::from_millis(2));
        let agent = match policy {
            "skip" => agent.skip(),
            "dead-letter" => agent.dead_letter(dead),
            _ => agent,
        };
        agent.each(async move |(), number| {
            if number == 1 && (counted.fetch_add(1, Ordering::Relaxed) < 2 || policy != "retry") {
                return Err("raised".into());
            }
            Ok(())
        });
        let mut running = scene.start(app).await?;
        for number in 0..3 {
            running.open(numbers).send(&"k".to_owned(), &number).await?;
        }
        if policy == "stop" {
            assert!(within(running.failed()).await.to_string().contains("numbers[0]@1"));
        } else {
            drain(&mut running).await?;
        }
        assert_eq!(tries.load(Ordering::Relaxed), 3, "{policy}");
        assert_eq!(scene.values("dead").await.len(), usize::from(policy == "dead-letter"), "{policy}");
        stop(running).await?;
        let place = [TopicPartition::new("numbers", Partition::new(0))];
        let committed = scene.broker.committed("raises", &place).await?[0].clone().map(|at| at.offset.get());
        assert_eq!(committed, Some(if policy == "stop" { 1 } else { 3 }), "{policy}");
    }
    Ok(())
}

const COUNTED: u64 = 300_000;
const CHILD: &str = "MARLOWE_COUNTS_IN";

/// Counts in a process of its own, which is killed. Its folder is in the environment.
#[tokio::test]
async fn the_process_that_counts() -> TestResult {
    let Some(folder) = std::env::var_os(CHILD) else { return Ok(()) };
    let folder = Path::new(&folder);
    let mut app = App::new("counts");
    app.partitions(4);
    let numbers = app.topic::<String, u64>("numbers");
    let counts = app.table::<u64, u64>("counts");
    let total = app.global_table::<String, u64>("total").merge(|total, more| *total += more);
    app.source("numbers", numbers).run(async |writer| {
        for number in writer.position()..COUNTED {
            let at = Timestamp::from_millis(number as i64);
            writer.send(&format!("key-{}", number % 1000), &number, at, number + 1).await?;
        }
        Ok(())
    });
    app.agent("count", numbers.group_by(|number| number % 100)).with((counts, total)).each(
        async |(counts, total), number| {
            counts.update(number % 100, |count| *count += 1);
            total.send("all", 1);
            Ok(())
        },
    );
    let mut config = Config::default().without_web().data_dir(folder.join("data"));
    config.commit_interval = Duration::from_millis(10);
    let mut running = start(app, config).await?;
    running.drain().await?;
    let counts = running.open(counts.view()).iter().await?;
    let total = running.open(total).get("all");
    stop(running).await?;
    std::fs::write(folder.join("result"), serde_json::to_vec(&(counts, total))?)?;
    Ok(())
}

/// Differs from Faust, which counted 299,356 of 300,000.
#[tokio::test]
async fn kill_9_under_exactly_once_counting_is_exact() -> TestResult {
    let seed = SystemEntropy.next();
    println!("seed {seed}");
    let chance = SeededEntropy::new(seed);
    let folder = tempfile::tempdir()?;
    let child = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "the_process_that_counts"]).env(CHILD, folder.path());
        Process::start(&mut command)
    };
    let mut killed = 0;
    for _ in 0..10 {
        let mut process = child()?;
        if process.ended(Duration::from_millis(50 + chance.next() % 450)).await.is_some() {
            break;
        }
        process.signal(Signal::KILL);
        process.end().await;
        killed += 1;
    }
    assert!(killed > 0, "it was done before the first kill");
    let mut process = child()?;
    let ended = process.ended(LONGEST).await;
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}: {}", process.said());
    let result: (Vec<(u64, u64)>, Option<u64>) = serde_json::from_slice(&std::fs::read(folder.path().join("result"))?)?;
    assert_eq!(result.1, Some(COUNTED));
    assert_eq!(result.0, (0..100).map(|key| (key, COUNTED / 100)).collect::<Vec<_>>());
    Ok(())
}

/// Differs from Faust, where all agents stand still for the whole recovery.
#[tokio::test]
async fn a_stateless_agent_runs_while_a_rebalance_restores_a_table() -> TestResult {
    const ROWS: u64 = 20_000;
    let scene = Scene::new().await;
    let changelog = TopicConfig::new("rebalanced-big-changelog", 2).cleanup(Cleanup::Compact);
    scene.broker.create_topic(changelog).await?;
    let mut producer = scene.broker.producer()?;
    for partition in 0..2 {
        let to = producer.destination(&TopicPartition::new("rebalanced-big-changelog", Partition::new(partition)))?;
        for row in 0..ROWS {
            let (key, value) = (format!("row-{row}"), row.to_string());
            let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
            producer.send(to, NewRecord { timestamp: Timestamp::from_millis(0), key, value, headers: &[] })?;
        }
    }
    producer.flush().await?;
    let handled = Arc::new(AtomicU64::new(0));
    let build = || {
        let mut app = App::new("rebalanced");
        let pings = app.topic::<String, u64>("pings").partitions(1);
        let orders = app.topic::<String, u64>("orders").partitions(2);
        let big = app.table::<String, u64>("big").partition_local();
        app.agent("order", orders).with(big).each(async |big, order| {
            big.insert("order", order);
            Ok(())
        });
        let handled = handled.clone();
        app.agent("ping", pings).each(async move |(), _| {
            handled.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
        (app, pings)
    };
    let mut config = scene.config();
    config.session_timeout = Duration::from_secs(20);
    let (app, pings) = build();
    let first = start(app, config.clone()).await?;
    // The restore waits here until the gate is opened.
    let broker = WatchedBroker::new(&scene.broker).may_hold("rebalanced-big-changelog", 0..2);
    broker.reads.close();
    let (app, _) = build();
    let mut second = app.start(config.broker(Arc::new(broker.clone()))).await?;
    eventually("the second restores", async || broker.reads.is_waited_at()).await;
    for sent in 1..=100 {
        first.open(pings).send(&"k".to_owned(), &sent).await?;
        eventually("the ping is handled", async || handled.load(Ordering::Relaxed) == sent).await;
    }
    broker.reads.open();
    within(second.ready()).await?;
    stop(second).await?;
    stop(first).await?;
    Ok(())
}
