//! HTTP requests to simulated workers.

use axum::body::Bytes;
use axum::http::uri::{Authority, Scheme};
use axum::http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full};

use super::simulation::Simulation;
use crate::host::RequestError;

/// The reason why a simulated request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// The request did not arrive, so it had no effect.
    #[error("the request did not arrive: {0}")]
    Unsent(String),
    /// The request may have arrived, and it is not known whether it was obeyed.
    #[error("the request was not answered, and may have been obeyed: {0}")]
    Unanswered(String),
}

impl From<RequestError> for NoAnswer {
    fn from(lost: RequestError) -> Self {
        match lost {
            RequestError::Unsent(reason) => Self::Unsent(reason),
            RequestError::Unanswered(reason) => Self::Unanswered(reason),
        }
    }
}

impl Simulation {
    /// Sends a request to the web server of worker `number` over the simulated network, and reads
    /// the whole answer. It reaches the built-in routes (`/tables/NAME/KEY` and so on) and the
    /// program's own. The URI needs only a path.
    ///
    /// ```
    /// use marlowe::App;
    /// use marlowe::axum::http::{Request, StatusCode};
    /// use marlowe::sim::Cluster;
    ///
    /// fn program() -> App {
    ///     let mut app = App::new("sums");
    ///     app.table::<String, u64>("sums").merge(|sum, more| *sum += more);
    ///     app
    /// }
    ///
    /// Cluster::new(1, program).workers(2).run(async |sim| {
    ///     let add = Request::post("/tables/sums/ada?wait=1000").body("7").unwrap();
    ///     assert_eq!(sim.request(0, add).await.unwrap().status(), StatusCode::OK);
    ///     let read = Request::get("/tables/sums/ada").body("").unwrap();
    ///     let answer = sim.request(1, read).await.unwrap();
    ///     let row: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    ///     assert_eq!(row["value"], 7);
    /// });
    /// ```
    ///
    /// A worker that [stands still](Self::pause) answers when it goes on.
    ///
    /// # Errors
    /// If the worker is not running, or crashes before it has answered, or the network loses the
    /// request or the answer.
    ///
    /// # Panics
    /// If there is no such worker.
    pub async fn request<B: Into<Bytes>>(
        &self,
        number: usize,
        request: Request<B>,
    ) -> Result<Response<Bytes>, NoAnswer> {
        let host = self.name_of(number);
        let mut request = request.map(|body| Full::new(body.into()));
        let mut uri = std::mem::take(request.uri_mut()).into_parts();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Authority::try_from(host.as_str()).ok();
        *request.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
        let (head, body) = self.network.request(request).await?.into_parts();
        let body = body.collect().await.map_err(|error| NoAnswer::Unanswered(format!("{host}: {error}")))?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }
}
