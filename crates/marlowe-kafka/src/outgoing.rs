//! [`Outgoing`]: the memory of a producer for the records that it has sent.

use marlowe_broker::{Destination, RecordArena};

/// Records that were sent and are not safe yet, in the order in which they came. They are kept
/// until they are safe, because a transaction that fails may have to be made again.
pub(crate) type Outgoing = RecordArena<Destination>;
