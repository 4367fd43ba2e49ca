//! Agents whose handler gets the stream of events itself: [`Events`], and the loop that runs such a
//! handler.

use std::cell::{Cell, RefCell};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use marlowe_broker::{Offset, Timestamp};

use super::asking::Answering;
use super::event::Event;
use super::failure::Then;
use super::handler::ValueReader;
use super::runner::{Failed, Runner};
use crate::HandlerError;
use crate::codec::{CodecError, TopicKey};
use crate::error::EventFailure;
use crate::panics::panic_text;
use crate::turn::{Cursor, count};

/// The events of one partition, as the handler of a [`stream`](crate::app::AgentBuilder::stream)
/// agent gets them.
///
/// An event is acknowledged when the handler asks for the next one. Then everything that was done
/// for the event is applied together. If the handler returns an error instead, nothing of the event
/// is left. The agent's failure policy decides what happens to it, and the handler is begun again.
///
/// The futures of `next` and `take` can be dropped, as in a `select!` or a timeout. The event
/// before is then acknowledged, and no event is lost: the next call returns it. While the handler
/// waits for something else and has no event in hand, other agents and timers have the turn. Tables
/// can be used only while an event is in hand.
///
/// A [drain](crate::Running::drain), and a shard that moves to another worker, wait until the
/// events in hand are acknowledged, that is, until the handler asks for the next one. So a handler
/// that has finished an event should ask soon.
pub struct Events<K, V> {
    shared: Rc<StreamShared<V>>,
    key: std::marker::PhantomData<fn() -> K>,
}

struct StreamShared<V> {
    runner: Runner,
    reader: ValueReader<V>,
    /// The answering of requests with `()` on acknowledgement, if the agent answers.
    answering: Option<Answering<()>>,
    /// The number of the input's first records that are in hand.
    in_hand: Cell<usize>,
    /// While the agent has the turn: how many more events it may take, and the latest timestamp
    /// that they may have.
    turn: Cell<Option<(u32, Timestamp)>>,
    /// The failure for which the handler must be begun again.
    failed: RefCell<Option<Failed>>,
    /// True if the handler has asked for an event since it was begun.
    asked: Cell<bool>,
    /// The number of the input's first records that were in a batch that failed. They are handed
    /// out one by one.
    one_by_one: Cell<usize>,
}

impl<K: TopicKey, V: 'static> Events<K, V> {
    /// Returns the next value, and acknowledges the one before it.
    pub async fn next(&mut self) -> Option<V> {
        self.shared.next(|shared, record| shared.reader.read(&record.record())).await
    }

    /// Returns up to `max` values as one event. Waits for the first value, then at most `within`
    /// for the others. All of them are acknowledged together when the next ones are asked for.
    /// Meanwhile tables can be read and written as for a single event.
    ///
    /// It does not wait for more records than a partition is [read
    /// ahead](crate::Config::queue_bytes): a full buffer is a full batch. A batch that fails is
    /// tried again as a whole, as often as the agent retries. If the agent
    /// [skips](crate::app::AgentBuilder::skip) failed events or sends them to a [dead-letter
    /// topic](crate::app::AgentBuilder::dead_letter), the events of the batch are then handed out
    /// one by one, each as a batch of one. Only events that fail alone are skipped or
    /// dead-lettered.
    ///
    /// # Panics
    /// If `max` is 0.
    pub async fn take(&mut self, max: usize, within: Duration) -> Vec<V> {
        self.shared.take(max, within, |shared, record| shared.reader.read(&record.record())).await
    }

    /// Returns a stream of whole [`Event`]s, with key, timestamp, headers and offset.
    pub fn events(self) -> WholeEvents<K, V> {
        WholeEvents { shared: self.shared, key: self.key }
    }
}

/// A stream of whole events. Made by [`Events::events`].
pub struct WholeEvents<K, V> {
    shared: Rc<StreamShared<V>>,
    key: std::marker::PhantomData<fn() -> K>,
}

impl<K: TopicKey, V: 'static> WholeEvents<K, V> {
    /// Returns the next event, and acknowledges the one before it.
    pub async fn next(&mut self) -> Option<Event<K, V>> {
        self.shared.next(|shared, record| shared.reader.read_event(record, &shared.runner.agent.input.source)).await
    }

    /// Returns up to `max` events as one. See [`Events::take`].
    ///
    /// # Panics
    /// If `max` is 0.
    pub async fn take(&mut self, max: usize, within: Duration) -> Vec<Event<K, V>> {
        let read = |shared: &StreamShared<V>, record: &Cursor| {
            shared.reader.read_event(record, &shared.runner.agent.input.source)
        };
        self.shared.take(max, within, read).await
    }
}

impl<V: 'static> StreamShared<V> {
    /// Runs the program's handler until it ends, or an event fails while it waits.
    async fn watched(&self, handler: impl Future<Output = Result<(), HandlerError>>) -> Result<(), Failed> {
        let mut handler = Box::pin(AssertUnwindSafe(handler).catch_unwind());
        std::future::poll_fn(|context| {
            let poll = handler.as_mut().poll(context);
            match self.failed.take() {
                Some(failed) => Poll::Ready(Err(failed)),
                None => poll.map(|ended| match ended {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(error)) => Err(Failed::of(error)),
                    Err(panic) => Err(Failed::of(panic_text(&*panic).into())),
                }),
            }
        })
        .await
    }

    async fn next<T>(&self, read: impl Fn(&StreamShared<V>, &Cursor) -> Result<Option<T>, CodecError>) -> Option<T> {
        self.asked.set(true);
        loop {
            self.acknowledge().await;
            let record = self.record().await;
            if let Some(condemned) = self.runner.condemned() {
                self.give_up(&record, condemned).await;
                continue;
            }
            if let Some(value) = self.read(&record, &read).await {
                self.in_hand.set(1);
                return Some(value);
            }
        }
    }

    async fn take<T>(
        &self,
        max: usize,
        within: Duration,
        read: impl Fn(&StreamShared<V>, &Cursor) -> Result<Option<T>, CodecError>,
    ) -> Vec<T> {
        assert!(max > 0, "take at least one event");
        self.asked.set(true);
        let input = &self.runner.agent.input;
        let at_least = |count: usize| {
            std::future::poll_fn(move |_| {
                if input.waiting() >= count || input.is_full() { Poll::Ready(()) } else { Poll::Pending }
            })
        };
        loop {
            self.acknowledge().await;
            self.release();
            at_least(1).await;
            let max = if self.one_by_one.get() > 0 { 1 } else { max };
            // A batch goes into one commit. Where a commit may hold only few events, so may a
            // batch.
            let max = self.runner.link.quota().map_or(max, |quota| max.min(quota as usize));
            // After the time, a smaller batch is taken.
            let _ = tokio::time::timeout(within, at_least(max)).await;
            let first = self.record().await;
            if let Some(condemned) = self.runner.condemned() {
                self.give_up(&first, condemned).await;
                continue;
            }
            let mut values = Vec::new();
            while self.in_hand.get() < max
                && let Some(record) = input.peek(self.in_hand.get())
            {
                count(&self.runner.agent.counters.events);
                match self.try_to_read(&record, &read) {
                    Ok(value) => {
                        self.in_hand.set(self.in_hand.get() + 1);
                        values.extend(value);
                    }
                    // A record that cannot be read is handled alone, after those before it.
                    Err(_) if self.in_hand.get() > 0 => break,
                    Err(failed) => {
                        self.give_up(&record, failed).await;
                        break;
                    }
                }
            }
            if !values.is_empty() {
                return values;
            }
        }
    }

    /// Waits for the input's next record and for the turn, and returns the record.
    async fn record(&self) -> Cursor {
        let input = &self.runner.agent.input;
        loop {
            if let Some((left, until)) = self.turn.get()
                && let Some(record) = input.peek(0)
                && left > 0
                && record.record().timestamp <= until
            {
                self.turn.set(Some((left - 1, until)));
                self.runner.link.turn.begin(self.runner.strand.txn, record.record().timestamp);
                return record;
            }
            self.release();
            let holder = self.runner.turn().await;
            self.turn.set(Some((holder.events, holder.until)));
        }
    }

    async fn read<T>(
        &self,
        record: &Cursor,
        read: &impl Fn(&StreamShared<V>, &Cursor) -> Result<Option<T>, CodecError>,
    ) -> Option<T> {
        count(&self.runner.agent.counters.events);
        match self.try_to_read(record, read) {
            Ok(Some(value)) => Some(value),
            Ok(None) => {
                self.answer(record);
                self.finish_first(record);
                None
            }
            Err(failed) => {
                self.give_up(record, failed).await;
                None
            }
        }
    }

    /// Reads a record. Filters and the decoder are user code, so a panic in them is a failure of
    /// this record.
    fn try_to_read<T>(
        &self,
        record: &Cursor,
        read: &impl Fn(&StreamShared<V>, &Cursor) -> Result<Option<T>, CodecError>,
    ) -> Result<Option<T>, Failed> {
        match std::panic::catch_unwind(AssertUnwindSafe(|| read(self, record))) {
            Ok(value) => value.map_err(Failed::undecodable),
            Err(panic) => Err(Failed::of(panic_text(&*panic).into())),
        }
    }

    /// Applies the agent's policy to a record that another attempt cannot help.
    async fn give_up(&self, record: &Cursor, failed: Failed) {
        count(&self.runner.agent.counters.failed);
        match self.runner.give_up(&failed, 1, self.runner.strand.txn, record) {
            Ok(()) => self.finish_first(record),
            Err(failure) => self.stop(failure).await,
        }
    }

    /// Applies the events in hand. If a table or topic has refused something of them, they fail
    /// instead.
    async fn acknowledge(&self) {
        if self.in_hand.get() == 0 {
            return;
        }
        if self.answering.is_some() {
            (0..self.in_hand.get())
                .filter_map(|ahead| self.runner.agent.input.peek(ahead))
                .for_each(|event| self.answer(&event));
        }
        let (link, txn) = (&self.runner.link, self.runner.strand.txn);
        let refused = link.turn.take_failure(txn).map_or_else(|| link.check(txn, &self.runner.participants), Err);
        if let Err(error) = refused {
            self.failed.replace(Some(Failed::of(error)));
            // [`stream`] sees the failure and begins the handler again.
            std::future::pending::<()>().await;
        }
        let counters = &self.runner.agent.counters;
        counters.handled.set(counters.handled.get() + self.in_hand.get() as u64);
        link.apply(txn, self.runner.number, &self.runner.participants);
        link.count_batch(self.in_hand.get());
        for _ in 0..self.in_hand.replace(0) {
            if let Some(record) = self.runner.agent.input.peek(0) {
                self.finish(&record);
            }
        }
    }

    /// Answers a request with `()`, which says that it was acknowledged.
    fn answer(&self, record: &Cursor) {
        if let Some(answering) = &self.answering
            && let Err(error) = answering.send(record, &())
        {
            self.runner.link.turn.fail(self.runner.strand.txn, error.into());
        }
    }

    /// Finishes the input's first record. Its slot holds nothing but perhaps an answer or a dead
    /// letter.
    fn finish_first(&self, record: &Cursor) {
        let txn = self.runner.strand.txn;
        self.runner.link.apply(txn, self.runner.number, &self.runner.participants);
        self.finish(record);
    }

    fn finish(&self, record: &Cursor) {
        self.runner.agent.input.finish(record.record().offset);
        self.one_by_one.set(self.one_by_one.get().saturating_sub(1));
    }

    fn release(&self) {
        if self.turn.take().is_some() {
            self.runner.strand.release();
        }
    }

    async fn stop(&self, failure: EventFailure) {
        self.release();
        self.runner.link.fail(failure);
        std::future::pending::<()>().await;
    }
}

/// Runs a stream handler, and begins it again whenever it ends.
pub(crate) async fn stream<K: TopicKey, V: 'static, Fut: Future<Output = Result<(), HandlerError>>>(
    runner: Runner,
    reader: ValueReader<V>,
    answering: Option<Answering<()>>,
    begin: impl Fn(Events<K, V>) -> Fut,
) {
    let shared = Rc::new(StreamShared {
        runner,
        reader,
        answering,
        in_hand: Cell::new(0),
        turn: Cell::new(None),
        failed: RefCell::new(None),
        asked: Cell::new(false),
        one_by_one: Cell::new(0),
    });
    let (mut tried, mut tries) = (Offset::ZERO, 0);
    loop {
        shared.asked.set(false);
        let events = Events { shared: shared.clone(), key: std::marker::PhantomData };
        let outcome = shared.watched(begin(events)).await;
        let StreamShared { runner, in_hand, .. } = &*shared;
        let refused = if in_hand.get() > 0 { runner.link.turn.take_failure(runner.strand.txn) } else { None };
        let failed = match (outcome, refused) {
            (_, Some(error)) => Failed::of(error),
            (Err(failed), None) => failed,
            (Ok(()), None) if shared.asked.get() => {
                shared.acknowledge().await;
                shared.release();
                continue;
            }
            (Ok(()), None) => Failed::of("the stream's handler returned without asking for an event".into()),
        };
        runner.link.discard(runner.strand.txn, &runner.participants);
        let first = runner.agent.input.position();
        tries = if tried == first { tries + 1 } else { 1 };
        tried = first;
        if let Some(wait) = runner.retry(&failed, tries) {
            in_hand.set(0);
            shared.release();
            tokio::time::sleep(wait).await;
            continue;
        }
        let stopped = EventFailure {
            agent: runner.agent.name.clone(),
            topic: runner.agent.input.source.topic.clone(),
            partition: runner.agent.input.source.partition,
            offset: first,
            tries,
            reason: failed.error.to_string(),
        };
        if in_hand.get() == 0 {
            // No event is in hand, so there is none to skip.
            shared.stop(stopped).await;
        }
        if in_hand.get() > 1 && runner.policy.then != Then::Stop {
            // Each event of the batch is tried alone, as often as any event, because most of them
            // are good.
            shared.one_by_one.set(in_hand.replace(0));
            tries = 0;
            shared.release();
            continue;
        }
        for _ in 0..in_hand.replace(0) {
            let Some(record) = runner.agent.input.peek(0) else { break };
            if let Err(failure) = runner.give_up(&failed, tries, runner.strand.txn, &record) {
                shared.stop(failure).await;
            }
            shared.finish_first(&record);
        }
        shared.release();
    }
}
