use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Html;

use super::percent;
use super::site::Site;
use crate::table::TableKind;

const TEMPLATE: &str = include_str!("index.html");

/// `GET /`: what this worker is and has, for people.
pub(crate) async fn show(State(site): State<Arc<Site>>) -> Html<String> {
    let condition = site.condition();
    let mut tables = String::new();
    for table in site.tables().await {
        let kind = match table.kind {
            TableKind::Table => "table",
            TableKind::Global => "global table",
        };
        // Writing to a string does not fail.
        let _ = write!(
            tables,
            "<tr><td><a href=\"/tables/{}\">{}</a></td><td>{kind}</td><td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
            percent::encode(table.name.as_bytes()),
            escaped(&table.name),
            table.partitions,
            table.rows.map_or_else(|| "?".to_owned(), grouped),
        );
    }
    if tables.is_empty() {
        tables.push_str("<tr><td colspan=\"4\">none</td></tr>");
    }
    let left = match condition.remaining {
        0 => String::new(),
        remaining => format!(", {} records to restore", grouped(remaining)),
    };
    let shards = match condition.restoring {
        0 => format!("{} open", condition.shards),
        restoring => format!("{} open, {restoring} not yet{left}", condition.shards),
    };
    let leader = if condition.leader { ", the leader" } else { "" };
    let page = TEMPLATE
        .replace("{{state}}", condition.state)
        .replace("{{leader}}", leader)
        .replace("{{shards}}", &shards)
        .replace("{{version}}", env!("CARGO_PKG_VERSION"))
        .replace("{{broker}}", &escaped(&site.shared.broker.location()))
        .replace("{{worker}}", &escaped(&condition.worker))
        .replace("{{app}}", &escaped(&condition.app))
        .replace("{{tables}}", &tables);
    Html(page)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
