//! Fair turns: timers and agents that share tables take turns, and those that share none do not
//! wait for each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use marlowe::App;
use tokio::sync::Notify;

use crate::scene::{Scene, TestResult, eventually, pause, start, stop};

#[tokio::test]
async fn n3_3_timers_longer_than_their_interval_starve_nobody() -> TestResult {
    const EVENTS: u64 = 20;
    let scene = Scene::new().await;
    let mut app = App::new("crowded");
    let numbers = app.topic::<String, u64>("numbers").partitions(1);
    let sums = app.table::<String, u64>("sums");
    let handled = Arc::new(AtomicU32::new(0));
    let count = handled.clone();
    app.agent("sum", numbers).with(sums).each(async move |sums, number| {
        sums.update("sum", |sum| *sum += number);
        count.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    let runs: Vec<Arc<AtomicU32>> = (0..3).map(|_| Arc::default()).collect();
    for (number, (runs, (every, takes))) in runs.iter().zip([(30, 50), (30, 50), (1, 3)]).enumerate() {
        let runs = runs.clone();
        let timer = app.partition_timer(&format!("timer-{number}"), Duration::from_millis(every)).with(sums);
        timer.run(async move |_| {
            runs.fetch_add(1, Ordering::Relaxed);
            pause(takes).await;
            Ok(())
        });
    }
    let running = scene.start(app).await?;
    // From here on, both long timers are always due.
    pause(150).await;
    scene.produce_numbers("numbers", 0..EVENTS, |number| format!("key-{number}")).await;
    eventually("the agent has its turns", async || u64::from(handled.load(Ordering::Relaxed)) == EVENTS).await;
    let before: Vec<u32> = runs.iter().map(|runs| runs.load(Ordering::Relaxed)).collect();
    pause(1500).await;
    let after: Vec<u32> = runs.iter().map(|runs| runs.load(Ordering::Relaxed)).collect();
    let ran: Vec<u32> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
    assert!(ran.iter().all(|ran| *ran >= 5), "one starved the others: {ran:?}");
    assert!(ran[0].abs_diff(ran[1]) <= 3, "timers that are alike run alike: {ran:?}");
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn n3_3_agents_have_as_much_time_as_the_timer_before_them() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("shares");
    // The two topics have the same timestamps, so each turn of an agent is one event.
    let (left, right) = (app.topic::<String, u64>("left"), app.topic::<String, u64>("right"));
    let sums = app.table::<String, u64>("sums").partitions(1);
    let handled = Arc::new(AtomicU32::new(0));
    for (name, topic) in [("left", left), ("right", right)] {
        let count = handled.clone();
        app.agent(name, topic).with(sums).each(async move |_, _| {
            pause(2).await;
            count.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
    }
    app.partition_timer("slow", Duration::from_millis(10)).with(sums).run(async |_| {
        pause(200).await;
        Ok(())
    });
    let running = scene.start(app).await?;
    pause(250).await;
    for topic in ["left", "right"] {
        scene.produce_numbers(topic, 0..60, |number| format!("key-{number}")).await;
    }
    // With one event for each run of the timer, this would take 120 x 200 ms.
    let began = tokio::time::Instant::now();
    eventually("all are handled", async || handled.load(Ordering::Relaxed) == 120).await;
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn n3_3_agents_that_share_no_table_do_not_wait_for_each_other() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("strands");
    let numbers = app.topic::<String, u64>("numbers").partitions(1);
    let (slow, quick) = (app.table::<String, u64>("slow"), app.table::<String, u64>("quick"));
    let (gate, entered) = (Arc::new(Notify::new()), Arc::new(AtomicU32::new(0)));
    let (passes, enters) = (gate.clone(), entered.clone());
    app.agent("slow", numbers).with(slow).each(async move |slow, number| {
        slow.update("sum", |sum| *sum += number);
        enters.fetch_add(1, Ordering::Relaxed);
        passes.notified().await;
        slow.update("sum", |sum| *sum += number);
        Ok(())
    });
    app.agent("quick", numbers).with(quick).each(async |quick, number| {
        quick.update("sum", |sum| *sum += number);
        Ok(())
    });
    let seen = Arc::new(AtomicU32::new(0));
    let sees = seen.clone();
    app.agent("none", numbers).each(async move |(), _| {
        sees.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    let ticks = Arc::new(AtomicU32::new(0));
    let tick = ticks.clone();
    app.partition_timer("tick", Duration::from_millis(10)).with(quick).run(async move |_| {
        tick.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    let running = start(app, scene.config()).await?;
    scene.produce_numbers("numbers", 1..=10, |number| format!("key-{number}")).await;
    let (slow, quick) = (running.open(slow.view()), running.open(quick.view()));
    eventually("the slow one is at work", async || entered.load(Ordering::Relaxed) == 1).await;
    eventually("the quick one's work is committed", async || quick.get("sum").await.unwrap() == Some(55)).await;
    assert_eq!(seen.load(Ordering::Relaxed), 10, "one without tables waits for nobody");
    let before = ticks.load(Ordering::Relaxed);
    eventually("the quick one's timer runs", async || ticks.load(Ordering::Relaxed) > before).await;
    assert_eq!(entered.load(Ordering::Relaxed), 1, "all that while the slow one has its first event in hand");
    assert_eq!(slow.get("sum").await?, None, "of which nothing is to be seen");
    eventually("the slow one goes on", async || {
        gate.notify_one();
        slow.get("sum").await.unwrap() == Some(110)
    })
    .await;
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn n3_3_agents_that_share_a_table_through_a_third_take_turns() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("linked");
    let numbers = app.topic::<String, u64>("numbers").partitions(1);
    let (one, two) = (app.table::<String, u64>("one"), app.table::<String, u64>("two"));
    let inside = Arc::new(AtomicU32::new(0));
    let enter = async |inside: &AtomicU32| {
        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two events in hand that share a table");
        pause(3).await;
        inside.fetch_sub(1, Ordering::SeqCst);
    };
    let counted = inside.clone();
    app.agent("first", numbers).with(one).each(async move |one, number| {
        enter(&counted).await;
        one.update("sum", |sum| *sum += number);
        Ok(())
    });
    let counted = inside.clone();
    app.agent("second", numbers).with(two).each(async move |two, number| {
        enter(&counted).await;
        two.update("sum", |sum| *sum += number);
        Ok(())
    });
    app.agent("third", numbers).with((one, two)).each(async move |(one, two), number| {
        enter(&inside).await;
        let sums = (one.get("sum"), two.get("sum"));
        one.insert("seen", sums.0.unwrap_or(0) + number);
        two.insert("seen", sums.1.unwrap_or(0) + number);
        Ok(())
    });
    let mut running = start(app, scene.config()).await?;
    scene.produce_numbers("numbers", 1..=10, |number| format!("key-{number}")).await;
    crate::scene::drain(&mut running).await?;
    for table in [one, two] {
        assert_eq!(running.open(table.view()).get("sum").await?, Some(55));
    }
    stop(running).await?;
    Ok(())
}
