//! The routes that change one row: `POST`, `PUT` and `DELETE /tables/{table}/{key}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::value::RawValue;

use super::address::{RowKey, table_name};
use super::query::Query;
use super::slice::Target;
use crate::outbound::Outgoing;
use crate::peer::Wanted;
use crate::table::{AnyTable, Effect, Keyspace, Position};
use crate::web::body;
use crate::web::body::Body;
use crate::web::problem::Problem;
use crate::web::site::Site;

/// The place of a change in the inbox. If the request waited for the change, also the state that
/// includes it.
#[derive(Debug, Serialize)]
pub(crate) struct ChangeAnswer {
    topic: Arc<str>,
    partition: u32,
    offset: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
}

/// Answers `POST /tables/{table}/{key}`: sends a change to the key's owner. The owner merges it
/// into the row, or makes it the row if the table has no merge.
pub(crate) async fn send(
    State(site): State<Arc<Site>>,
    uri: Uri,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Problem> {
    put(&site, &uri, query.as_deref(), body, Effect::Merge).await
}

/// Answers `PUT /tables/{table}/{key}`: makes the body the row, even if the table has a merge.
pub(crate) async fn replace(
    State(site): State<Arc<Site>>,
    uri: Uri,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Problem> {
    put(&site, &uri, query.as_deref(), body, Effect::Replace).await
}

async fn put(site: &Site, uri: &Uri, query: Option<&str>, body: Body, effect: Effect) -> Result<Response, Problem> {
    let change = RowChange::parse(site, uri, query)?;
    let value = change.value(body)?;
    change.send(site, Some(value), effect).await
}

/// Answers `DELETE /tables/{table}/{key}`: removes the row.
pub(crate) async fn remove(
    State(site): State<Arc<Site>>,
    uri: Uri,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    RowChange::parse(&site, &uri, query.as_deref())?.send(&site, None, Effect::Merge).await
}

/// A change of one row, as a request describes it.
struct RowChange {
    table: &'static dyn AnyTable,
    key: RowKey,
    wait: Option<std::time::Duration>,
}

impl RowChange {
    fn parse(site: &Site, uri: &Uri, query: Option<&str>) -> Result<Self, Problem> {
        let wait = Query::parse(query, &["wait"])?.wait()?;
        let table = site.table(&table_name(uri))?;
        if table.keyspace() == Keyspace::PartitionLocal {
            return Err(Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                format!(
                    "table `{}` is partition-local, so no key has an owner to send a change to; it can only be read",
                    table.name()
                ),
            )
            .allowing("GET,HEAD"));
        }
        Ok(Self { table, key: RowKey::in_path(table, uri)?, wait })
    }

    /// Returns the stored form of the value in the body.
    fn value(&self, body: Body) -> Result<Vec<u8>, Problem> {
        let name = self.table.name();
        let body = body::read(&format!("table `{name}`"), body)?;
        let json: &RawValue = serde_json::from_slice(&body).map_err(|error| {
            Problem::bad_request(format!(
                "table `{name}`: the body is not JSON: {error}; text is JSON in quotes: \"text\""
            ))
        })?;
        self.table
            .value_from_json(json.get())
            .map_err(|error| Problem::bad_request(format!("table `{name}`: the body is {error}")))
    }

    /// Sends the change to the table's inbox, and waits for its effect if the request says so.
    async fn send(self, site: &Site, value: Option<Vec<u8>>, effect: Effect) -> Result<Response, Problem> {
        let inbox = &self.table.identity().inbox;
        let partition = self.key.home(self.table, site.scope.partitions(inbox));
        let timestamp = site.scope.clock.now();
        let record = Outgoing {
            topic: inbox.clone(),
            partition,
            timestamp,
            key: Some(self.key.topic.clone()),
            value,
            headers: effect.headers(),
        };
        let sent = site.send(record, "the change").await?;
        let mut answer =
            ChangeAnswer { topic: sent.topic, partition: partition.get(), offset: sent.offset.get(), position: None };
        let mut status = StatusCode::ACCEPTED;
        if let Some(wait) = self.wait {
            let wanted = Wanted { changelog: None, inbox: Some(answer.offset) };
            let deadline = tokio::time::Instant::now() + wait;
            // The change is sent, even if it does not take effect in time.
            let target = Target { table: self.table, partition, wanted, deadline, stale_within: None };
            if let Ok(state) = site.state(target).await {
                answer.position = Some(state.position);
                status = StatusCode::OK;
            }
        }
        Ok((status, Json(answer)).into_response())
    }
}
