use std::fmt;
use std::sync::Arc;

use marlowe_broker::{Offset, Partition};

/// Where a record that was sent is, durably.
///
/// A view can wait until its state includes it: [`TableView::wait_for`](crate::TableView::wait_for).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: Partition,
    /// The record's offset, or that of a record sent together with it just after.
    pub offset: Offset,
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]@{}", self.topic, self.partition, self.offset)
    }
}
