//! Counters of any name: a timer and a web handler change rows that they do not own, through the
//! table's inbox.
//!
//! `cargo run --example inbox_merge`, and in another terminal:
//!
//! ```sh
//! curl -X POST http://127.0.0.1:6066/hits/home       # adds 1, and answers with the new count
//! curl http://127.0.0.1:6066/tables/hits             # all rows; `seconds` grows every second
//! # The same inbox, without any code:
//! curl -X POST "http://127.0.0.1:6066/tables/hits/home?wait=1000" -d 10
//! ```
//!
//! A change is applied exactly once, by the worker that owns the row. The `merge` says how it is
//! added to the row.

use std::time::Duration;

use marlowe::axum::extract::{Path, State};
use marlowe::axum::{Json, Router, http::StatusCode, routing::post};
use marlowe::table::{InboxClient, TableView};
use marlowe::{App, HandlerError};

fn main() {
    let mut app = App::new("inbox-merge");
    let hits = app.table::<String, u64>("hits").merge(|count, more| *count += more);

    // The timer runs on one worker of the cluster. Without `.on_leader()` every worker would add 1.
    app.timer("clock", Duration::from_secs(1)).on_leader().with(hits.inbox()).run(async |hits| {
        hits.send("seconds", 1).await?;
        Ok(())
    });
    app.web(move |worker| {
        Router::new().route("/hits/{page}", post(hit)).with_state(worker.open((hits.inbox(), hits.view())))
    });
    app.main()
}

type Hits = (InboxClient<String, u64>, TableView<String, u64>);

async fn hit(State(hits): State<Hits>, Path(page): Path<String>) -> Result<Json<u64>, (StatusCode, String)> {
    add(hits, page).await.map(Json).map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, error.to_string()))
}

async fn add((inbox, view): Hits, page: String) -> Result<u64, HandlerError> {
    let sent = inbox.send(&page, 1).await?;
    view.wait_for(&sent).await?; // from here on the view has this change
    Ok(view.get(&page).await?.unwrap_or(0))
}
