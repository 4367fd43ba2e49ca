//! The page views example: its agents write, send and cast counts, which add up and are served over
//! HTTP.

mod common;

use common::example::Example;
use common::wait::{LONGEST, holds_within};
use serde_json::{Value, json};

#[tokio::test]
async fn every_view_is_counted_for_its_page_its_user_and_its_path() {
    let example = Example::start("page_views", &[]).await;
    let mut top = Value::Null;
    let are_counted = holds_within(LONGEST, async || {
        let answer = example.get("/top").await;
        top = if answer.status == 200 { answer.json() } else { Value::Null };
        sum(&top["users"], |row| row.as_u64()) == 200 && sum(&top["pages"], |row| row["views"].as_u64()) == 200
    })
    .await;
    assert!(are_counted, "{top}: {}", example.process.err());
    assert_eq!(top["users"], json!([["ada", 67], ["edsger", 66], ["grace", 67]]), "{}", example.process.err());
    assert_eq!(top["pages"][0][0], "/home");
    assert_eq!(top["pages"][0][1]["views"], 80);
    for user in ["ada", "grace", "edsger"] {
        let path = example.get(&format!("/tables/paths/{user}")).await.expect(200);
        assert_eq!(path["value"].as_array().map(Vec::len), Some(5), "{path}");
    }
    example.stop().await;
}

fn sum(rows: &Value, count: impl Fn(&Value) -> Option<u64>) -> u64 {
    rows.as_array().into_iter().flatten().filter_map(|row| count(&row[1])).sum()
}
