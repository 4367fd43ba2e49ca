//! Transactions whose end is in doubt, and how the next producer of their id ends them.
//!
//! A coordinator ends a transaction with a marker in each of its partitions. Kafka 4.4.0 skips partitions that have no
//! leader at that moment, and takes the transaction for ended (KAFKA-20734). There it stays open: readers of committed
//! records and lookups of positions wait without end, and the next commit of the same id would commit its records too. So
//! the next producer of the id writes to the same partitions once more and aborts that. Its markers end both.

mod ending;

use std::collections::{HashMap, HashSet};

use marlowe_broker::{Destination, TopicPartition};
use parking_lot::Mutex;

use crate::native::Place;
use crate::outgoing::Outgoing;

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
}
