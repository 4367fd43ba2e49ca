//! Routing of reads: to the slice in this process, or to the worker that owns it.

use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::Partition;
use marlowe_state::{KeyRange, Rows, SlicePosition, StoreError};
use tokio::time::{Instant, timeout_at};

use super::committed::{CommittedSlice, Reached};
use super::open::{OpenSlices, Published};
use super::search::{Elsewhere, FIRST_PAUSE, FoundPartition, News, Search, Unavailable};
use crate::backoff::Backoff;
use crate::cluster::Directory;
use crate::peer::{Answer, AsOf, Asked, Found, PeerError, Peers, Question, ROW_BYTES, WAIT_AT_MOST, Wanted};

/// The routes from this process to every partition of every table. A slice that is open here is
/// read here. Any other is asked of the worker that owns it.
///
/// The worker that is asked answers itself or says that it cannot. It asks no other worker. So a
/// question takes one hop, and only the asker looks again, until its deadline.
pub(crate) struct Routes {
    pub(crate) slices: Arc<OpenSlices>,
    pub(crate) directory: Arc<Directory>,
    peers: Peers,
}

/// One partition of a table, wherever it is, and the conditions for reading it.
#[derive(Clone, Debug)]
pub(crate) struct SlicePlace {
    pub(crate) table: Arc<str>,
    pub(crate) partition: Partition,
    pub(crate) wanted: Wanted,
    /// The time at which a read stops waiting.
    pub(crate) deadline: Instant,
    /// The staleness up to which a standby may answer; `None` if only the owner may.
    pub(crate) stale_within: Option<Duration>,
}

/// The reason why a partition was not read.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum RouteError {
    /// No worker had the partition open in time.
    #[error("no worker has it open: {0}")]
    Closed(Unavailable),
    /// It was open, but had not reached the wanted position in time. It was at this one.
    #[error("its committed state has not reached the wanted position yet")]
    Behind(SlicePosition),
    /// Its owner refuses, and would refuse again.
    #[error("worker `{worker}`, which has it: {reason}")]
    Refused { worker: Arc<str>, reason: String },
    /// The store in this process cannot be read.
    #[error(transparent)]
    Store(Arc<StoreError>),
}

/// The reason why this worker does not answer a question of another worker.
#[derive(Clone, Debug)]
pub(crate) enum PeerRefusal {
    /// The partition is not here, or another worker has taken it since. `Some` is the generation at
    /// which it was taken here.
    Misdirected(Option<u64>),
    /// The partition was not readable in time.
    Route(RouteError),
}

/// Extra time for a worker's answer after the wait that it was allowed. In it, the worker reports
/// that the wait was in vain.
const GRACE: Duration = Duration::from_millis(250);

impl Routes {
    pub(crate) fn new(slices: Arc<OpenSlices>, directory: Arc<Directory>, peers: Peers) -> Self {
        Self { slices, directory, peers }
    }

    /// Returns the row of a key in ordered form.
    pub(crate) async fn row(&self, place: &SlicePlace, key: Vec<u8>) -> Result<(Option<Vec<u8>>, AsOf), RouteError> {
        let answer = self.ask(place, &Question::Row(key)).await?;
        match answer.found {
            Found::Row(row) => Ok((row, answer.as_of)),
            other => unasked(&other),
        }
    }

    /// Returns the first rows of a range, from one snapshot, and `true` if there may be more. The
    /// rows may be fewer than `limit` even if there are more.
    pub(crate) async fn rows(
        &self,
        place: &SlicePlace,
        range: KeyRange,
        limit: usize,
    ) -> Result<(Rows, bool), RouteError> {
        let answer = self.ask(place, &Question::Rows { range, limit, bytes: ROW_BYTES }).await?;
        match answer.found {
            Found::Rows { rows, more } => Ok((rows, more)),
            other => unasked(&other),
        }
    }

    /// Returns the number of rows.
    pub(crate) async fn count(&self, place: &SlicePlace) -> Result<u64, RouteError> {
        match self.ask(place, &Question::Count).await?.found {
            Found::Count(count) => Ok(count),
            other => unasked(&other),
        }
    }

    /// Waits until the partition is at the wanted position, and returns its position.
    pub(crate) async fn position(&self, place: &SlicePlace) -> Result<SlicePosition, RouteError> {
        Ok(self.ask(place, &Question::Position).await?.as_of.position)
    }

    /// Asks the worker that has the partition. Retries until the deadline, each time with the
    /// worker that has it by then.
    pub(crate) async fn ask(&self, place: &SlicePlace, question: &Question) -> Result<Answer, RouteError> {
        if let Some(Published { slice, .. }) = self.slices.slice(&place.table, place.partition)
            && place.wanted.is_reached(slice.position())
        {
            return answer(&slice, question);
        }
        if let Some(bound) = place.stale_within {
            return self.ask_within(place, question, bound).await;
        }
        let mut search = self.search(&place.table, place.partition, place.deadline);
        let mut behind = None;
        loop {
            let owner = match search.next().await {
                Ok(found) => found,
                Err(absence) => return Err(behind.map_or(RouteError::Closed(absence), RouteError::Behind)),
            };
            let owner = match owner {
                FoundPartition::Elsewhere(owner) => owner,
                FoundPartition::Here(Published { mut slice, .. }) => {
                    match slice.reach(place.wanted, place.deadline).await {
                        Reached::Yes => return answer(&slice, question),
                        Reached::Behind(position) => return Err(RouteError::Behind(position)),
                        Reached::Closed => search.missed(Unavailable::Moving),
                    }
                    continue;
                }
            };
            search.missed(match self.ask_owner(&search, &owner, place, question).await {
                Ok(answer) => return Ok(answer),
                Err(PeerError::Refused(reason)) => {
                    return Err(RouteError::Refused { worker: owner.worker.clone(), reason });
                }
                // One worker waits at most `WAIT_AT_MOST` for another. There is time left, so ask
                // again.
                Err(PeerError::NotNow { position: Some(position), .. }) if Instant::now() + GRACE < place.deadline => {
                    behind = Some(position);
                    Unavailable::Moving
                }
                Err(PeerError::NotNow { position: Some(position), .. }) => return Err(RouteError::Behind(position)),
                Err(error) => owner.absence(&error),
            });
        }
    }

    /// Asks an owner in another process. Gives up as soon as another worker has the shard.
    async fn ask_owner(
        &self,
        search: &Search<'_>,
        owner: &Elsewhere,
        place: &SlicePlace,
        question: &Question,
    ) -> Result<Answer, PeerError> {
        let wait = search.left();
        let asked = Asked {
            table: place.table.to_string(),
            partition: place.partition,
            generation: owner.generation,
            wanted: place.wanted,
            wait: u64::try_from(wait.min(WAIT_AT_MOST).as_millis()).unwrap_or(u64::MAX),
            stale_within: None,
            question: question.clone(),
        };
        tokio::select! {
            biased;
            answered = timeout_at(place.deadline + GRACE, self.peers.ask(&owner.url, &asked)) => answered
                .unwrap_or_else(|_| Err(PeerError::Unreachable(format!("it did not answer within {wait:?}")))),
            () = search.moves_on(owner.generation) => Err(PeerError::Misdirected),
        }
    }

    /// Returns a search for the worker that has a partition.
    pub(crate) fn search<'a>(&'a self, table: &'a str, partition: Partition, deadline: Instant) -> Search<'a> {
        Search::new(&self.slices, &self.directory, table, partition, deadline)
    }

    /// Returns the connections to other workers.
    pub(crate) fn peers(&self) -> &Peers {
        &self.peers
    }

    /// Answers another worker's question from the slices that are open in this process.
    pub(crate) async fn answer(&self, asked: &Asked) -> Result<Answer, PeerRefusal> {
        let deadline = Instant::now() + Duration::from_millis(asked.wait).min(WAIT_AT_MOST);
        if let Some(bound) = asked.stale_within.map(Duration::from_millis) {
            let place = SlicePlace {
                table: asked.table.as_str().into(),
                partition: asked.partition,
                wanted: asked.wanted,
                deadline,
                stale_within: Some(bound),
            };
            return self.answer_within(&place, &asked.question, bound).map_err(PeerRefusal::Route);
        }
        let mut backoff = Backoff::every(FIRST_PAUSE);
        loop {
            let mut slice = self.here(&asked.table, asked.partition, asked.generation, deadline).await?;
            match slice.reach(asked.wanted, deadline).await {
                Reached::Yes => return answer(&slice, &asked.question).map_err(PeerRefusal::Route),
                Reached::Behind(position) => return Err(PeerRefusal::Route(RouteError::Behind(position))),
                // Its owner withdraws it in a moment.
                Reached::Closed => backoff.wait().await,
            }
        }
    }

    /// Waits until a slice is open in this process, if a worker here has taken its shard at
    /// `generation` or later, and returns it.
    pub(crate) async fn here(
        &self,
        table: &str,
        partition: Partition,
        generation: u64,
        deadline: Instant,
    ) -> Result<CommittedSlice, PeerRefusal> {
        let Some(group) = self.slices.group(table) else { return Err(PeerRefusal::Misdirected(None)) };
        let mut news = News::of(&self.slices, &self.directory);
        loop {
            news.mark_unchanged();
            if let Some(Published { slice, owner }) = self.slices.slice(table, partition)
                && owner.generation >= generation
            {
                return Ok(slice);
            }
            let taken = self.directory.taken_here(&group, partition);
            if taken.is_none_or(|taken| taken < generation) {
                return Err(PeerRefusal::Misdirected(taken));
            }
            if timeout_at(deadline, news.come()).await.is_err() {
                return Err(PeerRefusal::Route(RouteError::Closed(Unavailable::Moving)));
            }
        }
    }

    /// Opens a slice for reads, unless another worker is known to have taken its shard since.
    pub(crate) fn publish(&self, table: &Arc<str>, partition: Partition, slice: Published) {
        let newest = self.slices.group(table).and_then(|group| self.directory.owner(&group, partition));
        if newest.is_none_or(|newest| newest.generation <= slice.owner.generation) {
            self.slices.publish(table, partition, slice);
        }
    }

    /// Withdraws slices whose shards other processes have taken since. Runs for ever.
    pub(crate) async fn yield_to_newer_owners(self: Arc<Self>) {
        let mut news = News::of(&self.slices, &self.directory);
        loop {
            self.slices.withdraw_superseded(|group, partition| {
                self.directory.owner(group, partition).map(|owner| owner.generation)
            });
            news.come().await;
        }
    }
}

pub(crate) fn answer(slice: &CommittedSlice, question: &Question) -> Result<Answer, RouteError> {
    slice.answer(question).map_err(|error| RouteError::Store(Arc::new(error)))
}

/// Panics because an answer is not of the question's kind. Answers of peers are checked when they
/// arrive.
fn unasked(found: &Found) -> ! {
    unreachable!("answers are of their questions' kind, and this is not: {found:?}")
}
