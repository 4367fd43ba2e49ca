use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::Partition;
use marlowe_state::{KeyRange, Rows, SlicePosition, StoreError};
use tokio::time::{Instant, timeout_at};

use super::committed::{CommittedSlice, Reached};
use super::open::{OpenSlices, Published};
use super::search;
use super::search::{Elsewhere, FIRST_PAUSE, News, Search, Unavailable};
use crate::cluster::Directory;
use crate::peer::{Answer, AsOf, Asked, Found, PeerError, Peers, Question, ROW_BYTES, WAIT_AT_MOST, Wanted};

/// The ways from this process to every partition of every table: a slice that is open here is read here, another is asked of
/// the worker that owns it.
///
/// Who is asked answers itself or says that it cannot, and asks nobody else: so a question goes over the wire once at a time,
/// and it is the asker who looks again, until its deadline.
pub(crate) struct Routes {
    pub(crate) slices: Arc<OpenSlices>,
    pub(crate) directory: Arc<Directory>,
    peers: Peers,
}

/// One partition of a table, wherever it is, and what is expected of it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) table: Arc<str>,
    pub(crate) partition: Partition,
    pub(crate) wanted: Wanted,
    /// When to give up waiting.
    pub(crate) deadline: Instant,
    /// How stale a standby may be that answers; `None` for the owner alone.
    pub(crate) stale_within: Option<Duration>,
}

/// Why a partition was not read.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum RouteError {
    /// Nobody had it open in time.
    #[error("no worker has it open: {0}")]
    Closed(Unavailable),
    /// It was open, but did not come so far in time.
    #[error("its committed state has not come so far yet")]
    Behind(SlicePosition),
    /// Its owner refuses, and would again.
    #[error("worker `{worker}`, which has it: {reason}")]
    Refused { worker: Arc<str>, reason: String },
    /// The store in this process cannot be read.
    #[error(transparent)]
    Store(Arc<StoreError>),
}

/// What a worker that was asked by another cannot do.
#[derive(Clone, Debug)]
pub(crate) enum PeerRefusal {
    /// The partition is not here, or was taken by another since. `Some` says at which generation it was taken here.
    Misdirected(Option<u64>),
    /// Not in time.
    Route(RouteError),
}

/// How much longer than it was told to wait an asked worker may take to say that it waited in vain.
const GRACE: Duration = Duration::from_millis(250);

impl Routes {
    pub(crate) fn new(slices: Arc<OpenSlices>, directory: Arc<Directory>, peers: Peers) -> Self {
        Self { slices, directory, peers }
    }

    /// The row of a key, in the store's form.
    pub(crate) async fn row(&self, place: &Place, key: Vec<u8>) -> Result<(Option<Vec<u8>>, AsOf), RouteError> {
        let answer = self.ask(place, &Question::Row(key)).await?;
        match answer.found {
            Found::Row(row) => Ok((row, answer.as_of)),
            other => unasked(&other),
        }
    }

    /// The first rows of a range, from one snapshot, and whether there may be more. They may be fewer than asked for also
    /// where there are more.
    pub(crate) async fn rows(&self, place: &Place, range: KeyRange, limit: usize) -> Result<(Rows, bool), RouteError> {
        let answer = self.ask(place, &Question::Rows { range, limit, bytes: ROW_BYTES }).await?;
        match answer.found {
            Found::Rows { rows, more } => Ok((rows, more)),
            other => unasked(&other),
        }
    }

    /// How many rows there are.
    pub(crate) async fn count(&self, place: &Place) -> Result<u64, RouteError> {
        match self.ask(place, &Question::Count).await?.found {
            Found::Count(count) => Ok(count),
            other => unasked(&other),
        }
    }

    /// How far it is, once it is as far as wanted.
    pub(crate) async fn position(&self, place: &Place) -> Result<SlicePosition, RouteError> {
        Ok(self.ask(place, &Question::Position).await?.as_of.position)
    }

    /// Asks whoever has the partition, and again whoever has it then, until the deadline.
    pub(crate) async fn ask(&self, place: &Place, question: &Question) -> Result<Answer, RouteError> {
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
                search::Found::Elsewhere(owner) => owner,
                search::Found::Here(Published { mut slice, .. }) => {
                    match slice.reach(place.wanted, place.deadline).await {
                        Reached::Yes => return answer(&slice, question),
                        Reached::Behind(position) => return Err(RouteError::Behind(position)),
                        Reached::Closed => search.missed(Unavailable::Moving),
                    }
                    continue;
                }
            };
            let Elsewhere { worker, url, .. } = &owner;
            search.missed(match self.ask_owner(&search, &owner, place, question).await {
                Ok(answer) => return Ok(answer),
                Err(PeerError::Refused(reason)) => return Err(RouteError::Refused { worker: worker.clone(), reason }),
                // It waits for others so long and no longer.
                Err(PeerError::NotNow { position: Some(position), .. }) if Instant::now() + GRACE < place.deadline => {
                    behind = Some(position);
                    Unavailable::Moving
                }
                Err(PeerError::NotNow { position: Some(position), .. }) => return Err(RouteError::Behind(position)),
                Err(PeerError::NotNow { position: None, .. }) => Unavailable::Restoring(worker.clone()),
                Err(PeerError::Misdirected) => Unavailable::Moving,
                Err(error @ PeerError::Unreachable(_)) => {
                    Unavailable::Unreachable { worker: worker.clone(), url: url.clone(), reason: error.to_string() }
                }
            });
        }
    }

    /// Asks an owner elsewhere; it is given up when another has the shard meanwhile.
    async fn ask_owner(
        &self,
        search: &Search<'_>,
        owner: &Elsewhere,
        place: &Place,
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

    /// A search for whoever has a partition.
    pub(crate) fn search<'a>(&'a self, table: &'a str, partition: Partition, deadline: Instant) -> Search<'a> {
        Search::new(&self.slices, &self.directory, table, partition, deadline)
    }

    /// The connections to other workers.
    pub(crate) fn peers(&self) -> &Peers {
        &self.peers
    }

    /// Answers another worker: from what is open in this process, or not at all.
    pub(crate) async fn answer(&self, asked: &Asked) -> Result<Answer, PeerRefusal> {
        let deadline = Instant::now() + Duration::from_millis(asked.wait).min(WAIT_AT_MOST);
        if let Some(bound) = asked.stale_within.map(Duration::from_millis) {
            let place = Place {
                table: asked.table.as_str().into(),
                partition: asked.partition,
                wanted: asked.wanted,
                deadline,
                stale_within: Some(bound),
            };
            return self.answer_within(&place, &asked.question, bound).map_err(PeerRefusal::Route);
        }
        loop {
            let mut slice = self.here(&asked.table, asked.partition, asked.generation, deadline).await?;
            match slice.reach(asked.wanted, deadline).await {
                Reached::Yes => return answer(&slice, &asked.question).map_err(PeerRefusal::Route),
                Reached::Behind(position) => return Err(PeerRefusal::Route(RouteError::Behind(position))),
                // Its owner takes it back in a moment.
                Reached::Closed => tokio::time::sleep(FIRST_PAUSE).await,
            }
        }
    }

    /// A slice of this process, as soon as it is open, if a worker here took its shard at `generation` or later.
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

    /// Takes back slices whose shards other processes have taken since, for ever.
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

/// An answer of another kind than the question: a peer's is checked when it comes in.
fn unasked(found: &Found) -> ! {
    unreachable!("answers are of their questions' kind, and this is not: {found:?}")
}
