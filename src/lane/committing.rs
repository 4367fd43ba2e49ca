//! When a lane commits, and what it does after each outcome.
//!
//! # After a failed commit
//!
//! When a commit fails because the producer was fenced, the broker was unreachable or the outcome
//! is unknown, the lane cannot tell whether the transaction was committed. It assumes neither and
//! reads the committed state again:
//!
//! 1. It drops all its shards with their uncommitted work, and its producer.
//! 2. It opens a new producer with the same transactional id ([`Reopening`]). This fences the old
//!    producer and ends its open transaction. From then on the outcome is decided: it is either
//!    committed or aborted for good.
//! 3. It reports the shards to the worker as dropped. The worker restores those that it still owns,
//!    from what is committed.
//!
//! Nothing is committed between the first and the last step.
//!
//! If the commit failed because of an event, the lane does the same, and the shards come back with
//! a [`Caution`](crate::turn::Caution). With it they work in smaller steps until the event at fault
//! fails alone. A shard with a quota is a *suspect*: it commits alone, so that its next failure
//! says nothing about other shards.

use std::rc::Rc;
use std::time::Duration;

use marlowe_broker::BrokerError;
use tokio::time::Instant;

use super::command::{Dropped, LaneEvent};
use super::commit::{Commit, CommitFailure};
use super::event_loop::{FaultOf, Lane, LaneShard, done, reopened};
use super::outputs::Outputs;
use super::producer::{LaneProducer, Reopening};
use crate::error::RunError;
use crate::shard::{Shard, ShardId};
use crate::turn::Fault;

/// The interval at which a lane looks at all its shards, although none has finished anything. It
/// brings counters up to date, and finds shards that must say again that they are current.
const LOOK: Duration = Duration::from_secs(1);

impl Lane {
    /// Returns when the lane commits next, whatever else there is to do.
    pub(super) fn next_commit(&self) -> Instant {
        if !self.opening.is_empty() {
            self.pace.last_began()
        } else if self.news.has_finished() {
            self.pace.latest()
        } else {
            self.pace.latest().max(self.looked + LOOK)
        }
    }

    /// Returns when the lane commits next if there is nothing to read until then. Returns `None` if
    /// a shard goes on, or if nothing is to be committed.
    pub(super) fn idle_commit(&self) -> Option<Instant> {
        (self.news.has_finished() && !self.news.is_busy()).then(|| self.pace.soonest())
    }

    /// Returns true if it is time for a commit of the shards that commit together.
    pub(super) fn is_commit_due(&self) -> bool {
        let next = self.idle_commit().unwrap_or_else(|| self.next_commit());
        next <= Instant::now()
    }

    /// Returns the shards that commit together.
    pub(super) fn calm(&self) -> Vec<Rc<Shard>> {
        let shards = self.shards.values().map(|running| &running.shard);
        // A shard whose task panicked is left out, because one of its events may be applied in
        // part.
        shards.filter(|shard| !shard.link.commits_alone() && !shard.link.is_torn()).cloned().collect()
    }

    /// Begins a commit of the next shard that commits alone and has something to commit.
    pub(super) fn commit_a_suspect(&mut self) -> Result<(), RunError> {
        if !self.can_commit() {
            return Ok(());
        }
        let (shards, suspects) = (&self.shards, &mut self.suspects);
        suspects.retain(|id| shards.get(id).is_some_and(|running| running.shard.link.commits_alone()));
        let has_work = |id: &&ShardId| {
            let shard = &shards[*id].shard;
            !shard.link.is_torn() && (shard.link.finished.get() > 0 || shard.has_moved())
        };
        let Some(shard) = suspects.iter().find(has_work).map(|id| shards[id].shard.clone()) else { return Ok(()) };
        self.begin_commit(vec![shard])
    }

    /// Begins a commit of all shards that commit together. Does nothing while another commit is
    /// under way or a producer is being opened.
    pub(super) fn commit_calm(&mut self) -> Result<(), RunError> {
        if !self.can_commit() {
            return Ok(());
        }
        self.looked = Instant::now();
        self.commit_together(self.calm())
    }

    /// Begins a commit of those shards that have finished something. Looks at all shards if the
    /// last time is long ago.
    pub(super) fn commit_finished(&mut self) -> Result<(), RunError> {
        if !self.can_commit() || !self.opening.is_empty() || self.looked + LOOK <= Instant::now() {
            return self.commit_calm();
        }
        let mut shards = self.calm();
        shards.retain(|shard| shard.link.has_news());
        self.commit_together(shards)
    }

    fn commit_together(&mut self, shards: Vec<Rc<Shard>>) -> Result<(), RunError> {
        let now = Instant::now();
        self.news.take_finished();
        self.begin_commit(shards)?;
        if self.committing.is_some() {
            // A commit of a suspect does not delay this one, so it does not count.
            self.pace.begin(now);
        }
        Ok(())
    }

    /// Begins a commit of `shards`. Does nothing while another commit is under way or a producer is
    /// being opened.
    fn begin_commit(&mut self, shards: Vec<Rc<Shard>>) -> Result<(), RunError> {
        if !self.can_commit() {
            return Ok(());
        }
        let began = Instant::now();
        let topics = self.out_topics.clone();
        self.settings.metrics.count(&shards);
        shards.iter().for_each(|shard| shard.link.take_news());
        let committed = shards.clone();
        let commits_alone = shards.iter().any(|shard| shard.link.commits_alone());
        let (outputs, leaving, topics) = (&mut self.outputs, &self.news.leaving, topics.borrow());
        let begun = Commit::begin(&mut self.producer, &self.settings, &topics, &mut self.spare, shards, || {
            // A shard that commits alone has its records in its transaction.
            if commits_alone { Ok(None) } else { outputs.lend(leaving, &topics) }
        });
        drop(topics);
        self.committing = self.unless_refused(begun)?.flatten();
        self.committing_first.append(&mut self.opening);
        if self.committing.is_none() {
            self.tell_opened();
        }
        for shard in committed {
            shard.link.tell_uncommitted(shard.uncommitted_bytes());
        }
        self.pace.worked(began.elapsed());
        Ok(())
    }

    /// Handles the broker's answer: puts the committed rows into the stores and lets paused shards
    /// go on.
    pub(super) fn committed(&mut self) -> Result<(), RunError> {
        let Some(commit) = self.committing.take() else { return Ok(()) };
        let (answered, since_begin, events) = (Instant::now(), commit.began().elapsed(), commit.events());
        let topics = self.out_topics.clone();
        let finished = commit.finish(&mut self.producer, &topics.borrow(), &mut self.spare);
        if self.unless_refused(finished)?.is_some() {
            let in_lane = answered.elapsed();
            let cost = self.pace.answered(since_begin, in_lane);
            self.settings.metrics.committed(events, since_begin + in_lane, cost);
            self.pause_shards(false);
            self.tell_opened();
        }
        Ok(())
    }

    /// Reports the shards as open whose agents' first places are now committed.
    pub(super) fn tell_opened(&mut self) {
        for opened in self.committing_first.drain(..) {
            let _ = opened.send(());
        }
    }

    /// Returns the outcome of a commit. Returns `None` if the commit failed and its work was
    /// dropped, to start again.
    pub(super) fn unless_refused<T>(&mut self, outcome: Result<T, CommitFailure>) -> Result<Option<T>, RunError> {
        let (why, fault) = match outcome {
            Ok(outcome) => return Ok(Some(outcome)),
            Err(CommitFailure::Stops(error)) => return Err(error),
            Err(CommitFailure::Again(error)) => (error.to_string(), FaultOf::All(Fault::Elsewhere)),
            Err(CommitFailure::Unwritable(shard, reason)) => {
                (reason.clone(), FaultOf::One(shard, Fault::Unwritable(reason)))
            }
            Err(CommitFailure::Refused(error)) => (error.to_string(), FaultOf::All(Fault::Refused(error.to_string()))),
        };
        self.begin_again(why, &fault);
        Ok(None)
    }

    pub(super) async fn finish_commit(&mut self) -> Result<(), RunError> {
        if self.committing.is_some() {
            done(&mut self.committing).await;
            self.committed()?;
        }
        if self.outputs.is_away() {
            self.outputs.flushed().await;
            self.outputs_left()?;
        }
        Ok(())
    }

    /// Returns true if nothing that a commit needs is in use.
    pub(super) fn can_commit(&self) -> bool {
        self.committing.is_none() && self.reopening.is_none() && !self.outputs.is_away()
    }

    /// Begins to send the records that leave before their commit.
    pub(super) fn begin_leaving(&mut self) -> Result<(), RunError> {
        let topics = self.out_topics.clone();
        let begun = self.outputs.begin(&self.news.leaving, &topics.borrow());
        self.unless_left(begun)
    }

    /// Handles the broker's answer for the records that left before their commit.
    pub(super) fn outputs_left(&mut self) -> Result<(), RunError> {
        let finished = self.outputs.finish();
        self.unless_left(finished)
    }

    /// Drops all work, to start again, if a record could not leave before its commit.
    fn unless_left(&mut self, outcome: Result<(), BrokerError>) -> Result<(), RunError> {
        let Err(error) = outcome else { return Ok(()) };
        let (why, refuses) = (error.to_string(), error.refuses_a_record());
        if !refuses && !error.calls_for_a_new_beginning() {
            return Err(RunError::broker("sending")(error));
        }
        let fault = if refuses { Fault::Refused(why.clone()) } else { Fault::Elsewhere };
        self.begin_again(why, &FaultOf::Leaving(fault));
        Ok(())
    }

    /// Commits all finished work, and waits until it is committed.
    pub(super) async fn commit_now(&mut self) -> Result<(), RunError> {
        self.finish_commit().await?;
        if !self.shards.is_empty() {
            self.finish_reopening().await?;
        }
        self.commit_calm()?;
        self.finish_commit().await?;
        // Each suspect has finished at most its quota of events, and begins no new ones before they
        // are committed.
        while self.reopening.is_none() && !self.suspects.is_empty() {
            self.commit_a_suspect()?;
            if self.committing.is_none() {
                break;
            }
            self.finish_commit().await?;
        }
        Ok(())
    }

    /// Drops all shards after a failed commit and begins to open a new producer. Once it is open,
    /// the worker opens those shards again that it still owns, from what is committed.
    pub(super) fn begin_again(&mut self, why: String, fault: &FaultOf) {
        let dropped = |LaneShard { shard, .. }: &LaneShard| {
            if let FaultOf::Leaving(_) = fault {
                shard.link.suspect_finished();
            }
            let caution = shard.link.caution_after(fault.of(shard), shard.places().collect());
            Dropped { id: shard.id, opening: shard.owner.opening, caution }
        };
        let shards: Vec<Dropped> = self.shards.values().map(dropped).collect();
        self.settings.metrics.dropped();
        self.drop_all();
        self.producer = LaneProducer::Away;
        self.outputs = Outputs::new(None, self.settings.limits.commits);
        self.reopening = Some(Reopening::begin(&self.settings, shards, why));
    }

    pub(super) async fn finish_reopening(&mut self) -> Result<(), RunError> {
        if self.reopening.is_some() {
            reopened(&mut self.reopening).await;
        }
        let Some(reopening) = self.reopening.take() else { return Ok(()) };
        let reopened = reopening.finish().await.map_err(RunError::broker("opening a new producer"))?;
        self.producer = LaneProducer::Here(reopened.producers.transactions);
        self.outputs = Outputs::new(reopened.producers.outputs, self.settings.limits.commits);
        let _ = self.settings.events.send(LaneEvent::Dropped(reopened.dropped, reopened.why));
        Ok(())
    }
}
