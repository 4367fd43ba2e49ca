//! The routes `/healthz` and `/readyz`, for health checks.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use super::site::{Condition, Site};

/// Answers `GET /healthz`: is the worker alive?
pub(crate) async fn alive(State(site): State<Arc<Site>>) -> Result<Json<Condition>, Problem> {
    let condition = site.condition();
    if site.is_alive() {
        return Ok(Json(condition));
    }
    let error = format!("worker `{}` has stopped; its log says why", condition.worker);
    Err(Problem::not_now(error).with("state", condition.state))
}

/// Answers `GET /readyz`: are all of the worker's shards open, and is nothing stuck?
pub(crate) async fn ready(State(site): State<Arc<Site>>) -> Response {
    let condition = site.condition();
    if condition.state == "ready" && condition.stuck.is_none() {
        return Json(condition).into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], Json(condition)).into_response()
}
