//! Rule 3 at least once: outputs may be repeated, but a restored table never runs ahead of the
//! committed input.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use marlowe::clock::{Entropy, SeededEntropy};
use marlowe::{App, Table, Topic};

use crate::scene::{Scene, TestResult, drain, eventually, pause_by_chance, start, stop};
use crate::stage::CRASHES;
use crate::watched::WatchedBroker;

fn program() -> (App, Topic<String, u64>, Table<String, u64>) {
    let (mut app, numbers, sums) = exact_program();
    app.at_least_once();
    (app, numbers, sums)
}

/// Declares the program with the default guarantee, exactly once.
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
async fn random_crashes_leave_the_table_exact_and_no_output_missing() -> TestResult {
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

/// Crashes a worker between its outputs and its commit. At that moment, its outputs can be read,
/// but its rows and positions cannot. The restored table holds the result of the committed input
/// and not one event more. Only the outputs may be repeated.
#[tokio::test]
async fn a_crash_between_outputs_and_commit_repeats_only_outputs() -> TestResult {
    let scene = Scene::new().await;
    let broker = WatchedBroker::new(&scene.broker);
    let (app, numbers, _) = program();
    let mut running = start(app, scene.config_for_crashes().broker(Arc::new(broker.clone()))).await?;
    let to = running.open(numbers);
    for number in 1..=10 {
        to.send(&"ada".to_owned(), &number).await?;
    }
    drain(&mut running).await?;
    let rows = scene.values("least-sums-changelog").await;
    broker.outputs.close();
    for number in 11..=20 {
        to.send(&"ada".to_owned(), &number).await?;
    }
    eventually("outputs are there", async || scene.values("outputs").await.len() > 10).await;
    eventually("the commit waits", async || broker.outputs.is_waited_at()).await;
    assert_eq!(scene.values("least-sums-changelog").await, rows);
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

/// Keeps a commit from happening. What an event sends to a topic can be read, except in a topic
/// that is transactional. What it wrote cannot.
#[tokio::test]
async fn records_leave_early_unless_their_topic_is_transactional() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("leaving");
    app.partitions(1).at_least_once();
    let numbers = app.topic::<String, u64>("numbers");
    let early = app.topic::<String, u64>("early");
    let exact = app.topic::<String, u64>("exact").transactional();
    let sums = app.table::<String, u64>("sums");
    app.agent("sum", numbers).with((sums, early, exact)).each_event(async |(sums, early, exact), event| {
        early.send(&event.key, &event.value);
        exact.send(&event.key, &event.value);
        sums.update(event.key, |sum| *sum += event.value);
        Ok(())
    });
    let running = start(app, scene.config().fixed_commit_interval(Duration::from_secs(3600))).await?;
    let (to, view) = running.open((numbers, sums.view()));
    let mut sent = Vec::new();
    for number in 1..=3u64 {
        to.send(&"ada".to_owned(), &number).await?;
        sent.push(number.to_string());
        eventually("the record has left", async || scene.values("early").await == sent).await;
        assert_eq!((scene.values("exact").await.len(), view.get("ada").await?), (0, None));
    }
    stop(running).await?;
    assert_eq!((scene.values("early").await, scene.values("exact").await), (sent.clone(), sent));
    assert_eq!(scene.values("leaving-sums-changelog").await, ["6"]);
    Ok(())
}

/// Runs the next version of the program, which no longer reads a topic whose events are in its
/// table. The table loses nothing.
#[tokio::test]
async fn a_topic_that_is_no_longer_read_leaves_its_rows() -> TestResult {
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
async fn a_program_that_changes_its_guarantee_keeps_its_rows() -> TestResult {
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
