//! An agent of a shard, as its lane sees it.

use std::rc::Rc;
use std::sync::Arc;

use crate::turn::{Counters, RecordQueue};

/// An agent of a shard, as its lane sees it.
pub(crate) struct ShardAgent {
    pub(crate) name: Arc<str>,
    pub(crate) input: Rc<RecordQueue>,
    pub(crate) counters: Rc<Counters>,
}
