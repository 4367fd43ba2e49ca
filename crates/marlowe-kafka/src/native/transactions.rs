use std::time::Duration;

use rdkafka::bindings as sys;

use super::client::{Client, millis};
use super::code::{Code, Failure};
use super::group::{Identity, NativeIdentity};
use super::partitions::Places;

impl Client {
    /// Makes this the one producer of its transactional id.
    pub(crate) fn init_transactions(&self, within: Duration) -> Result<(), Failure> {
        // SAFETY: the client is alive.
        unsafe { Failure::take(sys::rd_kafka_init_transactions(self.as_ptr(), millis(within))) }
    }

    pub(crate) fn begin_transaction(&self) -> Result<(), Failure> {
        // SAFETY: the client is alive.
        unsafe { Failure::take(sys::rd_kafka_begin_transaction(self.as_ptr())) }
    }

    /// Adds positions to the transaction, in the name of a member.
    pub(crate) fn send_offsets(&self, places: &Places, who: &Identity, within: Duration) -> Result<(), Failure> {
        let Some(who) = NativeIdentity::of(who) else { return Err(Failure::of(Code::ILLEGAL_GENERATION)) };
        // SAFETY: all are alive.
        unsafe {
            Failure::take(sys::rd_kafka_send_offsets_to_transaction(
                self.as_ptr(),
                places.as_ptr(),
                who.as_ptr(),
                millis(within),
            ))
        }
    }

    /// Flushes and commits. After a time-out the same may be called again.
    pub(crate) fn commit_transaction(&self, within: Duration) -> Result<(), Failure> {
        // SAFETY: the client is alive.
        unsafe { Failure::take(sys::rd_kafka_commit_transaction(self.as_ptr(), millis(within))) }
    }

    pub(crate) fn abort_transaction(&self, within: Duration) -> Result<(), Failure> {
        // SAFETY: the client is alive.
        unsafe { Failure::take(sys::rd_kafka_abort_transaction(self.as_ptr(), millis(within))) }
    }

    /// Waits until every record was delivered or was not, and its sender told.
    pub(crate) fn flush(&self, within: Duration) -> Result<(), Failure> {
        // SAFETY: the client is alive.
        Code::check(unsafe { sys::rd_kafka_flush(self.as_ptr(), millis(within)) })
    }
}
