//! Rule 3: offsets, changelogs and outputs are committed together, so a crash repeats nothing and
//! loses nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use marlowe::clock::{Entropy, SeededEntropy};
use marlowe::{App, GlobalTable, Running, Table, Topic};
use parking_lot::Mutex;

use crate::scene::{Scene, TestResult, drain, pause_by_chance, start, stop, within};
use crate::stage::CRASHES;

#[derive(Clone, Copy)]
struct Places {
    numbers: Topic<String, u64>,
    sums: Table<String, u64>,
    totals: GlobalTable<String, u64>,
}

fn program() -> (App, Places) {
    let mut app = App::new("exact");
    app.partitions(4);
    let numbers = app.topic::<String, u64>("numbers");
    let outputs = app.topic::<String, u64>("outputs");
    let slow = app.topic::<String, u64>("slow");
    let sums = app.table::<String, u64>("sums");
    let totals = app.global_table::<String, u64>("totals").merge(|total, more| *total += more);
    app.agent("sum", numbers.group_by(|number| format!("group-{}", number % 13)))
        .with((sums, totals, slow))
        .each(async |(sums, totals, slow), number| {
            sums.update(format!("group-{}", number % 13), |sum| *sum += number);
            totals.send("all", 1);
            slow.send(&format!("slow-{}", number % 7), &number);
            Ok(number)
        })
        .sink(outputs);
    app.agent("slow", slow).with(totals).concurrency(4).each(async |totals, number| {
        tokio::task::yield_now().await;
        totals.send("slow", number);
        Ok(())
    });
    (app, Places { numbers, sums, totals })
}

async fn check(scene: &Scene, running: &Running, places: Places, count: u64) -> TestResult {
    for (key, sum) in running.open(places.sums.view()).iter().await? {
        let group: u64 = key["group-".len()..].parse()?;
        assert_eq!(sum, (0..count).filter(|number| number % 13 == group).sum::<u64>(), "{key}");
    }
    let totals = running.open(places.totals);
    assert_eq!((totals.get("all"), totals.get("slow")), (Some(count), Some((0..count).sum())));
    let mut outputs = HashMap::<String, u32>::new();
    for output in scene.values("outputs").await {
        *outputs.entry(output).or_default() += 1;
    }
    assert_eq!(outputs.len() as u64, count);
    assert!(outputs.values().all(|times| *times == 1), "an output was repeated");
    Ok(())
}

#[tokio::test]
async fn random_crashes_leave_counts_exact_and_outputs_once() -> TestResult {
    let seed = marlowe_broker::SystemEntropy.next();
    println!("seed {seed}");
    let chance = SeededEntropy::new(seed);
    let scene = Scene::new().await;
    let config = scene.config_for_crashes().commit_interval(Duration::from_millis(7));
    let mut sent = 0;
    for _ in 0..CRASHES {
        let (app, places) = program();
        let running = app.start(config.clone()).await?;
        let to = running.open(places.numbers);
        for _ in 0..chance.next() % 200 {
            to.send(&sent.to_string(), &sent).await?;
            sent += 1;
        }
        pause_by_chance(&chance).await;
        drop(running);
    }
    let (app, places) = program();
    let mut running = start(app, config).await?;
    drain(&mut running).await?;
    check(&scene, &running, places, sent).await?;
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn one_of_two_workers_crashing_leaves_counts_exact() -> TestResult {
    let scene = Scene::new().await;
    let (app, places) = program();
    let mut stays = start(app, scene.config_for_crashes()).await?;
    let to = stays.open(places.numbers);
    let mut sent = 0;
    for _ in 0..3 {
        let (app, _) = program();
        let crashes = start(app, scene.config_for_crashes()).await?;
        for _ in 0..300 {
            to.send(&sent.to_string(), &sent).await?;
            sent += 1;
        }
        drop(crashes);
    }
    drain(&mut stays).await?;
    check(&scene, &stays, places, sent).await?;
    stop(stays).await?;
    Ok(())
}

#[tokio::test]
async fn work_that_a_crash_interrupted_is_never_seen() -> TestResult {
    let scene = Scene::new().await;
    let config = scene.config_for_crashes().fixed_commit_interval(Duration::from_secs(3600));
    let build = || {
        let mut app = App::new("interrupted");
        let numbers = app.topic::<String, u64>("numbers").partitions(1);
        let outputs = app.topic::<String, u64>("outputs");
        let sums = app.table::<String, u64>("sums");
        let handled = Arc::new(tokio::sync::Semaphore::new(0));
        let done = handled.clone();
        app.agent("sum", numbers).with((sums, outputs)).each(async move |(sums, outputs), number| {
            sums.update("sum", |sum| *sum += number);
            outputs.send(&"k".to_owned(), &number);
            done.add_permits(1);
            Ok(())
        });
        (app, numbers, sums, handled)
    };
    let (app, numbers, _, handled) = build();
    let running = start(app, config).await?;
    let to = running.open(numbers);
    for number in 1..=10 {
        to.send(&"k".to_owned(), &number).await?;
    }
    within(handled.acquire_many(10)).await?.forget();
    drop(running);
    assert!(scene.records("outputs").await.is_empty());
    assert!(scene.records("interrupted-sums-changelog").await.is_empty());
    let (app, _, sums, _) = build();
    let mut running = start(app, scene.config()).await?;
    drain(&mut running).await?;
    assert_eq!(running.open(sums.view()).get("sum").await?, Some(55));
    assert_eq!(scene.values("outputs").await.len(), 10);
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_restart_goes_on_with_the_first_unfinished_event() -> TestResult {
    let scene = Scene::new().await;
    let handled = Arc::new(Mutex::new(Vec::new()));
    let build = || {
        let mut app = App::new("restarted");
        let numbers = app.topic::<String, u64>("numbers").partitions(1);
        let noted = handled.clone();
        app.agent("note", numbers).each(async move |(), number| {
            noted.lock().push(number);
            Ok(())
        });
        (app, numbers)
    };
    let mut next = 0;
    for crashes in [false, true, true, false] {
        let (app, numbers) = build();
        let mut running = start(app, scene.config_for_crashes()).await?;
        for _ in 0..next % 3 + 1 {
            running.open(numbers).send(&"k".to_owned(), &next).await?;
            next += 1;
        }
        drain(&mut running).await?;
        if crashes {
            drop(running);
        } else {
            stop(running).await?;
        }
    }
    assert_eq!(*handled.lock(), (0..next).collect::<Vec<_>>());
    Ok(())
}
