//! The error answers of the web server.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// An error answer in JSON: `{"error": "what, where, what to do"}`, and further fields with
/// details.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    error: String,
    details: Map<String, Value>,
    /// The methods that the path supports, for the header `Allow`.
    allow: Option<&'static str>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into(), details: Map::new(), allow: None }
    }

    pub(crate) fn bad_request(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    pub(crate) fn not_found(error: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, error)
    }

    /// Returns a problem that will soon be over (503).
    pub(crate) fn not_now(error: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error)
    }

    /// Returns a problem inside the worker (500). `what` says what failed and where. `why` goes
    /// only to the log, because it may reveal rows. Both get the same number.
    pub(crate) fn internal(what: impl Into<String>, why: impl std::fmt::Display) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let (what, number) = (what.into(), NUMBER.fetch_add(1, Ordering::Relaxed));
        tracing::error!("{what} (web error {number}): {why}");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("{what}; the worker's log says why at `web error {number}`"),
        )
    }

    /// Adds the methods that the path supports.
    pub(crate) fn allowing(mut self, methods: &'static str) -> Self {
        self.allow = Some(methods);
        self
    }

    /// Adds a field next to the error.
    pub(crate) fn with(mut self, name: &str, value: impl serde::Serialize) -> Self {
        self.details.insert(name.to_owned(), json!(value));
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        self.details.insert("error".to_owned(), self.error.into());
        let mut response = (self.status, Json(self.details)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Some(methods) = self.allow {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(methods));
        }
        response
    }
}
