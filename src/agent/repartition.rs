//! The agent that Marlowe adds for a `group_by`: it sends records on under another key.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use marlowe_broker::{NewRecord, Partitioner, RecordRef};
use marlowe_state::MAX_KEY_BYTES;

use super::definition::{AgentSettings, AnyAgent, Opening};
use super::handler::{Handler, Unhandled};
use super::open::RunningAgent;
use super::serial::serial;
use crate::codec::{CodecError, KeyTooLong};
use crate::topic::{NewKey, OutTopicSettings, Rekey, Route, open_out_topic};
use crate::topology::AgentNode;
use crate::turn::{Cursor, ShardLink};

/// The agent of a `group_by`: it sends records on under another key.
pub(crate) struct RepartitionAgent {
    pub(crate) settings: AgentSettings,
    pub(crate) to: Arc<str>,
    pub(crate) partitioner: Partitioner,
    pub(crate) rekey: Rekey,
}

struct RepartitionHandler {
    out: OutTopicSettings,
    rekey: Rekey,
    key: RefCell<NewKey>,
    /// A table whose rows have the new keys, if there is one.
    table: Option<Arc<str>>,
    link: Rc<ShardLink>,
}

impl Handler for RepartitionHandler {
    type Reply = ();

    async fn handle(&self, at: &RecordRef<'_>, record: &Cursor) -> Result<Option<()>, Unhandled> {
        let mut key = self.key.borrow_mut();
        let route = (self.rekey)(at.value, &mut key)?;
        let NewKey { topic, ordered } = &*key;
        let key = match route {
            Route::Keyed => Some(topic.as_slice()),
            Route::Unkeyed => None,
            Route::Dropped => return Ok(None),
        };
        if let Some(table) = &self.table
            && ordered.len() > MAX_KEY_BYTES
        {
            let shown = String::from_utf8_lossy(topic).into_owned().into();
            let refused = KeyTooLong::of(table, &shown, ordered.len(), MAX_KEY_BYTES);
            return Err(CodecError::new("a key that the stream's table takes", refused).into());
        }
        let turn = &self.link.turn;
        let headers = record.batch.headers(record.index);
        let new = NewRecord { timestamp: at.timestamp, key, value: at.value, headers: &headers };
        self.out.send(turn, turn.txn(|| "a group_by".into()), new);
        Ok(Some(()))
    }
}

impl AnyAgent for RepartitionAgent {
    fn node(&self) -> AgentNode {
        self.settings.node(vec![self.to.clone()])
    }

    fn open(&'static self, opening: Opening<'_>) -> RunningAgent {
        let handler = RepartitionHandler {
            out: open_out_topic(&self.to, self.partitioner, opening.scope),
            rekey: self.rekey.clone(),
            key: RefCell::default(),
            table: opening.scope.worker.topology.keyed_by(&self.to).cloned(),
            link: opening.link.clone(),
        };
        self.settings.open(opening, None, |runner| Box::pin(serial(runner, handler)))
    }
}
