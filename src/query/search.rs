use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::Partition;
use tokio::time::{Instant, timeout_at};

use super::open::{OpenSlices, Published};
use crate::cluster::{Claim, ClaimPlace, Directory};
use crate::watch;

/// How soon to look again where nothing tells of a change; it doubles up to the longest.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// A search for whoever has a partition, until a deadline: each step tells who has it then.
pub(crate) struct Search<'a> {
    slices: &'a OpenSlices,
    directory: &'a Directory,
    pub(crate) group: Arc<str>,
    table: &'a str,
    partition: Partition,
    deadline: Instant,
    news: News,
    /// How long to wait for news before the next step; none before the first.
    pause: Option<Duration>,
    /// Why the last step came to nothing.
    absence: Unavailable,
}

/// Who has a partition.
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

/// Why nobody has a partition open, as far as is known here.
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

    /// Who has it now. After the first time, waits for news first, or a moment if none comes.
    ///
    /// # Errors
    /// When the time is up: why nobody had it.
    pub(crate) async fn next(&mut self) -> Result<Found, Unavailable> {
        loop {
            if let Some(pause) = self.pause {
                // When the time is up, that is no news.
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

    /// Says why whoever was found did not have it after all.
    pub(crate) fn missed(&mut self, absence: Unavailable) {
        self.absence = absence;
    }

    /// How long there is left to search.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Waits until somebody else has it than who took it at `generation`.
    pub(crate) async fn moves_on(&self, generation: u64) {
        let mut changed = self.directory.changed();
        while self.directory.owner(&self.group, self.partition).is_some_and(|owner| owner.generation == generation) {
            if changed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// What may change where a partition is.
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
        // Their senders live as long as the routes.
        tokio::select! {
            biased;
            _ = self.slices.changed() => {}
            _ = self.directory.changed() => {}
        }
    }
}
