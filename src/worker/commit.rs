use std::rc::Rc;
use std::task::Poll;

use marlowe_broker::{BoxFuture, BrokerError, CommittedOffset, Offset, Producer, TopicPartition, Written};
use marlowe_state::{PositionSlot, Rows, SlicePosition, TableIndex};
use tokio::time::Instant;

use super::RunError;
use super::lane::LaneSettings;
use super::lane_producer::LaneProducer;
use super::under_way::OneUnderWay;
use crate::program::Guarantee;
use crate::shard::{Shard, includes, to_commit};
use crate::turn::{Flush, OutTopics};

/// A commit under way: what the broker has been given, and what goes into the stores when it has taken it.
///
/// The shards go on meanwhile. What they do then belongs to the next commit.
pub(crate) struct Commit {
    answer: BoxFuture<'static, (LaneProducer, Result<Written, BrokerError>)>,
    answered: Option<(LaneProducer, Result<Written, BrokerError>)>,
    parts: Vec<Part>,
    began: Instant,
    /// Dropped when its rows are in the stores.
    _under_way: OneUnderWay,
}

/// One shard's part.
struct Part {
    shard: Rc<Shard>,
    rows: Vec<(TableIndex, Rows)>,
    /// Each table's position after the commit; the changelog's end is the broker's to tell.
    positions: Vec<(TableIndex, SlicePosition)>,
    /// How many records went to each table's changelog.
    logged: Vec<(TableIndex, u64)>,
    offsets: Vec<(TopicPartition, CommittedOffset)>,
}

impl Commit {
    /// Gives the broker all that is finished; `None` when there is nothing.
    pub(crate) fn begin(
        producer: &mut LaneProducer,
        settings: &LaneSettings,
        topics: &mut OutTopics,
        spare: &mut Vec<Rows>,
        shards: Vec<Rc<Shard>>,
    ) -> Result<Option<Self>, RunError> {
        let mut parts: Vec<Part> = Vec::new();
        for shard in shards {
            let mut offsets = to_commit(&shard.agents);
            let known = shard.positions.borrow();
            offsets.retain(|offset| !known.contains(offset));
            drop(known);
            if offsets.is_empty() && shard.link.finished.replace(0) == 0 && shard.uncommitted_bytes() == 0 {
                continue;
            }
            shard.link.finished.set(0);
            let positions = shard.tables.iter().map(|table| (table.index, table.position(&*shard.store))).collect();
            parts.push(Part { shard, rows: Vec::new(), positions, logged: Vec::new(), offsets });
        }
        if parts.is_empty() {
            return Ok(None);
        }
        let under_way = settings.under_way.begin();
        let began = Instant::now();
        let broker = || RunError::broker("committing");
        if let LaneProducer::Transactional(producer) = producer {
            producer.begin().map_err(broker())?;
        }
        let now = settings.worker.clock.now();
        for part in &mut parts {
            let included = match settings.program.guarantee {
                Guarantee::ExactlyOnce => None,
                Guarantee::AtLeastOnce => Some(includes(&part.shard.agents)),
            };
            let producer: &mut dyn Producer = match producer {
                LaneProducer::Transactional(producer) => producer.as_mut(),
                LaneProducer::Plain(producer) => producer.as_mut(),
                LaneProducer::Away => return Ok(None),
            };
            let includes = included.as_ref();
            let (rows, positions) = (&mut part.rows, part.positions.as_slice());
            let mut flush = Flush { producer, topics, now, rows, spare, positions, includes, logged: Vec::new() };
            for participant in &part.shard.participants {
                participant.flush(&mut flush).map_err(|error| match error.downcast::<BrokerError>() {
                    Ok(source) => RunError::Broker { doing: "committing".into(), source: *source },
                    Err(error) => RunError::Codec { doing: "committing".into(), reason: error.to_string() },
                })?;
            }
            part.shard
                .link
                .outbox
                .borrow_mut()
                .drain(|topic, partition, record| flush.send(topic, partition, record).map(|_| ()))
                .map_err(broker())?;
            part.logged = flush.logged;
        }
        let offsets: Vec<_> = parts.iter().flat_map(|part| part.offsets.iter().cloned()).collect();
        let group = settings.metadata.current();
        let answer: BoxFuture<'static, _> = match std::mem::replace(producer, LaneProducer::Away) {
            LaneProducer::Transactional(mut owned) => {
                if let Err(error) = owned.send_offsets(&offsets, &group) {
                    *producer = LaneProducer::Transactional(owned);
                    return Err(broker()(error));
                }
                Box::pin(async move {
                    let written = owned.commit().await;
                    (LaneProducer::Transactional(owned), written)
                })
            }
            LaneProducer::Plain(mut owned) => {
                let (broker, app) = (settings.broker.clone(), settings.worker.app.clone());
                Box::pin(async move {
                    // Output first: a crash between the two repeats it, and loses nothing.
                    let written = match owned.flush().await {
                        Ok(written) => broker.commit_offsets(&app, Some(&group), &offsets).await.map(|()| written),
                        Err(error) => Err(error),
                    };
                    (LaneProducer::Plain(owned), written)
                })
            }
            LaneProducer::Away => return Ok(None),
        };
        Ok(Some(Self { answer, answered: None, parts, began, _under_way: under_way }))
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
        topics: &mut OutTopics,
        spare: &mut Vec<Rows>,
    ) -> Result<(), RunError> {
        let Some((returned, written)) = self.answered else { return Ok(()) };
        *producer = returned;
        let written = written.map_err(RunError::broker("committing"))?;
        tracing::trace!("committed {:?}", self.parts.iter().flat_map(|part| &part.offsets).collect::<Vec<_>>());
        let mut strangers = None;
        for mut part in self.parts {
            let shard = &part.shard;
            let mut positions: Vec<(PositionSlot, SlicePosition)> = Vec::new();
            for (table, (_, mut position)) in shard.tables.iter().zip(part.positions) {
                if let Some(end) = changelog_end(&written, producer, topics, shard, table.changelog) {
                    let logged = part.logged.iter().filter(|(index, _)| *index == table.index).map(|(_, count)| count);
                    let is_ours = Offset::new(position.changelog.get() + logged.sum::<u64>()) == end;
                    if settings.program.guarantee == Guarantee::AtLeastOnce && !is_ours {
                        // The position stays: what came between is read, and mended, when the shard begins anew.
                        strangers = Some((table.name.clone(), shard.id.partition));
                    } else {
                        position.changelog = end;
                    }
                }
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
            let mut known = shard.positions.borrow_mut();
            known.retain(|(source, _)| !part.offsets.iter().any(|(changed, _)| changed == source));
            known.append(&mut part.offsets);
            shard.committed.send_replace(());
        }
        settings.metrics.committed(self.began.elapsed());
        match strangers {
            None => Ok(()),
            Some((table, partition)) => Err(RunError::broker("committing")(BrokerError::Fenced {
                who: format!("a worker that owned `{table}` [{partition}] before"),
                reason: "it wrote to the changelog among this owner's records, which are written again".into(),
            })),
        }
    }
}

fn changelog_end(
    written: &Written,
    producer: &mut LaneProducer,
    topics: &mut OutTopics,
    shard: &Shard,
    changelog: crate::turn::OutTopic,
) -> Option<Offset> {
    let producer: &mut dyn Producer = match producer {
        LaneProducer::Transactional(producer) => producer.as_mut(),
        LaneProducer::Plain(producer) => producer.as_mut(),
        LaneProducer::Away => return None,
    };
    let destination = topics.destination(producer, changelog, shard.id.partition).ok()?;
    written.end(destination)
}
