//! The route that shows one row: `GET /tables/{table}/{key}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Uri};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::address::{RowKey, table_name};
use super::query::Query;
use super::slice::{StateOf, Target};
use crate::codec::CodecError;
use crate::peer::Wanted;
use crate::table::{AnyTable, Keyspace};
use crate::web::problem::Problem;
use crate::web::site::Site;

/// A row, and the state from which it was read.
#[derive(Debug, Serialize)]
pub(crate) struct RowAnswer {
    key: Value,
    value: Box<RawValue>,
    partition: u32,
    #[serde(flatten)]
    state: StateOf,
}

/// Answers `GET /tables/{table}/{key}`: a row, as it was last committed.
pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    uri: Uri,
    RawQuery(query): RawQuery,
) -> Result<(HeaderMap, Json<RowAnswer>), Problem> {
    let query = Query::parse(query.as_deref(), &["at", "inbox", "partition", "stale", "wait"])?;
    let table = site.table(&table_name(&uri))?;
    let key = RowKey::in_path(table, &uri)?;
    let partitions = site.partitions(table);
    let asked = query.partition("partition", partitions)?;
    let partition = match (table.keyspace(), asked) {
        (Keyspace::PartitionLocal, Some(asked)) => asked,
        (Keyspace::PartitionLocal, None) => {
            return Err(Problem::bad_request(format!(
                "table `{}` is partition-local, so each of its {partitions} partitions has its own rows: choose one \
                 with ?partition=",
                table.name()
            )));
        }
        (Keyspace::Partitioned, asked) => {
            let home = key.home(table, partitions);
            if asked.is_some_and(|asked| asked != home) {
                return Err(Problem::bad_request(format!(
                    "table `{}`: the home of key {} is partition {home}; leave out ?partition=",
                    table.name(),
                    key.json
                )));
            }
            home
        }
    };
    let wanted = Wanted { changelog: query.number("at")?, inbox: query.number("inbox")? };
    let (deadline, stale_within) = (query.deadline()?, query.stale(table)?);
    let target = Target { table, partition, wanted, deadline, stale_within };
    let (row, state) = site.row(target, key.ordered).await?;
    let Some(bytes) = row else {
        let error = format!("table `{}` has no row {} (looked in partition {partition})", table.name(), key.json);
        return Err(Problem::not_found(error).with("partition", partition.get()).with("position", state.position));
    };
    let value = ShownValue::of(table, &bytes).map_err(|BadValue { error, .. }| {
        let what = format!(
            "table `{}`, partition {partition}: the row of key {} does not decode: {}; a page of the table shows what is stored",
            table.name(),
            key.json,
            error.without_input()
        );
        Problem::internal(what, error).with("partition", partition.get())
    })?;
    let answer = RowAnswer { key: key.json, value: value.0, partition: partition.get(), state };
    Ok((StateOf::headers(state.stale), Json(answer)))
}

/// A value of the table's type, in JSON.
pub(crate) struct ShownValue(pub(crate) Box<RawValue>);

/// A value that is not of the table's type.
pub(crate) struct BadValue {
    /// The reason why it does not decode.
    pub(crate) error: CodecError,
    /// The stored value, if it can be shown.
    pub(crate) stored: Option<Box<RawValue>>,
}

impl ShownValue {
    /// Decodes `bytes` as a value of the table.
    pub(crate) fn of(table: &dyn AnyTable, bytes: &[u8]) -> Result<Self, BadValue> {
        let shown = table.value_json(bytes);
        match (table.check_value(bytes), shown) {
            (Ok(()), Ok(value)) => Ok(Self(value)),
            (Ok(()), Err(error)) => Err(BadValue { error, stored: None }),
            (Err(error), shown) => Err(BadValue { error, stored: shown.ok() }),
        }
    }
}
