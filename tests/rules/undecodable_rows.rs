//! Rows that do not decode, because the table's type changed: they can be replaced and removed, and
//! other rows go on. A reader that needs such a row is told which one it is.

use marlowe::table::{UndecodableRow, ViewError};
use marlowe::{App, GlobalTable, Running, Table, Topic};
use serde::{Deserialize, Serialize};

use crate::common::address::any_port;
use crate::common::client::Client;
use crate::common::metrics::Metrics;
use crate::scene::{GUARANTEES, Scene, TestResult, drain, eventually, start, stop};

/// A row as an earlier version of the program wrote it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct OldRow {
    name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    name: String,
    size: u64,
}

fn row(size: u64) -> Row {
    Row { name: "new".into(), size }
}

/// The keys of rows that the earlier version wrote.
const OLD: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

async fn write_old_rows(scene: &Scene, change: fn(&mut App)) -> TestResult {
    let mut app = App::new("types");
    app.partitions(1);
    change(&mut app);
    let stock = app.table::<String, OldRow>("stock");
    let merged = app.table::<String, OldRow>("merged");
    let global = app.global_table::<String, OldRow>("global");
    let mut running = scene.start(app).await?;
    let (stock, merged, global) = running.open((stock.inbox(), merged.inbox(), global));
    for key in OLD {
        let old = OldRow { name: "old".into() };
        stock.send(key, old.clone()).await?;
        merged.send(key, old.clone()).await?;
        global.send(key, old).await?;
    }
    drain(&mut running).await?;
    Ok(stop(running).await?)
}

/// The topic and the tables of the program as it is now.
struct Program {
    commands: Topic<String, String>,
    stock: Table<String, Row>,
    merged: Table<String, Row>,
    global: GlobalTable<String, Row>,
}

fn program(change: fn(&mut App)) -> (App, Program) {
    let mut app = App::new("types");
    app.partitions(1);
    change(&mut app);
    let commands = app.topic::<String, String>("commands");
    let results = app.topic::<String, String>("results");
    let failed = app.topic::<String, String>("failed");
    let stock = app.table::<String, Row>("stock");
    let add = |row: &mut Row, more: Row| row.size += more.size;
    let merged = app.table::<String, Row>("merged").merge(add).inbox_dead_letter(failed);
    let global = app.global_table::<String, Row>("global");
    let agent = app.agent("obey", commands).with((stock, results)).dead_letter(failed);
    agent.each_event(async |(stock, results), event| {
        let key = event.key;
        let result = match &*event.value {
            "insert" => format!("{:?}", stock.insert(&key, row(1))),
            "remove" => format!("{:?}", stock.remove(&key)),
            "get" => format!("{:?}", stock.get(&key)),
            "contains" => format!("{}", stock.contains_key(&key)),
            "update" => {
                stock.update(&key, |row| row.size += 1);
                String::new()
            }
            "update with" => {
                stock.update_with(&key, |row| *row = None);
                String::new()
            }
            "scan" => {
                let rows: Vec<String> = stock.iter().map(|(key, _)| key).collect();
                let bad: Vec<String> = stock.undecodable().map(|row| row.key).collect();
                format!("{} rows, read {rows:?}, bad {bad:?}", stock.len())
            }
            "scan all" => {
                if let Some(row) = stock.undecodable().next() {
                    return Err(row.into());
                }
                String::new()
            }
            other => return Err(other.into()),
        };
        results.send(&key, &result);
        Ok(())
    });
    (app, Program { commands, stock, merged, global })
}

/// Lets the program obey a command for the row `key`. `Err` is what the dead letter says.
async fn obey(
    scene: &Scene,
    running: &mut Running,
    program: &Program,
    key: &str,
    command: &str,
) -> Result<String, String> {
    let dead = scene.records("failed").await.len();
    running.open(program.commands).send(&key.to_owned(), &command.to_owned()).await.unwrap();
    drain(running).await.unwrap();
    match scene.records("failed").await.get(dead) {
        Some(letter) => Err(letter.header("marlowe-error").unwrap().to_owned()),
        None => Ok(serde_json::from_str(scene.values("results").await.last().unwrap()).unwrap()),
    }
}

/// Checks that an error names the row once, and says what is wrong.
fn names_once(error: &str, table: &str, key: &str) {
    for part in [&*format!("table `{table}`"), "partition 0", &format!("key \"{key}\""), "missing field `size`"] {
        assert_eq!(error.matches(part).count(), 1, "{part} in: {error}");
    }
}

#[tokio::test]
async fn n1_4_handlers_replace_and_remove_rows_they_cannot_read() -> TestResult {
    for guarantee in GUARANTEES {
        let scene = Scene::new().await;
        write_old_rows(&scene, guarantee).await?;
        let (app, program) = program(guarantee);
        let mut running = scene.start(app).await?;
        let mut ask = async |key: &str, command: &str| obey(&scene, &mut running, &program, key, command).await;
        for command in ["get", "update", "update with"] {
            names_once(&ask("c", command).await.unwrap_err(), "stock", "c");
        }
        assert_eq!(ask("c", "contains").await?, "true");
        let all = r#"7 rows, read [], bad ["\"a\"", "\"b\"", "\"c\"", "\"d\"", "\"e\"", "\"f\"", "\"g\""]"#;
        assert_eq!(ask("", "scan").await?, all);
        names_once(&ask("", "scan all").await.unwrap_err(), "stock", "a");
        assert_eq!(ask("a", "insert").await?, "None");
        assert_eq!(ask("a", "update").await?, "");
        assert_eq!(ask("a", "insert").await?, format!("{:?}", Some(row(2))));
        assert_eq!(ask("b", "remove").await?, "None");
        assert_eq!(ask("b", "get").await?, "None");
        assert_eq!(ask("d", "remove").await?, "None");
        assert_eq!(ask("d", "update").await?, "");
        let left = r#"6 rows, read ["a", "d"], bad ["\"c\"", "\"e\"", "\"f\"", "\"g\""]"#;
        assert_eq!(ask("", "scan").await?, left);
        stop(running).await?;
        // All of it is in the changelog, too.
        let (app, again) = self::program(guarantee);
        let mut running = scene.start(app).await?;
        assert_eq!(obey(&scene, &mut running, &again, "", "scan").await?, left);
        stop(running).await?;
    }
    Ok(())
}

#[tokio::test]
async fn n1_4_a_scan_in_a_handler_and_a_view_go_on_past_bad_rows() -> TestResult {
    let scene = Scene::new().await;
    write_old_rows(&scene, |_| {}).await?;
    let (app, program) = program(|_| {});
    let mut running = scene.start(app).await?;
    for key in ["b", "x"] {
        obey(&scene, &mut running, &program, key, "insert").await?;
    }
    let view = running.open(program.stock.view());
    let expected = [("b".to_owned(), row(1)), ("x".to_owned(), row(1))];
    assert_eq!(view.iter().await?, expected);
    assert_eq!(view.range("b".to_owned()..).await?, expected);
    assert_eq!(view.prefix("x").await?, expected[1..]);
    assert_eq!(view.len().await?, 8);
    // A page is as long as requested if enough rows decode.
    assert_eq!(view.page(.., 2).await?, expected);
    assert_eq!(view.page(.., 1).await?, expected[..1]);
    let bad: Vec<UndecodableRow> = view.undecodable().await?;
    assert_eq!(bad.len(), 6);
    names_once(&bad[0].to_string(), "stock", "a");
    let unread = view.get("a").await;
    assert!(matches!(&unread, Err(ViewError::Undecodable(row)) if *row == bad[0]), "{unread:?}");
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn n1_4_inboxes_replace_and_remove_rows_nobody_can_read() -> TestResult {
    let scene = Scene::new().await;
    write_old_rows(&scene, |_| {}).await?;
    let (app, program) = program(|_| {});
    let mut running = scene.start(app).await?;
    let (stock, merged, global) = running.open((program.stock.inbox(), program.merged.inbox(), program.global));
    // Without a merge function, each change replaces the row.
    stock.send("a", row(3)).await?;
    stock.replace("b", row(4)).await?;
    stock.remove("c").await?;
    merged.send("a", row(5)).await?;
    merged.replace("b", row(6)).await?;
    merged.remove("c").await?;
    merged.send("c", row(7)).await?;
    scene
        .produce_with(
            "types-merged-inbox",
            0,
            Some(b"d"),
            Some(br#"{"name":"new","size":8}"#),
            &[("marlowe-replace", b"")],
        )
        .await;
    scene.produce("types-merged-inbox", 0, Some(b"e"), None).await;
    global.replace("a", row(9)).await?;
    let last = global.remove("b").await?;
    drain(&mut running).await?;
    global.wait_for(&last).await;
    let (stock, merged) = running.open((program.stock.view(), program.merged.view()));
    let rows =
        |pairs: &[(&str, u64)]| pairs.iter().map(|(key, size)| ((*key).to_owned(), row(*size))).collect::<Vec<_>>();
    assert_eq!(stock.iter().await?, rows(&[("a", 3), ("b", 4)]));
    assert_eq!(merged.iter().await?, rows(&[("b", 6), ("c", 7), ("d", 8)]));
    assert_eq!(global.iter()?, rows(&[("a", 9)]));
    assert_eq!((stock.len().await?, merged.len().await?, global.len()?), (6, 6, 6));
    assert_eq!(global.undecodable()?.len(), 5);
    names_once(&global.try_get("c").unwrap_err().to_string(), "global", "c");
    // A merge needs the row, so that change alone fails.
    let letters = scene.records("failed").await;
    assert_eq!(letters.len(), 1);
    names_once(letters[0].header("marlowe-error").unwrap(), "merged", "a");
    stop(running).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn n1_4_the_web_shows_replaces_and_removes_bad_rows() -> TestResult {
    let scene = Scene::new().await;
    write_old_rows(&scene, |_| {}).await?;
    let (app, program) = program(|_| {});
    let mut running = start(app, scene.config().web(any_port())).await?;
    obey(&scene, &mut running, &program, "x", "insert").await?;
    let browser = Client::of(&running);
    for table in ["stock", "global"] {
        let page = browser.get(&format!("/tables/{table}?limit=3")).json();
        let rows = page["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 3, "{page}");
        for (row, key) in rows.iter().zip(OLD) {
            assert_eq!((&row["key"], &row["partition"]), (&key.into(), &0.into()), "{page}");
            assert!(
                row["error"].as_str().unwrap().contains("missing field `size`") && row.get("value").is_none(),
                "{page}"
            );
            assert_eq!(row["stored"], serde_json::json!({ "name": "old" }), "{page}");
        }
        let next = browser.get(page["next_page"].as_str().unwrap()).json();
        assert_eq!(next["rows"][0]["key"], "d", "{next}");
        let answer = browser.get(&format!("/tables/{table}/c"));
        assert_eq!(answer.status, 500);
        names_once(answer.json()["error"].as_str().unwrap(), table, "c");
    }
    let page = browser.get("/tables/stock?from=g").json();
    assert_eq!(page["rows"][1], serde_json::json!({ "key": "x", "value": row(1), "partition": 0 }), "{page}");
    for (table, key) in [("stock", "a"), ("merged", "a"), ("global", "a")] {
        let path = format!("/tables/{table}/{key}");
        assert_eq!(browser.put(&format!("{path}?wait=5000"), r#"{"name":"new","size":2}"#).status, 200);
        let value = async || browser.get(&path).json()["value"]["size"] == 2;
        eventually("the row is the new one", value).await;
        assert_eq!(browser.delete(&format!("/tables/{table}/b?wait=5000")).status, 200);
        eventually("the row is gone", async || browser.get(&format!("/tables/{table}/b")).status == 404).await;
    }
    assert!(Metrics::of(&browser).get("marlowe_rows_undecodable_total{table=\"stock\"}") >= 2.0);
    stop(running).await?;
    Ok(())
}

/// Restores a table whose keys were text and are numbers now.
#[tokio::test]
async fn n1_4_keys_that_do_not_decode_do_not_stop_a_restore() -> TestResult {
    for guarantee in GUARANTEES {
        let scene = Scene::new().await;
        let mut app = App::new("keys");
        app.partitions(1);
        guarantee(&mut app);
        let rows = app.table::<String, u64>("rows");
        let copies = app.global_table::<String, u64>("copies");
        let mut running = scene.start(app).await?;
        let (inbox, global) = running.open((rows.inbox(), copies));
        for (key, value) in [("1", 1), ("no number", 2), ("3", 3)] {
            inbox.send(key, value).await?;
            global.send(key, value).await?;
        }
        drain(&mut running).await?;
        stop(running).await?;
        for _ in 0..2 {
            let mut app = App::new("keys");
            app.partitions(1);
            guarantee(&mut app);
            let rows = app.table::<u64, u64>("rows");
            let copies = app.global_table::<u64, u64>("copies");
            let mut running = scene.start(app).await?;
            let (view, inbox, global) = running.open((rows.view(), rows.inbox(), copies));
            inbox.send(4, 4).await?;
            drain(&mut running).await?;
            assert_eq!(view.iter().await?, [(1, 1), (3, 3), (4, 4)]);
            assert_eq!((view.len().await?, global.iter()?), (3, vec![(1, 1), (3, 3)]));
            stop(running).await?;
        }
        // The rows that do not decode are not changed.
        let kept = scene.records("keys-rows-changelog").await;
        let kept = kept.iter().filter(|record| record.key.as_deref() == Some("no number"));
        assert_eq!(kept.map(|record| record.value.as_deref()).collect::<Vec<_>>(), [Some("2")]);
    }
    Ok(())
}

/// Rebuilds a store on disk. It has keys in a form that sorts, which differs for numbers and for
/// text.
#[tokio::test]
async fn n1_4_a_store_with_keys_of_another_type_is_rebuilt() -> TestResult {
    let (scene, folder) = (Scene::new().await, tempfile::tempdir()?);
    let mut app = App::new("forms");
    app.partitions(1);
    let rows = app.table::<String, u64>("rows");
    let copies = app.global_table::<String, u64>("copies");
    let mut running = start(app, scene.config().data_dir(folder.path())).await?;
    let (inbox, global) = running.open((rows.inbox(), copies));
    // Eight characters take eight bytes, as a number does.
    for key in ["12345678", "9"] {
        inbox.send(key, 1).await?;
        global.send(key, 1).await?;
    }
    drain(&mut running).await?;
    // A client of a global table reads the copy, so it keeps the store open.
    drop(global);
    stop(running).await?;
    let mut app = App::new("forms");
    app.partitions(1);
    let rows = app.table::<u64, u64>("rows");
    let copies = app.global_table::<u64, u64>("copies");
    let mut running = start(app, scene.config().data_dir(folder.path())).await?;
    drain(&mut running).await?;
    let (view, global) = running.open((rows.view(), copies));
    assert_eq!(view.iter().await?, [(9, 1), (12_345_678, 1)]);
    assert_eq!(global.iter()?, [(9, 1), (12_345_678, 1)]);
    stop(running).await?;
    Ok(())
}

/// Lists keys that do not decode in the store itself, because they are read as text and are not
/// UTF-8.
#[tokio::test(flavor = "multi_thread")]
async fn n1_4_stored_keys_that_do_not_decode_are_listed() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("bytes");
    app.partitions(1);
    let rows = app.table::<Vec<u8>, u64>("rows");
    let mut running = scene.start(app).await?;
    let inbox = running.open(rows.inbox());
    for (number, key) in [&b"a"[..], b"b\xff", b"c\xff", b"d"].into_iter().enumerate() {
        inbox.send(key.to_vec(), number as u64).await?;
    }
    drain(&mut running).await?;
    stop(running).await?;
    let mut app = App::new("bytes");
    app.partitions(1);
    let rows = app.table::<String, u64>("rows");
    let mut running = start(app, scene.config().web(any_port())).await?;
    drain(&mut running).await?;
    let view = running.open(rows.view());
    assert_eq!(view.iter().await?, [("a".to_owned(), 0), ("d".to_owned(), 3)]);
    let bad = view.undecodable().await?;
    assert_eq!(bad.iter().map(|row| &*row.key).collect::<Vec<_>>(), [r#"b"b\xff""#, r#"b"c\xff""#]);
    let browser = Client::of(&running);
    let (mut path, mut keys) = ("/tables/rows?limit=1".to_owned(), Vec::new());
    loop {
        let page = browser.get(&path).json();
        let row = &page["rows"][0];
        assert_eq!(row.get("error").is_some(), row.get("value").is_none(), "{page}");
        keys.push(row["key"].as_str().unwrap().to_owned());
        match page["next_page"].as_str() {
            Some(next) => path = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(keys, ["a", r#"b"b\xff""#, r#"b"c\xff""#, "d"]);
    stop(running).await?;
    Ok(())
}
