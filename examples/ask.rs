//! A bank: an agent owns the accounts, and a web route asks it and waits for its answer.
//!
//! `cargo run --example ask`, and in another terminal:
//!
//! ```sh
//! curl -X POST http://127.0.0.1:6066/withdraw/ada/30     # every account begins with 100
//! curl -X POST http://127.0.0.1:6066/withdraw/ada/500    # 409: refused, and nothing is changed
//! curl http://127.0.0.1:6066/tables/balances/ada
//! ```
//!
//! The answer comes when the changes of the agent are committed. Two requests for one account are
//! handled one after the other.

use marlowe::App;
use marlowe::agent::AskClient;
use marlowe::axum::extract::{Path, State};
use marlowe::axum::{Json, Router, http::StatusCode, routing::post};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Paid { left: u64 },
    Refused { left: u64 },
}

fn main() {
    let mut app = App::new("ask");
    let requests = app.topic::<String, u64>("requests"); // key: account, value: amount
    let balances = app.table::<String, u64>("balances");

    // The value that the handler returns is the answer.
    let teller = app.agent("teller", requests).with(balances).each_event(async |balances, request| {
        let balance = balances.get(&request.key).unwrap_or(100);
        let Some(left) = balance.checked_sub(request.value) else { return Ok(Answer::Refused { left: balance }) };
        balances.insert(request.key, left);
        Ok(Answer::Paid { left })
    });
    let teller = teller.answers();

    app.task("first").on_leader().with(teller).run(async |teller| {
        println!("grace takes 40: {:?}", teller.ask(&"grace".to_owned(), &40).await?);
        Ok(())
    });
    app.web(move |worker| {
        Router::new().route("/withdraw/{account}/{amount}", post(withdraw)).with_state(worker.open(teller))
    });
    app.main()
}

type Teller = AskClient<String, u64, Answer>;

async fn withdraw(
    State(teller): State<Teller>,
    Path((account, amount)): Path<(String, u64)>,
) -> (StatusCode, Json<String>) {
    match teller.ask(&account, &amount).await {
        Ok(Answer::Paid { left }) => (StatusCode::OK, Json(format!("paid {amount}, {left} left"))),
        Ok(Answer::Refused { left }) => (StatusCode::CONFLICT, Json(format!("refused, {left} left"))),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, Json(error.to_string())),
    }
}
