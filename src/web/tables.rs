use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use marlowe_broker::Partition;
use serde::Serialize;

use super::site::Site;
use crate::table::{AnyTable, Keyspace, TableKind};

/// A table, for people who look for theirs.
#[derive(Debug, Serialize)]
pub(crate) struct TableAnswer {
    pub(crate) name: Arc<str>,
    pub(crate) kind: TableKind,
    pub(crate) partitions: u32,
    /// Whether each partition has rows of its own.
    partition_local: bool,
    /// Committed rows in the slices that are open.
    pub(crate) rows: u64,
    changelog: Arc<str>,
    /// Where changes are sent, if they can be.
    inbox: Option<Arc<str>>,
    #[serde(rename = "where")]
    places: Vec<PlaceOf>,
}

/// Which worker has a partition open, if one has.
#[derive(Debug, Serialize)]
struct PlaceOf {
    partition: u32,
    worker: Option<Arc<str>>,
    /// That worker's web server.
    web: Option<SocketAddr>,
}

/// `GET /tables`: the program's tables.
pub(crate) async fn list(State(site): State<Arc<Site>>) -> Json<Vec<TableAnswer>> {
    Json(site.tables())
}

impl Site {
    pub(crate) fn tables(&self) -> Vec<TableAnswer> {
        self.shared.program.tables.iter().map(|table| self.describe(*table)).collect()
    }

    fn describe(&self, table: &dyn AnyTable) -> TableAnswer {
        let identity = table.identity();
        let partition_local = table.keyspace() == Keyspace::PartitionLocal;
        let partitions = self.partitions(table);
        let slices = Partition::all(partitions).filter_map(|partition| {
            let slice = self.shared.directory.slice(&identity.name, partition)?;
            slice.store.count(slice.table).ok()
        });
        let places = self.shared.directory.owners(&identity.name).into_iter().zip(0..).map(|(owner, partition)| {
            let worker = owner.map(|owner| owner.worker);
            PlaceOf { partition, web: worker.as_deref().and_then(|worker| self.addresses.of(worker)), worker }
        });
        TableAnswer {
            name: identity.name.clone(),
            kind: identity.kind,
            partitions,
            partition_local,
            rows: slices.sum(),
            changelog: identity.changelog.clone(),
            inbox: (!partition_local).then(|| identity.inbox.clone()),
            places: places.collect(),
        }
    }
}
