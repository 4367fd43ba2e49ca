//! The route that shows the dataflow graph: `GET /topology`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use super::site::Site;
use super::tables::Query;

/// Answers `GET /topology?format=json|mermaid|dot`: the program's dataflow graph.
pub(crate) async fn show(State(site): State<Arc<Site>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let query = Query::parse(query.as_deref(), &["format"])?;
    let description = site.shared.topology.describe();
    match query.bytes("format") {
        None | Some(b"json") => Ok(Json(description).into_response()),
        Some(b"mermaid") => Ok(description.to_mermaid().into_response()),
        Some(b"dot") => Ok(description.to_dot().into_response()),
        Some(other) => {
            let other = String::from_utf8_lossy(other);
            Err(Problem::bad_request(format!("`?format={other}` is not known; known are: json, mermaid, dot")))
        }
    }
}
