//! The reads of the built-in routes: they ask the owner of a partition, or the worker's copy of a
//! global table.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use marlowe_broker::Partition;
use marlowe_state::{KeyRange, PositionSlot, Rows};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::peer::{Answer, AsOf, Found, Question, Wanted, whole_millis};
use crate::query::{CommittedSlice, GlobalStore, Reached, RouteError, SlicePlace};
use crate::table::{AnyTable, Position};
use crate::topology::TableKind;
use crate::web::problem::Problem;
use crate::web::site::Site;

/// The subject of a read: a partition of a table, the position that it must have reached, and the
/// deadline for that.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) table: &'a dyn AnyTable,
    pub(crate) partition: Partition,
    pub(crate) wanted: Wanted,
    pub(crate) deadline: Instant,
    /// The staleness up to which a standby may answer. With `None`, only the owner answers.
    pub(crate) stale_within: Option<Duration>,
}

/// Rows of one partition, from one snapshot.
pub(crate) struct FoundRows {
    pub(crate) rows: Rows,
    /// `true` if the range has more rows.
    pub(crate) more: bool,
    pub(crate) state: StateOf,
}

/// The state from which an answer was read, as the answer shows it.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct StateOf {
    pub(crate) position: Position,
    /// The staleness of the answer in milliseconds, at most, if a standby answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stale: Option<u64>,
}

impl From<AsOf> for StateOf {
    fn from(as_of: AsOf) -> Self {
        Self { position: as_of.position.into(), stale: as_of.stale.map(whole_millis) }
    }
}

impl StateOf {
    /// Returns the header that marks the answer of a standby.
    pub(crate) fn headers(stale: Option<u64>) -> HeaderMap {
        let header = stale.map(|stale| (HeaderName::from_static("marlowe-stale"), HeaderValue::from(stale)));
        header.into_iter().collect()
    }
}

impl Site {
    /// Returns the row of `key`, which is in the store's form.
    pub(crate) async fn row(&self, target: Target<'_>, key: Vec<u8>) -> Result<(Option<Vec<u8>>, StateOf), Problem> {
        match self.ask(target, Question::Row(key)).await? {
            Answer { found: Found::Row(row), as_of } => Ok((row, as_of.into())),
            Answer { found, .. } => Err(failed(target.table, format!("{found:?} is not a row"))),
        }
    }

    /// Returns the first rows of a range, whether there are more, and the state from which they
    /// were read.
    pub(crate) async fn rows(
        &self,
        target: Target<'_>,
        range: KeyRange,
        limit: usize,
        bytes: usize,
    ) -> Result<FoundRows, Problem> {
        match self.ask(target, Question::Rows { range, limit, bytes }).await? {
            Answer { found: Found::Rows { rows, more }, as_of } => Ok(FoundRows { rows, more, state: as_of.into() }),
            _ => Err(failed(target.table, "the answer has no rows")),
        }
    }

    /// Returns the state of the partition, once it has reached the wanted position.
    pub(crate) async fn state(&self, target: Target<'_>) -> Result<StateOf, Problem> {
        Ok(self.ask(target, Question::Position).await?.as_of.into())
    }

    async fn ask(&self, target: Target<'_>, question: Question) -> Result<Answer, Problem> {
        let stopped = async {
            let mut status = self.status.clone();
            while status.changed().await.is_ok() {}
        };
        tokio::select! {
            biased;
            answer = async {
                match target.table.identity().kind {
                    TableKind::Global => self.ask_copy(target, &question).await,
                    TableKind::Table => self.ask_owner(target, &question).await,
                }
            } => answer,
            // The worker has stopped, so data that is missing now will not arrive any more.
            () = stopped => Err(Problem::not_now(format!(
                "table `{}`, partition {}: worker `{}` has stopped; ask another worker, or try again once it runs",
                target.table.name(),
                target.partition,
                self.scope.worker,
            ))
            .with("state", self.condition().state)),
        }
    }

    /// Asks the worker that owns the partition, in this process or another.
    async fn ask_owner(&self, target: Target<'_>, question: &Question) -> Result<Answer, Problem> {
        let Target { table, partition, wanted, deadline, stale_within } = target;
        let place = SlicePlace { table: table.name().clone(), partition, wanted, deadline, stale_within };
        self.shared.routes.ask(&place, question).await.map_err(|error| match error {
            RouteError::Closed(_) => Problem::not_now(format!(
                "table `{}`, partition {partition}: {error}; try again, or wait longer with ?wait= (milliseconds)",
                table.name()
            ))
            .with("state", self.condition().state)
            .with("partition", partition.get()),
            RouteError::Behind(position) => behind(target, position.into()),
            RouteError::Refused { .. } => Problem::new(
                axum::http::StatusCode::BAD_GATEWAY,
                format!("table `{}`, partition {partition}: {error}", table.name()),
            ),
            RouteError::Store(error) => failed(table, error),
        })
    }

    /// Asks this worker's copy of a global table.
    async fn ask_copy(&self, target: Target<'_>, question: &Question) -> Result<Answer, Problem> {
        let Target { table, partition, wanted, deadline, .. } = target;
        let mut status = self.status.clone();
        // A worker joins the group when its copies have reached the ends that they had at the
        // start.
        let joined = matches!(timeout_at(deadline, status.wait_for(|status| status.joined)).await, Ok(Ok(_)));
        if !joined || !self.is_alive() {
            return Err(self.copy_is_not_current(table));
        }
        let GlobalStore { store, moved, .. } = self.scope.global(table.name());
        let mut part = CommittedSlice { store, table: GlobalStore::TABLE, slot: PositionSlot(partition.get()), moved };
        match part.reach(wanted, deadline).await {
            Reached::Yes => part.answer(question).map_err(|error| failed(table, error)),
            Reached::Behind(position) => Err(behind(target, position.into())),
            Reached::Closed => Err(self.copy_is_not_current(table)),
        }
    }

    fn copy_is_not_current(&self, table: &dyn AnyTable) -> Problem {
        let state = self.condition().state;
        Problem::not_now(format!(
            "table `{}`: the copy on worker `{}` is not up to date (the worker is {state}); try again",
            table.name(),
            self.scope.worker,
        ))
        .with("state", state)
    }
}

fn behind(target: Target<'_>, position: Position) -> Problem {
    Problem::not_now(format!(
        "table `{}`, partition {}: its committed state has not reached the wanted position yet; try again, or wait \
         longer with ?wait= (milliseconds)",
        target.table.name(),
        target.partition,
    ))
    .with("partition", target.partition.get())
    .with("position", position)
}

/// Returns the answer for a store that cannot be read, or a row that does not decode.
pub(crate) fn failed(table: &dyn AnyTable, error: impl std::fmt::Display) -> Problem {
    Problem::internal(format!("table `{}`: a read failed", table.name()), error)
}
