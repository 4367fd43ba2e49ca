//! Keys of tables: keys up to the limit work everywhere, and a longer key is refused where it is
//! written.

use std::sync::Arc;

use marlowe::codec::Text;
use marlowe::codec::{KeyTooLong, MAX_KEY_BYTES};
use marlowe::topic::SendError;
use marlowe::{App, Config, GlobalTable, RunError, Running, Table, Topic};
use marlowe_broker::{Cleanup, TopicConfig};

use crate::common::address::any_port;
use crate::common::client::Client;
use crate::scene::{Scene, TestResult, drain, start, stop, within};

/// A length of keys that is promised to work.
const LONG: usize = 1_900;

/// Returns a key of `len` bytes that ends with `number`.
fn key(number: usize, len: usize) -> String {
    format!("{}{number:04}", "k".repeat(len - 4))
}

fn too_long() -> String {
    key(1, MAX_KEY_BYTES + 1)
}

struct Program {
    app: App,
    words: Topic<String, u64>,
    lines: Topic<String, String>,
    counts: Table<String, u64>,
    by_line: Table<String, u64>,
    sent: Table<String, u64>,
    copies: GlobalTable<String, u64>,
}

/// Builds a program that gets long keys from a topic, from a stream under another key, and from
/// changes that are sent.
fn program() -> Program {
    let mut app = App::new("long-keys");
    app.partitions(2);
    let (words, lines) = (app.topic::<String, u64>("words"), app.topic::<String, String>("lines"));
    let (counts, by_line) = (app.table::<String, u64>("counts"), app.table::<String, u64>("by-line"));
    let sent = app.table::<String, u64>("sent").merge(|sum, more| *sum += more);
    let copies = app.global_table::<String, u64>("copies").merge(|sum, more| *sum += more);
    app.agent("count", words).with((counts, sent.inbox(), copies)).skip().each_event(
        async |(counts, sent, copies), event| {
            counts.update(event.key.clone(), |sum| *sum += event.value);
            let beside: Vec<String> = counts.prefix(&event.key[..1_000]).map(|(key, _)| key).collect();
            if !beside.contains(&event.key) || counts.range(event.key.clone()..).next().is_none() {
                return Err("the row is not found again".into());
            }
            sent.send(&event.key, event.value);
            copies.send(event.key, event.value);
            Ok(())
        },
    );
    app.agent("line", lines.group_by(|line| line.clone())).with(by_line).each(async |rows, line| {
        rows.update(line, |count| *count += 1);
        Ok(())
    });
    Program { app, words, lines, counts, by_line, sent, copies }
}

async fn check(running: &Running, program: &Program, times: u64) -> TestResult {
    for number in 0..20 {
        let (key, sum) = (key(number, LONG), Some(times * number as u64));
        assert_eq!(running.open(program.counts.view()).get(&key).await?, sum);
        assert_eq!(running.open(program.by_line.view()).get(&key).await?, Some(times));
        assert_eq!(running.open(program.sent.view()).get(&key).await?, sum);
        assert_eq!(running.open_on(0, program.copies).get(&key), sum);
    }
    let view = running.open(program.counts.view());
    assert_eq!((view.iter().await?.len(), view.prefix(&"k".repeat(1_800)).await?.len()), (20, 20));
    assert_eq!(view.range(key(5, LONG)..key(8, LONG)).await?.len(), 3);
    Ok(())
}

async fn feed(running: &mut Running, program: &Program) -> TestResult {
    for number in 0..20 {
        running.open(program.words).send(&key(number, LONG), &(number as u64)).await?;
        running.open(program.lines).send(&String::new(), &key(number, LONG)).await?;
    }
    drain(running).await?;
    Ok(())
}

#[tokio::test]
async fn n1_1_long_keys_work_in_memory_on_disk_and_after_restores() -> TestResult {
    let scene = Scene::new().await;
    let folder = tempfile::tempdir()?;
    // In memory, restored into memory, restored by other workers into a folder, and opened there.
    let in_folder = || scene.config().data_dir(folder.path()).workers(2).standby_replicas(1);
    let configs = [scene.config(), scene.config(), in_folder(), in_folder()];
    for (times, config) in (1..).zip(configs) {
        let mut program = program();
        let mut running = start(std::mem::replace(&mut program.app, App::new("empty")), config).await?;
        if times > 1 {
            check(&running, &program, times - 1).await?;
        }
        feed(&mut running, &program).await?;
        check(&running, &program, times).await?;
        let client = running.open(program.sent.inbox());
        let sent = client.send(key(0, MAX_KEY_BYTES), 1).await?;
        let view = running.open(program.sent.view());
        view.wait_for(&sent).await?;
        assert_eq!(view.get(key(0, MAX_KEY_BYTES)).await?, Some(times));
        stop(running).await?;
    }
    Ok(())
}

#[tokio::test]
async fn n1_1_empty_keys_zeros_and_other_bytes_are_keys() -> TestResult {
    let folder = tempfile::tempdir()?;
    let scene = Scene::new().await;
    let zeros = vec![0; MAX_KEY_BYTES];
    let mut keys: Vec<Vec<u8>> =
        vec![Vec::new(), vec![0], vec![0, 0], b"a\0".to_vec(), b"a\0b".to_vec(), zeros, vec![255; MAX_KEY_BYTES]];
    keys.sort();
    for run in 0..2 {
        let mut app = App::new("odd-keys");
        app.partitions(2);
        let rows = app.table::<Vec<u8>, u64>("rows");
        let pairs = app.table::<(Vec<u8>, String), u64>("pairs");
        let mut running = start(app, scene.config_in(folder.path())).await?;
        if run == 0 {
            for (number, key) in (0..).zip(&keys) {
                running.open(rows.inbox()).send(key, number).await?;
                let half = key[..key.len() / 4].to_vec();
                running.open(pairs.inbox()).send((half, "\0".to_owned()), number).await?;
            }
            drain(&mut running).await?;
        }
        let found: Vec<Vec<u8>> = running.open(rows.view()).iter().await?.into_iter().map(|(key, _)| key).collect();
        assert_eq!(found, keys);
        for (number, key) in (0..).zip(&keys) {
            assert_eq!(running.open(rows.view()).get(key).await?, Some(number));
        }
        assert_eq!(running.open(pairs.view()).get((vec![0; MAX_KEY_BYTES / 4], "\0".to_owned())).await?, Some(3));
        stop(running).await?;
    }
    Ok(())
}

#[tokio::test]
async fn n1_1_a_longer_key_is_refused_over_http_and_to_clients() -> TestResult {
    let scene = Scene::new().await;
    let mut program = program();
    let app = std::mem::replace(&mut program.app, App::new("empty"));
    let running = start(app, scene.config().web(any_port())).await?;
    let web = Client::of(&running);
    for table in ["counts", "copies"] {
        let row = |key: &str| format!("/tables/{table}/{key}");
        for method in ["POST", "PUT", "DELETE", "GET"] {
            let body = if matches!(method, "POST" | "PUT") { "1" } else { "" };
            let error = web.ask(method, &row(&too_long()), &[], body).error(400);
            let wanted = [format!("`{table}`"), (MAX_KEY_BYTES + 1).to_string(), MAX_KEY_BYTES.to_string()];
            assert!(wanted.iter().all(|part| error.contains(part)), "{method}: {error}");
        }
        let longest = key(7, MAX_KEY_BYTES);
        web.put(&format!("{}?wait=10000", row(&longest)), "5").expect(200);
        assert_eq!(web.get(&row(&longest)).expect(200)["value"], 5);
        assert_eq!(web.get(&format!("/tables/{table}?prefix={}", "k".repeat(100))).expect(200)["rows"][0]["value"], 5);
    }
    let refused = |error: SendError| {
        let SendError::KeyTooLong(KeyTooLong { table, len, limit, .. }) = &error else { panic!("{error}") };
        assert_eq!((*len, *limit), (MAX_KEY_BYTES + 1, MAX_KEY_BYTES));
        table.to_string()
    };
    let inbox = running.open(program.sent.inbox());
    assert_eq!(refused(inbox.send(too_long(), 1).await.unwrap_err()), "sent");
    assert_eq!(refused(inbox.replace(too_long(), 1).await.unwrap_err()), "sent");
    assert_eq!(refused(inbox.remove(too_long()).await.unwrap_err()), "sent");
    let copies = running.open(program.copies);
    assert_eq!(refused(copies.send(too_long(), 1).await.unwrap_err()), "copies");
    // There is no such row and no such record.
    assert_eq!((running.open(program.counts.view()).get(too_long()).await?, copies.get(too_long())), (None, None));
    for inbox in ["long-keys-counts-inbox", "long-keys-sent-inbox", "long-keys-copies-inbox"] {
        assert!(
            scene
                .records(inbox)
                .await
                .iter()
                .all(|record| record.key.as_ref().is_none_or(|key| key.len() <= MAX_KEY_BYTES))
        );
    }
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn n1_1_a_longer_key_fails_its_event_by_the_agents_policy() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("doors");
    app.partitions(2);
    let words = app.topic::<String, u64>("words");
    let lines = app.topic::<String, String>("lines");
    let letters = app.topic::<String, String>("letters").partitions(1);
    let own = app.table::<String, u64>("own");
    let other = app.table::<String, u64>("other").merge(|sum, more| *sum += more);
    let everywhere = app.global_table::<String, u64>("everywhere").merge(|sum, more| *sum += more);
    let grouped = app.table::<String, u64>("grouped");
    app.agent("own", words).retries(0).with(own).skip().each_event(async |own, event| {
        own.insert(event.key, event.value);
        Ok(())
    });
    app.agent("send", words).retries(0).with(other.inbox()).dead_letter(letters).each_event(async |other, event| {
        other.send(event.key, event.value);
        Ok(())
    });
    app.agent("copy", words).retries(0).with(everywhere).skip().each_event(async |everywhere, event| {
        everywhere.replace("before", 1);
        everywhere.send(event.key, event.value);
        Ok(())
    });
    app.agent("group", lines.group_by(|line| line.clone())).dead_letter(letters).with(grouped).each(
        async |grouped, line| {
            grouped.update(line, |count| *count += 1);
            Ok(())
        },
    );
    let mut running = scene.start(app).await?;
    for key in [too_long(), "short".to_owned(), key(2, MAX_KEY_BYTES), key(3, 20_000)] {
        running.open(words).send(&key, &1).await?;
        running.open(lines).send(&"any".to_owned(), &key).await?;
    }
    drain(&mut running).await?;
    let wanted: Vec<String> = vec![key(2, MAX_KEY_BYTES), "short".to_owned()];
    for table in [own, other, grouped] {
        let found: Vec<String> = running.open(table.view()).iter().await?.into_iter().map(|(key, _)| key).collect();
        assert_eq!(found, wanted, "{table:?}");
    }
    let found: Vec<(String, u64)> = running.open(everywhere.view()).iter().await?;
    assert_eq!(found.len(), 3);
    let reasons: Vec<(String, String)> = scene
        .records("letters")
        .await
        .iter()
        .map(|letter| (letter.header("marlowe-agent").unwrap().into(), letter.header("marlowe-error").unwrap().into()))
        .collect();
    assert_eq!(reasons.len(), 4, "{reasons:?}");
    for (agent, table) in [("send", "`other`"), ("group-repartition", "`grouped`")] {
        let of_agent: Vec<&String> = reasons.iter().filter(|(name, _)| name == agent).map(|(_, why)| why).collect();
        assert_eq!(of_agent.len(), 2, "{reasons:?}");
        assert!(
            of_agent.iter().all(|why| why.contains(table) && why.contains(&MAX_KEY_BYTES.to_string())),
            "{reasons:?}"
        );
    }
    assert_eq!(scene.records("doors-group-repartition").await.len(), 2);
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn n1_1_a_stream_that_feeds_no_table_takes_any_key() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("no-table");
    let lines = app.topic::<String, String>("lines");
    let out = app.topic::<String, u64>("out");
    let long = app.table::<String, u64>("by-partition").partition_local();
    app.agent("measure", lines.group_by(|line| line.clone())).with((out, long)).each_event(
        async |(out, rows), event| {
            out.send(&event.key, &(event.key.len() as u64));
            rows.update("seen", |count| *count += 1);
            Ok(())
        },
    );
    let mut running = scene.start(app).await?;
    running.open(lines).send(&"k".to_owned(), &key(1, 50_000)).await?;
    drain(&mut running).await?;
    assert_eq!(scene.values("out").await, ["50000"]);
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn n1_1_without_a_policy_the_worker_stops_and_says_which_key() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("stops");
    let words = app.topic::<String, u64>("words").partitions(1);
    let rows = app.table::<String, u64>("rows");
    app.agent("count", words).retries(0).with(rows).each_event(async |rows, event| {
        rows.insert(event.key, 1);
        Ok(())
    });
    let mut running = scene.start(app).await?;
    running.open(words).send(&too_long(), &1).await?;
    let RunError::Event(failure) = within(running.failed()).await else { panic!("another error") };
    assert_eq!((&*failure.agent, failure.offset.get()), ("count", 0));
    assert!(failure.reason.contains("`rows`") && failure.reason.contains("1981 bytes"), "{failure}");
    Ok(())
}

#[tokio::test]
async fn n1_1_a_longer_key_in_an_inbox_fails_as_the_table_says() -> TestResult {
    let scene = Scene::new().await;
    let folder = tempfile::tempdir()?;
    for config in [scene.config(), scene.config().data_dir(folder.path())] {
        let mut app = App::new("inboxes");
        let letters = app.topic::<String, String>("letters").partitions(1).codec(Text);
        let kept = app.table::<String, i64>("kept").partitions(1).inbox_dead_letter(letters);
        let skipped = app.table::<String, i64>("skipped").partitions(1).inbox_skip();
        let everywhere = app.global_table::<String, i64>("everywhere").partitions(1).inbox_skip();
        let mut running = start(app, config).await?;
        for table in ["kept", "skipped", "everywhere"] {
            let inbox = format!("inboxes-{table}-inbox");
            for value in [Some(b"1".as_slice()), None] {
                scene.produce(&inbox, 0, Some(too_long().as_bytes()), value).await;
            }
            scene.produce(&inbox, 0, Some(b"b"), Some(b"2")).await;
        }
        drain(&mut running).await?;
        for view in [kept.view(), skipped.view(), everywhere.view()] {
            assert_eq!(running.open(view).iter().await?, [("b".to_owned(), 2)]);
        }
        stop(running).await?;
    }
    let letters = scene.records("letters").await;
    assert_eq!(letters.len(), 4);
    assert!(letters.iter().all(|letter| letter.header("marlowe-error").is_some_and(|why| why.contains("`kept`"))));
    Ok(())
}

#[tokio::test]
async fn n1_1_a_changelog_with_a_longer_key_is_restored_without_it() -> TestResult {
    let scene = Scene::new().await;
    let folder = tempfile::tempdir()?;
    let program = || {
        let mut app = App::new("foreign");
        let rows = app.table::<String, i64>("rows").partitions(1);
        let copies = app.global_table::<(String, u8), i64>("copies").partitions(1);
        (app, rows, copies)
    };
    let (app, rows, copies) = program();
    let running = scene.start(app).await?;
    let inbox = running.open(rows.inbox());
    inbox.send("a", 1).await?;
    let sent = inbox.send("b", 2).await?;
    running.open(rows.view()).wait_for(&sent).await?;
    let sent = running.open(copies.inbox()).send(("a".to_owned(), 1), 3).await?;
    running.open(copies.view()).wait_for(&sent).await?;
    stop(running).await?;
    let long = too_long();
    scene.produce("foreign-rows-changelog", 0, Some(long.as_bytes()), Some(b"9")).await;
    let pair = format!("[\"{long}\",1]");
    scene.produce("foreign-copies-changelog", 0, Some(pair.as_bytes()), Some(b"9")).await;
    for config in [scene.config(), scene.config().data_dir(folder.path())] {
        let (app, rows, copies) = program();
        let running = start(app, config).await?;
        assert_eq!(running.open(rows.view()).iter().await?, [("a".to_owned(), 1), ("b".to_owned(), 2)]);
        assert_eq!(running.open_on(0, copies).iter()?, [(("a".to_owned(), 1), 3)]);
        let sent = running.open(rows.inbox()).send("a", 1).await?;
        running.open(rows.view()).wait_for(&sent).await?;
        stop(running).await?;
    }
    Ok(())
}

#[tokio::test]
async fn n1_1_a_faust_table_with_a_longer_key_is_not_taken_over() -> TestResult {
    let scene = Scene::new().await;
    let changelog: Arc<str> = "old-rows-changelog".into();
    scene.broker.create_topic(TopicConfig::new(changelog.clone(), 1).cleanup(Cleanup::Compact)).await?;
    let long = format!("\"{}\"", too_long());
    scene.produce(&changelog, 0, Some(b"\"a\""), Some(b"1")).await;
    scene.produce(&changelog, 0, Some(long.as_bytes()), Some(b"1")).await;
    let mut app = App::new("new");
    app.table::<String, i64>("rows").partitions(1).take_over("old");
    let config: Config = scene.config();
    let Err(error) = start(app, config).await else { panic!("it started") };
    let text = error.to_string();
    for part in ["old-rows-changelog", "offset 1", "1981 bytes", "shorter key"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    Ok(())
}
