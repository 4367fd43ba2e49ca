//! The start page of a worker, for people.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};

use super::page::{Policy, escaped};
use super::security::Said;
use super::site::Site;
use crate::codec::percent;
use crate::topology::TableKind;

const TEMPLATE: &str = include_str!("index.html");

/// The logout button, for callers with a session.
const LOG_OUT: &str = "<form method=\"post\" action=\"/logout\"><button>Log out</button></form>";

/// Answers `GET /`: a page about this worker and its tables.
pub(crate) async fn show(State(site): State<Arc<Site>>, said: Option<Extension<Said>>) -> Response {
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
        .replace("{{session}}", if said.is_some_and(|said| *said == Said::Session) { LOG_OUT } else { "" })
        .replace("{{state}}", condition.state)
        .replace("{{leader}}", leader)
        .replace("{{shards}}", &shards)
        .replace("{{version}}", env!("CARGO_PKG_VERSION"))
        .replace("{{broker}}", &escaped(&site.shared.broker.location()))
        .replace("{{worker}}", &escaped(&condition.worker))
        .replace("{{app}}", &escaped(&condition.app))
        .replace("{{tables}}", &tables);
    ([(header::CONTENT_SECURITY_POLICY, Policy::of(TEMPLATE).header())], Html(page)).into_response()
}

/// Returns a number with commas between its thousands.
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
