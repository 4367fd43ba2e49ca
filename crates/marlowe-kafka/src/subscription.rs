use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use marlowe_broker::{BrokerError, GroupConfig};
use parking_lot::Mutex;

use crate::assignment::Assignment;
use crate::cluster::Cluster;
use crate::members::MissedRebalance;
use crate::native::{Client, Configuration, Failure, Kind, Observer, Place, Places, Rebalanced};

/// How long the look at a group may take: meanwhile the member hears nothing.
const LOOK_WITHIN: Duration = Duration::from_secs(1);

/// Which group a member joins, for which topics, and how.
pub(crate) struct Subscription {
    configuration: Configuration,
    group: Arc<str>,
    topics: Vec<Arc<str>>,
    session: Duration,
}

impl Subscription {
    const DEFAULTS: [(&str, &str); 2] = [
        ("partition.assignment.strategy", "cooperative-sticky"),
        // The broker that is asked when the member joins may not have learnt of a topic yet: it is asked again soon.
        ("topic.metadata.refresh.interval.ms", "5000"),
    ];

    pub(crate) fn new(cluster: &Cluster, config: &GroupConfig) -> Self {
        let session = config.session_timeout.as_millis().max(1);
        let mut configuration = Configuration::of_member(&cluster.config, &Self::DEFAULTS)
            .set("group.id", &*config.group)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "latest")
            // Nobody who asks for news for so long is there any more.
            .set("max.poll.interval.ms", session.to_string());
        if configuration.value("group.protocol") == Some("consumer") {
            // Sessions and assignors are the broker's to set then (KIP-848).
            configuration = configuration.without("partition.assignment.strategy").without("session.timeout.ms");
        } else {
            configuration = configuration
                .set("session.timeout.ms", session.to_string())
                .set("heartbeat.interval.ms", (session / 10).clamp(1, 3000).to_string());
        }
        if let Some(instance) = &config.instance {
            configuration = configuration.set("group.instance.id", &**instance);
        }
        let (group, topics, session) = (config.group.clone(), config.topics.clone(), config.session_timeout);
        Self { configuration, group, topics, session }
    }

    /// The member's name that lasts, if it has one.
    pub(crate) fn instance(&self) -> Option<&str> {
        self.configuration.value("group.instance.id")
    }

    /// How long the member may say nothing.
    pub(crate) fn session(&self) -> Duration {
        self.session
    }

    /// What becomes of the member when it is late. With KIP-848 the coordinator itself knows who has what.
    pub(crate) fn lateness(&self) -> MissedRebalance {
        match (self.configuration.value("group.protocol"), self.instance()) {
            (Some("consumer"), _) | (_, None) => MissedRebalance::Ends,
            (_, Some(_)) => MissedRebalance::IsPassedOver,
        }
    }

    /// When to look whether a member that has joined came back to a group in which something is nobody's: one that joins under
    /// a name that lasts may. The members share out among themselves for a session at most.
    pub(crate) fn look_after(&self) -> Option<Duration> {
        (self.lateness() == MissedRebalance::IsPassedOver).then_some(self.session)
    }

    /// What nobody in the group has, if there is something and the group is content with that. Blocks, for a moment.
    pub(crate) fn missing(&self, cluster: &Cluster) -> Result<Option<Place>, Failure> {
        let group = cluster.lookups.group(&self.group, LOOK_WITHIN)?;
        let assignment = Assignment::read(group.assignments.iter().map(Vec::as_slice)).filter(|_| group.is_stable);
        let Some(assignment) = assignment else { return Ok(None) };
        for topic in &self.topics {
            let metadata = cluster.lookups.metadata(Some(topic), LOOK_WITHIN)?;
            let found = metadata.topics.iter().find(|found| found.name == **topic && found.error.is_none());
            if let Some(missing) = found.and_then(|found| assignment.missing(topic, found.partitions)) {
                return Ok(Some(Place::new(topic, missing.unsigned_abs(), 0)));
            }
        }
        Ok(None)
    }

    /// Joins: a client, and the desk where it puts what the group decides.
    pub(crate) fn begin(&self, cluster: &Cluster) -> Result<(Arc<Client>, Arc<RebalanceInbox>), BrokerError> {
        let desk = Arc::new(RebalanceInbox::default());
        let client = Client::observed(Kind::Member, &self.configuration, desk.clone())?;
        let topics: Vec<&str> = self.topics.iter().map(|topic| &**topic).collect();
        client.subscribe(&topics).map_err(|failure| cluster.attempt("joining the group").failed(&failure))?;
        Ok((client, desk))
    }
}

/// Where the client puts what the group decides, until the attendant looks.
#[derive(Default)]
pub(crate) struct RebalanceInbox {
    decisions: Mutex<Vec<(Rebalanced, Vec<Place>)>>,
    /// Set when the member leaves: what it has is given up at once.
    leaving: OnceLock<Weak<Client>>,
}

impl RebalanceInbox {
    pub(crate) fn take(&self) -> Vec<(Rebalanced, Vec<Place>)> {
        std::mem::take(&mut *self.decisions.lock())
    }

    pub(crate) fn leave(&self, client: &Arc<Client>) {
        let _ = self.leaving.set(Arc::downgrade(client));
    }
}

impl Observer for RebalanceInbox {
    fn rebalanced(&self, rebalanced: Rebalanced, partitions: Vec<Place>) {
        match self.leaving.get().and_then(Weak::upgrade) {
            Some(client) if rebalanced == Rebalanced::Assigned => drop(client.take_up(&Places::of(&partitions))),
            Some(client) => drop(client.give_up(&Places::of(&partitions))),
            None => self.decisions.lock().push((rebalanced, partitions)),
        }
    }
}
