//! A shop: two agents change the same rows of one table, and a view reads them.
//!
//! `cargo run --example shared_table`, and in another terminal:
//!
//! ```sh
//! curl http://127.0.0.1:6066/stock    # what is committed; it ends at 100 of each
//! curl -X POST http://127.0.0.1:6066/topics/deliveries -d '{"key": "tea", "value": 5}'
//! curl -X POST http://127.0.0.1:6066/topics/orders -d '{"key": "7", "value": ["tea", 3]}'
//! ```
//!
//! There is no lock. All events of one item are handled in one shard, one at a time, so no update
//! is lost.

use std::time::Duration;

use marlowe::App;
use marlowe::axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use marlowe::table::TableView;
use marlowe::topic::ProducerRecord;

fn main() {
    let mut app = App::new("shared-table");
    let deliveries = app.topic::<String, i64>("deliveries"); // key: item, value: pieces
    let orders = app.topic::<u64, (String, i64)>("orders"); // key: number, value: item, pieces
    let stock = app.table::<String, i64>("stock");

    app.agent("restock", deliveries).with(stock).each_event(async |stock, event| {
        let left = stock.get(&event.key).unwrap_or(0);
        tokio::task::yield_now().await; // nothing else changes the row during an await
        stock.insert(event.key, left + event.value);
        Ok(())
    });
    // Orders have another key than the table: group_by sends each to the shard that owns its item.
    app.agent("sell", orders.group_by(|(item, _)| item.clone())).with(stock).each(async |stock, (item, pieces)| {
        stock.update(item, |left| *left -= pieces);
        Ok(())
    });

    app.source("suppliers", deliveries).run(async |deliveries| {
        for number in deliveries.position()..200 {
            let item = ["tea", "salt"][number as usize % 2].to_owned();
            deliveries.send_record(ProducerRecord::new(&item, &3), number + 1).await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    });
    app.source("customers", orders).run(async |orders| {
        for number in orders.position()..200 {
            let item = ["tea", "salt"][number as usize % 2].to_owned();
            orders.send_record(ProducerRecord::new(&number, &(item, 2)), number + 1).await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    });

    app.web(move |worker| Router::new().route("/stock", get(all)).with_state(worker.open(stock.view())));
    app.main()
}

async fn all(State(stock): State<TableView<String, i64>>) -> Result<Json<Vec<(String, i64)>>, (StatusCode, String)> {
    stock.iter().await.map(Json).map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, error.to_string()))
}
