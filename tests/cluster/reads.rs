//! Tests of views: every process reads every row, whichever process owns it.

use std::time::Duration;

use marlowe::broker::Partition;
use marlowe::table::ViewError;

use crate::program::{crash_an_owner, program};
use crate::scene::{Cluster, TestResult, drain, eventually, pause, start, stop, within};

#[tokio::test]
async fn a_view_in_any_process_answers_for_every_key() -> TestResult {
    let cluster = Cluster::new().await;
    let mut processes = cluster.processes(3, "views", cluster.calm()).await;
    let program = program("views");
    let (visits, squares) = (processes[0].open(program.visits), processes[1].open(program.squares.inbox()));
    for number in 0..120u64 {
        visits.send(&format!("page-{number}"), &number).await?;
        squares.send(number, number * number).await?;
    }
    drain(&mut processes[2]).await?;
    for running in &processes {
        let (pages, squares) = running.open((program.pages.view(), program.squares.view()));
        for number in 0..120u64 {
            let read = pages.read(format!("page-{number}")).await?;
            assert_eq!(read.value, Some(number));
            assert!(read.position.changelog > 0, "{read:?}");
            assert_eq!(squares.get(number).await?, Some(number * number));
        }
        assert_eq!((pages.get("absent").await?, pages.len().await?, squares.len().await?), (None, 120, 120));
        let keys = |rows: Vec<(u64, u64)>| rows.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert_eq!(keys(squares.iter().await?), (0..120).collect::<Vec<_>>());
        assert_eq!(keys(squares.range(8..12).await?), [8, 9, 10, 11]);
        assert_eq!(keys(squares.page(99.., 3).await?), [99, 100, 101]);
        assert_eq!(pages.prefix("page-11").await?.len(), 11);
        assert!(!pages.is_empty().await?);
    }
    for running in processes {
        stop(running).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_view_can_wait_for_what_another_process_has_sent() -> TestResult {
    let cluster = Cluster::new().await;
    let processes = cluster.processes(3, "waits", cluster.calm()).await;
    let program = program("waits");
    for round in 0..30u64 {
        let (from, to) = (round as usize % 3, (round as usize + 1) % 3);
        let key = format!("page-{round}");
        let sent = processes[from].open(program.pages.inbox()).send(&key, round).await?;
        let view = processes[to].open(program.pages.view());
        let position = within(view.wait_for(&sent)).await?;
        assert!(position.includes(&sent));
        let read = view.read(&key).await?;
        assert_eq!(read.value, Some(round));
        assert!(read.position.includes(&sent) && read.position >= position);
    }
    let view = processes[0].open(program.pages.view()).within(Duration::from_millis(50));
    for partition in 0..6 {
        let mut sent = processes[1].open(program.pages.inbox()).send("any", 1).await?;
        (sent.partition, sent.offset) = (Partition::new(partition), marlowe::broker::Offset::new(1000));
        let error = within(view.wait_for(&sent)).await.unwrap_err();
        assert!(matches!(error, ViewError::Behind { .. }), "{error}");
    }
    for running in processes {
        stop(running).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_table_larger_than_one_answer_comes_whole() -> TestResult {
    let cluster = Cluster::new().await;
    let build = || {
        let mut app = marlowe::App::new("large");
        app.partitions(2);
        let texts = app.table::<u64, String>("texts");
        (app, texts)
    };
    let (app, texts) = build();
    let first = start(app, cluster.calm()).await?;
    let second = start(build().0, cluster.calm()).await?;
    let inbox = first.open(texts.inbox());
    let sends: Vec<_> = (0..3000).map(|number| inbox.send(number, "x".repeat(100))).collect();
    let sent = futures_util::future::try_join_all(sends).await?;
    // Only few of these rows fit into one answer.
    let large: Vec<_> = (3000..3060).map(|number| inbox.send(number, "y".repeat(900_000))).collect();
    let large = futures_util::future::try_join_all(large).await?;
    for running in [&first, &second] {
        let view = running.open(texts.view());
        for partition in 0..2 {
            let all = sent.iter().chain(&large).filter(|sent| sent.partition == Partition::new(partition));
            let last = all.max_by_key(|sent| sent.offset).unwrap();
            within(view.wait_for(last)).await?;
        }
        let rows = view.iter().await?;
        assert!(rows.iter().map(|(key, _)| *key).eq(0..3060), "{} rows", rows.len());
        assert!(rows.iter().all(|(key, text)| text.len() == if *key < 3000 { 100 } else { 900_000 }));
        assert_eq!(view.page(2000.., 500).await?.len(), 500);
    }
    stop(first).await?;
    stop(second).await?;
    Ok(())
}

#[tokio::test]
async fn asking_a_process_without_a_web_server_says_what_to_do() -> TestResult {
    let cluster = Cluster::new().await;
    let silent = start(program("no-web").app, cluster.calm().without_web()).await?;
    let second = start(program("no-web").app, cluster.calm()).await?;
    let program = program("no-web");
    let view = second.open(program.squares.view()).within(Duration::from_millis(400));
    eventually("the second knows who has the rest", async || {
        let mut refused = Vec::new();
        for number in 0..40u64 {
            match view.get(number).await {
                Ok(value) => assert_eq!(value, None),
                Err(error @ ViewError::Unavailable { .. }) => refused.push(error.to_string()),
                Err(error) => panic!("{error}"),
            }
        }
        let says_so = |error: &String| error.contains("without a web server") && error.contains("--web HOST:PORT");
        !refused.is_empty() && refused.len() < 40 && refused.iter().all(says_so)
    })
    .await;
    // A process without a web server can still ask others.
    let view = silent.open(program.squares.view());
    for number in 0..40u64 {
        assert_eq!(view.get(number).await?, None);
    }
    stop(second).await?;
    stop(silent).await?;
    Ok(())
}

#[tokio::test]
async fn rows_of_a_crashed_process_are_unavailable_until_taken_over() -> TestResult {
    let cluster = Cluster::new().await;
    let mut config = cluster.config();
    config.session_timeout = Duration::from_secs(3);
    let mut processes = cluster.processes(2, "crashed", config).await;
    let program = program("crashed");
    let inbox = processes[0].open(program.squares.inbox());
    let keys: Vec<u64> = (0..60).collect();
    for key in &keys {
        inbox.send(key, *key).await?;
    }
    drain(&mut processes[0]).await?;
    let address = crash_an_owner("squares", &mut processes).to_string();
    let view = processes[0].open(program.squares.view());
    let hasty = view.clone().within(Duration::from_millis(300));
    let mut errors = Vec::new();
    for key in &keys {
        match hasty.get(key).await {
            Ok(value) => assert_eq!(value, Some(*key)),
            Err(error) => {
                errors.push(error.to_string());
                break;
            }
        }
    }
    let error = errors.pop().expect("some rows were the crashed one's");
    for part in ["table `squares`, partition", "no worker had it open within 300ms", &address, "try again"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
    // A read that may wait as long as the takeover takes gets its answer.
    for key in &keys {
        assert_eq!(within(view.get(key)).await?, Some(*key));
    }
    pause(1).await;
    stop(processes.pop().unwrap()).await?;
    Ok(())
}
