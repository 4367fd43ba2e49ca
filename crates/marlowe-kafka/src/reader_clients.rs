//! [`ReaderClients`]: the librdkafka clients of a reader, one for each tempo of its sources.

use std::sync::Arc;

use marlowe_broker::{BrokerError, Isolation};

use crate::cluster::Cluster;
use crate::feed::Tempo;
use crate::native::{Client, Configuration, Kind, Observer};

/// The clients of a reader.
///
/// A client has one fetch in flight at each broker. If all busy sources are full when the fetch
/// begins, it asks only for the idle ones, and the broker holds it back. For busy sources, the time
/// for which it does so is less than what is read ahead lasts. An idle worker would ask the brokers
/// for nothing all the time then, so its quiet sources have a client of their own.
pub(crate) struct ReaderClients {
    cluster: Arc<Cluster>,
    isolation: Isolation,
    observer: Arc<dyn Observer>,
    busy: Arc<Client>,
    /// Opened when the first source becomes quiet.
    quiet: Option<Arc<Client>>,
}

impl ReaderClients {
    pub(crate) fn open(
        cluster: &Arc<Cluster>,
        isolation: Isolation,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, BrokerError> {
        let busy = client(cluster, isolation, Tempo::Busy, observer.clone())?;
        Ok(Self { cluster: cluster.clone(), isolation, observer, busy, quiet: None })
    }

    /// Returns the client for sources of a tempo.
    ///
    /// # Errors
    /// When the client cannot be opened.
    pub(crate) fn of(&mut self, tempo: Tempo) -> Result<Arc<Client>, BrokerError> {
        match (tempo, &self.quiet) {
            (Tempo::Busy, _) => Ok(self.busy.clone()),
            (Tempo::Quiet, Some(quiet)) => Ok(quiet.clone()),
            (Tempo::Quiet, None) => {
                let quiet = client(&self.cluster, self.isolation, tempo, self.observer.clone())?;
                Ok(self.quiet.insert(quiet).clone())
            }
        }
    }
}

fn client(
    cluster: &Cluster,
    isolation: Isolation,
    tempo: Tempo,
    observer: Arc<dyn Observer>,
) -> Result<Arc<Client>, BrokerError> {
    let wait = match tempo {
        Tempo::Busy => "30",
        Tempo::Quiet => "500",
    };
    let defaults = [
        // A topic existed when it was assigned. So its deletion is reported after 5 s, and not
        // after half a minute.
        ("topic.metadata.propagation.max.ms", "5000"),
        // A source that was full is fetched again as soon as there is room, and not a second later.
        ("fetch.queue.backoff.ms", "2"),
        ("fetch.error.backoff.ms", "50"),
        ("fetch.wait.max.ms", wait),
        ("queued.min.messages", "100000"),
        // The approximate limit of what is read ahead of each partition. Small records take three
        // times as much memory. With 1024, which is as much as one fetch brings, a lane would wait
        // for a quarter of its time.
        ("queued.max.messages.kbytes", "4096"),
    ];
    let isolation = match isolation {
        Isolation::ReadCommitted => "read_committed",
        Isolation::ReadUncommitted => "read_uncommitted",
    };
    let configuration = Configuration::new(&cluster.config, &defaults)
        .set("isolation.level", isolation)
        .set("auto.offset.reset", "error")
        .set("enable.partition.eof", "true");
    Client::observed(Kind::Consumer, &configuration, observer)
}
