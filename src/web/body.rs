//! The bodies of requests.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::response::IntoResponse;

use super::problem::Problem;

/// The size of the largest body that is accepted, in bytes.
pub(crate) const MAX_BODY: usize = 1 << 20;

/// A request's body, if it could be read.
pub(crate) type Body = Result<Bytes, BytesRejection>;

/// Returns the body of a request. Errors name `subject`, which the request is about.
pub(crate) fn read(subject: &str, body: Body) -> Result<Bytes, Problem> {
    body.map_err(|rejection| match rejection.into_response().status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("{subject}: the body may have at most {MAX_BODY} bytes; send larger records to the broker itself"),
        ),
        _ => Problem::bad_request(format!("{subject}: the body ended too early; send it again")),
    })
}
