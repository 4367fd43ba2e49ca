//! The search for the worker that has a partition.

use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::Partition;
use tokio::time::{Instant, timeout_at};

use super::open::{OpenSlices, Published};
use crate::cluster::{Claim, ClaimPlace, Directory};
use crate::watch;

/// The first pause between two steps of a search when no change is reported. It doubles up to
/// `LONGEST_PAUSE`.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// A search for the worker that has a partition, until a deadline. Each step returns the worker
/// that has it at that moment.
pub(crate) struct Search<'a> {
    slices: &'a OpenSlices,
    directory: &'a Directory,
    pub(crate) group: Arc<str>,
    table: &'a str,
    partition: Partition,
    deadline: Instant,
    news: News,
    /// How long to wait for news before the next step; `None` before the first step.
    pause: Option<Duration>,
    /// The reason why the last step found no one.
    absence: Unavailable,
}

/// The place where a partition is.
pub(crate) enum Found {
    /// It is open in this process.
    Here(Published),
    /// A worker of another process has it, open or not.
    Elsewhere(Elsewhere),
}

/// A worker of another process that has a shard.
#[derive(Clone, Debug)]
pub(crate) struct Elsewhere {
    pub(crate) worker: Arc<str>,
    pub(crate) url: Arc<str>,
    /// The group's generation at which it took the shard.
    pub(crate) generation: u64,
}

/// The reason why no worker has a partition open, as far as this process knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unavailable {
    #[error("it is being restored or is moving to another worker")]
    Moving,
    #[error("it is being restored on worker `{0}`")]
    Restoring(Arc<str>),
    #[error("worker `{worker}` at {url} has it, and {reason}")]
    Unreachable { worker: Arc<str>, url: Arc<str>, reason: String },
    #[error(
        "worker `{0}` has it, in another process and without a web server, so it cannot be asked: start it with one \
         (`--web HOST:PORT`)"
    )]
    NoWeb(Arc<str>),
    #[error(
        "what worker `{0}` says is not signed with this worker's --cluster-token, so it is not asked: give all workers of \
         the app the same token"
    )]
    Unsigned(Arc<str>),
}

impl<'a> Search<'a> {
    pub(crate) fn new(
        slices: &'a OpenSlices,
        directory: &'a Directory,
        table: &'a str,
        partition: Partition,
        deadline: Instant,
    ) -> Self {
        let group = slices.group(table).unwrap_or_else(|| table.into());
        let (news, absence) = (News::of(slices, directory), Unavailable::Moving);
        Self { slices, directory, group, table, partition, deadline, news, pause: None, absence }
    }

    /// Returns the place of the partition. From the second step on, it first waits for news, but no
    /// longer than the pause.
    ///
    /// # Errors
    /// If the deadline has passed. The error is the reason why the last step failed.
    pub(crate) async fn next(&mut self) -> Result<Found, Unavailable> {
        loop {
            if let Some(pause) = self.pause {
                // A timeout only means that there was no news.
                let _ = timeout_at(self.deadline.min(Instant::now() + pause), self.news.come()).await;
                if Instant::now() >= self.deadline {
                    return Err(self.absence.clone());
                }
            }
            self.pause = Some(self.pause.map_or(FIRST_PAUSE, |pause| LONGEST_PAUSE.min(2 * pause)));
            self.news.mark_unchanged();
            if let Some(slice) = self.slices.slice(self.table, self.partition) {
                return Ok(Found::Here(slice));
            }
            self.absence = match self.directory.owner(&self.group, self.partition) {
                None => self.directory.unsigned().map_or(Unavailable::Moving, Unavailable::Unsigned),
                Some(Claim { worker, place: ClaimPlace::Here, .. }) => Unavailable::Restoring(worker),
                Some(Claim { worker, url: None, .. }) => Unavailable::NoWeb(worker),
                Some(Claim { worker, url: Some(url), generation, .. }) => {
                    return Ok(Found::Elsewhere(Elsewhere { worker, url, generation }));
                }
            };
        }
    }

    /// Records the reason why the worker that was found did not have the partition after all.
    pub(crate) fn missed(&mut self, absence: Unavailable) {
        self.absence = absence;
    }

    /// Returns the time that is left until the deadline.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Waits until the newest claim is not the one of `generation` any more.
    pub(crate) async fn moves_on(&self, generation: u64) {
        let mut changed = self.directory.changed();
        while self.directory.owner(&self.group, self.partition).is_some_and(|owner| owner.generation == generation) {
            if changed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// The events after which a partition may be in another place: a published slice, or a change in
/// the directory.
pub(crate) struct News {
    slices: watch::Receiver<()>,
    directory: watch::Receiver<()>,
}

impl News {
    pub(crate) fn of(slices: &OpenSlices, directory: &Directory) -> Self {
        Self { slices: slices.changed(), directory: directory.changed() }
    }

    pub(crate) fn mark_unchanged(&mut self) {
        self.slices.mark_unchanged();
        self.directory.mark_unchanged();
    }

    pub(crate) async fn come(&mut self) {
        // The senders live as long as the routes, so neither channel closes.
        tokio::select! {
            biased;
            _ = self.slices.changed() => {}
            _ = self.directory.changed() => {}
        }
    }
}
