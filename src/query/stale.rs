//! Reads that accept an answer of a standby.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::open::Published;
use super::routes::{RouteError, Routes, SlicePlace, answer};
use super::search::{Elsewhere, News, Unavailable, pauses};
use crate::peer::{Answer, Asked, PeerError, Question};

/// The time that one worker may take to answer before the next one is asked.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// The reason why an attempt brought no answer.
enum Try {
    /// No worker had the partition open.
    Absent(Unavailable),
    /// The owner had it, but not at the wanted position. It was at this one.
    Behind(marlowe_state::SlicePosition),
}

impl Routes {
    /// Asks for an answer that may be stale by at most `bound`. The order is: the owner in this
    /// process, a standby in this process, the owner in another process, the standbys in other
    /// processes. Each is asked only for what it can answer at once. If none can answer, they are
    /// all asked again until the deadline.
    pub(crate) async fn ask_within(
        &self,
        place: &SlicePlace,
        question: &Question,
        bound: Duration,
    ) -> Result<Answer, RouteError> {
        let group = self.slices.group(&place.table).unwrap_or_else(|| place.table.clone());
        let mut news = News::of(&self.slices, &self.directory);
        let mut backoff = pauses();
        loop {
            news.mark_unchanged();
            if let Some(Published { slice, .. }) = self.slices.slice(&place.table, place.partition)
                && place.wanted.is_reached(slice.position())
            {
                return answer(&slice, question);
            }
            if let Some(found) = self.standby_here(place, question, bound)? {
                return Ok(found);
            }
            let missed = match self.owner_elsewhere(&group, place, question).await {
                Ok(found) => return Ok(found),
                Err(missed) => missed,
            };
            for (_, url) in self.directory.standbys(&group, place.partition) {
                let Some(url) = url else { continue };
                let asked_at = Instant::now();
                if let Ok(mut found) = self.try_once(&url, place, question, 0, Some(bound)).await {
                    // The answer lacks what was committed while it was on its way.
                    found.as_of.stale = found.as_of.stale.map(|stale| stale + asked_at.elapsed());
                    return Ok(found);
                }
            }
            news.come_within(backoff.next_pause(), place.deadline).await;
            if Instant::now() >= place.deadline {
                return Err(match missed {
                    Try::Absent(absence) => RouteError::Closed(absence),
                    Try::Behind(position) => RouteError::Behind(position),
                });
            }
        }
    }

    /// Returns the answer of a standby in this process, if it is fresh enough.
    pub(crate) fn standby_here(
        &self,
        place: &SlicePlace,
        question: &Question,
        bound: Duration,
    ) -> Result<Option<Answer>, RouteError> {
        let Some(standby) = self.slices.standby(&place.table, place.partition) else { return Ok(None) };
        // Read the staleness before the state. So the state may be fresher than the staleness says,
        // but never older.
        let Some(stale) = standby.freshness.staleness().filter(|stale| *stale <= bound) else { return Ok(None) };
        if !place.wanted.is_reached(standby.slice.position()) {
            return Ok(None);
        }
        let mut found = answer(&standby.slice, question)?;
        found.as_of.stale = Some(stale);
        Ok(Some(found))
    }

    async fn owner_elsewhere(&self, group: &str, place: &SlicePlace, question: &Question) -> Result<Answer, Try> {
        let owner = Elsewhere::find(&self.directory, group, place.partition).map_err(Try::Absent)?;
        let answered = self.try_once(&owner.url, place, question, owner.generation, None).await;
        answered.map_err(|error| match error {
            PeerError::NotNow { position: Some(position), .. } => Try::Behind(position),
            error => Try::Absent(owner.absence(&error)),
        })
    }

    /// Asks a worker for the answer that it can give without waiting.
    async fn try_once(
        &self,
        url: &Arc<str>,
        place: &SlicePlace,
        question: &Question,
        generation: u64,
        stale_within: Option<Duration>,
    ) -> Result<Answer, PeerError> {
        let asked = Asked {
            table: place.table.to_string(),
            partition: place.partition,
            generation,
            wanted: place.wanted,
            wait: 0,
            stale_within: stale_within.map(|bound| u64::try_from(bound.as_millis()).unwrap_or(u64::MAX)),
            question: question.clone(),
        };
        let until = Instant::now() + ANSWER_WITHIN;
        let late = |_| Err(PeerError::Unreachable(format!("it did not answer within {ANSWER_WITHIN:?}")));
        timeout_at(until, self.peers().ask(url, &asked)).await.unwrap_or_else(late)
    }

    /// Answers another worker that accepts an answer of a standby.
    pub(crate) fn answer_within(
        &self,
        place: &SlicePlace,
        question: &Question,
        bound: Duration,
    ) -> Result<Answer, RouteError> {
        if let Some(Published { slice, .. }) = self.slices.slice(&place.table, place.partition)
            && place.wanted.is_reached(slice.position())
        {
            return answer(&slice, question);
        }
        let found = self.standby_here(place, question, bound)?;
        found.ok_or(RouteError::Closed(Unavailable::Moving))
    }
}
