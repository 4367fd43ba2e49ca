//! LMDB as Marlowe uses it, for table stores and for the embedded broker's folder.
//!
//! LMDB does not notice damage. It maps its file into memory and trusts it. A file that is cut off
//! or has a flipped bit gives wrong rows, or ends the process with SIGBUS, SIGSEGV or SIGABRT. This
//! crate adds two checks:
//!
//! - [`SealedTable`] stores each value with a CRC-32C of the key and the value. It checks the
//!   checksum when it reads the value.
//! - [`check`] reads a whole file before the file is opened, and finds damage that would mislead
//!   LMDB.
//!
//! [`copy`] makes a backup of an environment that is in use.
//!
//! One risk remains: a file that is damaged *while it is open*. Values are still checked, but a
//! damaged page may end the process.
//!
//! # Order of use
//!
//! 1. The owner of a file calls [`check`]. It opens the file only if the check passes.
//! 2. It opens the environment with `heed`, and each table as a [`SealedTable`].
//! 3. Each read checks its value. [`Damage::is_in`] tells whether an error comes from that check.
//!
//! Start reading in `check/mod.rs`, which lists the steps of the check, and in `sealed_table.rs`.

mod check;
mod copy;
mod damage;
mod sealed_table;

pub use check::{Content, check};
pub use copy::copy;
pub use damage::{CheckError, Damage};
pub use sealed_table::SealedTable;
