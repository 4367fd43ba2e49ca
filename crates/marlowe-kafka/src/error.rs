//! The translation of librdkafka's failures into [`BrokerError`]s.

use marlowe_broker::{BrokerError, TopicPartition};

use crate::native::{Code, Failure};

/// An operation and the cluster that it is attempted on, for the error if it fails.
pub(crate) struct Attempt<'a> {
    pub(crate) brokers: &'a str,
    pub(crate) doing: &'static str,
}

impl Attempt<'_> {
    /// Returns the error for a failure of the operation.
    pub(crate) fn failed(&self, failure: &Failure) -> BrokerError {
        let Failure { code, reason, .. } = failure;
        if code.is_fenced() {
            return BrokerError::Fenced { who: self.doing.to_owned(), reason: reason.clone() };
        }
        let (location, reason) = (format!("kafka://{}", self.brokers), format!("{}: {reason}", self.doing));
        if code.is_refused() {
            return BrokerError::Refused { location, reason };
        }
        BrokerError::Unavailable { location, reason }
    }

    /// Returns the error for a failure that may mean that the partition `at` does not exist.
    pub(crate) fn failed_at(&self, failure: &Failure, at: &TopicPartition) -> BrokerError {
        if failure.code.is_unknown_topic() {
            return BrokerError::UnknownTopic { topic: at.topic.clone() };
        }
        self.failed(failure)
    }
}

/// A failure of which only the code is known.
impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        Failure::of(code)
    }
}
