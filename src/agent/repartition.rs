use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use marlowe_broker::{NewRecord, Partitioner, RecordRef};

use super::definition::{AgentSettings, AnyAgent, OpenAgent, Opening};
use super::handler::{Handler, Unhandled};
use super::input::Cursor;
use super::link::ShardLink;
use super::serial::serial;
use crate::topic::{OutTopicSettings, Rekey, Route, open_out_topic};
use crate::topology::AgentNode;

/// Sends records on under another key: the working half of `group_by`.
pub(crate) struct RepartitionAgent {
    pub(crate) settings: AgentSettings,
    pub(crate) to: Arc<str>,
    pub(crate) partitioner: Partitioner,
    pub(crate) rekey: Rekey,
}

struct RepartitionHandler {
    out: OutTopicSettings,
    rekey: Rekey,
    key: RefCell<Vec<u8>>,
    link: Rc<ShardLink>,
}

impl Handler for RepartitionHandler {
    type Reply = ();

    async fn handle(&self, at: &RecordRef<'_>, record: &Cursor) -> Result<Option<()>, Unhandled> {
        let mut key = self.key.borrow_mut();
        key.clear();
        let key = match (self.rekey)(at.value, &mut key)? {
            Route::Keyed => Some(key.as_slice()),
            Route::Unkeyed => None,
            Route::Dropped => return Ok(None),
        };
        let turn = &self.link.turn;
        let headers = record.batch.headers(record.index);
        let new = NewRecord { timestamp: at.timestamp, key, value: at.value, headers: &headers };
        turn.send(turn.hand(|| "a group_by".into()), self.out.topic, self.out.partition(key, turn), new);
        Ok(Some(()))
    }
}

impl AnyAgent for RepartitionAgent {
    fn node(&self) -> AgentNode {
        self.settings.node(vec![self.to.clone()])
    }

    fn open(&'static self, opening: Opening<'_>) -> OpenAgent {
        let handler = RepartitionHandler {
            out: open_out_topic(&self.to, self.partitioner, opening.scope),
            rekey: self.rekey.clone(),
            key: RefCell::default(),
            link: opening.link.clone(),
        };
        self.settings.open(opening, None, |runner| Box::pin(serial(runner, handler)))
    }
}
