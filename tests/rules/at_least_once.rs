//! Rule 3 without transactions: output may be repeated, but a restored table never runs ahead of the committed input.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use marlowe::{App, Entropy, Partition, SeededEntropy, Table, Topic};
use marlowe_broker::TopicPartition;

use crate::scene::{Scene, TestResult, drain, eventually, pause_by_chance, start, stop};
use crate::stage::CRASHES;
use crate::watched::WatchedBroker;

fn program() -> (App, Topic<String, u64>, Table<String, u64>) {
    let (mut app, numbers, sums) = exact_program();
    app.at_least_once();
    (app, numbers, sums)
}

/// The same, exactly once.
fn exact_program() -> (App, Topic<String, u64>, Table<String, u64>) {
    let mut app = App::new("least");
    app.partitions(2);
    let numbers = app.topic::<String, u64>("numbers");
    let outputs = app.topic::<String, u64>("outputs");
    let sums = app.table::<String, u64>("sums");
    app.agent("sum", numbers)
        .with(sums)
        .each_event(async |sums, event| {
            sums.update(event.key, |sum| *sum += event.value);
            Ok(event.value)
        })
        .sink(outputs);
    (app, numbers, sums)
}

#[tokio::test]
async fn crashes_at_random_moments_leave_the_table_equal_to_its_input_and_no_output_missing() -> TestResult {
    let seed = marlowe_broker::SystemEntropy.next();
    println!("seed {seed}");
    let chance = SeededEntropy::new(seed);
    let scene = Scene::new().await;
    let config = scene.config_for_crashes().commit_interval(Duration::from_millis(5));
    let mut wanted = HashMap::<String, u64>::new();
    let mut sent = 0;
    for _ in 0..CRASHES {
        let (app, numbers, _) = program();
        let running = app.start(config.clone()).await?;
        let to = running.open(numbers);
        for _ in 0..chance.next() % 200 {
            let key = format!("key-{}", sent % 11);
            to.send(&key, &sent).await?;
            *wanted.entry(key).or_default() += sent;
            sent += 1;
        }
        pause_by_chance(&chance).await;
        drop(running);
    }
    let (app, _, sums) = program();
    let mut running = start(app, config).await?;
    drain(&mut running).await?;
    let sums: HashMap<String, u64> = running.open(sums.view()).iter().await?.into_iter().collect();
    assert_eq!(sums, wanted);
    let mut outputs: Vec<u64> =
        scene.values("outputs").await.iter().map(|value| value.parse()).collect::<Result<_, _>>()?;
    outputs.sort();
    outputs.dedup();
    assert_eq!(outputs, (0..sent).collect::<Vec<u64>>());
    stop(running).await?;
    Ok(())
}

/// The changelog and the output are flushed, and the worker crashes before its positions are committed. What is restored is what
/// the committed input comes to, and not one event more.
#[tokio::test]
async fn a_crash_between_the_flush_and_the_commit_of_the_positions_leaves_what_the_committed_input_comes_to()
-> TestResult {
    let scene = Scene::new().await;
    let broker = WatchedBroker::new(&scene.broker);
    let (app, numbers, _) = program();
    let mut running = start(app, scene.config_for_crashes().broker(Arc::new(broker.clone()))).await?;
    let to = running.open(numbers);
    for number in 1..=10 {
        to.send(&"ada".to_owned(), &number).await?;
    }
    drain(&mut running).await?;
    broker.positions.close();
    for number in 11..=20 {
        to.send(&"ada".to_owned(), &number).await?;
    }
    let flushed = async || {
        let records = scene.records("least-sums-changelog").await;
        let last = records.last().and_then(|record| record.value.clone()).unwrap_or_default();
        last.parse::<u64>().unwrap() > 55
    };
    eventually("the changelog runs ahead", flushed).await;
    drop(running);

    let (mut app, gate) = (App::new("least"), Arc::new(tokio::sync::Semaphore::new(0)));
    app.partitions(2).at_least_once();
    let numbers = app.topic::<String, u64>("numbers");
    let sums = app.table::<String, u64>("sums");
    let open = gate.clone();
    app.agent("sum", numbers).with(sums).each_event(async move |sums, event| {
        open.acquire().await?.forget();
        sums.update(event.key, |sum| *sum += event.value);
        Ok(())
    });
    let mut running = start(app, scene.config_for_crashes()).await?;
    let view = running.open(sums.view());
    assert_eq!(view.get("ada").await?, Some((1..=10).sum()), "what is restored");
    gate.add_permits(10);
    drain(&mut running).await?;
    assert_eq!(view.get("ada").await?, Some((1..=20).sum()));
    stop(running).await?;
    Ok(())
}

/// A crash between the flush of a changelog and the commit of the positions leaves records that run ahead. Here they are
/// written by hand.
#[tokio::test]
async fn a_changelog_that_runs_ahead_of_the_committed_input_is_passed_over_and_mended() -> TestResult {
    let scene = Scene::new().await;
    let (app, numbers, sums) = program();
    let mut running = start(app, scene.config()).await?;
    let to = running.open(numbers);
    for number in 1..=4 {
        to.send(&"ada".to_owned(), &number).await?;
    }
    drain(&mut running).await?;
    let read = running.open(sums.view()).read("ada").await?;
    assert_eq!(read.value, Some(10));
    stop(running).await?;

    let home = read.partition.get();
    let place = TopicPartition::new("numbers", Partition::new(home));
    let committed = scene.broker.committed("least", &[place]).await?[0].clone().unwrap().offset.get();
    let changelog = "least-sums-changelog";
    let mut ahead = scene.records(changelog).await.pop().unwrap().header_bytes("stamp").unwrap().to_vec();
    // Small positions have one byte, and it is the last one.
    assert_eq!(ahead.pop().map(u64::from), Some(committed));
    ahead.push(committed as u8 + 1);
    let ahead = [("stamp", ahead.as_slice())];
    // The event that both include is in the topic, but not committed.
    scene.produce("numbers", home, Some(b"ada"), Some(b"5")).await;
    scene.produce_with(changelog, home, Some(b"ada"), Some(b"15"), &ahead).await;
    scene.produce_with(changelog, home, Some(b"new"), Some(b"99"), &ahead).await;

    let (app, numbers, sums) = program();
    let mut running = start(app, scene.config()).await?;
    drain(&mut running).await?;
    let view = running.open(sums.view());
    assert_eq!(view.get("ada").await?, Some(15), "the event is applied once, not on top of itself");
    assert_eq!(view.get("new").await?, None);
    let records = scene.records(changelog).await;
    let last = |key: &str| records.iter().rfind(|record| record.key.as_deref() == Some(key)).unwrap().clone();
    assert_eq!(last("new").value, None, "the log says what the store says: {records:?}");
    assert_eq!(last("ada").value.as_deref(), Some("15"));
    running.open(numbers).send(&"ada".to_owned(), &100).await?;
    drain(&mut running).await?;
    stop(running).await?;

    // By now the input is past what ran ahead: it must not come back.
    let (app, _, sums) = program();
    let mut running = start(app, scene.config()).await?;
    drain(&mut running).await?;
    let view = running.open(sums.view());
    assert_eq!((view.get("ada").await?, view.get("new").await?), (Some(115), None));
    stop(running).await?;
    Ok(())
}

/// Whose table has nothing to read when its epoch begins does not read. What comes into the changelog after it was looked at, and
/// before the epoch, is read all the same.
#[tokio::test]
async fn what_comes_into_a_changelog_just_before_an_epoch_is_read() -> TestResult {
    let scene = Scene::new().await;
    let broker = WatchedBroker::new(&scene.broker);
    broker.positions.close();
    let (mut app, numbers, sums) = program();
    app.partitions(1);
    let mut running = app.start(scene.config().broker(Arc::new(broker.clone()))).await?;
    // It has looked, and is about to note its epoch.
    eventually("a position is to be committed", async || broker.positions.is_waited_at()).await;
    scene.produce("least-sums-changelog", 0, Some(b"ada"), Some(b"7")).await;
    broker.positions.open();
    running.ready().await?;
    assert_eq!(running.open(sums.view()).get("ada").await?, Some(7), "the table has what its changelog has");
    running.open(numbers).send(&"ada".to_owned(), &3).await?;
    drain(&mut running).await?;
    assert_eq!(running.open(sums.view()).get("ada").await?, Some(10));
    stop(running).await?;
    Ok(())
}

/// A worker that was taken for dead may have records on their way, which come into the changelog when another has the shard. Here
/// they are written by hand.
#[tokio::test]
async fn what_an_earlier_owner_writes_too_late_is_passed_over_and_mended() -> TestResult {
    let scene = Scene::new().await;
    let changelog = "least-sums-changelog";
    let last = async |key: &str| {
        let records = scene.records(changelog).await;
        records.iter().rfind(|record| record.key.as_deref() == Some(key)).and_then(|record| record.value.clone())
    };
    let (app, numbers, sums) = program();
    let mut running = start(app, scene.config()).await?;
    for number in 1..=4 {
        running.open(numbers).send(&"ada".to_owned(), &number).await?;
    }
    drain(&mut running).await?;
    let home = running.open(sums.view()).read("ada").await?.partition.get();
    let records = scene.records(changelog).await;
    let early = records.iter().rfind(|record| record.key.as_deref() == Some("ada")).unwrap();
    let early = [("stamp", early.header_bytes("stamp").unwrap())];
    stop(running).await?;

    // The next owner works, and then come the rows of the one before.
    let (app, numbers, sums) = program();
    let mut running = start(app, scene.config()).await?;
    running.open(numbers).send(&"ada".to_owned(), &100).await?;
    drain(&mut running).await?;
    scene.produce_with(changelog, home, Some(b"ada"), Some(b"10"), &early).await;
    scene.produce_with(changelog, home, Some(b"never"), Some(b"7"), &early).await;
    assert_eq!(last("ada").await.as_deref(), Some("10"), "compaction would keep only this");

    // It sees at its next commit that it was not alone, and puts it right.
    running.open(numbers).send(&"ada".to_owned(), &200).await?;
    drain(&mut running).await?;
    eventually("the log says what the table says", async || last("never").await.is_none()).await;
    assert_eq!(last("ada").await.as_deref(), Some("310"));
    assert_eq!(running.open(sums.view()).get("ada").await?, Some(310));

    // Once more, and the owner writes nothing after it.
    scene.produce_with(changelog, home, Some(b"ada"), Some(b"10"), &early).await;
    stop(running).await?;
    let (app, _, sums) = program();
    let mut running = start(app, scene.config()).await?;
    drain(&mut running).await?;
    let view = running.open(sums.view());
    assert_eq!((view.get("ada").await?, view.get("never").await?), (Some(310), None));
    assert_eq!(last("ada").await.as_deref(), Some("310"), "and the log says so");
    stop(running).await?;
    Ok(())
}

/// The next version of a program does not read a topic any more whose events are in its table. Nothing of the table is lost.
#[tokio::test]
async fn a_topic_that_is_read_no_more_leaves_its_rows() -> TestResult {
    let scene = Scene::new().await;
    let (mut app, numbers, sums) = program();
    let others = app.topic::<String, u64>("others");
    app.agent("others", others).with(sums).each_event(async |sums, event| {
        sums.update(event.key, |sum| *sum += event.value);
        Ok(())
    });
    let mut running = start(app, scene.config()).await?;
    for number in 1..=4 {
        running.open(numbers).send(&"ada".to_owned(), &number).await?;
        running.open(others).send(&"ada".to_owned(), &(10 * number)).await?;
    }
    drain(&mut running).await?;
    assert_eq!(running.open(sums.view()).get("ada").await?, Some(110));
    stop(running).await?;

    let (app, _, sums) = program();
    let mut running = start(app, scene.config()).await?;
    drain(&mut running).await?;
    assert_eq!(running.open(sums.view()).get("ada").await?, Some(110));
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_program_that_becomes_exact_and_is_not_again_keeps_its_rows() -> TestResult {
    let scene = Scene::new().await;
    let mut sum = 0;
    for (number, program) in [(1, program as fn() -> _), (2, exact_program), (4, program), (8, exact_program)] {
        let (app, numbers, sums) = program();
        let mut running = start(app, scene.config()).await?;
        running.open(numbers).send(&"\u{1}odd".to_owned(), &number).await?;
        drain(&mut running).await?;
        sum += number;
        assert_eq!(running.open(sums.view()).iter().await?, [("\u{1}odd".to_owned(), sum)]);
        stop(running).await?;
    }
    Ok(())
}
