//! The route by which other workers read rows of this process.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use super::site::Site;
use crate::cluster::Signed;
use crate::peer::{Question, ROW_BYTES, decode_question, encode_answer};
use crate::query::{PeerRefusal, RouteError};
use crate::table::Position;

/// The most rows in one answer. The largest page of a table needs this many.
const MAX_ROWS: usize = super::tables::MAX_LIMIT as usize + 1;

/// Guards the routes that only other workers may use. If the workers share a cluster token, the
/// request must be signed with it. If they do not, the request is answered only if the web server
/// needs no tokens.
pub(crate) async fn guard(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    match site.shared.routes.peers().token() {
        Some(_) if request.extensions().get::<Signed>().is_some() => next.run(request).await,
        None if !site.edge.access.needs_token() => next.run(request).await,
        _ => {
            let error = "only workers may ask this, in requests that are signed with this worker's cluster token \
                         (`--cluster-token`)";
            Problem::new(StatusCode::UNAUTHORIZED, error).into_response()
        }
    }
}

/// Answers `POST /cluster/v1/read`: another worker asks for rows of a partition that this process
/// has. If it does not have the partition, the request is refused and not passed on to a third
/// worker.
pub(crate) async fn read(State(site): State<Arc<Site>>, body: Bytes) -> Result<Response, Problem> {
    let mut asked = decode_question(&body).map_err(|error| {
        Problem::bad_request(format!(
            "the question is not understood ({error}): run the same version of Marlowe on all workers"
        ))
    })?;
    if let Question::Rows { limit, bytes, .. } = &mut asked.question {
        (*limit, *bytes) = ((*limit).min(MAX_ROWS), (*bytes).min(ROW_BYTES));
    }
    let place = format!("table `{}`, partition {}", asked.table, asked.partition);
    match site.shared.routes.answer(&asked).await {
        Ok(answer) => {
            let body = encode_answer(&answer)
                .map_err(|error| Problem::internal(format!("{place}: the answer cannot be encoded"), error))?;
            Ok(([(header::CONTENT_TYPE, "application/octet-stream")], body).into_response())
        }
        Err(PeerRefusal::Misdirected(generation)) => {
            let error = format!("{place} is not with worker `{}`; ask the worker that took it last", site.scope.worker);
            Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, error).with("generation", generation))
        }
        Err(PeerRefusal::Route(RouteError::Behind(position))) => {
            Err(Problem::not_now(format!("{place}: {}", RouteError::Behind(position)))
                .with("position", Position::from(position)))
        }
        Err(PeerRefusal::Route(error @ RouteError::Closed(_))) => Err(Problem::not_now(format!("{place}: {error}"))),
        Err(PeerRefusal::Route(error)) => Err(Problem::internal(format!("{place}: a read failed"), error)),
    }
}
