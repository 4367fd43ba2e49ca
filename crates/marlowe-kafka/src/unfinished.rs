//! Transactions whose end is in doubt, and how the next producer of their id ends them.
//!
//! # The problem
//! A transaction coordinator ends a transaction by writing a marker into each of its partitions.
//! Kafka 4.4.0 skips partitions that have no leader at that moment, and treats the transaction as
//! ended (KAFKA-20734). In those partitions, the transaction hangs: it stays open. Readers with
//! `read_committed` and lookups of positions wait without end. The next commit of the same id would
//! commit its records too.
//!
//! # The remedy
//! The next producer of the id writes to the same partitions once more, and aborts that
//! transaction. Its markers end both transactions. `transaction` decides which transactions are in
//! doubt, and `ending` ends them.
//!
//! # What remains
//! A transaction that was committed may lack a marker too. The next commit of the same id writes
//! it, but an abort that touches the partition drops the committed records. The client cannot tell,
//! because the coordinator has answered that the commit succeeded.
//!
//! Doubtful transactions are kept in memory only. If the process ends, nobody ends them. Lookups
//! then say that a transaction is open, and `kafka-transactions.sh` can end it.

mod ending;

use std::collections::{HashMap, HashSet};

use marlowe_broker::TopicPartition;
use parking_lot::Mutex;

use crate::native::Place;
use crate::outgoing::Outgoing;

/// The transactions of this process whose end is in doubt, by transactional id.
#[derive(Default)]
pub(crate) struct UnfinishedTransactions(Mutex<HashMap<String, Unfinished>>);

/// A transaction whose end is in doubt.
pub(crate) struct Unfinished {
    destinations: Vec<TopicPartition>,
    /// One record for each partition.
    records: Outgoing,
    /// The group whose positions the transaction changes, and those positions.
    positions: Option<(String, Vec<Place>)>,
}

/// Returns the first record of `sent` for each partition that `is_wanted`.
fn one_each(sent: &Outgoing, is_wanted: impl Fn(usize) -> bool) -> Outgoing {
    let mut records = Outgoing::default();
    let mut known = HashSet::new();
    for index in 0..sent.len() {
        sent.lend(index, |to, record| {
            if is_wanted(to.0 as usize) && known.insert(to) {
                records.push(to, record);
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
    /// Keeps what the transaction of `sent` touched: partitions, and the positions of a group.
    /// Returns `None` if it touched nothing.
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
