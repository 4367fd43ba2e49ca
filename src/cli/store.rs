//! The broker and the folder, as commands find them: what exists there, and whether it is in use.

use std::collections::BTreeMap;
use std::sync::Arc;

use marlowe_broker::{BrokerError, SharedBroker};

use super::error::CliError;
use crate::config::{BrokerChoice, Config};
use crate::data_folder::DataFolder;
use crate::error::RunError;
use crate::program::Program;
use crate::running::open_broker;
use crate::topology::Topology;

/// Returns whether the broker keeps topics beyond this process.
pub(crate) fn has_topics(config: &Config) -> bool {
    !matches!(config.broker, BrokerChoice::Embedded) || config.data_dir.is_some()
}

/// Returns whether the program's topics are in its folder, because its broker is the embedded one.
pub(crate) fn has_topics_here(config: &Config) -> bool {
    matches!(config.broker, BrokerChoice::Embedded)
}

/// Returns whether there is a broker to look into. The folder of the embedded broker must exist,
/// because looking into it must not create it.
pub(crate) fn has_broker(config: &Config) -> bool {
    match config.broker {
        BrokerChoice::Embedded => config.data_dir.as_ref().is_some_and(|folder| DataFolder::has_broker(folder)),
        _ => true,
    }
}

/// Returns whether the error says that another process has the folder.
pub(crate) fn is_in_use(error: &RunError) -> bool {
    matches!(error, RunError::Broker { source: BrokerError::FolderInUse { .. }, .. })
}

/// Returns the numbers of partitions of the existing topics.
pub(crate) async fn partitions(broker: &SharedBroker) -> Result<BTreeMap<Arc<str>, u32>, RunError> {
    let topics = broker.topics().await.map_err(RunError::broker("looking up the topics"))?;
    Ok(topics.into_iter().map(|topic| (topic.name, topic.partitions)).collect())
}

/// Returns the program's graph. Its numbers of partitions are the existing ones, or the declared
/// ones if the folder is in use or has no broker yet.
pub(crate) async fn topology(program: &Program, config: &Config) -> Result<Topology, CliError> {
    if let Some(error) = program.errors.first() {
        return Err(error.clone().into());
    }
    let mut existing = BTreeMap::new();
    if has_broker(config) {
        match open_broker(&program.app, config).await {
            Ok(broker) => existing = partitions(&broker).await?,
            Err(error) if is_in_use(&error) => {
                tracing::info!("a worker uses the folder: the numbers of partitions shown are the declared ones");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Topology::resolve(program.graph(), &existing)?)
}
