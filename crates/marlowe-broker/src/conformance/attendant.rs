//! Group members that run on a task, for the checks of groups, sessions and fencing.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Setting;
use crate::{BrokerError, GroupConfig, GroupEvent, Membership, MetadataSource, TopicPartition};

/// A member of a group on its own task, as in a worker. It takes what it is assigned and
/// acknowledges at once what is revoked.
pub(super) struct Attendant {
    seen: Arc<Mutex<Seen>>,
    metadata: Arc<dyn MetadataSource>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Box<dyn Membership>>,
}

/// The events that a member has received so far, summed up.
#[derive(Clone, Default)]
pub(super) struct Seen {
    pub(super) owned: BTreeSet<TopicPartition>,
    /// All partitions that were ever taken from the member, whether acknowledged or lost.
    pub(super) gone: BTreeSet<TopicPartition>,
    pub(super) lost: usize,
    pub(super) error: Option<BrokerError>,
}

impl Attendant {
    pub(super) fn of(mut membership: Box<dyn Membership>) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let metadata = membership.metadata();
        let (stop, mut stopped) = oneshot::channel();
        let told = seen.clone();
        let task = tokio::spawn(async move {
            loop {
                let event = tokio::select! {
                    biased;
                    _ = &mut stopped => return membership,
                    event = membership.next() => event,
                };
                let revoked = told.lock().expect("no check panics with it").hear(event);
                if !revoked.is_empty() {
                    // If the member was expelled in the meantime, its next event says so.
                    let _ = membership.acknowledge(&revoked).await;
                }
                if told.lock().expect("no check panics with it").error.is_some() {
                    let _ = stopped.await;
                    return membership;
                }
            }
        });
        Self { seen, metadata, stop, task }
    }

    pub(super) fn seen(&self) -> Seen {
        self.seen.lock().expect("no check panics with it").clone()
    }

    pub(super) fn owned(&self) -> BTreeSet<TopicPartition> {
        self.seen().owned
    }

    pub(super) fn metadata(&self) -> Arc<dyn MetadataSource> {
        self.metadata.clone()
    }

    /// Stops heartbeats without leaving the group, and returns the membership.
    pub(super) async fn stop(self) -> Box<dyn Membership> {
        let _ = self.stop.send(());
        self.task.await.expect("the member's task ends well")
    }

    pub(super) async fn leave(self) {
        self.stop().await.leave().await.expect("a member can leave");
    }
}

impl Seen {
    /// Records an event, and returns the partitions to acknowledge.
    fn hear(&mut self, event: Result<GroupEvent, BrokerError>) -> Vec<TopicPartition> {
        match event {
            Ok(GroupEvent::Assigned(places)) => self.owned.extend(places),
            Ok(GroupEvent::Revoked(places)) => {
                places.iter().for_each(|place| assert!(self.owned.remove(place), "{place} was never assigned"));
                self.gone.extend(places.iter().cloned());
                return places;
            }
            Ok(GroupEvent::Lost(places)) => {
                self.lost += 1;
                places.iter().for_each(|place| assert!(self.owned.remove(place), "{place} was never assigned"));
                self.gone.extend(places);
            }
            Err(error) => self.error = Some(error),
        }
        Vec::new()
    }
}

impl Setting {
    pub(super) fn group_config(&self, group: &Arc<str>, topics: &[&Arc<str>]) -> GroupConfig {
        let mut config = GroupConfig::new(group.clone(), topics.iter().map(|topic| (*topic).clone()));
        config.session_timeout = self.session_timeout;
        config
    }

    pub(super) async fn join(&self, group: &Arc<str>, topics: &[&Arc<str>]) -> Box<dyn Membership> {
        self.join_with(self.group_config(group, topics)).await
    }

    pub(super) async fn join_with(&self, config: GroupConfig) -> Box<dyn Membership> {
        self.within("joining", self.broker.join(config)).await.expect("the group can be joined")
    }

    pub(super) async fn attend(&self, group: &Arc<str>, topics: &[&Arc<str>]) -> Attendant {
        Attendant::of(self.join(group, topics).await)
    }

    /// Joins a group as its only member, and waits until it owns a partition.
    pub(super) async fn member(&self, group: &Arc<str>, topic: &Arc<str>) -> Attendant {
        let member = self.attend(group, &[topic]).await;
        self.until("it is a member", async || !member.owned().is_empty()).await;
        member
    }

    /// Waits for the next event of a member.
    pub(super) async fn event(&self, member: &mut Box<dyn Membership>) -> GroupEvent {
        self.within("news for a member", member.next()).await.expect("the member is a member")
    }
}
