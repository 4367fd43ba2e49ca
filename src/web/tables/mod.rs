//! The routes `/tables` and below: lists of tables, rows, and changes of rows.
//!
//! A request's path becomes a table and a key (`address`), its query the wait, the position and the
//! staleness that it asks for (`query`). `slice` then reads the committed state: a slice that is
//! open here, a global copy, or the owner of the row in another process. `row` answers with one
//! row, `rows` with a page that is sent while it is read. `change` sends a change to the owner's
//! inbox, and can wait until it is committed.

pub(crate) mod address;
pub(crate) mod change;
pub(crate) mod list;
mod query;
pub(crate) mod row;
pub(crate) mod rows;
mod slice;

pub(crate) use query::Query;
pub(crate) use rows::MAX_LIMIT;
