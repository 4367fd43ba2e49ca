//! Rule 1: a table key is used only in its home partition.

use marlowe::broker::{Partition, Partitioner};
use marlowe::{App, RunError};

use crate::scene::{Scene, TestResult, drain, key_where, start, stop, within};

const PARTITIONS: u32 = 8;

#[derive(Clone, Copy)]
enum Touch {
    Reads,
    Writes,
    WritesAndSwallows,
}

/// Runs a handler that touches `key` in partition 0, and returns the error that stopped the worker.
async fn touch_in_partition_0(key: &str, touch: Touch) -> Result<RunError, Box<dyn std::error::Error>> {
    let scene = Scene::new().await;
    let mut app = App::new("ownership");
    let topic = app.topic::<(), String>("visits");
    let users = app.table::<String, u64>("users");
    app.agent("count", topic).with(users).retries(0).each(async move |users, user: String| {
        match touch {
            Touch::Reads => drop(users.get(&user)),
            Touch::Writes => users.update(&user, |visits| *visits += 1),
            Touch::WritesAndSwallows => drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                users.insert(&user, 1);
            }))),
        }
        Ok(())
    });
    let mut running = scene.start(app).await?;
    scene.produce("visits", 0, None, Some(serde_json::to_string(key)?.as_bytes())).await;
    let error = within(running.failed()).await;
    assert!(scene.records("ownership-users-changelog").await.is_empty());
    drop(running);
    Ok(error)
}

fn home(partitioner: Partitioner, key: &[u8]) -> Partition {
    partitioner.partition(key, PARTITIONS)
}

#[tokio::test]
async fn a_foreign_key_that_is_read_or_written_fails_the_event() -> TestResult {
    let key = key_where("user", |key| Partitioner::ALL.iter().all(|each| home(*each, key) != Partition::new(0)));
    for touch in [Touch::Writes, Touch::Reads, Touch::WritesAndSwallows] {
        let error = touch_in_partition_0(&key, touch).await?;
        let RunError::Event(failure) = &error else { panic!("{error}") };
        assert_eq!((&*failure.agent, failure.tries), ("count", 1));
        let text = error.to_string();
        let home = home(Partitioner::Murmur2, key.as_bytes());
        for part in [
            "table `users`",
            &format!("\"{key}\""),
            &format!("belongs to partition {home}"),
            "came on partition 0",
            "murmur2",
            "`group_by`",
            "`send`",
            ".inbox()",
            ".view()",
            ".partition_local()",
        ] {
            assert!(text.contains(part), "`{part}` is not in: {text}");
        }
        assert!(!text.contains("would put it"), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn the_error_names_the_partitioner_that_agrees() -> TestResult {
    for other in [Partitioner::Crc32, Partitioner::Fnv1a] {
        let key = key_where("user", |key| {
            let here = |each: &Partitioner| home(*each, key) == Partition::new(0);
            Partitioner::ALL.iter().all(|each| here(each) == (*each == other))
        });
        let text = touch_in_partition_0(&key, Touch::Writes).await?.to_string();
        assert!(text.contains(&format!("where {other} would put it")), "{text}");
        assert!(text.contains(&format!(".partitioner(Partitioner::{other:?})")), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn a_partition_local_table_has_a_row_per_key_and_partition() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("local");
    let topic = app.topic::<(), String>("visits");
    let users = app.table::<String, u64>("users").partition_local();
    app.agent("count", topic).with(users).each(async |users, user: String| {
        users.update(&user, |visits| *visits += 1);
        Ok(())
    });
    let mut running = scene.start(app).await?;
    for partition in 0..PARTITIONS {
        for _ in 0..=partition {
            scene.produce("visits", partition, None, Some(b"\"ada\"")).await;
        }
    }
    drain(&mut running).await?;
    let mut visits: Vec<u64> = running.open(users.view()).iter().await?.into_iter().map(|(_, visits)| visits).collect();
    visits.sort();
    assert_eq!(visits, [1, 2, 3, 4, 5, 6, 7, 8]);
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn topics_and_tables_may_agree_on_another_partitioner() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("crc");
    let topic = app.topic::<String, u64>("visits").partitioner(Partitioner::Crc32);
    let users = app.table::<String, u64>("users").partitioner(Partitioner::Crc32).merge(|visits, more| *visits += more);
    app.agent("count", topic).with(users).each_event(async |users, event| {
        users.update(event.key, |visits| *visits += event.value);
        Ok(())
    });
    let mut running = start(app, scene.config().workers(2)).await?;
    let (to, inbox) = (running.open(topic), running.open(users.inbox()));
    for number in 0..100u64 {
        to.send(&format!("user-{number}"), &1).await?;
        inbox.send(format!("user-{number}"), number).await?;
    }
    drain(&mut running).await?;
    let view = running.open(users.view());
    for number in 0..100u64 {
        let read = view.read(format!("user-{number}")).await?;
        assert_eq!(read.value, Some(1 + number));
        assert_eq!(read.partition, home(Partitioner::Crc32, format!("user-{number}").as_bytes()));
    }
    stop(running).await?;
    Ok(())
}
