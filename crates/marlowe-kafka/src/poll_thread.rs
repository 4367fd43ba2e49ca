//! The thread that polls a membership's client and keeps the protocol with its group.
//!
//! # Losses
//! A loss ends when the program has dropped the lost work. Then a new client joins, because the old
//! one may believe to own partitions that now belong to others. If the old client is still a
//! member, it has to leave first. It is still a member when it came back under another member id or
//! was passed over (see `members`).
//!
//! # Partitions of nobody
//! A static member that restarts during a rebalance may have been about to give up partitions,
//! which belong to nobody then (see `assignment`). So a session after such a member has joined, the
//! thread looks at the group. If a partition belongs to nobody and the generation is still the
//! same, the member leaves the group and joins again.

use std::collections::BTreeSet;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use marlowe_broker::{BrokerError, GroupEvent, Partition, TopicPartition};
use tokio::sync::{mpsc as tokio_mpsc, oneshot};
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::fencing_history::FencingHistory;
use crate::members::Member;
use crate::native::{Client, Code, Failure, Place, Places, Rebalanced};
use crate::poll_liveness::PollLiveness;
use crate::subscription::{RebalanceInbox, Subscription};

/// A request to the thread of a membership.
pub(crate) enum Command {
    /// The work of these partitions is committed and closed.
    Acknowledge(Vec<TopicPartition>, oneshot::Sender<Result<(), BrokerError>>),
    /// The work of the lost partitions is dropped.
    Dropped,
    /// Someone waits for news again. The reply comes after the news that came meanwhile.
    Attend(oneshot::Sender<()>),
    Leave(oneshot::Sender<Result<(), BrokerError>>),
}

/// The time to wait for the client before commands are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The number of polls in a row when someone waits again.
const CATCH_UP: u32 = 5;

/// The time after which the group is looked at again, if that failed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The number of rounds without anyone waiting, after which the client is no longer polled.
const PATIENCE: u32 = 10;

/// The thread of a membership's client. It hears what the group decides, and answers when the
/// program has done its part.
pub(crate) struct PollThread {
    cluster: Arc<Cluster>,
    subscription: Subscription,
    client: Arc<Client>,
    desk: Arc<RebalanceInbox>,
    member: Arc<Member>,
    poll_liveness: Arc<PollLiveness>,
    news: tokio_mpsc::UnboundedSender<Result<GroupEvent, BrokerError>>,
    /// All partitions that the group takes in the current rebalance. They are given up together
    /// when the last of them is acknowledged, because the client can give partitions up only once
    /// in a rebalance.
    revoked: Vec<Place>,
    /// The partitions among them that are not acknowledged yet.
    unacknowledged: BTreeSet<TopicPartition>,
    /// A loss was told, and the program may not have dropped the work yet.
    is_lost: bool,
    /// The client is still a member, and claims what was lost: it came back under another member
    /// id, or was passed over.
    still_claims: bool,
    /// True if the program was told anything since the client joined.
    told: bool,
    /// The time at which to look whether a partition belongs to nobody, and the generation that
    /// must still be current then.
    look: Option<(Instant, i32)>,
    /// The client leaves the group, in order to join again.
    is_leaving: bool,
    /// The earliest time at which it may join again.
    absent_until: Option<Instant>,
    fencing_history: FencingHistory,
    /// The program was told that no broker answers.
    told_unreached: bool,
}

impl PollThread {
    pub(crate) fn new(
        cluster: Arc<Cluster>,
        subscription: Subscription,
        member: Arc<Member>,
        poll_liveness: Arc<PollLiveness>,
        news: tokio_mpsc::UnboundedSender<Result<GroupEvent, BrokerError>>,
    ) -> Result<Self, BrokerError> {
        let (client, desk) = subscription.begin(&cluster)?;
        let fencing_history = FencingHistory::within(subscription.session());
        member.is(&client);
        Ok(Self {
            cluster,
            subscription,
            client,
            desk,
            member,
            poll_liveness,
            news,
            revoked: Vec::new(),
            unacknowledged: BTreeSet::new(),
            is_lost: false,
            still_claims: false,
            told: false,
            look: None,
            is_leaving: false,
            absent_until: None,
            fencing_history,
            told_unreached: false,
        })
    }

    /// Polls the client until the membership leaves or is dropped. A membership that is dropped
    /// does not leave the group.
    pub(crate) fn attend(mut self, commands: &mpsc::Receiver<Command>) {
        let mut alone = 0;
        loop {
            alone = if self.poll_liveness.is_paid() { 0 } else { alone + 1 };
            let command = if alone < PATIENCE {
                self.serve();
                commands.try_recv().map_err(|error| error == mpsc::TryRecvError::Disconnected)
            } else {
                // Nobody waits for news, so the client is not polled. After the poll interval,
                // librdkafka lets the session end.
                self.poll_liveness.lapse();
                commands.recv_timeout(LOOK_EVERY).map_err(|error| error == mpsc::RecvTimeoutError::Disconnected)
            };
            match command {
                Ok(Command::Acknowledge(partitions, reply)) => drop(reply.send(self.acknowledge(&partitions))),
                Ok(Command::Dropped) => self.begin_again(),
                Ok(Command::Attend(reply)) => {
                    // Decisions that were made while nobody listened may be out of date.
                    (0..CATCH_UP).for_each(|_| self.serve());
                    let _ = reply.send(());
                }
                Ok(Command::Leave(reply)) => {
                    let _ = reply.send(self.leave());
                    return;
                }
                Err(true) => return,
                Err(false) => {}
            }
        }
    }

    fn serve(&mut self) {
        if let Err(code) = self.client.serve_member(LOOK_EVERY) {
            self.troubled(code);
        }
        if !self.is_lost && !self.is_leaving && self.member.is_lost() {
            self.still_claims = true;
            self.decided(Rebalanced::Lost, Vec::new());
        }
        for (rebalanced, places) in self.desk.take() {
            tracing::debug!("the group: {rebalanced:?} {:?}", partitions_of(&places).collect::<Vec<_>>());
            // Decisions that reach a client after a loss are void.
            match self.is_lost {
                false => self.decided(rebalanced, places),
                true if self.still_claims => self.answer_for_nothing(rebalanced, &places),
                true => {}
            }
        }
        self.see_whether_all_is_given();
        // While the client waits for the answer to a revocation, it does not report that all
        // partitions are lost.
        if !self.revoked.is_empty() && !self.client.is_member() {
            self.decided(Rebalanced::Lost, Vec::new());
        }
        self.see_whether_a_broker_answers();
    }

    /// Checks whether a broker answers, and tells the program when none has answered for the
    /// patience. A worker that has nothing to do learns only from this that the brokers stay away.
    fn see_whether_a_broker_answers(&mut self) {
        let patience = self.cluster.config.patience;
        let is_overdue = self.client.unreached_since().is_some_and(|since| since.elapsed() >= patience);
        if is_overdue && !self.told_unreached {
            let reason = format!("no broker answers; waited {patience:?} for one");
            self.tell_quietly(Err(self.cluster.unavailable("membership of the group", &reason)));
        }
        self.told_unreached = is_overdue;
    }

    /// Checks whether each partition has an owner after this member came back under its static
    /// name. If one has none, leaves the group, and joins again as a new member.
    ///
    /// The member may have been about to give partitions up, which belong to nobody now. The group
    /// assigns all partitions again only when a member joins that it does not know.
    fn see_whether_all_is_given(&mut self) {
        if let Some((at, generation)) = self.look
            && Instant::now() >= at
        {
            self.look = None;
            // All partitions were assigned in a newer generation.
            if self.client.identity().is_none_or(|now| now.generation != generation) {
                return;
            }
            match self.subscription.missing(&self.cluster) {
                Ok(None) => {}
                Ok(Some(place)) => {
                    tracing::warn!(
                        "no member has {} [{}] since this member came back: it leaves the group and joins again",
                        place.topic,
                        place.partition
                    );
                    // The member's partitions are revoked, as in any rebalance.
                    match self.client.unsubscribe() {
                        Ok(()) => self.is_leaving = true,
                        Err(failure) => self.tell(Err(self.failed(&failure))),
                    }
                }
                Err(failure) => {
                    tracing::debug!("looking at the group: {}; trying again", failure.reason);
                    self.look = Some((Instant::now() + LOOK_AGAIN, generation));
                }
            }
        }
        let is_absent = self.absent_until.is_some_and(|until| Instant::now() < until);
        if self.is_leaving && !is_absent && !self.is_lost && self.revoked.is_empty() && !self.client.is_member() {
            self.join();
        }
    }

    /// Answers a rebalance for a client that has nothing left to do but to leave the group.
    fn answer_for_nothing(&self, rebalanced: Rebalanced, places: &[Place]) {
        let places = Places::of(places);
        let answered = match rebalanced {
            Rebalanced::Assigned => self.client.take_up(&places),
            Rebalanced::Revoked | Rebalanced::Lost => self.client.give_up(&places),
        };
        if let Err(failure) = answered {
            tracing::debug!("leaving the group: {}", failure.reason);
        }
    }

    /// Makes a client leave that still claims lost partitions, because those belong to others. If
    /// it is a static member, it stays away for a session. The group is to see that it is gone, and
    /// to assign what it claimed to others.
    fn leave_to_join_again(&mut self) {
        self.desk.leave(&self.client);
        for (rebalanced, places) in self.desk.take() {
            self.answer_for_nothing(rebalanced, &places);
        }
        self.absent_until = self.subscription.instance().map(|_| Instant::now() + self.subscription.session());
        match self.client.unsubscribe() {
            Ok(()) => self.is_leaving = true,
            // The client is no longer a member: another member has its name, and what it claimed.
            Err(_) => self.join(),
        }
    }

    /// Joins again after a loss, with a new client. The old client is useless, because what it
    /// believes to own may belong to others.
    ///
    /// If a static member was fenced too often, another worker has its name. The program is told
    /// that instead.
    fn begin_again(&mut self) {
        if !self.is_lost {
            return;
        }
        match self.client.fatal() {
            Some(failure) if failure.code == Code::FENCED_INSTANCE && self.fencing_history.are_too_many() => {
                self.tell(Err(self.failed(&failure)));
            }
            _ => {
                self.is_lost = false;
                match std::mem::take(&mut self.still_claims) {
                    true => self.leave_to_join_again(),
                    false => self.join(),
                }
            }
        }
    }

    /// Joins with a new client.
    fn join(&mut self) {
        (self.look, self.is_leaving, self.absent_until) = (None, false, None);
        match self.subscription.begin(&self.cluster) {
            Ok((client, desk)) => {
                self.member.is(&client);
                (self.client, self.desk, self.told) = (client, desk, false);
            }
            Err(error) => self.tell(Err(error)),
        }
    }

    fn decided(&mut self, rebalanced: Rebalanced, places: Vec<Place>) {
        match rebalanced {
            Rebalanced::Assigned => {
                // These partitions hold no records, so it does not matter where they are read from.
                // An explicit offset saves the lookup of one.
                let from_end: Vec<_> =
                    places.iter().map(|place| Place { offset: Places::LATEST, ..place.clone() }).collect();
                if let Err(failure) = self.client.take_up(&Places::of(&from_end)) {
                    self.tell(Err(self.failed(&failure)));
                }
                if !self.told
                    && let Some(after) = self.subscription.look_after()
                {
                    let generation = self.client.identity().map_or(-1, |identity| identity.generation);
                    self.look = Some((Instant::now() + after, generation));
                }
                // A member that is assigned nothing is told so once.
                if !places.is_empty() || !self.told {
                    self.tell(Ok(GroupEvent::Assigned(partitions_of(&places).collect())));
                }
            }
            Rebalanced::Revoked if places.is_empty() => self.give_up(&places),
            Rebalanced::Revoked => {
                self.unacknowledged = partitions_of(&places).collect();
                self.revoked = places;
                self.tell(Ok(GroupEvent::Revoked(self.unacknowledged.iter().cloned().collect())));
            }
            Rebalanced::Lost => {
                self.is_lost = true;
                self.member.lost();
                self.unacknowledged.clear();
                self.revoked.clear();
                self.tell(Ok(GroupEvent::Lost(partitions_of(&places).collect())));
            }
        }
    }

    fn acknowledge(&mut self, partitions: &[TopicPartition]) -> Result<(), BrokerError> {
        if let Some(partition) = partitions.iter().find(|partition| !self.unacknowledged.contains(partition)) {
            return Err(BrokerError::Fenced {
                who: format!("the member that gives back {partition}"),
                reason: "the partition is not its own any more: the group expelled the member".into(),
            });
        }
        self.unacknowledged.retain(|partition| !partitions.contains(partition));
        if self.unacknowledged.is_empty() {
            let revoked = std::mem::take(&mut self.revoked);
            self.give_up(&revoked);
        }
        Ok(())
    }

    fn give_up(&self, places: &[Place]) {
        if let Err(failure) = self.client.give_up(&Places::of(places)) {
            self.tell_quietly(Err(self.failed(&failure)));
        }
    }

    fn leave(&mut self) -> Result<(), BrokerError> {
        self.desk.leave(&self.client);
        // The partitions that were revoked, and that the program has not acknowledged.
        let left = std::mem::take(&mut self.revoked);
        if !left.is_empty() {
            self.give_up(&left);
        }
        self.client.close().map_err(|failure| self.failed(&failure))
    }

    fn troubled(&mut self, code: Code) {
        if code == Code::FATAL {
            let failure = self.client.fatal().unwrap_or_else(|| Failure::of(code));
            if failure.code == Code::FENCED_INSTANCE {
                // The loss may have been told already.
                if !self.is_lost {
                    self.decided(Rebalanced::Lost, Vec::new());
                }
                return;
            }
            return self.tell(Err(self.failed(&failure)));
        }
        if code.is_refused() {
            return self.tell(Err(self.failed(&Failure::of(code))));
        }
        tracing::debug!("membership of the group: {code}");
    }

    fn failed(&self, failure: &Failure) -> BrokerError {
        if failure.code == Code::FENCED_INSTANCE
            && let Some(instance) = self.subscription.instance()
        {
            return BrokerError::Fenced {
                who: format!("the member `{instance}`"),
                reason: "another member joined under its name: give each worker its own instance name (--instance)"
                    .into(),
            };
        }
        self.cluster.attempt("membership of the group").failed(failure)
    }

    fn tell(&mut self, news: Result<GroupEvent, BrokerError>) {
        self.told = true;
        self.tell_quietly(news);
    }

    fn tell_quietly(&self, news: Result<GroupEvent, BrokerError>) {
        // The receiver is gone if the membership was dropped.
        let _ = self.news.send(news);
    }
}

fn partitions_of(places: &[Place]) -> impl Iterator<Item = TopicPartition> {
    places.iter().map(|place| TopicPartition::new(&*place.topic, Partition::new(place.partition)))
}
