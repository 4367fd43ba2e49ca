//! Values can be read as they were written: by agents, in tables, after a restart and over the web.
//! Values that cannot be read again are refused.

use std::collections::BTreeMap;

use marlowe::topic::SendError;
use marlowe::{App, Running, Table, Topic};
use serde::{Deserialize, Serialize};

use crate::common::address::any_port;
use crate::common::client::Client;
use crate::scene::{Scene, TestResult, drain, start, stop};

/// A float that a reader with rounding returns as another value.
const HARD: f64 = 1.577_777_777_777_000_1;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Reading {
    long: Vec<f64>,
    short: f32,
    large: u64,
    small: i64,
    huge: u128,
    deep: i128,
    by_number: BTreeMap<u128, f64>,
    maybe: Option<f64>,
}

fn reading() -> Reading {
    Reading {
        long: vec![HARD, -0.0, 5e-324, f64::MAX, 0.1 + 0.2, 1e21, 123_456_789_012_345_680.0],
        short: 0.1,
        large: u64::MAX,
        small: -(1 << 53) - 1,
        huge: u128::MAX,
        deep: i128::MIN,
        by_number: BTreeMap::from([(u128::MAX, HARD)]),
        maybe: None,
    }
}

fn program() -> (App, Topic<String, Reading>, Table<String, Reading>) {
    let mut app = App::new("round-trips");
    app.partitions(2);
    let readings = app.topic::<String, Reading>("readings");
    let rows = app.table::<String, Reading>("rows");
    let out = app.topic::<String, Reading>("out");
    let by_large = readings.group_by(|reading| reading.large.to_string()).filter(|reading| reading.long[0] == HARD);
    app.agent("keep", by_large).with((rows, out)).each_event(async |(rows, out), event| {
        out.send(&event.key, &event.value);
        rows.insert(event.key, event.value);
        Ok(())
    });
    (app, readings, rows)
}

async fn check(running: &Running, rows: Table<String, Reading>) -> TestResult {
    let row = running.open(rows.view()).get(u64::MAX.to_string()).await?.ok_or("no row")?;
    assert_eq!(row, reading());
    assert!(row.long.iter().zip(reading().long).all(|(a, b)| a.to_bits() == b.to_bits()), "{row:?}");
    Ok(())
}

#[tokio::test]
async fn n1_3_values_come_back_bit_by_bit_from_everywhere() -> TestResult {
    let scene = Scene::new().await;
    let folder = tempfile::tempdir()?;
    let (app, readings, rows) = program();
    let config = || scene.config().web(any_port());
    let mut running = start(app, config().data_dir(folder.path())).await?;
    running.open(readings).send(&"k".to_owned(), &reading()).await?;
    drain(&mut running).await?;
    check(&running, rows).await?;
    let json = serde_json::to_string(&reading())?;
    assert_eq!(scene.values("out").await, std::slice::from_ref(&json));

    let web = Client::of(&running);
    let of_web = |path: &str| {
        let text = web.get(path).text;
        assert!(text.contains(&json), "{text}");
    };
    let row = format!("/tables/rows/{}", u64::MAX);
    of_web(&row);
    of_web("/tables/rows");
    web.put("/tables/rows/written?wait=10000", &json).expect(200);
    of_web("/tables/rows/written");
    assert_eq!(running.open(rows.view()).get("written").await?, Some(reading()));
    let posted = format!(r#"{{"key":"k","value":{json}}}"#);
    web.post("/topics/readings", &posted).expect(200);
    drain(&mut running).await?;
    assert_eq!(scene.values("out").await, [json.clone(), json.clone()]);
    // A number that the type cannot hold is refused, not rounded.
    let rounded = json.replace(&u64::MAX.to_string(), "18446744073709551616");
    let error = web.put("/tables/rows/written", &rounded).error(400);
    assert!(error.contains("u64"), "{error}");
    stop(running).await?;

    // The rows come from the folder, and then from the changelog.
    for config in [config().data_dir(folder.path()), config()] {
        let (app, _, rows) = program();
        let running = start(app, config).await?;
        check(&running, rows).await?;
        stop(running).await?;
    }
    Ok(())
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Tree(Vec<Tree>, f64);

/// Returns a tree of `levels` levels of arrays.
fn tree(levels: usize) -> Tree {
    (2..levels / 2 + 1).fold(Tree(vec![], 1.0), |tree, _| Tree(vec![tree], 1.0))
}

#[tokio::test]
async fn n1_3_values_that_cannot_be_read_are_refused_when_written() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("refusals");
    app.partitions(1);
    let orders = app.topic::<String, String>("orders");
    let trees = app.topic::<String, Tree>("trees");
    let floats = app.topic::<String, Option<f64>>("floats");
    let letters = app.topic::<String, String>("letters");
    let rows = app.table::<String, Tree>("rows");
    app.agent("grow", orders).retries(0).with((trees, floats)).dead_letter(letters).each(
        async |(trees, floats), order: String| {
            let key = order.clone();
            floats.send(&key, &Some(1.0));
            match order.as_str() {
                "deep" => trees.send(&key, &tree(128)),
                "nan" => trees.send(&key, &Tree(vec![Tree(vec![], f64::NAN)], 0.0)),
                "infinite" => floats.send(&key, &Some(f64::INFINITY)),
                _ => trees.send(&key, &tree(126)),
            }
            Ok(())
        },
    );
    let seen = std::sync::Arc::new(parking_lot::Mutex::new(Vec::new()));
    let noted = seen.clone();
    app.agent("read", trees).each(async move |(), tree| {
        noted.lock().push(tree);
        Ok(())
    });
    let mut running = scene.start(app).await?;
    for order in ["deep", "nan", "good", "infinite"] {
        running.open(orders).send(&"k".to_owned(), &order.to_owned()).await?;
    }
    drain(&mut running).await?;
    assert_eq!(*seen.lock(), [tree(126)]);
    assert_eq!(scene.values("floats").await, ["1.0"], "nothing of the others is there");
    let reasons: Vec<String> = scene
        .records("letters")
        .await
        .iter()
        .filter_map(|letter| letter.header("marlowe-error").map(Into::into))
        .collect();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    for (reason, part) in reasons.iter().zip(["nested deeper", "NaN", "inf"]) {
        assert!(reason.contains(part) && reason.contains("topic `"), "{reason}");
    }
    // Outside of events, the sender gets the error.
    for bad in [tree(128), Tree(vec![], f64::NAN)] {
        let refused = running.open(rows.inbox()).send("k", bad.clone()).await;
        assert!(matches!(refused, Err(SendError::Codec { .. })), "{refused:?}");
        let refused = running.open(trees).send(&"k".to_owned(), &bad).await;
        assert!(matches!(refused, Err(SendError::Codec { .. })), "{refused:?}");
    }
    stop(running).await?;
    Ok(())
}
