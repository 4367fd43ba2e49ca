//! The agent that Marlowe adds for a table's inbox: it applies the changes that were sent to the
//! table.

use std::sync::Arc;

use marlowe_broker::RecordRef;

use super::definition::{AgentSettings, AnyAgent, Opening};
use super::failure::Then;
use super::handler::{Handler, Unhandled};
use super::open::RunningAgent;
use super::serial::serial;
use crate::codec::{Codec, CodecError, Key};
use crate::scope::ShardWith;
use crate::table::{InboxFailures, Merge, REPLACE_HEADER, Table, TableDeclaration, TableSlice};
use crate::topology::AgentNode;
use crate::turn::Cursor;

/// The agent of a table's inbox. It applies each change once, in order, in the owner's transaction.
pub(crate) struct InboxAgent<K: 'static, V: 'static> {
    pub(crate) settings: AgentSettings,
    pub(crate) table: &'static TableDeclaration<K, V>,
}

struct InboxHandler<K, V> {
    slice: TableSlice<K, V>,
    codec: Arc<dyn Codec<V>>,
    merge: Option<Merge<V>>,
}

impl<K: Key, V: Clone + 'static> Handler for InboxHandler<K, V> {
    type Reply = ();

    async fn handle(&self, at: &RecordRef<'_>, record: &Cursor) -> Result<Option<()>, Unhandled> {
        let Some(key) = at.key else {
            return Err(CodecError::new("a change to a table", "the record has no key").into());
        };
        let key = K::decode(key)?;
        // A change without a value removes the row.
        let change = at.value.map(|value| self.codec.decode(value)).transpose()?;
        let merge = self.merge.as_ref().filter(|_| !replaces(record));
        // Only a merge reads the row as it was, which may not decode.
        match (change, merge) {
            (Some(change), Some(merge)) => self.slice.update_with(key, |row| match row.as_mut() {
                Some(row) => merge(row, change),
                None => *row = Some(change),
            }),
            (Some(value), None) => drop(self.slice.insert(key, value)),
            (None, _) => drop(self.slice.remove(key)),
        }
        Ok(Some(()))
    }
}

fn replaces(record: &Cursor) -> bool {
    record.batch.headers(record.index).iter().any(|header| header.name == REPLACE_HEADER)
}

impl<K: Key, V: Clone + 'static> InboxAgent<K, V> {
    /// Returns the agent's settings, with the table's policy for failures of its inbox.
    fn settings(&self) -> AgentSettings {
        let mut settings = self.settings.clone();
        settings.policy.then = match self.table.settings().inbox_failures {
            InboxFailures::Stop => Then::Stop,
            InboxFailures::Skip => Then::Skip,
            InboxFailures::DeadLetter(topic, partitioner) => Then::DeadLetter(topic, partitioner),
        };
        settings
    }
}

impl<K: Key, V: Clone + 'static> AnyAgent for InboxAgent<K, V> {
    fn node(&self) -> AgentNode {
        self.settings().node(Vec::new())
    }

    fn open(&'static self, opening: Opening<'_>) -> RunningAgent {
        let table = self.table.settings();
        let handler = InboxHandler {
            slice: Table(self.table).open_in_shard(opening.scope),
            codec: table.codec,
            merge: table.merge,
        };
        self.settings().open(opening, None, |runner| Box::pin(serial(runner, handler)))
    }
}
