//! Trending pages: an agent adds points, a partition timer lets them fade, and a page shows them.
//!
//! `cargo run --example timer_and_web`, and in another terminal:
//!
//! ```sh
//! curl http://127.0.0.1:6066/trending     # again and again: points rise, and fade
//! curl -X POST http://127.0.0.1:6066/topics/views -d '{"key": "/about", "value": 64}'
//! ```
//!
//! The partition timer runs in every shard, in turn with the agent, and writes the same rows. No
//! view is lost.

use std::cmp::Reverse;
use std::time::Duration;

use marlowe::App;
use marlowe::axum::{Router, extract::State, http::StatusCode, routing::get};
use marlowe::table::TableView;
use marlowe::topic::ProducerRecord;

fn main() {
    let mut app = App::new("timer-and-web");
    let views = app.topic::<String, u64>("views"); // key: page, value: points
    let points = app.table::<String, u64>("points");

    app.agent("count", views).with(points).each_event(async |points, view| {
        points.update(view.key, |sum| *sum += view.value);
        Ok(())
    });
    app.partition_timer("fade", Duration::from_secs(1)).with(points).run(async |points| {
        for (page, sum) in points.iter() {
            if sum > 1 {
                points.insert(page, sum / 2)
            } else {
                points.remove(page)
            };
        }
        Ok(())
    });
    // This timer runs once in the cluster and outside of the shards. It reads what is committed.
    app.timer("report", Duration::from_secs(2)).on_leader().with(points.view()).run(async |points| {
        println!("{} pages are trending", points.len().await?);
        Ok(())
    });
    app.source("visitors", views).run(async |views| {
        for number in views.position()..100 {
            let page = ["/home", "/news", "/home", "/shop"][number as usize % 4].to_owned();
            views.send_record(ProducerRecord::new(&page, &10), number + 1).await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    });
    app.web(move |worker| Router::new().route("/trending", get(trending)).with_state(worker.open(points.view())));
    app.main()
}

async fn trending(State(points): State<TableView<String, u64>>) -> Result<String, (StatusCode, String)> {
    let rows = points.iter().await;
    let mut rows = rows.map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    rows.sort_by_key(|(_, sum)| Reverse(*sum));
    Ok(rows.into_iter().map(|(page, sum)| format!("{sum:>5}  {page}\n")).collect())
}
