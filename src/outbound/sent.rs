//! The place of a record that was sent.

use std::fmt;
use std::sync::Arc;

use marlowe_broker::{Offset, Partition};

/// The place of a record that was sent and that the broker has stored durably.
///
/// A view can wait until its state includes the record:
/// [`TableView::wait_for`](crate::table::TableView::wait_for).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: Partition,
    /// The record's offset. If several records were sent together, it may be the offset of a later
    /// one of them.
    pub offset: Offset,
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]@{}", self.topic, self.partition, self.offset)
    }
}
