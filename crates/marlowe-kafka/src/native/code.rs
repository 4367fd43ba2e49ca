//! Error codes, what each of them means for the caller, and failures of calls.

use std::ffi::CStr;
use std::fmt;

use rdkafka::bindings as sys;
use rdkafka::types::RDKafkaErrorCode;
use sys::rd_kafka_resp_err_t as Raw;

/// An error code of librdkafka or of a broker.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code(pub(super) Raw);

impl Code {
    pub(crate) const NONE: Code = Code(Raw::RD_KAFKA_RESP_ERR_NO_ERROR);
    pub(crate) const END_OF_PARTITION: Code = Code(Raw::RD_KAFKA_RESP_ERR__PARTITION_EOF);
    pub(crate) const OFFSET_RESET: Code = Code(Raw::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET);
    pub(crate) const TIMED_OUT: Code = Code(Raw::RD_KAFKA_RESP_ERR__TIMED_OUT);
    pub(crate) const DESTROYED: Code = Code(Raw::RD_KAFKA_RESP_ERR__DESTROY);
    pub(crate) const UNKNOWN_PARTITION: Code = Code(Raw::RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION);
    pub(crate) const NO_LEADER: Code = Code(Raw::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE);
    pub(crate) const QUEUE_FULL: Code = Code(Raw::RD_KAFKA_RESP_ERR__QUEUE_FULL);
    pub(crate) const FATAL: Code = Code(Raw::RD_KAFKA_RESP_ERR__FATAL);
    pub(crate) const ILLEGAL_GENERATION: Code = Code(Raw::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION);
    pub(crate) const REBALANCING: Code = Code(Raw::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS);
    pub(crate) const FENCED_INSTANCE: Code = Code(Raw::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID);
    pub(crate) const INVALID_TIMESTAMP: Code = Code(Raw::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP);
    pub(crate) const UNKNOWN: Code = Code(Raw::RD_KAFKA_RESP_ERR_UNKNOWN);
    pub(crate) const NO_OFFSET: Code = Code(Raw::RD_KAFKA_RESP_ERR__NO_OFFSET);

    /// Returns librdkafka's last error in this thread, for the calls of its older interface.
    pub(super) fn last() -> Self {
        // SAFETY: no conditions; it reads a thread-local.
        Self(unsafe { sys::rd_kafka_last_error() })
    }

    /// Returns the code with this number. A number that librdkafka does not have becomes an unknown
    /// error.
    pub(super) fn numbered(number: i32) -> Self {
        Raw::try_from(number).map_or(Self::UNKNOWN, Self)
    }

    pub(super) fn check(raw: Raw) -> Result<(), Failure> {
        let code = Self(raw);
        if code == Self::NONE { Ok(()) } else { Err(Failure::of(code)) }
    }

    /// Returns whether another has taken this one's place: a newer producer with the same
    /// transactional id, or a newer generation of the group.
    pub(crate) fn is_fenced(self) -> bool {
        matches!(
            self.0,
            Raw::RD_KAFKA_RESP_ERR__FENCED
                | Raw::RD_KAFKA_RESP_ERR_PRODUCER_FENCED
                | Raw::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH
                | Raw::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING
                | Raw::RD_KAFKA_RESP_ERR_INVALID_TXN_STATE
                | Raw::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION
                | Raw::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID
                | Raw::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID
                | Raw::RD_KAFKA_RESP_ERR_FENCED_MEMBER_EPOCH
                | Raw::RD_KAFKA_RESP_ERR_STALE_MEMBER_EPOCH
        )
    }

    /// Returns whether the member's generation is not the group's. The same member may be in a
    /// newer one.
    pub(crate) fn is_old_generation(self) -> bool {
        matches!(self.0, Raw::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION | Raw::RD_KAFKA_RESP_ERR_STALE_MEMBER_EPOCH)
    }

    pub(crate) fn is_too_large(self) -> bool {
        matches!(
            self.0,
            Raw::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE
                | Raw::RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE
                | Raw::RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE
        )
    }

    /// Returns whether the broker refuses this record, however often it is sent.
    pub(crate) fn is_refused_record(self) -> bool {
        matches!(
            self.0,
            Raw::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP
                | Raw::RD_KAFKA_RESP_ERR_INVALID_RECORD
                | Raw::RD_KAFKA_RESP_ERR_POLICY_VIOLATION
                | Raw::RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT
        )
    }

    /// Returns whether a record that failed with this code fails again, however often it is sent.
    pub(crate) fn is_for_good(self) -> bool {
        self.is_too_large() || self.is_refused_record() || self.is_unknown_topic() || self.is_refused()
    }

    pub(crate) fn is_unknown_topic(self) -> bool {
        matches!(
            self.0,
            Raw::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC
                | Raw::RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION
                | Raw::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
                | Raw::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_ID
        )
    }

    /// Returns whether the cluster refuses this client, because its login or its permissions are
    /// wrong.
    pub(crate) fn is_refused(self) -> bool {
        matches!(
            self.0,
            Raw::RD_KAFKA_RESP_ERR__AUTHENTICATION
                | Raw::RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED
                | Raw::RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE
                | Raw::RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM
                | Raw::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED
                | Raw::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED
                | Raw::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED
                | Raw::RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        )
    }

    /// Returns whether the same call may succeed a little later: during a rebalance, while a
    /// coordinator or a leader moves, or while a broker starts. Each code counts as passing unless
    /// it is known to be for good, because a cluster in trouble reports many kinds of errors.
    pub(crate) fn is_passing(self) -> bool {
        !(self.is_refused()
            || self.is_unknown_topic()
            || self.is_too_large()
            || self.is_refused_record()
            || self.is_fenced()
            || matches!(
                self.0,
                Raw::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET
                    | Raw::RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE
                    | Raw::RD_KAFKA_RESP_ERR__FATAL
                    | Raw::RD_KAFKA_RESP_ERR__INVALID_ARG
                    | Raw::RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED
                    | Raw::RD_KAFKA_RESP_ERR__NO_OFFSET
                    | Raw::RD_KAFKA_RESP_ERR__SSL
                    | Raw::RD_KAFKA_RESP_ERR__STATE
                    | Raw::RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE
                    | Raw::RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND
                    | Raw::RD_KAFKA_RESP_ERR_INVALID_COMMIT_OFFSET_SIZE
                    | Raw::RD_KAFKA_RESP_ERR_INVALID_CONFIG
                    | Raw::RD_KAFKA_RESP_ERR_INVALID_GROUP_ID
                    | Raw::RD_KAFKA_RESP_ERR_INVALID_PARTITIONS
                    | Raw::RD_KAFKA_RESP_ERR_INVALID_REPLICA_ASSIGNMENT
                    | Raw::RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR
                    | Raw::RD_KAFKA_RESP_ERR_INVALID_REQUEST
                    | Raw::RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT
                    | Raw::RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP
                    | Raw::RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE
                    | Raw::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE
                    | Raw::RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS
                    | Raw::RD_KAFKA_RESP_ERR_TOPIC_DELETION_DISABLED
                    | Raw::RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION
                    | Raw::RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION
            ))
    }
}

/// The code of an error of rdkafka's admin client.
impl From<RDKafkaErrorCode> for Code {
    fn from(code: RDKafkaErrorCode) -> Self {
        Self::numbered(code as i32)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: `rd_kafka_err2str` returns a static string for every code.
        let text = unsafe { CStr::from_ptr(sys::rd_kafka_err2str(self.0)) };
        f.write_str(&text.to_string_lossy())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A failed call: its code, librdkafka's reason, and what may be done about it.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) reason: String,
    pub(crate) remedy: Remedy,
}

/// The reaction to a failed transactional call that librdkafka advises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// No particular reaction.
    None,
    /// Call the same function again.
    Retry,
    /// Abort the transaction, and begin another one.
    Abort,
    /// Continue with another client, because this one does not return from the call.
    Replace,
    /// Nothing helps, because the client is no longer usable.
    Fatal,
}

impl Failure {
    pub(crate) fn of(code: Code) -> Self {
        Self { code, reason: code.to_string(), remedy: Remedy::None }
    }

    /// Takes an error object over. A null pointer means that there is no error.
    ///
    /// # Safety
    /// `error` is null or an error that librdkafka has just returned, and is not used afterwards.
    pub(super) unsafe fn take(error: *mut sys::rd_kafka_error_t) -> Result<(), Failure> {
        if error.is_null() {
            return Ok(());
        }
        // SAFETY: it is an error, by this function's condition, and destroyed once.
        unsafe {
            let code = Code(sys::rd_kafka_error_code(error));
            let reason = CStr::from_ptr(sys::rd_kafka_error_string(error)).to_string_lossy().into_owned();
            let remedy = if sys::rd_kafka_error_is_fatal(error) != 0 {
                Remedy::Fatal
            } else if sys::rd_kafka_error_txn_requires_abort(error) != 0 {
                Remedy::Abort
            } else if sys::rd_kafka_error_is_retriable(error) != 0 {
                Remedy::Retry
            } else {
                Remedy::None
            };
            sys::rd_kafka_error_destroy(error);
            Err(Failure { code, reason, remedy })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_keeps_its_meaning() {
        assert!(Code::numbered(-137) == Code(Raw::RD_KAFKA_RESP_ERR__DESTROY_BROKER));
        assert!(Code::from(RDKafkaErrorCode::DestroyBroker) == Code(Raw::RD_KAFKA_RESP_ERR__DESTROY_BROKER));
        assert!(Code::from(RDKafkaErrorCode::NotController) == Code(Raw::RD_KAFKA_RESP_ERR_NOT_CONTROLLER));
        assert!(Code::numbered(-100_000) == Code::UNKNOWN);
    }
}
