//! Tests of standbys: other workers follow a shard's changelogs, take the shard over without
//! reading them all, and answer reads meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use marlowe::{App, Config, Running};

use crate::common::client::Client;
use crate::common::metrics::Metrics;
use crate::program::{PARTITIONS, crash_an_owner, owners, program, settle};
use crate::scene::{Cluster, TestResult, drain, eventually, pause, start, stop, within};

fn config(cluster: &Cluster) -> Config {
    cluster.calm().standby_replicas(1)
}

/// Returns the sum of the samples of `/metrics` whose names begin with `prefix`.
fn metric(client: &Client, prefix: &str) -> f64 {
    Metrics::of(client).sum(prefix)
}

/// Returns the number of shards that a process has.
fn shards(client: &Client) -> u64 {
    client.get("/readyz").json()["shards"].as_u64().unwrap()
}

/// Waits until there are `groups` × [`PARTITIONS`] standby shards, and each of them is at the end
/// of its log. `groups` is the number of groups of tables, times the standbys of each shard.
async fn stood_by_for(processes: &[Running], groups: usize) {
    eventually("every shard has a standby that is at the end of its log", async || {
        let mut followed = 0;
        for client in processes.iter().map(Client::of) {
            let metrics = Metrics::of(&client);
            let lags = metrics.all("marlowe_standby_lag_records{");
            let fresh = metrics.all("marlowe_standby_stale_seconds{").len();
            if fresh < lags.len() || lags.iter().any(|lag| *lag != 0.0) {
                return false;
            }
            followed += lags.len();
        }
        followed == groups * PARTITIONS as usize
    })
    .await;
}

async fn processes(cluster: &Cluster, number: usize, name: &str, config: Config) -> Vec<Running> {
    cluster.processes(number, name, config).await
}

async fn fill(running: &mut Running, name: &str, rows: u64) -> TestResult {
    let squares = running.open(program(name).squares.inbox());
    let sends: Vec<_> = (0..rows).map(|number| squares.send(number, number * number)).collect();
    futures_util::future::try_join_all(sends).await?;
    drain(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_standby_takes_over_a_dead_owners_shard_from_its_tail() -> TestResult {
    let cluster = Cluster::new().await;
    let mut config = config(&cluster);
    config.session_timeout = Duration::from_secs(2);
    let mut processes = processes(&cluster, 2, "takeover", config).await;
    fill(&mut processes[0], "takeover", 3000).await?;
    // There are three groups: `pages` with `here`, `squares`, and `totals`.
    stood_by_for(&processes, 3).await;
    let restored = processes[0].restored();
    let dying = shards(&Client::of(&processes[1]));
    assert!(dying >= 8, "it has its part of 18 shards and the leader's anchor: {dying}");
    drop(processes.pop());
    let survivor = Client::of(&processes[0]);
    let own = format!("http://{}", processes[0].web_addresses()[0]);
    eventually("it has all", async || owners(&survivor).into_iter().eq([own.clone()])).await;
    let view = processes[0].open(program("takeover").squares.view());
    assert_eq!(view.len().await?, 3000);
    for number in [0, 7, 1234, 2999u64] {
        assert_eq!(view.get(number).await?, Some(number * number));
    }
    let read = processes[0].restored() - restored;
    assert!(read < 100, "{read} records were read, of about 3000 in what it took over");
    assert_eq!(metric(&survivor, "marlowe_promotion_records_total"), read as f64);
    eventually("the takeovers after the death are counted", async || {
        metric(&survivor, "marlowe_shards_taken_total{after=\"death\",had=\"standby\"}") == dying as f64
    })
    .await;
    // The survivor goes on from there.
    fill(&mut processes[0], "takeover", 10).await?;
    stop(processes.pop().unwrap()).await?;
    Ok(())
}

#[tokio::test]
async fn a_shard_that_leaves_is_followed_in_place_and_comes_back() -> TestResult {
    let cluster = Cluster::new().await;
    let mut first = start(program("comes-back").app, config(&cluster)).await?;
    fill(&mut first, "comes-back", 3000).await?;
    let before = first.restored();
    let second = start(program("comes-back").app, config(&cluster)).await?;
    let mut processes = vec![first, second];
    settle(&processes).await;
    stood_by_for(&processes, 3).await;
    let followed = metric(&Client::of(&processes[0]), "marlowe_standby_records_total");
    assert!(followed < 100.0, "{followed} records were read again of what it had when it left");
    fill(&mut processes[0], "comes-back", 100).await?;
    stood_by_for(&processes, 3).await;
    let second = processes.pop().unwrap();
    let restored = processes[0].restored();
    stop(second).await?;
    let survivor = Client::of(&processes[0]);
    let own = format!("http://{}", processes[0].web_addresses()[0]);
    eventually("it has all again", async || owners(&survivor).into_iter().eq([own.clone()])).await;
    assert_eq!(processes[0].open(program("comes-back").squares.view()).len().await?, 3000);
    let read = processes[0].restored() - restored;
    assert!(read < 100, "{read} records were read of what it had followed");
    assert!(restored - before < 100, "what it gave away it did not read again");
    eventually("the takeovers are counted as handed over", async || {
        metric(&survivor, "marlowe_shards_taken_total{after=\"handover\",had=\"standby\"}") > 0.0
    })
    .await;
    assert_eq!(metric(&survivor, "marlowe_shards_taken_total{after=\"death\""), 0.0);
    stop(processes.pop().unwrap()).await?;
    Ok(())
}

#[tokio::test]
async fn each_shard_has_the_wanted_standbys_and_they_are_listed() -> TestResult {
    let cluster = Cluster::new().await;
    let mut processes = processes(&cluster, 3, "told", cluster.calm().standby_replicas(2)).await;
    stood_by_for(&processes, 6).await;
    for client in processes.iter().map(Client::of) {
        // A standby announces itself through the directory, so other processes learn of it a moment
        // later.
        eventually("each shard is told of with its owner and two standbys, three workers", async || {
            let tables = client.get("/tables").expect(200);
            tables[0]["where"].as_array().unwrap().iter().all(|place| {
                let standbys = place["standbys"].as_array().unwrap();
                let all: BTreeSet<&str> =
                    standbys.iter().chain([place]).filter_map(|worker| worker["web"].as_str()).collect();
                all.len() == 3
            })
        })
        .await;
        assert!(client.get("/tables/totals/visits?stale=5").error(400).contains("is global"));
    }
    // A standby that is gone is replaced, as far as there are other workers.
    stop(processes.pop().unwrap()).await?;
    settle(&processes).await;
    stood_by_for(&processes, 3).await;
    for running in processes {
        stop(running).await?;
    }
    Ok(())
}

#[tokio::test]
async fn stale_reads_go_on_without_the_owner_and_say_how_stale() -> TestResult {
    let cluster = Cluster::new().await;
    // With such a long session, nobody takes over the dead process's shards during the test.
    let mut config = config(&cluster);
    config.session_timeout = Duration::from_secs(30);
    // There is only one table, so each of the three processes has a part of it.
    let build = || {
        let mut app = App::new("stale");
        app.partitions(PARTITIONS);
        let squares = app.table::<u64, u64>("squares");
        (app, squares)
    };
    let squares = build().1;
    let mut processes = Vec::new();
    for _ in 0..3 {
        processes.push(start(build().0, config.clone()).await?);
        settle(&processes).await;
    }
    let inbox = processes[0].open(squares.inbox());
    for number in 0..60u64 {
        inbox.send(number, number * number).await?;
    }
    drain(&mut processes[0]).await?;
    stood_by_for(&processes, 1).await;
    // While the owners are there they answer, unless the process that reads has a standby itself.
    for running in &processes {
        let view = running.open(squares.view()).stale_within(Duration::from_secs(20));
        for number in 0..60u64 {
            let read = view.read(number).await?;
            assert_eq!(read.value, Some(number * number));
            assert!(read.stale.is_none_or(|stale| stale < Duration::from_secs(20)));
        }
        let fresh = running.open(squares.view());
        assert!(fresh.read(1).await?.stale.is_none());
    }
    crash_an_owner("squares", &mut processes);
    let view = |running: &Running| running.open(squares.view()).within(Duration::from_millis(500));
    let mut from_standbys = [0, 0];
    let mut refused = 0;
    for (running, count) in processes.iter().zip(&mut from_standbys) {
        let (strict, tolerant) = (view(running), view(running).stale_within(Duration::from_secs(60)));
        for number in 0..20u64 {
            let read = tolerant.read(number).await?;
            assert_eq!(read.value, Some(number * number));
            if read.stale.is_some() && refused < 3 && strict.get(number).await.is_err() {
                refused += 1;
                *count += 1;
            }
        }
        assert_eq!(tolerant.len().await?, 60);
        assert_eq!(tolerant.iter().await?.len(), 60);
    }
    assert!(refused > 0, "some rows were the dead one's");
    let client = Client::of(&processes[0]);
    let stale: Vec<_> =
        (0..60).map(|number| client.get(&format!("/tables/squares/{number}?stale=60000&wait=2000"))).collect();
    assert!(stale.iter().all(|answer| answer.status == 200));
    let told = stale.iter().find(|answer| answer.json()["stale"].is_u64()).expect("some are from standbys");
    assert_eq!(told.header("marlowe-stale"), told.json()["stale"].to_string());
    assert!(stale.iter().any(|answer| answer.json().get("stale").is_none()), "the living owners answer for theirs");
    let page = client.get("/tables/squares?stale=60000&limit=1000&wait=2000");
    assert_eq!(page.expect(200)["rows"].as_array().unwrap().len(), 60);
    assert!(page.json()["positions"].as_array().unwrap().iter().any(|part| part["stale"].is_u64()));
    page.header("marlowe-stale");
    // A standby does not answer if it is staler than the bound. No standby is ever fully up to
    // date, so none answers within a bound of 0.
    let hasty = (0..60).map(|number| client.get(&format!("/tables/squares/{number}?stale=0&wait=50")).status);
    let statuses: BTreeMap<u16, u32> = hasty.fold(BTreeMap::new(), |mut counts, status| {
        *counts.entry(status).or_default() += 1;
        counts
    });
    assert!(statuses.contains_key(&503) && statuses.contains_key(&200), "{statuses:?}");
    drop(processes);
    Ok(())
}

#[tokio::test]
async fn stale_reads_show_all_that_is_older_than_the_bound() -> TestResult {
    let cluster = Cluster::new().await;
    let mut config = config(&cluster);
    config.session_timeout = Duration::from_secs(30);
    let processes = processes(&cluster, 2, "grows", config).await;
    stood_by_for(&processes, 3).await;
    let changes: Vec<_> = processes.iter().map(|running| running.open(program("grows").squares.inbox())).collect();
    // In each process, some rows are its own and some come from its standby of what the other owns.
    // Everything that was committed longer ago than the bound must be in both.
    let bound = Duration::from_millis(1500);
    for round in 1..=5u64 {
        for number in 0..20u64 {
            let sent = changes[0].send(number, round).await?;
            within(processes[1].open(program("grows").squares.view()).wait_for(&sent)).await?;
        }
        pause(bound.as_millis() as u64 + 200).await;
        for running in &processes {
            let view = running.open(program("grows").squares.view()).stale_within(bound);
            for number in 0..20u64 {
                let read = view.read(number).await?;
                assert_eq!(read.value, Some(round), "committed longer ago than the bound: {read:?}");
            }
        }
    }
    for running in processes {
        stop(running).await?;
    }
    Ok(())
}

#[tokio::test]
async fn standbys_keep_stores_and_read_only_the_tail_after_a_restart() -> TestResult {
    let cluster = Cluster::new().await;
    let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
    let begin = async |at: usize| start(program("folders").app, config(&cluster).data_dir(folders[at].path())).await;
    let mut processes = vec![begin(0).await?, begin(1).await?];
    settle(&processes).await;
    fill(&mut processes[0], "folders", 3000).await?;
    stood_by_for(&processes, 3).await;
    for running in processes.drain(..) {
        stop(running).await?;
    }
    processes.extend([begin(0).await?, begin(1).await?]);
    settle(&processes).await;
    stood_by_for(&processes, 3).await;
    let read: u64 = processes.iter().map(Running::restored).sum();
    assert!(read < 200, "{read} records were read by restores, of 3000");
    let followed: f64 =
        processes.iter().map(Client::of).map(|client| metric(&client, "marlowe_standby_records_total")).sum();
    assert!(followed < 200.0, "{followed} records were read by standbys");
    assert_eq!(processes[1].open(program("folders").squares.view()).len().await?, 3000);
    for running in processes {
        stop(running).await?;
    }
    Ok(())
}
