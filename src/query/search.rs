//! The search for the worker that has a partition.

use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::Partition;
use tokio::time::{Instant, timeout_at};

use super::open::{OpenSlices, Published};
use crate::backoff::Backoff;
use crate::cluster::{Claim, ClaimPlace, Directory};
use crate::peer::PeerError;
use crate::watch;

/// The first pause between two steps of a search when no change is reported. It doubles up to
/// `LONGEST_PAUSE`.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Returns the pauses between the steps of a search.
pub(crate) const fn pauses() -> Backoff {
    Backoff::doubling(FIRST_PAUSE, LONGEST_PAUSE)
}

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
    /// Set after the first step, which does not wait for news.
    has_looked: bool,
    backoff: Backoff,
    /// The reason why the last step found no one.
    absence: Unavailable,
}

/// The place where a partition is.
pub(crate) enum FoundPartition {
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

impl Elsewhere {
    /// Returns the worker that has a partition, if it can be asked from here.
    ///
    /// # Errors
    /// If no worker is known to have it, if it is a worker of this process, which is then still
    /// restoring the shard, or one without a web server.
    pub(crate) fn find(directory: &Directory, group: &str, partition: Partition) -> Result<Self, Unavailable> {
        let Some(Claim { worker, url, generation, place, .. }) = directory.owner(group, partition) else {
            return Err(directory.unsigned().map_or(Unavailable::Moving, Unavailable::Unsigned));
        };
        match (place, url) {
            (ClaimPlace::Here, _) => Err(Unavailable::Restoring(worker)),
            (ClaimPlace::Elsewhere, None) => Err(Unavailable::NoWeb(worker)),
            (ClaimPlace::Elsewhere, Some(url)) => Ok(Self { worker, url, generation }),
        }
    }

    /// Returns the reason why the partition is unavailable, after this worker was asked and failed
    /// with `error`.
    pub(crate) fn absence(&self, error: &PeerError) -> Unavailable {
        match error {
            PeerError::Misdirected => Unavailable::Moving,
            PeerError::NotNow { .. } => Unavailable::Restoring(self.worker.clone()),
            PeerError::Unreachable(_) | PeerError::Refused(_) => self.unreachable(error.to_string()),
        }
    }

    /// Returns the reason why the partition is unavailable, after this worker could not be asked.
    pub(crate) fn unreachable(&self, reason: String) -> Unavailable {
        Unavailable::Unreachable { worker: self.worker.clone(), url: self.url.clone(), reason }
    }
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
        "the directory entry of worker `{0}` is not signed with this worker's --cluster-token, so it is not asked: \
         give all workers of the app the same token"
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
        let backoff = pauses();
        Self { slices, directory, group, table, partition, deadline, news, has_looked: false, backoff, absence }
    }

    /// Returns the place of the partition. From the second step on, it first waits for news, but no
    /// longer than the pause.
    ///
    /// # Errors
    /// If the deadline has passed. The error is the reason why the last step failed.
    pub(crate) async fn next(&mut self) -> Result<FoundPartition, Unavailable> {
        loop {
            if std::mem::replace(&mut self.has_looked, true) {
                self.news.come_within(self.backoff.next_pause(), self.deadline).await;
                if Instant::now() >= self.deadline {
                    return Err(self.absence.clone());
                }
            }
            self.news.mark_unchanged();
            if let Some(slice) = self.slices.slice(self.table, self.partition) {
                return Ok(FoundPartition::Here(slice));
            }
            match Elsewhere::find(self.directory, &self.group, self.partition) {
                Ok(owner) => return Ok(FoundPartition::Elsewhere(owner)),
                Err(absence) => self.absence = absence,
            }
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

    /// Waits for news, but no longer than `pause` and not beyond `deadline`.
    pub(crate) async fn come_within(&mut self, pause: Duration, deadline: Instant) {
        // A timeout only means that there was no news.
        let _ = timeout_at(deadline.min(Instant::now() + pause), self.come()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks that stale and other reads, which both ask for the owner here, tell of the token.
    #[tokio::test]
    async fn an_owner_that_is_unknown_may_have_another_token() {
        let directory = Directory::new("here".into());
        let find = || Elsewhere::find(&directory, "g", Partition::new(0)).err();
        assert!(matches!(find(), Some(Unavailable::Moving)));
        directory.note_unsigned("other");
        assert!(matches!(find(), Some(Unavailable::Unsigned(worker)) if &*worker == "other"));
    }
}
