//! When lanes commit: as soon as they have nothing else to do, and not at all without work.

use std::sync::Arc;
use std::time::Duration;

use marlowe::App;
use tokio::sync::Semaphore;

use crate::common::address::any_port;
use crate::common::client::Client;
use crate::common::metrics::Metrics;
use crate::scene::{GUARANTEES, Scene, TestResult, drain, eventually, key_where, pause, start, stop, within};

/// An interval that no test lives to see the end of.
const NEVER: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn what_an_event_did_is_committed_once_the_lane_is_idle() -> TestResult {
    for guarantee in GUARANTEES {
        let scene = Scene::new().await;
        let mut app = App::new("prompt");
        guarantee(app.partitions(3));
        let words = app.topic::<String, String>("words");
        let counts = app.table::<String, u64>("counts");
        let sent = app.table::<String, u64>("sent").merge(|sum, more| *sum += more);
        let last = app.global_table::<String, u64>("last");
        // A repartition topic, an inbox and a global table: each hop is a commit of its own.
        app.agent("count", words.group_by(|word| word.clone())).with((counts, sent.inbox(), last)).each(
            async |(counts, sent, last), word: String| {
                counts.update(word.clone(), |count| *count += 1);
                sent.send(&*word, 1);
                last.send("last", 7);
                Ok(())
            },
        );
        let running = start(app, scene.config().commit_interval(NEVER)).await?;
        let (counts, sent, last) = running.open((counts.view(), sent.view(), last));
        for round in 1..=3 {
            for word in ["a", "b", "c"] {
                running.open(words).send(&"k".to_owned(), &word.to_owned()).await?;
            }
            for word in ["a", "b", "c"] {
                eventually("its own row is there", async || counts.get(word).await.unwrap() == Some(round)).await;
                eventually("the other row is there", async || sent.get(word).await.unwrap() == Some(round)).await;
            }
            eventually("the copy is there", async || last.get("last") == Some(7)).await;
        }
        stop(running).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_event_that_waits_holds_up_no_commit_of_others() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("held-up");
    let numbers = app.topic::<String, u64>("numbers").partitions(2);
    let last = app.table::<String, u64>("last");
    let (gate, arrived) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (open, came) = (gate.clone(), arrived.clone());
    app.agent("keep", numbers).with(last).each_event(async move |last, event| {
        if event.value == 0 {
            came.add_permits(1);
            open.acquire().await?.forget();
        }
        last.insert(event.key, event.value);
        Ok(())
    });
    let running = start(app, scene.config().lanes(1).commit_interval(NEVER)).await?;
    let (to, view) = running.open((numbers, last.view()));
    let in_partition =
        |wanted| key_where("key", |key| marlowe_broker::Partitioner::default().partition(key, 2).get() == wanted);
    let (slow, quick) = (in_partition(0), in_partition(1));
    to.send(&slow, &0).await?;
    within(arrived.acquire()).await?.forget();
    for number in 1..=5 {
        to.send(&quick, &number).await?;
        eventually("others commit", async || view.get(&quick).await.unwrap() == Some(number)).await;
    }
    assert_eq!(view.get(&slow).await?, None);
    gate.add_permits(1);
    eventually("it commits too", async || view.get(&slow).await.unwrap() == Some(0)).await;
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_worker_without_work_commits_nothing() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("at-rest");
    let numbers = app.topic::<String, u64>("numbers").partitions(4);
    let sums = app.table::<String, u64>("sums");
    app.agent("sum", numbers).with(sums).each_event(async |sums, event| {
        sums.update(event.key, |sum| *sum += event.value);
        Ok(())
    });
    let mut running = start(app, scene.config().web(any_port())).await?;
    for number in 0..20u64 {
        running.open(numbers).send(&format!("key-{number}"), &number).await?;
    }
    drain(&mut running).await?;
    let client = Client::of(&running);
    let commits = async || {
        let page = client.ask_meanwhile("GET", "/metrics", "").await.text;
        Metrics::parse(&page)
    };
    let before = commits().await;
    assert_eq!(before.sum("marlowe_events_committed_total"), 20.0);
    assert!(before.sum("marlowe_commit_seconds_count") >= 1.0);
    assert_eq!(before.sum("marlowe_commit_cost_seconds_count"), before.sum("marlowe_commit_seconds_count"));
    // This is longer than the interval at which lanes look at their shards.
    pause(2500).await;
    assert_eq!(commits().await.sum("marlowe_commit_seconds_count"), before.sum("marlowe_commit_seconds_count"));
    stop(running).await?;
    Ok(())
}
