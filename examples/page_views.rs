//! Page views: three ways of sharing a table.
//!
//! `cargo run --example page_views`, then open <http://127.0.0.1:6066/top>.

use std::time::Duration;

use marlowe::App;
use marlowe::axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use marlowe::table::{GlobalClient, TableView};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct PageView {
    page: String,
    user: String,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Page {
    views: u64,
    lately: u64,
    before: u64,
}

fn main() {
    let mut app = App::new("page-views");
    let views = app.topic::<String, PageView>("views");
    let steps = app.topic::<String, String>("steps");
    let pages = app.table::<String, Page>("pages");
    let paths = app.table::<String, Vec<String>>("paths");
    let users = app.global_table::<String, u64>("views-by-user").merge(|total, n| *total += n);

    let path = app.agent("path", steps).with(paths).each_event(async |paths, step| {
        paths.update(step.key, |path| {
            path.push(step.value);
            path.drain(..path.len().saturating_sub(5));
        });
        Ok(())
    });

    app.agent("count", views.group_by(|view| view.page.clone())).with((pages, users, path)).each(
        async |(pages, users, path), view| {
            pages.update(&view.page, |page| page.views += 1); // its own key: now, in this transaction
            users.send(&view.user, 1); // any key: merged in once, by its owner
            path.cast(&view.user, &view.page); // more than a merge: an agent owns the rows, others cast to it
            Ok(())
        },
    );

    // This timer runs in every shard, in turn with the agent whose rows it shares.
    app.partition_timer("lately", Duration::from_secs(5)).with(pages).run(async |pages| {
        for (name, _) in pages.iter() {
            pages.update(name, |page| *page = Page { lately: page.views - page.before, before: page.views, ..*page });
        }
        Ok(())
    });

    app.task("visits").on_leader().with(views).run(async |views| {
        for number in 0..200 {
            let page = ["/home", "/news", "/home", "/shop", "/news/marlowe"][number % 5].to_owned();
            let user = ["ada", "grace", "edsger"][number % 3].to_owned();
            views.send(&user.clone(), &PageView { page, user }).await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    });

    app.web(move |state| Router::new().route("/top", get(top)).with_state(state.open((pages.view(), users))));
    app.main()
}

#[derive(Serialize)]
struct Top {
    pages: Vec<(String, Page)>,
    users: Vec<(String, u64)>,
}

type Tables = (TableView<String, Page>, GlobalClient<String, u64>);

async fn top(State((pages, users)): State<Tables>) -> Result<Json<Top>, (StatusCode, String)> {
    let moving = |error: marlowe::table::ViewError| (StatusCode::SERVICE_UNAVAILABLE, error.to_string());
    let mut pages = pages.iter().await.map_err(moving)?;
    pages.sort_by_key(|(_, page)| std::cmp::Reverse(page.views));
    Ok(Json(Top { pages, users: users.iter().map_err(moving)? }))
}
