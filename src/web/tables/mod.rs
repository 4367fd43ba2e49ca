//! The routes `/tables` and below: rows that are read and changed.

pub(crate) mod address;
pub(crate) mod change;
pub(crate) mod list;
mod query;
pub(crate) mod row;
pub(crate) mod rows;
mod slice;

pub(crate) use query::Query;
pub(crate) use rows::MAX_LIMIT;
