//! LMDB as Marlowe uses it, for table stores and for the embedded broker's folder.
//!
//! LMDB itself notices no damage. It maps its file into memory and trusts it: a file that is cut off or has a flipped bit gives wrong
//! rows, or ends the process with SIGBUS, SIGSEGV or SIGABRT. So two things are added:
//!
//! - [`SealedTable`]: each value has a CRC-32C of its key and itself. It is checked when the value is read.
//! - [`check`]: reads a whole file before it is opened, and finds what would mislead LMDB.
//!
//! [`copy`] makes a backup of an environment that is in use.
//!
//! What remains: a file that is damaged *while it is open*. Values are still checked; a damaged page may end the process.

mod check;
mod copy;
mod damage;
mod sealed_table;

pub use check::{Content, check};
pub use copy::copy;
pub use damage::{CheckError, Damage};
pub use sealed_table::SealedTable;
