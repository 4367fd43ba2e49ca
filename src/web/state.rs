//! The worker, as the program's own routes see it.

use std::fmt;
use std::sync::Arc;

use super::owner::OwnerOf;
use crate::codec::Key;
use crate::scope::{WorkerScope, WorkerWith};
use crate::table::Table;

/// The worker that serves a program's routes. [`App::web`](crate::App::web) passes it to the
/// closure that makes the routes.
///
/// It opens what the routes use, once, before the server answers:
///
/// ```
/// use marlowe::axum::{Json, Router, extract::State, routing::get};
/// use marlowe::App;
/// use marlowe::table::{GlobalClient, TableView};
///
/// let mut app = App::new("page-views");
/// let by_page = app.table::<String, u64>("views-by-page");
/// let by_user = app.global_table::<String, u64>("views-by-user").merge(|total, n| *total += n);
///
/// #[derive(Clone)]
/// struct Counts {
///     pages: TableView<String, u64>,
///     users: GlobalClient<String, u64>,
/// }
///
/// async fn home(State(counts): State<Counts>) -> Json<(Option<u64>, Option<u64>)> {
///     Json((counts.pages.get("/home").await.unwrap_or_default(), counts.users.get("ada")))
/// }
///
/// app.web(move |worker| {
///     let (pages, users) = worker.open((by_page.view(), by_user));
///     Router::new().route("/home", get(home)).with_state(Counts { pages, users })
/// });
/// ```
#[derive(Clone)]
pub struct WebState {
    scope: Arc<WorkerScope>,
}

impl fmt::Debug for WebState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebState").field("worker", &self.scope.worker).finish_non_exhaustive()
    }
}

impl WebState {
    pub(crate) fn new(scope: Arc<WorkerScope>) -> Self {
        Self { scope }
    }

    /// Opens views, global tables, inboxes, topics, agents, or a tuple of them, on this worker.
    pub fn open<W: WorkerWith>(&self, with: W) -> W::Opened {
        with.open_on_worker(&self.scope)
    }

    /// Returns a route to the workers that own the keys of `table`, for routes that must be
    /// answered there. Such a route needs the rows as they are at the owner, or much of the owner's
    /// slice, or it keeps data of its own next to the slice. (Faust: `table_route`.) A route that
    /// only reads a row can do so from any worker, through a [`view`](crate::Table::view).
    ///
    /// ```
    /// use marlowe::axum::{Router, extract::{Path, State}, routing::get};
    /// use marlowe::App;
    /// use marlowe::table::TableView;
    ///
    /// async fn page(
    ///     State(pages): State<TableView<String, u64>>,
    ///     Path(page): Path<String>,
    /// ) -> String {
    ///     // This runs in the process that owns the page's row, so the read is local.
    ///     format!("{page}: {:?}", pages.get(page.clone()).await)
    /// }
    ///
    /// let mut app = App::new("page-views");
    /// let by_page = app.table::<String, u64>("views-by-page");
    /// app.web(move |worker| {
    ///     Router::new()
    ///         .route("/pages/{page}", get(page))
    ///         .route_layer(worker.owner_of(by_page).by_path("page"))
    ///         .with_state(worker.open(by_page.view()))
    /// });
    /// ```
    ///
    /// # Panics
    /// When the table is [partition-local](crate::Table::partition_local): its keys have no owners.
    pub fn owner_of<K: Key, V: 'static>(&self, table: Table<K, V>) -> OwnerOf<K> {
        OwnerOf::new(&self.scope, table)
    }

    /// Returns the worker's name among the workers of its app.
    pub fn worker(&self) -> &str {
        &self.scope.worker
    }

    /// Returns the app's name.
    pub fn app(&self) -> &str {
        &self.scope.app
    }
}
