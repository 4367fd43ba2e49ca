use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::Partition;
use marlowe_state::{KeyRange, Rows, SlicePosition, StoreError};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::open_slices::{OpenSlices, Published};
use super::{CommittedSlice, Reached};
use crate::cluster::{Claim, ClaimPlace, Directory};
use crate::peer::{Answer, Asked, Found, PeerError, Peers, Question, Wanted};

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
}

/// Why a partition was not read.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum RouteError {
    /// Nobody had it open in time.
    #[error("no worker has it open: {0}")]
    Closed(Absence),
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

/// Why nobody has a partition open, as far as is known here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Absence {
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
}

/// What a worker that was asked by another cannot do.
#[derive(Clone, Debug)]
pub(crate) enum PeerRefusal {
    /// The partition is not here, or was taken by another since. `Some` says at which generation it was taken here.
    Misdirected(Option<u64>),
    /// Not in time.
    Route(RouteError),
}

/// How soon to look again where nothing tells of a change; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// How much longer than it was told to wait an asked worker may take to say that it waited in vain.
const GRACE: Duration = Duration::from_millis(250);

impl Routes {
    pub(crate) fn new(slices: Arc<OpenSlices>, directory: Arc<Directory>, peers: Peers) -> Self {
        Self { slices, directory, peers }
    }

    /// The row of a key, in the store's form.
    pub(crate) async fn row(
        &self,
        place: &Place,
        key: Vec<u8>,
    ) -> Result<(Option<Vec<u8>>, SlicePosition), RouteError> {
        let answer = self.ask(place, &Question::Row(key)).await?;
        match answer.found {
            Found::Row(row) => Ok((row, answer.position)),
            other => unasked(&other),
        }
    }

    /// The first rows of a range, from one snapshot, and whether there may be more. They may be fewer than asked for also
    /// where there are more.
    pub(crate) async fn rows(
        &self,
        place: &Place,
        range: KeyRange,
        limit: usize,
    ) -> Result<(Rows, bool, SlicePosition), RouteError> {
        let answer = self.ask(place, &Question::Rows { range, limit }).await?;
        match answer.found {
            Found::Rows { rows, more } => Ok((rows, more, answer.position)),
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
        Ok(self.ask(place, &Question::Position).await?.position)
    }

    /// Asks whoever has the partition, and again whoever has it then, until the deadline.
    pub(crate) async fn ask(&self, place: &Place, question: &Question) -> Result<Answer, RouteError> {
        if let Some(Published { slice, .. }) = self.slices.slice(&place.table, place.partition)
            && place.wanted.is_reached(slice.position())
        {
            return answer(&slice, question);
        }
        let group = self.slices.group(&place.table).unwrap_or_else(|| place.table.clone());
        let mut news = News::of(self);
        let mut pause = FIRST_PAUSE;
        loop {
            news.mark_unchanged();
            let absence = match self.slices.slice(&place.table, place.partition) {
                Some(Published { mut slice, .. }) => match slice.reach(place.wanted, place.deadline).await {
                    Reached::Yes => return answer(&slice, question),
                    Reached::Behind(position) => return Err(RouteError::Behind(position)),
                    Reached::Closed => Absence::Moving,
                },
                None => match self.directory.owner(&group, place.partition) {
                    None => Absence::Moving,
                    Some(Claim { worker, place: ClaimPlace::Here, .. }) => Absence::Restoring(worker),
                    Some(Claim { worker, url: None, .. }) => Absence::NoWeb(worker),
                    Some(Claim { worker, url: Some(url), generation, .. }) => {
                        match self.ask_owner(&url, &group, generation, place, question).await {
                            Ok(answer) => return Ok(answer),
                            Err(PeerError::Refused(reason)) => return Err(RouteError::Refused { worker, reason }),
                            Err(PeerError::NotNow { position: Some(position), .. }) => {
                                return Err(RouteError::Behind(position));
                            }
                            Err(PeerError::NotNow { position: None, .. }) => Absence::Restoring(worker),
                            Err(PeerError::Misdirected) => Absence::Moving,
                            Err(error @ PeerError::Unreachable(_)) => {
                                Absence::Unreachable { worker, url, reason: error.to_string() }
                            }
                        }
                    }
                },
            };
            let look_again = place.deadline.min(Instant::now() + pause);
            // When the time is up, that is no news.
            let _ = timeout_at(look_again, news.come()).await;
            if Instant::now() >= place.deadline {
                return Err(RouteError::Closed(absence));
            }
            pause = LONGEST_PAUSE.min(2 * pause);
        }
    }

    /// Asks an owner elsewhere; it is given up when another has the shard meanwhile.
    async fn ask_owner(
        &self,
        url: &str,
        group: &str,
        generation: u64,
        place: &Place,
        question: &Question,
    ) -> Result<Answer, PeerError> {
        let wait = place.deadline.saturating_duration_since(Instant::now());
        let asked = Asked {
            table: place.table.to_string(),
            partition: place.partition,
            generation,
            wanted: place.wanted,
            wait: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            question: question.clone(),
        };
        let another_has_it = async {
            let mut changed = self.directory.changed();
            loop {
                if self.directory.owner(group, place.partition).is_none_or(|owner| owner.generation != generation) {
                    return;
                }
                if changed.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! {
            biased;
            answered = timeout_at(place.deadline + GRACE, self.peers.ask(url, &asked)) => answered
                .unwrap_or_else(|_| Err(PeerError::Unreachable(format!("it did not answer within {wait:?}")))),
            () = another_has_it => Err(PeerError::Misdirected),
        }
    }

    /// Answers another worker: from what is open in this process, or not at all.
    pub(crate) async fn answer(&self, asked: &Asked) -> Result<Answer, PeerRefusal> {
        let Some(group) = self.slices.group(&asked.table) else { return Err(PeerRefusal::Misdirected(None)) };
        let place = Place {
            table: asked.table.as_str().into(),
            partition: asked.partition,
            wanted: asked.wanted,
            deadline: Instant::now() + Duration::from_millis(asked.wait),
        };
        let mut news = News::of(self);
        loop {
            news.mark_unchanged();
            let slice = self.slices.slice(&place.table, place.partition);
            let taken = self.directory.taken_here(&group, place.partition);
            match slice.filter(|slice| slice.owner.generation >= asked.generation) {
                Some(Published { mut slice, .. }) => match slice.reach(place.wanted, place.deadline).await {
                    Reached::Yes => return answer(&slice, &asked.question).map_err(PeerRefusal::Route),
                    Reached::Behind(position) => return Err(PeerRefusal::Route(RouteError::Behind(position))),
                    // Its owner takes it back in a moment.
                    Reached::Closed => tokio::time::sleep(FIRST_PAUSE).await,
                },
                None if taken.is_none_or(|taken| taken < asked.generation) => {
                    return Err(PeerRefusal::Misdirected(taken));
                }
                None => {
                    if timeout_at(place.deadline, news.come()).await.is_err() {
                        return Err(PeerRefusal::Route(RouteError::Closed(Absence::Moving)));
                    }
                }
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
        let mut news = News::of(&self);
        loop {
            self.slices.withdraw_superseded(|group, partition| {
                self.directory.owner(group, partition).map(|owner| owner.generation)
            });
            news.come().await;
        }
    }
}

fn answer(slice: &CommittedSlice, question: &Question) -> Result<Answer, RouteError> {
    slice.answer(question).map_err(|error| RouteError::Store(Arc::new(error)))
}

/// An answer of another kind than the question: a peer's is checked when it comes in.
fn unasked(found: &Found) -> ! {
    unreachable!("answers are of their questions' kind, and this is not: {found:?}")
}

/// What may change where a partition is.
struct News {
    slices: watch::Receiver<()>,
    directory: watch::Receiver<()>,
}

impl News {
    fn of(routes: &Routes) -> Self {
        Self { slices: routes.slices.changed(), directory: routes.directory.changed() }
    }

    fn mark_unchanged(&mut self) {
        self.slices.mark_unchanged();
        self.directory.mark_unchanged();
    }

    async fn come(&mut self) {
        // Their senders live as long as the routes.
        tokio::select! {
            _ = self.slices.changed() => {}
            _ = self.directory.changed() => {}
        }
    }
}
