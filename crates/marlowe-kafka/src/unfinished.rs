//! Transactions whose end is in doubt, and how the next producer of their id ends them.
//!
//! A coordinator ends a transaction with a marker in each of its partitions. Kafka 4.4.0 skips partitions that have no
//! leader at that moment, and takes the transaction for ended (KAFKA-20734). There it stays open: readers of committed
//! records and lookups of positions wait without end, and the next commit of the same id would commit its records too. So
//! the next producer of the id writes to the same partitions once more and aborts that. Its markers end both.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use marlowe_broker::{Destination, TopicPartition};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::native::{Failure, Identity, Place, Remedy};
use crate::outgoing::Outgoing;
use crate::writer::{STEP, Wanted, Writer};

/// The transactions of this process whose end is in doubt, by transactional id.
#[derive(Default)]
pub(crate) struct UnfinishedTransactions(Mutex<HashMap<String, Unfinished>>);

/// A transaction whose end is in doubt.
pub(crate) struct Unfinished {
    destinations: Vec<TopicPartition>,
    /// A record for each partition.
    records: Outgoing,
    /// The group whose positions it had.
    positions: Option<(String, Vec<Place>)>,
}

/// The first record for each partition that `is_wanted`.
fn one_each(sent: &Outgoing, is_wanted: impl Fn(usize) -> bool) -> Outgoing {
    let mut records = Outgoing::default();
    let mut known = HashSet::new();
    for index in 0..sent.len() {
        sent.lend(index, |to, record| {
            if is_wanted(to) && known.insert(to) {
                records.push(Destination(to as u32), record);
            }
        });
    }
    records
}

impl UnfinishedTransactions {
    pub(crate) fn keep(&self, id: &str, unfinished: Unfinished) {
        self.0.lock().insert(id.to_owned(), unfinished);
    }

    pub(crate) fn take(&self, id: &str) -> Option<Unfinished> {
        self.0.lock().remove(id)
    }
}

impl Unfinished {
    /// Keeps what `sent` touched: partitions, and the positions of a group.
    pub(crate) fn of(
        sent: &Outgoing,
        destinations: &[TopicPartition],
        positions: Option<(String, Vec<Place>)>,
    ) -> Option<Self> {
        let records = one_each(sent, |_| true);
        let is_nothing = records.is_empty() && positions.is_none();
        (!is_nothing).then(|| Self { destinations: destinations.to_vec(), records, positions })
    }

    /// Makes the transaction once more with `writer`, whose id it has, and aborts it. The writer is of no use after that.
    pub(crate) fn end(&mut self, writer: &mut Writer, answer: Duration, wanted: &Wanted) -> Result<(), Failure> {
        writer.client.begin_transaction()?;
        if let Err((failure, refused)) = writer.produce(&self.records, 0, &self.destinations, wanted) {
            if failure.code.is_for_good() {
                self.records = one_each(&self.records, |to| to != refused);
            }
            return Err(failure);
        }
        while let Err(failure) = writer.client.flush(STEP) {
            if !wanted.is_wanted() {
                return Err(failure);
            }
        }
        if let Err((code, refused)) = writer.written() {
            // Once more without a record that the brokers refuse, or whose partition is there no more.
            if code.is_for_good() {
                self.records = one_each(&self.records, |to| to != refused);
            }
            return Err(Failure::of(code));
        }
        if let Some((group, places)) = &self.positions {
            let nobody = Identity { group: group.clone(), member: String::new(), generation: -1, instance: None };
            match writer.client.send_offsets(places, &nobody, answer) {
                // The group's partition belongs to the transaction before the group is asked.
                Err(failure) if !failure.code.is_fenced() => return Err(failure),
                _ => {}
            }
        }
        let deadline = Instant::now() + answer;
        loop {
            match writer.client.abort_transaction(answer) {
                Err(failure) if failure.remedy == Remedy::Retry && wanted.is_wanted() && Instant::now() < deadline => {}
                aborted => return aborted,
            }
        }
    }
}
