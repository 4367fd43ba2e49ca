//! Rule 5: views and copies show only committed state, with its position. A sender may wait until
//! they have its write.

use std::sync::Arc;
use std::time::Duration;

use marlowe::App;

use crate::scene::{Scene, TestResult, drain, eventually, pause, start, stop, within};

#[tokio::test]
async fn a_view_shows_only_committed_state() -> TestResult {
    let scene = Scene::new().await;
    let config = scene.config().fixed_commit_interval(Duration::from_millis(700));
    let mut app = App::new("hidden");
    let numbers = app.topic::<String, u64>("numbers").partitions(1);
    let sums = app.table::<String, u64>("sums");
    let totals = app.global_table::<String, u64>("totals");
    let handled = Arc::new(tokio::sync::Semaphore::new(0));
    let done = handled.clone();
    app.agent("sum", numbers).with((sums, totals)).each(async move |(sums, totals), number| {
        sums.insert("sum", number);
        totals.send("sum", number);
        assert_eq!(sums.get("sum"), Some(number), "who wrote it sees it");
        assert_eq!(totals.get("sum"), None, "the copy is committed state");
        done.add_permits(1);
        Ok(())
    });
    let running = start(app, config).await?;
    let (view, copy) = (running.open(sums.view()), running.open(totals));
    running.open(numbers).send(&"k".to_owned(), &7).await?;
    within(handled.acquire()).await?.forget();
    assert_eq!((view.get("sum").await?, view.len().await?, copy.get("sum")), (None, 0, None));
    assert!(scene.records("hidden-sums-changelog").await.is_empty());
    eventually("the commit shows it", async || view.get("sum").await.unwrap() == Some(7)).await;
    eventually("the copy follows", async || copy.get("sum") == Some(7)).await;
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn reads_of_a_partition_never_go_back() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("monotone");
    let numbers = app.topic::<String, u64>("numbers").partitions(1);
    let sums = app.table::<String, u64>("sums");
    app.agent("sum", numbers).with(sums).each(async |sums, number| {
        sums.insert("last", number);
        Ok(())
    });
    let mut running = scene.start(app).await?;
    let view = running.open(sums.view());
    let watched = tokio::spawn({
        let view = view.clone();
        async move {
            let (mut last, mut moves) = (view.read("last").await.unwrap(), 0);
            while last.value != Some(499) {
                let read = view.read("last").await.unwrap();
                assert!(read.position >= last.position && read.value >= last.value, "{last:?} then {read:?}");
                moves += u32::from(read.position > last.position);
                last = read;
                tokio::task::yield_now().await;
            }
            moves
        }
    });
    let to = running.open(numbers);
    for number in 0..500 {
        to.send(&"k".to_owned(), &number).await?;
        if number % 100 == 0 {
            pause(25).await;
        }
    }
    drain(&mut running).await?;
    assert!(within(watched).await? > 1);
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_sender_may_wait_until_all_views_and_copies_have_its_write() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("waiting");
    let totals = app.global_table::<String, u64>("totals").merge(|total, more| *total += more);
    let settings = app.table::<String, String>("settings");
    let mut config = scene.config().workers(2);
    config.commit_interval = Duration::from_millis(60);
    let running = start(app, config).await?;
    for round in 1..=10u64 {
        let sent = running.open_on((round % 2) as usize, totals).send("all", round).await?;
        for worker in 0..2 {
            let copy = running.open_on(worker, totals);
            let position = within(copy.wait_for(&sent)).await;
            assert!(position.includes(&sent));
            assert_eq!(copy.get("all"), Some((1..=round).sum()), "worker {worker}");
            let view = running.open_on(worker, totals.view());
            within(view.wait_for(&sent)).await?;
            assert_eq!(view.get("all").await?, Some((1..=round).sum()), "worker {worker}");
        }
        let sent = running.open(settings.inbox()).send(format!("key-{round}"), "on".to_owned()).await?;
        let view = running.open_on(1, settings.view());
        within(view.wait_for(&sent)).await?;
        assert_eq!(view.get(format!("key-{round}")).await?.as_deref(), Some("on"));
    }
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_write_that_changes_nothing_can_be_waited_for_too() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("nothing");
    let totals = app.global_table::<String, u64>("totals").merge(|total, more| *total += more);
    let running = start(app, scene.config().workers(2)).await?;
    let copy = running.open_on(1, totals);
    let sent = running.open(totals).remove("nobody").await?;
    within(running.open(totals.view()).wait_for(&sent)).await?;
    within(copy.wait_for(&sent)).await;
    assert_eq!(copy.get("nobody"), None);
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_wait_that_cannot_end_says_so_at_its_deadline() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("deadline");
    let settings = app.table::<String, u64>("settings");
    let running = scene.start(app).await?;
    let view = running.open(settings.view()).within(Duration::from_millis(50));
    let mut sent = running.open(settings.inbox()).send("key", 1).await?;
    view.clone().within(crate::scene::LONGEST).wait_for(&sent).await?;
    sent.offset = marlowe::broker::Offset::new(1000);
    let error = within(view.wait_for(&sent)).await.unwrap_err().to_string();
    assert!(error.contains("table `settings`") && error.contains("@1000") && error.contains("50ms"), "{error}");
    stop(running).await?;
    let error = within(view.get("key")).await.unwrap_err().to_string();
    assert!(error.contains("no worker had it open") && error.contains("settings"), "{error}");
    Ok(())
}

#[tokio::test]
async fn views_answer_for_every_key_from_any_worker_and_in_key_order() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("anywhere");
    let squares = app.table::<u64, u64>("squares");
    let names = app.table::<String, u64>("names");
    let mut running = start(app, scene.config().workers(3)).await?;
    let (to_squares, to_names) = (running.open(squares.inbox()), running.open(names.inbox()));
    for number in 0..120u64 {
        to_squares.send(number, number * number).await?;
        to_names.send(format!("name-{number}"), number).await?;
    }
    drain(&mut running).await?;
    for worker in 0..3 {
        let (squares, names) = (running.open_on(worker, squares.view()), running.open_on(worker, names.view()));
        for number in 0..120u64 {
            assert_eq!(squares.get(number).await?, Some(number * number), "worker {worker}");
            assert_eq!(names.get(format!("name-{number}")).await?, Some(number), "worker {worker}");
        }
        assert_eq!((squares.get(1000).await?, squares.len().await?), (None, 120));
        let keys = |rows: Vec<(u64, u64)>| rows.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert_eq!(keys(squares.iter().await?), (0..120).collect::<Vec<_>>());
        assert_eq!(keys(squares.range(8..12).await?), [8, 9, 10, 11]);
        assert_eq!(keys(squares.page(99.., 3).await?), [99, 100, 101]);
        let prefixed: Vec<String> = names.prefix("name-11").await?.into_iter().map(|(key, _)| key).collect();
        assert_eq!(prefixed.len(), 11, "{prefixed:?}");
        assert!(prefixed.is_sorted());
    }
    stop(running).await?;
    Ok(())
}
