use std::sync::Arc;

use marlowe_broker::BrokerError;
use tokio::sync::oneshot;

use crate::ledger::Ledger;
use crate::request::{Answer, Request, Submission};

/// What the broker and all that it handed out hold on to. When the last of them is gone, the broker is closed.
pub(crate) struct Handle {
    pub(crate) ledger: Arc<Ledger>,
}

/// An answer on its way.
pub(crate) struct Pending {
    operation: &'static str,
    answer: oneshot::Receiver<Result<Answer, BrokerError>>,
}

impl Pending {
    pub(crate) async fn answer(self) -> Result<Answer, BrokerError> {
        let Self { operation, answer } = self;
        answer.await.unwrap_or_else(|_| {
            Err(BrokerError::Unknown { operation, reason: "the broker's writer has ended".to_owned() })
        })
    }
}

impl Handle {
    pub(crate) fn in_memory(ledger: Ledger) -> Self {
        Self { ledger: Arc::new(ledger) }
    }

    /// Puts `request` in the order of all. In memory it is carried out before this returns.
    pub(crate) fn submit(&self, operation: &'static str, request: Request) -> Pending {
        let (reply, answer) = oneshot::channel();
        self.ledger.carry_out(vec![Submission { request, reply }]);
        Pending { operation, answer }
    }

    /// Waits until everything accepted so far is done.
    pub(crate) async fn barrier(&self) -> Result<(), BrokerError> {
        self.submit("waiting for earlier writes", Request::Barrier).answer().await.map(drop)
    }
}
