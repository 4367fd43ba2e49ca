//! The small examples. Each is started as its page says, used over HTTP, and stopped.

mod common;

use common::TestResult;
use common::example::Example;
use common::wait::pause;
use futures_util::future::join_all;
use rustix::process::Signal;
use serde_json::{Value, json};

#[tokio::test]
async fn count_loses_no_word_when_it_is_killed() -> TestResult {
    let data = tempfile::tempdir()?;
    let data_dir = data.path().to_str().ok_or("a path in UTF-8")?;
    let mut first = Example::start("count", &["--data-dir", data_dir]).await;
    first.row_when("counts", "launched", |count| *count == json!(1)).await;
    first.process.signal(Signal::KILL);
    first.process.end().await;

    Example::drain("count", &["--data-dir", data_dir]).await;
    let again = Example::start("count", &["--data-dir", data_dir]).await;
    let rows = again.get("/tables/counts?limit=1000").await.json();
    let counts = rows["rows"].as_array().ok_or("rows")?;
    assert_eq!(counts.iter().filter_map(|row| row["value"].as_u64()).sum::<u64>(), 34, "{rows}");
    for (word, count) in [("launched", 1), ("the", 2), ("a", 2), ("flies", 1)] {
        assert_eq!(again.row("counts", word).await, json!(count), "{word}");
    }
    again.send("lines", json!({"value": "a thousand ships"})).await;
    again.row_when("counts", "ships", |count| *count == json!(2)).await;
    again.stop().await;
    Ok(())
}

#[tokio::test]
async fn shared_table_has_every_change_of_both_agents() -> TestResult {
    let data = tempfile::tempdir()?;
    let data_dir = data.path().to_str().ok_or("a path in UTF-8")?;
    Example::drain("shared_table", &["--data-dir", data_dir]).await;
    let shop = Example::start("shared_table", &["--data-dir", data_dir]).await;
    assert_eq!(shop.get("/stock").await.json(), json!([["salt", 100], ["tea", 100]]));
    shop.send("deliveries", json!({"key": "tea", "value": 5})).await;
    shop.row_when("stock", "tea", |left| *left == json!(105)).await;
    shop.send("orders", json!({"key": "7", "value": ["tea", 3]})).await;
    shop.row_when("stock", "tea", |left| *left == json!(102)).await;
    assert_eq!(shop.get("/stock").await.json(), json!([["salt", 100], ["tea", 102]]));
    shop.stop().await;
    Ok(())
}

#[tokio::test]
async fn inbox_merge_adds_each_hit_once() {
    let hits = Example::start("inbox_merge", &[]).await;
    for count in 1..=3 {
        assert_eq!(hits.post("/hits/home", "").await.json(), json!(count), "its own hit is in the answer");
    }
    for answer in join_all((0..20).map(|_| hits.post("/hits/home", ""))).await {
        assert_eq!(answer.status, 200);
    }
    hits.post("/tables/hits/home?wait=10000", "10").await.expect(200);
    assert_eq!(hits.row("hits", "home").await, json!(3 + 20 + 10));
    hits.row_when("hits", "seconds", |seconds| seconds.as_u64() >= Some(2)).await;
    hits.stop().await;
}

#[tokio::test]
async fn ask_never_pays_more_than_there_is() {
    let bank = Example::start("ask", &[]).await;
    bank.says("grace takes 40: Paid { left: 60 }").await;
    assert_eq!(bank.row("balances", "grace").await, json!(60), "it is committed when the answer is there");

    let paid = bank.post("/withdraw/ada/30", "").await;
    assert_eq!((paid.status, paid.json()), (200, json!("paid 30, 70 left")));
    let refused = bank.post("/withdraw/ada/500", "").await;
    assert_eq!((refused.status, refused.json()), (409, json!("refused, 70 left")));

    // Five requests ask for 20 each of 70 at once, so three succeed.
    let answers = join_all((0..5).map(|_| bank.post("/withdraw/ada/20", ""))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 409, 409]);
    assert_eq!(bank.row("balances", "ada").await, json!(10));
    bank.stop().await;
}

#[tokio::test]
async fn global_table_converts_every_sale_on_all_workers() {
    let market = Example::start("global_table", &["--workers", "2"]).await;
    let euros = market.row_when("turnover", "euros", |euros| euros.as_f64() >= Some(500.0)).await;
    assert_eq!(euros, json!(500.0));

    market.put("/tables/rates/GBP?wait=10000", "1.25").await.expect(200);
    market.send("sales", json!({"value": ["GBP", 10]})).await;
    let euros = market.row_when("turnover", "euros", |euros| euros.as_f64() > Some(500.0)).await;
    assert_eq!(euros, json!(512.5));

    // A sale that cannot be converted does not hold up later sales for good.
    market.send("sales", json!({"value": ["XXX", 10]})).await;
    market.says("event sent to `no-rate`").await;
    market.send("sales", json!({"value": ["USD", 10]})).await;
    let euros = market.row_when("turnover", "euros", |euros| euros.as_f64() > Some(512.5)).await;
    assert_eq!(euros, json!(517.5));

    // The copy of the other worker reaches the same total.
    assert_eq!(market.others.len(), 1);
    let market = Example { web: market.others[0].clone(), ..market };
    market.row_when("turnover", "euros", |euros| *euros == json!(517.5)).await;
    market.stop().await;
}

#[tokio::test]
async fn timer_and_web_points_rise_and_fade_away() {
    let pages = Example::start("timer_and_web", &[]).await;
    pages.says("pages are trending").await;
    pages.send("views", json!({"key": "/about", "value": 1024})).await;
    let mut seen = Vec::new();
    // It looks for a minute at most.
    for _ in 0..600 {
        let answer = pages.get("/trending").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let rows: Vec<(u64, &str)> = answer.text.lines().filter_map(row).collect();
        assert!(rows.is_sorted_by(|one, next| one.0 >= next.0), "{}", answer.text);
        match rows.iter().find(|(_, page)| *page == "/about") {
            Some((points, _)) => seen.push(*points),
            None if seen.is_empty() => {}
            None => break,
        }
        pause(100).await;
    }
    seen.dedup();
    assert!(seen.len() >= 2, "it faded step by step: {seen:?}");
    assert!(seen.is_sorted_by(|one, next| one > next), "nothing rises by itself: {seen:?}");
    assert!(seen.iter().all(|points| 1024 % points == 0), "halved, and by nobody else: {seen:?}");
    assert_eq!(pages.row("points", "%2Fabout").await, Value::Null);
    pages.stop().await;
}

/// Parses a line of the page: points and a name.
fn row(line: &str) -> Option<(u64, &str)> {
    let (points, page) = line.trim_start().split_once("  ")?;
    Some((points.parse().ok()?, page))
}
