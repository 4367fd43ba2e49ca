//! The group that a member joins, the settings of its client, and the look at the whole group.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use marlowe_broker::{BrokerError, GroupConfig};
use parking_lot::Mutex;

use crate::assignment::Assignment;
use crate::cluster::Cluster;
use crate::members::MissedRebalance;
use crate::native::{Client, Configuration, Failure, Kind, Observer, Place, Places, Rebalanced};

/// The time-out of a look at a group. The member hears nothing meanwhile.
const LOOK_WITHIN: Duration = Duration::from_secs(1);

/// The group that a member joins, its topics, and the settings of its client.
pub(crate) struct Subscription {
    configuration: Configuration,
    group: Arc<str>,
    topics: Vec<Arc<str>>,
    session: Duration,
}

impl Subscription {
    const DEFAULTS: [(&str, &str); 2] = [
        ("partition.assignment.strategy", "cooperative-sticky"),
        // The broker that is asked when the member joins may not have learned of a topic yet, so it
        // is asked again soon.
        ("topic.metadata.refresh.interval.ms", "5000"),
    ];

    pub(crate) fn new(cluster: &Cluster, config: &GroupConfig) -> Self {
        let session = config.session_timeout.as_millis().max(1);
        let mut configuration = Configuration::of_member(&cluster.config, &Self::DEFAULTS)
            .set("group.id", &*config.group)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "latest")
            // A program that asks for no news during a whole session is gone.
            .set("max.poll.interval.ms", session.to_string());
        if configuration.value("group.protocol") == Some("consumer") {
            // With KIP-848, session time-outs and assignors are set by the broker.
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

    /// Returns the member's static name, if it has one.
    pub(crate) fn instance(&self) -> Option<&str> {
        self.configuration.value("group.instance.id")
    }

    /// Returns the session time-out: the time for which the member may be silent.
    pub(crate) fn session(&self) -> Duration {
        self.session
    }

    /// Returns what happens to the member if it misses a rebalance. With KIP-848, the coordinator
    /// itself knows which member has what, so a static member is not passed over.
    pub(crate) fn lateness(&self) -> MissedRebalance {
        match (self.configuration.value("group.protocol"), self.instance()) {
            (Some("consumer"), _) | (_, None) => MissedRebalance::Ends,
            (_, Some(_)) => MissedRebalance::IsPassedOver,
        }
    }

    /// Returns the delay after joining at which to look for partitions that belong to nobody, or
    /// `None` if there cannot be any. A member that joins under a static name may come back to such
    /// a group. The delay is a session, because the members agree on their assignments within a
    /// session.
    pub(crate) fn look_after(&self) -> Option<Duration> {
        (self.lateness() == MissedRebalance::IsPassedOver).then_some(self.session)
    }

    /// Returns a partition that no member has, if there is one and the group is stable. Blocks for
    /// a moment.
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

    /// Joins the group. Returns the client, and the inbox where the client puts what the group
    /// decides.
    pub(crate) fn begin(&self, cluster: &Cluster) -> Result<(Arc<Client>, Arc<RebalanceInbox>), BrokerError> {
        let desk = Arc::new(RebalanceInbox::default());
        let client = Client::observed(Kind::Member, &self.configuration, desk.clone())?;
        let topics: Vec<&str> = self.topics.iter().map(|topic| &**topic).collect();
        client.subscribe(&topics).map_err(|failure| cluster.attempt("joining the group").failed(&failure))?;
        Ok((client, desk))
    }
}

/// The inbox where the client puts what the group decides, until the poll thread looks.
#[derive(Default)]
pub(crate) struct RebalanceInbox {
    decisions: Mutex<Vec<(Rebalanced, Vec<Place>)>>,
    /// Set when the member leaves. From then on, the member's partitions are given up at once.
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
