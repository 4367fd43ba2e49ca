//! The route that sends a record to a topic: `POST /topics/{topic}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use serde::Serialize;

use super::body;
use super::body::Body;
use super::problem::Problem;
use super::site::Site;
use crate::codec::percent;
use crate::topic::WrittenRecord;

/// The place that a record got.
#[derive(Debug, Serialize)]
pub(crate) struct RecordAnswer {
    topic: Arc<str>,
    partition: u32,
    offset: u64,
}

/// Answers `POST /topics/{topic}`: sends the record `{"key": "text, or null", "value": ...}` to one
/// of the program's own topics. `"tombstone": true` instead of a value sends a record without a
/// value. The fields `"timestamp"` (in milliseconds since 1970), `"partition"` and `"headers"` (an
/// object of texts and nulls) are optional.
pub(crate) async fn send(
    State(site): State<Arc<Site>>,
    uri: Uri,
    body: Body,
) -> Result<(StatusCode, Json<RecordAnswer>), Problem> {
    let name = percent::decode(uri.path().strip_prefix("/topics/").unwrap_or_default());
    let name = String::from_utf8_lossy(&name);
    let program = &site.shared.program;
    let topic = program.topics.iter().find(|topic| **topic.name() == *name).copied().ok_or_else(|| {
        let known: Vec<String> = program.topics.iter().map(|topic| format!("`{}`", topic.name())).collect();
        Problem::not_found(format!("app `{}` has no topic `{name}`; its topics: {}", program.app, known.join(", ")))
    })?;
    let body = body::read(&format!("topic `{name}`"), body)?;
    let record: WrittenRecord = serde_json::from_slice(&body).map_err(|error| {
        Problem::bad_request(format!(
            "topic `{name}`: the body is not a record: {error}; write {{\"key\": \"text\", \"value\": ...}}, or no key"
        ))
    })?;
    let scope = &site.scope;
    let record = record
        .encode(topic, &scope.topology, scope.clock.now(), &*scope.entropy)
        .map_err(|error| Problem::bad_request(error.to_string()))?;
    let sent = site.send(record, "the record").await?;
    let answer = RecordAnswer { topic: sent.topic, partition: sent.partition.get(), offset: sent.offset.get() };
    Ok((StatusCode::OK, Json(answer)))
}
