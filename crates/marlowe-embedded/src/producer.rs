//! The producer without transactions. The one with transactions is in `transaction`.

use std::collections::VecDeque;
use std::sync::Arc;

use marlowe_broker::{BoxFuture, BrokerError, Destination, NewRecord, Offset, Producer, TopicPartition, Written};
use tokio::time::Instant;

use crate::handle::{Handle, Pending};
use crate::outbox::Outbox;
use crate::request::{Answer, Request, Write};

/// The bytes of staged records that are handed to the broker without waiting for a flush.
const HAND_OVER: usize = 1024 * 1024;

/// A producer without transactions.
pub(crate) struct PlainProducer {
    outbox: Outbox,
    /// The writes handed over and not yet answered, oldest first.
    in_flight: VecDeque<(Vec<Destination>, Pending)>,
    /// The outcome of the writes answered since the last flush: where their records went, or the
    /// first error.
    written: Result<Written, BrokerError>,
}

impl PlainProducer {
    pub(crate) fn new(handle: Arc<Handle>) -> Self {
        Self { outbox: Outbox::new(handle), in_flight: VecDeque::new(), written: Ok(Written::default()) }
    }

    fn hand_over(&mut self) {
        let (destinations, appends) = self.outbox.take();
        if destinations.is_empty() {
            return;
        }
        let write = Write { epoch: None, appends, positions: Vec::new(), now: Instant::now() };
        let pending = self.outbox.handle().submit("a flush", Request::Write(write));
        self.in_flight.push_back((destinations, pending));
    }
}

impl Producer for PlainProducer {
    fn destination(&mut self, partition: &TopicPartition) -> Result<Destination, BrokerError> {
        self.outbox.destination(partition)
    }

    fn send(&mut self, to: Destination, record: NewRecord<'_>) -> Result<(), BrokerError> {
        self.outbox.push(to, &record)?;
        if self.outbox.bytes() >= HAND_OVER {
            self.hand_over();
        }
        Ok(())
    }

    fn flush(&mut self) -> BoxFuture<'_, Result<Written, BrokerError>> {
        Box::pin(async {
            self.hand_over();
            while let Some((destinations, pending)) = self.in_flight.front_mut() {
                match (pending.answer().await, &mut self.written) {
                    (Ok(answer), Ok(written)) => note(written, destinations, answer),
                    (Err(error), written @ Ok(_)) => *written = Err(error),
                    (_, Err(_)) => {}
                }
                self.in_flight.pop_front();
            }
            std::mem::replace(&mut self.written, Ok(Written::default()))
        })
    }
}

/// Adds the outcome of a write to `written`. Of several writes to a destination, the last one
/// counts.
pub(crate) fn note(written: &mut Written, destinations: &[Destination], answer: Answer) {
    let Answer::Ends(ends) = answer else { return };
    for (destination, end) in destinations.iter().zip(ends) {
        set(&mut written.ends, *destination, end);
    }
}

fn set(ends: &mut Vec<(Destination, Offset)>, destination: Destination, end: Offset) {
    match ends.iter_mut().find(|(known, _)| *known == destination) {
        Some((_, known)) => *known = end,
        None => ends.push((destination, end)),
    }
}
