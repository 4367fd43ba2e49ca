use marlowe_broker::{BrokerError, TopicPartition};

use crate::native::{Code, Failure};

/// What was tried where, so that a failure can be told.
pub(crate) struct Attempt<'a> {
    pub(crate) location: &'a str,
    pub(crate) doing: &'static str,
}

impl Attempt<'_> {
    /// A failure, as Marlowe tells it.
    pub(crate) fn failed(&self, failure: &Failure) -> BrokerError {
        let Failure { code, reason, .. } = failure;
        if code.is_fenced() {
            return BrokerError::Fenced { who: self.doing.to_owned(), reason: reason.clone() };
        }
        let (location, reason) = (self.location.to_owned(), format!("{}: {reason}", self.doing));
        if code.is_refused() {
            return BrokerError::Refused { location, reason };
        }
        BrokerError::Unavailable { location, reason }
    }

    /// A failure that may be about a partition that is not there.
    pub(crate) fn failed_at(&self, failure: &Failure, at: &TopicPartition) -> BrokerError {
        if failure.code.is_unknown_topic() {
            return BrokerError::UnknownTopic { topic: at.topic.clone() };
        }
        self.failed(failure)
    }
}

/// The failure that a code alone is.
impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        Failure::of(code)
    }
}
