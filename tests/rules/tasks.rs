//! Tasks run once, sources resume exactly where they were, and a drain waits for both.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use marlowe::broker::{Offset, Partition, Timestamp};
use marlowe::{App, RunError};
use marlowe_broker::TopicPartition;

use crate::scene::{Record, Scene, TestResult, drain, eventually, pause, start, stop, within};

#[tokio::test]
async fn a_task_runs_once_on_each_worker_and_on_the_leader_once() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("once");
    let (each, leader) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let counted = each.clone();
    app.task("each").run(async move |()| {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    let counted = leader.clone();
    app.task("leader").on_leader().run(async move |()| {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    let mut running = start(app, scene.config().workers(3)).await?;
    drain(&mut running).await?;
    assert_eq!(each.load(Ordering::Relaxed), 3);
    let leader = leader.load(Ordering::Relaxed);
    assert!(crate::stage::LEADERS.contains(&leader), "it ran {leader} times");
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_task_that_fails_or_panics_stops_the_worker_with_its_name() -> TestResult {
    for panics in [false, true] {
        let scene = Scene::new().await;
        let mut app = App::new("failing");
        app.task("feed").run(async move |()| {
            assert!(!panics, "no file");
            Err("no file".into())
        });
        let mut running = app.start(scene.config()).await?;
        let error = within(running.failed()).await;
        assert!(matches!(error, RunError::Task { .. }), "{error}");
        assert!(error.to_string().contains("feed") && error.to_string().contains("no file"), "{error}");
        stop(running).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_source_resumes_exactly_where_it_was_after_crashes() -> TestResult {
    const RECORDS: u64 = 3000;
    let scene = Scene::new().await;
    let build = |slow: bool| {
        let mut app = App::new("fed");
        let numbers = app.topic::<String, u64>("numbers").partitions(2);
        app.source("file", numbers).run(async move |writer| {
            for number in writer.position()..RECORDS {
                writer
                    .send(&format!("key-{number}"), &number, Timestamp::from_millis(1 + number as i64), number + 1)
                    .await?;
                if slow && number % 50 == 0 {
                    pause(50).await;
                }
            }
            Ok(())
        });
        app
    };
    for _ in 0..4 {
        let sent = async || scene.values("numbers").await.len() as u64;
        let mut running = build(true).start(scene.config_for_crashes()).await?;
        running.ready().await?;
        let before = sent().await;
        eventually("it goes on", async || sent().await > before).await;
        drop(running);
        assert!(sent().await < RECORDS, "it was done before it crashed");
    }
    let mut running = scene.start(build(false)).await?;
    drain(&mut running).await?;
    stop(running).await?;
    let mut numbers: Vec<u64> =
        scene.values("numbers").await.iter().map(|value| value.parse()).collect::<Result<_, _>>()?;
    numbers.sort();
    assert_eq!(numbers, (0..RECORDS).collect::<Vec<_>>());
    let stamped = |record: &Record| record.value == Some((record.timestamp - 1).to_string());
    assert!(scene.records("numbers").await.iter().all(stamped));
    // A source that is done stays done.
    let mut running = scene.start(build(false)).await?;
    drain(&mut running).await?;
    stop(running).await?;
    assert_eq!(scene.values("numbers").await.len() as u64, RECORDS);
    Ok(())
}

#[tokio::test]
async fn n4_2_a_source_keeps_its_place_when_its_position_goes_back() -> TestResult {
    let scene = Scene::new().await;
    let build = |records: u64| {
        let mut app = App::new("fed");
        let numbers = app.topic::<String, u64>("numbers").partitions(2);
        app.source("file", numbers).run(async move |writer| {
            for number in writer.position()..records {
                writer.send(&format!("key-{number}"), &number, Timestamp::from_millis(1), number + 1).await?;
            }
            Ok(())
        });
        app
    };
    let position = TopicPartition::new("fed-file-source", Partition::new(0));
    for (records, back_to) in [(20, 0), (20, 7), (30, 25)] {
        let mut running = scene.start(build(records)).await?;
        drain(&mut running).await?;
        stop(running).await?;
        assert_eq!(scene.values("numbers").await.len() as u64, records);
        let committed = scene.broker.committed("fed", std::slice::from_ref(&position)).await?.remove(0);
        assert_eq!(committed.map(|committed| committed.offset), Some(Offset::new(records)), "the group knows it again");
        scene.broker.commit_offsets("fed", None, &[(position.clone(), Offset::new(back_to).into())]).await?;
    }
    let mut running = scene.start(build(30)).await?;
    drain(&mut running).await?;
    stop(running).await?;
    assert_eq!(scene.values("numbers").await.len(), 30);
    Ok(())
}

#[tokio::test]
async fn a_drain_waits_for_tasks_and_input_then_fires_all_timers() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("drained");
    let numbers = app.topic::<String, u64>("numbers");
    let sums = app.table::<String, u64>("sums");
    let totals = app.global_table::<String, u64>("totals").merge(|total, more| *total += more);
    let ranks = app.table::<String, u64>("ranks").merge(|rank, more| *rank += more);
    // If the leader changes, the task runs on the new leader as well.
    let fed = Arc::new(tokio::sync::OnceCell::<()>::new());
    app.task("feed").on_leader().with(numbers).run(async move |numbers| {
        let feed = async {
            for number in 0..100 {
                numbers.send(&format!("key-{number}"), &number).await?;
                if number == 50 {
                    pause(200).await;
                }
            }
            Ok::<(), marlowe::HandlerError>(())
        };
        fed.get_or_try_init(|| feed).await?;
        Ok(())
    });
    app.agent("sum", numbers.group_by(|number| format!("group-{}", number % 3))).with((sums, totals)).each(
        async |(sums, totals), number| {
            sums.update(format!("group-{}", number % 3), |sum| *sum += number);
            totals.send("all", 1);
            Ok(())
        },
    );
    // The interval is longer than the test, so only the drain fires these timers.
    let far = Duration::from_secs(3600);
    app.partition_timer("rank", far).with((sums, ranks.inbox())).run(async |(sums, ranks)| {
        sums.iter().for_each(|(key, sum)| ranks.replace(key, sum));
        Ok(())
    });
    let board = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let shown = board.clone();
    app.timer("board", far).on_leader().with((ranks.view(), totals)).run(async move |(ranks, totals)| {
        let ranks = ranks.iter().await?;
        shown.lock().push((ranks, totals.get("all")));
        Ok(())
    });
    let mut running = start(app, scene.config().workers(2)).await?;
    drain(&mut running).await?;
    let group = |rest: u64| (format!("group-{rest}"), (0..100).filter(|number| number % 3 == rest).sum::<u64>());
    assert_eq!(*board.lock(), [(vec![group(0), group(1), group(2)], Some(100))]);
    stop(running).await?;
    Ok(())
}
