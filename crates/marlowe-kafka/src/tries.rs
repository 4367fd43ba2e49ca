//! Requests of the admin client, which are made again while they fail for reasons that pass.

use std::time::Duration;

use marlowe_broker::BrokerError;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::native::{Code, Failure};
use crate::waiting::Waiting;

/// The time-out of one request.
const REQUEST: Duration = Duration::from_secs(30);

/// The backoff before a request is made again.
const BACKOFF: Duration = Duration::from_millis(20);

/// The tries of one request. They go on for as long as the cluster's patience lasts.
pub(crate) struct Tries<'a> {
    cluster: &'a Cluster,
    doing: &'static str,
    deadline: Instant,
    waiting: Waiting,
    have_failed: bool,
}

impl<'a> Tries<'a> {
    pub(crate) fn of(cluster: &'a Cluster, doing: &'static str) -> Self {
        let waiting = Waiting::for_brokers(cluster.location(), doing);
        Self { cluster, doing, deadline: Instant::now() + cluster.config.patience, waiting, have_failed: false }
    }

    /// Returns whether a try has failed. Such a request may have been carried out, and only its
    /// answer was lost.
    pub(crate) fn have_failed(&self) -> bool {
        self.have_failed
    }

    /// Returns the answer about one topic or group, or `None` if the request must be made again.
    pub(crate) async fn settled<T>(
        &mut self,
        answer: KafkaResult<Vec<Result<T, (String, RDKafkaErrorCode)>>>,
    ) -> Result<Option<Result<T, RDKafkaErrorCode>>, BrokerError> {
        let failure = match answer.map(|mut answers| answers.pop()) {
            Ok(Some(Ok(done))) => return Ok(Some(Ok(done))),
            Ok(Some(Err((_, code)))) if !passes(code) => return Ok(Some(Err(code))),
            Ok(Some(Err((_, code)))) => KafkaError::AdminOp(code),
            Ok(None) => return Err(self.cluster.unavailable(self.doing, &"the cluster gave no answer")),
            Err(error) => error,
        };
        self.again(&failure).await?;
        Ok(None)
    }

    /// Waits for the backoff before a request is made again.
    ///
    /// # Errors
    /// When this failure is for good, or the patience is over.
    pub(crate) async fn again(&mut self, error: &KafkaError) -> Result<(), BrokerError> {
        if !code_of(error).is_some_and(passes) || Instant::now() >= self.deadline {
            return Err(self.failed(error));
        }
        self.have_failed = true;
        self.waiting.tell(&error.to_string());
        tokio::time::sleep(BACKOFF).await;
        Ok(())
    }

    /// Returns the error for a failure that is for good.
    pub(crate) fn failed(&self, error: &KafkaError) -> BrokerError {
        let code = code_of(error).map_or(Code::UNKNOWN, Code::from);
        let reason = self.cluster.config.redacted(&error.to_string());
        self.cluster.attempt(self.doing).failed(&Failure { reason, ..Failure::of(code) })
    }
}

/// Returns whether the same request may succeed a little later.
pub(crate) fn passes(code: RDKafkaErrorCode) -> bool {
    Code::from(code).is_passing()
}

/// Returns the code of an error. rdkafka itself returns none for errors of its admin client.
fn code_of(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        error => error.rdkafka_error_code(),
    }
}

pub(crate) fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(REQUEST)).operation_timeout(Some(REQUEST))
}

impl Cluster {
    /// Returns the admin client, which is created when it is first needed.
    pub(crate) fn admin(&self) -> Result<&AdminClient<DefaultClientContext>, BrokerError> {
        self.admin.get_or_try_init(|| {
            self.lookups_configuration()
                .client_config()
                .create()
                .map_err(|error| self.unavailable("opening an administrator's client", &error))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n5_a_request_that_fails_as_brokers_come_and_go_is_made_again() {
        // The first codes are of a client that gave up a connection or found no broker. The others
        // are of brokers that are starting.
        let coming_and_going = [
            RDKafkaErrorCode::DestroyBroker,
            RDKafkaErrorCode::BrokerDestroy,
            RDKafkaErrorCode::BrokerTransportFailure,
            RDKafkaErrorCode::AllBrokersDown,
            RDKafkaErrorCode::NodeUpdate,
            RDKafkaErrorCode::OperationTimedOut,
            RDKafkaErrorCode::WaitingForCoordinator,
            RDKafkaErrorCode::BrokerNotAvailable,
            RDKafkaErrorCode::CoordinatorLoadInProgress,
            RDKafkaErrorCode::NotController,
            RDKafkaErrorCode::NetworkException,
            RDKafkaErrorCode::KafkaStorageError,
        ];
        let passes = |code| code_of(&KafkaError::AdminOp(code)).is_some_and(passes);
        for code in coming_and_going {
            assert!(passes(code), "{code}");
        }
        for code in [RDKafkaErrorCode::TopicAlreadyExists, RDKafkaErrorCode::ClusterAuthorizationFailed] {
            assert!(!passes(code), "{code}");
        }
    }
}
