//! A lane's commit: from what its shards have finished to what is in their stores.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::Poll;

use marlowe_broker::{BoxFuture, BrokerError, CommittedOffset, NewRecord, Timestamp, TopicPartition, Written};
use marlowe_state::{PositionSlot, Rows, SlicePosition, TableIndex};
use tokio::time::Instant;

use super::in_flight::InFlightGuard;
use super::producer::{LaneProducer, Producers};
use super::settings::LaneSettings;
use crate::error::RunError;
use crate::panics::panic_text;
use crate::shard::{NewPlaces, Places, Shard, ShardId};
use crate::turn::{Flush, OutTopics, Participant};

/// A commit under way: what the broker has been given, and what goes into the stores when it has taken it.
///
/// The shards go on meanwhile. What they do then belongs to the next commit.
pub(crate) struct Commit {
    answer: BoxFuture<'static, (Producers, Result<Written, BrokerError>)>,
    answered: Option<(Producers, Result<Written, BrokerError>)>,
    parts: Vec<Part>,
    began: Instant,
    /// By the clock, before anything was sent. `None`: no position was sent, so the answer does not say whether the shards were
    /// still this worker's.
    as_of: Option<Timestamp>,
    /// Dropped when its rows are in the stores.
    _under_way: InFlightGuard,
}

/// Why a commit did not go through.
pub(crate) enum CommitFailure {
    /// The worker cannot go on.
    Stops(RunError),
    /// The lane's work is dropped, and begins again from what is committed: another has the shards, or the broker was away.
    Again(BrokerError),
    /// A row or a change of this shard cannot be written. So it is as with [`Again`](Self::Again), and the event at fault is found.
    Unwritable(ShardId, String),
    /// The broker refuses a record for good. The same.
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

/// One shard's part.
struct Part {
    shard: Rc<Shard>,
    rows: Vec<(TableIndex, Rows)>,
    /// Each table's position after the commit; the changelog's end is the broker's to tell.
    positions: Vec<(TableIndex, SlicePosition)>,
    /// Where the agents are, if that changed.
    places: Option<NewPlaces>,
}

impl Commit {
    /// Gives the broker all that is finished; `None` when there is nothing.
    pub(crate) fn begin(
        producer: &mut LaneProducer,
        settings: &LaneSettings,
        topics: &OutTopics,
        spare: &mut Vec<Rows>,
        shards: Vec<Rc<Shard>>,
    ) -> Result<Option<Self>, CommitFailure> {
        let now = settings.worker.clock.now();
        let mut parts: Vec<Part> = Vec::new();
        for shard in shards {
            // An idle shard commits its places again, so that its store is known to be current.
            let mut committed = shard.committed_places.borrow_mut();
            let places =
                if shard.has_aged(now) { Some(committed.all(&shard.agents)) } else { committed.moved(&shard.agents) };
            drop(committed);
            if places.is_none() && shard.link.finished.get() == 0 && shard.uncommitted_bytes() == 0 {
                continue;
            }
            shard.link.begin_commit();
            let positions = shard.tables.iter().map(|table| (table.index, table.position(&*shard.store))).collect();
            parts.push(Part { shard, rows: Vec::new(), positions, places });
        }
        if parts.is_empty() {
            return Ok(None);
        }
        let LaneProducer::Here(mut producers) = std::mem::replace(producer, LaneProducer::Away) else {
            return Ok(None);
        };
        let in_flight = settings.in_flight.begin();
        let began = Instant::now();
        let broker = || RunError::broker("committing");
        producers.transaction.producer.begin().map_err(broker())?;
        for part in &mut parts {
            let (rows, positions) = (&mut part.rows, part.positions.as_slice());
            let Producers { transaction, outputs } = &mut producers;
            let outputs = outputs.as_mut().map(|outputs| outputs.outlet(topics));
            let mut flush = Flush { logs: transaction.outlet(topics), outputs, now, rows, spare, positions };
            for participant in &part.shard.participants {
                flush_one(&**participant, &mut flush, part.shard.id)?;
            }
            part.shard
                .link
                .outbox
                .borrow_mut()
                .drain(|topic, partition, record| flush.send(topic, partition, record))
                .map_err(broker())?;
        }
        let mut offsets: Vec<(TopicPartition, CommittedOffset)> = Vec::new();
        for part in &mut parts {
            let Some(places) = &mut part.places else { continue };
            let mut logs = producers.transaction.outlet(topics);
            let log = logs.destination(part.shard.places_log, part.shard.id.partition).map_err(broker())?;
            let record = std::mem::take(&mut places.record);
            let record = NewRecord { timestamp: now, key: Some(Places::KEY), value: Some(&record), headers: &[] };
            logs.producer.send(log, record).map_err(broker())?;
            offsets.extend(places.positions.iter().cloned());
        }
        let as_of = (!offsets.is_empty()).then_some(now);
        let group = settings.metadata.current();
        producers.transaction.producer.send_offsets(&offsets, &group).map_err(broker())?;
        let answer: BoxFuture<'static, _> = Box::pin(async move {
            let written = producers.commit().await;
            (producers, written)
        });
        Ok(Some(Self { answer, answered: None, parts, began, as_of, _under_way: in_flight }))
    }

    /// Waits for the broker's answer. It can be dropped and called again.
    pub(crate) async fn done(&mut self) {
        std::future::poll_fn(|context| {
            if self.answered.is_some() {
                return Poll::Ready(());
            }
            self.answer.as_mut().poll(context).map(|answer| self.answered = Some(answer))
        })
        .await;
    }

    /// Puts what was committed into the stores, each shard's part in one batch with its position.
    pub(crate) fn finish(
        self,
        producer: &mut LaneProducer,
        settings: &LaneSettings,
        topics: &OutTopics,
        spare: &mut Vec<Rows>,
    ) -> Result<(), CommitFailure> {
        let Some((mut producers, written)) = self.answered else { return Ok(()) };
        let written = written.map_err(RunError::broker("committing"))?;
        let positions = || self.parts.iter().flat_map(|part| part.places.iter().flat_map(|places| &places.positions));
        tracing::trace!("committed {:?}", positions().collect::<Vec<_>>());
        for mut part in self.parts {
            let shard = &part.shard;
            let mut positions: Vec<(PositionSlot, SlicePosition)> = Vec::new();
            for (table, (_, mut position)) in shard.tables.iter().zip(part.positions) {
                let changelog = producers.transaction.outlet(topics).destination(table.changelog, shard.id.partition);
                if let Some(end) = changelog.ok().and_then(|changelog| written.end(changelog)) {
                    position.changelog = end;
                }
                // Only this owner writes to the log, so that the store lacks nothing which was there before.
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
            // Events that have finished since then are not in it.
            shard.link.committed(committed.agents());
            drop(committed);
            shard.as_of.set(self.as_of.unwrap_or(shard.as_of.get()));
            shard.committed.send_replace(());
        }
        settings.metrics.committed(self.began.elapsed());
        *producer = LaneProducer::Here(producers);
        Ok(())
    }
}

/// Has a participant put what waits into the commit. What it encodes is the user's code, too.
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
