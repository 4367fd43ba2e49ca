use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use marlowe_broker::{NewRecord, Partitioner, RecordRef};

use super::definition::{AgentSettings, AnyAgent, OpenAgent, Opening};
use super::handler::Handler;
use super::input::Cursor;
use super::link::ShardLink;
use super::serial::serial;
use crate::HandlerError;
use crate::codec::CodecError;
use crate::topic::{OutTopicSettings, Rekey, Route, open_out_topic};
use crate::topology::AgentNode;

/// Sends records on under another key: the working half of `group_by`.
pub(crate) struct RepartitionAgent {
    pub(crate) settings: AgentSettings,
    pub(crate) to: Arc<str>,
    pub(crate) rekey: Rekey,
}

struct RepartitionHandler {
    out: OutTopicSettings,
    rekey: Rekey,
    key: RefCell<Vec<u8>>,
    link: Rc<ShardLink>,
}

impl Handler for RepartitionHandler {
    /// The new key is in the handler's buffer, if there is one.
    type Input = Route;
    type Reply = ();

    fn decode(&self, at: &RecordRef<'_>, _: &Cursor) -> Result<Option<Route>, CodecError> {
        let mut key = self.key.borrow_mut();
        key.clear();
        let route = (self.rekey)(at.value, &mut key)?;
        Ok(Some(route).filter(|route| *route != Route::Dropped))
    }

    async fn handle(&self, record: &Cursor, route: Route) -> Result<(), HandlerError> {
        let key = self.key.borrow();
        let key = (route == Route::Keyed).then_some(key.as_slice());
        let turn = &self.link.turn;
        let at = record.record();
        let headers = record.batch.headers(record.index);
        let new = NewRecord { timestamp: at.timestamp, key, value: at.value, headers: &headers };
        turn.send(turn.hand(|| "a group_by".into()), self.out.topic, self.out.partition(key, turn), new);
        Ok(())
    }

    fn reply(&self, _: &Cursor, (): ()) -> Result<(), HandlerError> {
        Ok(())
    }
}

impl AnyAgent for RepartitionAgent {
    fn node(&self) -> AgentNode {
        self.settings.node(vec![self.to.clone()])
    }

    fn open(&'static self, opening: Opening<'_>) -> OpenAgent {
        let handler = RepartitionHandler {
            out: open_out_topic(&self.to, Partitioner::default(), opening.scope),
            rekey: self.rekey.clone(),
            key: RefCell::default(),
            link: opening.link.clone(),
        };
        self.settings.open(opening, |runner| Box::pin(serial(runner, handler)))
    }
}
