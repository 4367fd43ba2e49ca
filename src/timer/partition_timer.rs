//! Timers that run in every shard, as a transaction of the shard.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use crate::HandlerError;
use crate::scope::{ShardScope, ShardWith, Uses};
use crate::topology::{Place, TimerKind, TimerNode};
use crate::turn::Participant;

/// A timer that runs in every shard, without its types.
pub(crate) trait AnyPartitionTimer: Send + Sync {
    fn node(&self) -> TimerNode;
    fn open(&'static self, shard: &ShardScope) -> OpenTimer;
}

/// A partition timer that is open in a shard.
pub(crate) struct OpenTimer {
    pub(crate) name: Arc<str>,
    pub(crate) interval: Duration,
    pub(crate) participants: Vec<Rc<dyn Participant>>,
    pub(crate) fire: Box<dyn Fn() -> LocalBoxFuture<'static, Result<(), HandlerError>>>,
}

pub(crate) struct PartitionTimer<W, F> {
    pub(crate) name: Arc<str>,
    pub(crate) interval: Duration,
    pub(crate) with: W,
    pub(crate) handler: F,
}

impl<W, F> AnyPartitionTimer for PartitionTimer<W, F>
where
    W: ShardWith,
    F: AsyncFn(W::Opened) -> Result<(), HandlerError> + Send + Sync + 'static,
{
    fn node(&self) -> TimerNode {
        let mut uses = Uses::default();
        self.with.declare(&mut uses);
        TimerNode {
            name: self.name.clone(),
            kind: TimerKind::Every(self.interval),
            place: Place::Shard,
            edges: uses.edges(),
        }
    }

    fn open(&'static self, shard: &ShardScope) -> OpenTimer {
        let opened = self.with.open_in_shard(shard);
        OpenTimer {
            name: self.name.clone(),
            interval: self.interval,
            participants: shard.take_used(),
            fire: Box::new(move || Box::pin((self.handler)(opened.clone()))),
        }
    }
}
