//! One commit of a lane, from the finished work of its shards to the rows in their local stores.
//!
//! # The protocol
//!
//! 1. [`Commit::begin`] takes the finished work of each shard: its changed rows (each row once),
//!    its changes for other owners, and the records that its events sent. Work of events in hand is
//!    not in it, because it lies in overlays, apart from the caches that are written.
//! 2. All of it goes into one transaction of the lane's producer. If the guarantee is at least
//!    once, records for topics have left before (see [`Outputs`](super::outputs::Outputs)). If a
//!    shard's agents moved, the transaction also holds a record with their places, for the shard's
//!    log of places, and the group's positions. So rows, places and positions are committed
//!    together or not at all.
//! 3. The positions carry the membership's current generation (KIP-447). The broker refuses the
//!    commit if the worker was expelled, because the shards then belong to others.
//! 4. The producer commits. The shards go on meanwhile, and the work that they finish belongs to
//!    the next commit. A lane has at most one commit under way.
//! 5. [`Commit::finish`] handles the answer. If the broker has committed, each shard's rows go into
//!    its local store, in one batch with the positions of its tables. So a store is never ahead of
//!    its changelog.
//!
//! If the commit fails, the transaction may still have been committed. `committing` describes what
//! the lane does then.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::Poll;

use marlowe_broker::{BoxFuture, BrokerError, CommittedOffset, NewRecord, Timestamp, TopicPartition, Written};
use marlowe_state::{PositionSlot, Rows, SlicePosition, TableIndex};
use tokio::time::Instant;

use super::in_flight::InFlightGuard;
use super::outputs::LentOutputs;
use super::producer::{LaneProducer, Transactions};
use super::settings::LaneSettings;
use crate::error::RunError;
use crate::panics::panic_text;
use crate::shard::{NewPlaces, Places, Shard, ShardId};
use crate::turn::{Flush, OutTopics, Participant};

/// A commit that is under way: the broker has its records, and its rows wait for the answer.
///
/// The shards go on meanwhile. Work that they finish then belongs to the next commit.
pub(crate) struct Commit {
    answer: BoxFuture<'static, (Transactions, Result<Written, BrokerError>)>,
    answered: Option<(Transactions, Result<Written, BrokerError>)>,
    parts: Vec<Part>,
    /// The number of events, and runs of timers, whose work it has.
    events: u64,
    began: Instant,
    /// The time by the clock before anything was sent. `None` if no position was sent, because the
    /// answer then does not say whether the shards were still this worker's.
    as_of: Option<Timestamp>,
    /// Dropped when the rows are in the stores, or when they never will be.
    _under_way: InFlightGuard,
}

/// The reason why a commit failed.
pub(crate) enum CommitFailure {
    /// The worker cannot go on.
    Stops(RunError),
    /// The lane drops its work and starts again from what is committed. Another worker has the
    /// shards, the broker was unreachable, or the outcome is not known.
    Again(BrokerError),
    /// A row or a change of this shard cannot be written. The lane does the same as after
    /// [`Again`](Self::Again), and the shard then finds the event at fault.
    Unwritable(ShardId, String),
    /// The broker refuses a record for good. The lane does the same as after
    /// [`Again`](Self::Again), and its shards then find the event at fault.
    Refused(BrokerError),
}

impl From<RunError> for CommitFailure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Broker { source, .. } if source.calls_for_a_new_beginning() => Self::Again(source),
            RunError::Broker { source, .. } if source.refuses_a_record() => Self::Refused(source),
            error => Self::Stops(error),
        }
    }
}

/// One shard's part of a commit.
struct Part {
    shard: Rc<Shard>,
    rows: Vec<(TableIndex, Rows)>,
    /// Each table's position after the commit. The changelog's end is missing, because only the
    /// broker's answer tells it.
    positions: Vec<(TableIndex, SlicePosition)>,
    /// The places of the agents, if they have to be committed.
    places: Option<NewPlaces>,
}

impl Commit {
    /// Gives all finished work of `shards` to the broker and begins the commit. `lend` lends the
    /// producer of the records that have to leave before it. Returns `None` if there is nothing to
    /// commit.
    pub(crate) fn begin(
        producer: &mut LaneProducer,
        settings: &LaneSettings,
        topics: &OutTopics,
        spare: &mut Vec<Rows>,
        shards: Vec<Rc<Shard>>,
        lend: impl FnOnce() -> Result<Option<LentOutputs>, BrokerError>,
    ) -> Result<Option<Self>, CommitFailure> {
        let now = settings.worker.clock.now();
        let (mut parts, mut events): (Vec<Part>, u64) = (Vec::new(), 0);
        for shard in shards {
            // An idle shard commits its places again from time to time. This proves that its store
            // is current.
            let mut committed = shard.committed_places.borrow_mut();
            let places =
                if shard.has_aged(now) { Some(committed.all(&shard.agents)) } else { committed.moved(&shard.agents) };
            drop(committed);
            if places.is_none() && shard.link.finished.get() == 0 && shard.uncommitted_bytes() == 0 {
                continue;
            }
            events += shard.link.finished.get();
            shard.link.begin_commit();
            let positions = shard.tables.iter().map(|table| (table.index, table.position(&*shard.store))).collect();
            parts.push(Part { shard, rows: Vec::new(), positions, places });
        }
        if parts.is_empty() {
            return Ok(None);
        }
        let LaneProducer::Here(mut transactions) = std::mem::replace(producer, LaneProducer::Away) else {
            return Ok(None);
        };
        let in_flight = settings.in_flight.begin();
        let began = Instant::now();
        let broker = || RunError::broker("committing");
        transactions.producer.begin().map_err(broker())?;
        for part in &mut parts {
            let (rows, positions) = (&mut part.rows, part.positions.as_slice());
            let mut flush = Flush { outlet: transactions.outlet(topics), now, rows, spare, positions };
            for participant in &part.shard.participants {
                flush_one(&**participant, &mut flush, part.shard.id)?;
            }
            part.shard
                .link
                .outbox
                .borrow_mut()
                .drain(|(topic, partition), record| flush.outlet.send(topic, partition, *record))
                .map_err(broker())?;
        }
        let mut offsets: Vec<(TopicPartition, CommittedOffset)> = Vec::new();
        for part in &mut parts {
            let Some(places) = &mut part.places else { continue };
            let mut outlet = transactions.outlet(topics);
            let log = outlet.destination(part.shard.places_log, part.shard.id.partition).map_err(broker())?;
            let record = std::mem::take(&mut places.record);
            let record = NewRecord { timestamp: now, key: Some(Places::KEY), value: Some(&record), headers: &[] };
            outlet.producer.send(log, record).map_err(broker())?;
            offsets.extend(places.positions.iter().cloned());
        }
        let as_of = (!offsets.is_empty()).then_some(now);
        let group = settings.metadata.current();
        transactions.producer.send_offsets(&offsets, &group).map_err(broker())?;
        let outputs = lend().map_err(broker())?;
        let answer: BoxFuture<'static, _> = Box::pin(async move {
            let written = commit(&mut transactions, outputs).await;
            (transactions, written)
        });
        Ok(Some(Self { answer, answered: None, parts, events, began, as_of, _under_way: in_flight }))
    }

    /// Returns when the commit began.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// Returns the number of events, and runs of timers, whose work is in the commit.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// Waits for the broker's answer. Dropping the future loses nothing, because this can be called
    /// again.
    pub(crate) async fn done(&mut self) {
        std::future::poll_fn(|context| {
            if self.answered.is_some() {
                return Poll::Ready(());
            }
            self.answer.as_mut().poll(context).map(|answer| self.answered = Some(answer))
        })
        .await;
    }

    /// Puts the committed rows into the stores, each shard's part in one batch with its positions.
    pub(crate) fn finish(
        self,
        producer: &mut LaneProducer,
        topics: &OutTopics,
        spare: &mut Vec<Rows>,
    ) -> Result<(), CommitFailure> {
        let Some((mut transactions, written)) = self.answered else { return Ok(()) };
        let written = written.map_err(RunError::broker("committing"))?;
        let positions = || self.parts.iter().flat_map(|part| part.places.iter().flat_map(|places| &places.positions));
        tracing::trace!("committed {:?}", positions().collect::<Vec<_>>());
        for mut part in self.parts {
            let shard = &part.shard;
            let mut positions: Vec<(PositionSlot, SlicePosition)> = Vec::new();
            for (table, (_, mut position)) in shard.tables.iter().zip(part.positions) {
                let changelog = transactions.outlet(topics).destination(table.changelog, shard.id.partition);
                if let Some(end) = changelog.ok().and_then(|changelog| written.end(changelog)) {
                    position.changelog = end;
                }
                // Only the owner writes to the changelog, and the commit proves that this worker
                // was the owner. So the store lacks nothing that was written before `as_of`.
                position.as_of = self.as_of.unwrap_or(position.as_of);
                positions.push((table.slot, position));
            }
            shard
                .store
                .apply(&mut part.rows, &positions)
                .map_err(RunError::store("writing what is committed to the local store"))?;
            spare.extend(part.rows.drain(..).map(|(_, mut rows)| {
                rows.clear();
                rows
            }));
            shard.participants.iter().for_each(|participant| participant.flushed());
            let mut committed = shard.committed_places.borrow_mut();
            if let Some(places) = part.places {
                committed.committed(places);
            }
            // Events that finished after the commit began are not in it.
            shard.link.committed(committed.agents());
            drop(committed);
            shard.as_of.set(self.as_of.unwrap_or(shard.as_of.get()));
            shard.committed.send_replace(());
        }
        *producer = LaneProducer::Here(transactions);
        Ok(())
    }
}

/// Waits until the broker has the records that leave before the commit, and commits the
/// transaction. In this order a crash repeats records and loses none.
async fn commit(transactions: &mut Transactions, outputs: Option<LentOutputs>) -> Result<Written, BrokerError> {
    if let Some(outputs) = outputs {
        outputs.flush().await?;
    }
    transactions.producer.commit().await
}

/// Puts the waiting changes of a participant into the commit. Encoding them runs the user's code,
/// which may panic.
fn flush_one(participant: &dyn Participant, into: &mut Flush<'_>, shard: ShardId) -> Result<(), CommitFailure> {
    let unwritable = |reason| CommitFailure::Unwritable(shard, reason);
    match catch_unwind(AssertUnwindSafe(|| participant.flush(into))) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(match error.downcast::<BrokerError>() {
            Ok(source) if source.refuses_a_record() => unwritable(source.to_string()),
            Ok(source) => RunError::Broker { doing: "committing".into(), source: *source }.into(),
            Err(error) => unwritable(error.to_string()),
        }),
        Err(panic) => Err(unwritable(panic_text(&*panic))),
    }
}
