use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::Partition;
use marlowe_state::{PositionSlot, Store, TableIndex};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::problem::Problem;
use super::site::Site;
use crate::table::{AnyTable, GlobalStore, Position, Published, TableKind};

/// How soon to look again for a slice that was just closed.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// One partition of a table's committed rows: its owner's slice, or the part of this worker's copy of a global table.
pub(crate) struct CommittedSlice {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) table: TableIndex,
    pub(crate) slot: PositionSlot,
    /// Marked when it moves on.
    moved: watch::Receiver<()>,
}

impl CommittedSlice {
    pub(crate) fn position(&self) -> Position {
        self.store.position(self.slot).into()
    }
}

/// How far a slice is wanted to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// A changelog position, as an earlier answer told it.
    pub(crate) changelog: Option<u64>,
    /// The offset of a change in the table's inbox.
    pub(crate) inbox: Option<u64>,
}

impl Wanted {
    fn is_reached(&self, position: Position) -> bool {
        self.changelog.is_none_or(|wanted| position.changelog >= wanted)
            && self.inbox.is_none_or(|wanted| position.inbox > wanted)
    }
}

impl Site {
    /// A partition of a table, as soon as it can be read.
    pub(crate) async fn slice(
        &self,
        table: &dyn AnyTable,
        partition: Partition,
        deadline: Instant,
    ) -> Result<CommittedSlice, Problem> {
        self.slice_at(table, partition, Wanted::default(), deadline).await
    }

    /// A partition of a table, as soon as it is as far as wanted.
    pub(crate) async fn slice_at(
        &self,
        table: &dyn AnyTable,
        partition: Partition,
        wanted: Wanted,
        deadline: Instant,
    ) -> Result<CommittedSlice, Problem> {
        let stopped = async {
            let mut status = self.status.clone();
            while status.changed().await.is_ok() {}
        };
        tokio::select! {
            biased;
            slice = self.reached(table, partition, wanted, deadline) => slice,
            // What is not there by now will not come here any more, and nobody is to wait for it.
            () = stopped => Err(Problem::not_now(format!(
                "table `{}`, partition {partition}: worker `{}` has stopped; ask another worker, or try again once it runs",
                table.name(),
                self.scope.worker,
            ))
            .with("state", self.condition().state)),
        }
    }

    async fn reached(
        &self,
        table: &dyn AnyTable,
        partition: Partition,
        wanted: Wanted,
        deadline: Instant,
    ) -> Result<CommittedSlice, Problem> {
        loop {
            let mut slice = match table.identity().kind {
                TableKind::Global => self.part_of_copy(table, partition, deadline).await?,
                TableKind::Table => self.owners_slice(table, partition, deadline).await?,
            };
            slice.moved.mark_unchanged();
            let position = slice.position();
            if wanted.is_reached(position) {
                return Ok(slice);
            }
            match timeout_at(deadline, slice.moved.changed()).await {
                Ok(Ok(())) => {}
                // Its owner closed it; the next one will open it.
                Ok(Err(_)) if Instant::now() < deadline => tokio::time::sleep(LOOK_AGAIN).await,
                _ => {
                    return Err(Problem::not_now(format!(
                        "table `{}`, partition {partition}: its committed state has not come so far yet; try again, or wait \
                         longer with ?wait= (milliseconds)",
                        table.name()
                    ))
                    .with("partition", partition.get())
                    .with("position", position));
                }
            }
        }
    }

    /// The slice of the shard that owns it, on whichever worker that is.
    async fn owners_slice(
        &self,
        table: &dyn AnyTable,
        partition: Partition,
        deadline: Instant,
    ) -> Result<CommittedSlice, Problem> {
        let wait = deadline.saturating_duration_since(Instant::now());
        match self.shared.directory.wait_for(table.name(), partition, wait).await {
            Some(Published { store, table, slot, committed, .. }) => {
                Ok(CommittedSlice { store, table, slot, moved: committed })
            }
            None => Err(Problem::not_now(format!(
                "table `{}`, partition {partition}: no worker has it open (it is being restored or is moving to another \
                 worker); try again, or wait longer with ?wait= (milliseconds)",
                table.name()
            ))
            .with("state", self.condition().state)
            .with("partition", partition.get())),
        }
    }

    /// A partition of this worker's copy of a global table.
    async fn part_of_copy(
        &self,
        table: &dyn AnyTable,
        partition: Partition,
        deadline: Instant,
    ) -> Result<CommittedSlice, Problem> {
        let mut status = self.status.clone();
        // A worker joins once its copies have reached the end they had at the start.
        let joined = timeout_at(deadline, status.wait_for(|status| status.joined)).await;
        if !matches!(joined, Ok(Ok(_))) || !self.is_alive() {
            let state = self.condition().state;
            return Err(Problem::not_now(format!(
                "table `{}`: the copy on worker `{}` is not up to date (the worker is {state}); try again",
                table.name(),
                self.scope.worker,
            ))
            .with("state", state));
        }
        let GlobalStore { store, moved, .. } = self.scope.global(table.name());
        Ok(CommittedSlice { store, table: GlobalStore::TABLE, slot: PositionSlot(partition.get()), moved })
    }
}
