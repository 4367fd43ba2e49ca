//! The route that lists the tables: `GET /tables`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use futures_util::future::{join_all, try_join_all};
use marlowe_broker::Partition;
use serde::Serialize;
use tokio::time::Instant;

use crate::peer::Wanted;
use crate::query::{RouteError, SlicePlace};
use crate::table::{AnyTable, Keyspace};
use crate::topology::TableKind;
use crate::web::site::Site;

/// The time that another worker may take to count its rows.
const COUNT_WITHIN: Duration = Duration::from_millis(500);

/// A table, as the list shows it.
#[derive(Debug, Serialize)]
pub(crate) struct TableAnswer {
    pub(crate) name: Arc<str>,
    pub(crate) kind: TableKind,
    pub(crate) partitions: u32,
    /// `true` if each partition has rows of its own.
    partition_local: bool,
    /// The number of committed rows. It is `null` if some partition is open nowhere, or was not
    /// counted in time.
    pub(crate) rows: Option<u64>,
    changelog: Arc<str>,
    /// The topic to which changes are sent, if the table takes any.
    inbox: Option<Arc<str>>,
    #[serde(rename = "where")]
    places: Vec<PlaceOf>,
}

/// A partition, and the worker that has it, in this process or another, if there is one.
#[derive(Debug, Serialize)]
struct PlaceOf {
    partition: u32,
    worker: Option<Arc<str>>,
    /// `true` if it is open there, `false` if it is being restored.
    open: bool,
    /// The URL of that worker.
    web: Option<Arc<str>>,
    /// The workers that keep a standby of it.
    standbys: Vec<StandbyOf>,
}

/// A worker that keeps a standby of a partition.
#[derive(Debug, Serialize)]
struct StandbyOf {
    worker: Arc<str>,
    web: Option<Arc<str>>,
}

/// Answers `GET /tables`: the program's tables.
pub(crate) async fn list(State(site): State<Arc<Site>>) -> Json<Vec<TableAnswer>> {
    Json(site.tables().await)
}

impl Site {
    pub(crate) async fn tables(&self) -> Vec<TableAnswer> {
        join_all(self.shared.program.tables.iter().map(|table| self.describe(*table))).await
    }

    async fn describe(&self, table: &dyn AnyTable) -> TableAnswer {
        let identity = table.identity();
        let partition_local = table.keyspace() == Keyspace::PartitionLocal;
        let partitions = self.partitions(table);
        let places: Vec<PlaceOf> =
            Partition::all(partitions).map(|partition| self.place_of(&identity.name, partition)).collect();
        let counts = try_join_all(places.iter().map(|place| self.count(&identity.name, place)));
        TableAnswer {
            name: identity.name.clone(),
            kind: identity.kind,
            partitions,
            partition_local,
            rows: counts.await.ok().map(|counts| counts.into_iter().sum()),
            changelog: identity.changelog.clone(),
            inbox: (!partition_local).then(|| identity.inbox.clone()),
            places,
        }
    }

    fn place_of(&self, table: &str, partition: Partition) -> PlaceOf {
        let routes = &self.shared.routes;
        let group = routes.slices.group(table).unwrap_or_default();
        let claim = routes.directory.owner(&group, partition);
        let standbys = routes.directory.standbys(&group, partition).into_iter();
        PlaceOf {
            partition: partition.get(),
            open: claim.as_ref().is_some_and(|claim| claim.open),
            worker: claim.as_ref().map(|claim| claim.worker.clone()),
            web: claim.and_then(|claim| claim.url),
            standbys: standbys.map(|(worker, web)| StandbyOf { worker, web }).collect(),
        }
    }

    /// Returns the number of rows of a partition. It waits only for the answer of the worker that
    /// has it, and not for the partition to open.
    async fn count(&self, table: &Arc<str>, place: &PlaceOf) -> Result<u64, RouteError> {
        let wait = if place.open { COUNT_WITHIN } else { Duration::ZERO };
        let partition = Partition::new(place.partition);
        let deadline = Instant::now() + wait;
        let (table, wanted) = (table.clone(), Wanted::default());
        self.shared.routes.count(&SlicePlace { table, partition, wanted, deadline, stale_within: None }).await
    }
}
