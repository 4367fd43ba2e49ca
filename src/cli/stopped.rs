//! The check that a program is stopped. Commands that change positions need it.

use std::sync::Arc;

use marlowe_broker::{BrokerError, Offset, Partition, SharedBroker, TopicPartition};

use crate::error::RunError;

/// Checks that no worker of an app is running. It makes a commit that the broker accepts only when
/// the group has no members.
///
/// # Errors
/// When a worker is running, or the broker cannot tell.
pub(crate) async fn check_stopped(broker: &SharedBroker, app: &str, leader_anchor: &Arc<str>) -> Result<(), RunError> {
    // The committed position itself has no meaning.
    let anchor = TopicPartition::new(leader_anchor.clone(), Partition::new(0));
    match broker.commit_offsets(app, None, &[(anchor, Offset::ZERO.into())]).await {
        Err(BrokerError::Fenced { .. } | BrokerError::GroupNotEmpty { .. }) => Err(RunError::Settings(format!(
            "app {app} has running workers on {}: stop them first (a killed worker counts until its session expires)",
            broker.location()
        ))),
        answer => answer.map_err(RunError::broker("checking that no worker is running")),
    }
}
