//! The program's side of a membership of a group. The thread that polls its client is in
//! `poll_thread`.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, mpsc};

use marlowe_broker::{
    BoxFuture, BrokerError, GroupConfig, GroupEvent, Membership, MetadataSource, Partition, TopicPartition,
};
use tokio::sync::{mpsc as tokio_mpsc, oneshot};

use crate::cluster::Cluster;
use crate::members::Member;
use crate::poll_liveness::{PollLiveness, PollLivenessGuard};
use crate::poll_thread::{Command, PollThread};
use crate::subscription::Subscription;

/// A membership of a group. It has a client of its own, which a thread polls while someone waits
/// for news.
pub(crate) struct KafkaMembership {
    member: Arc<Member>,
    commands: mpsc::Sender<Command>,
    news: tokio_mpsc::UnboundedReceiver<Result<GroupEvent, BrokerError>>,
    poll_liveness: Arc<PollLiveness>,
    /// News that has arrived and was not returned yet.
    pending: VecDeque<Result<GroupEvent, BrokerError>>,
    /// The partitions that the program was told that it owns.
    owned: BTreeSet<TopicPartition>,
    /// The partitions that the program was told to give up, and has not acknowledged.
    revoked: BTreeSet<TopicPartition>,
    /// A loss was returned. By asking for more news, the program says that it has dropped the lost
    /// work.
    told_loss: bool,
}

impl KafkaMembership {
    pub(crate) async fn join(cluster: &Arc<Cluster>, config: GroupConfig) -> Result<Self, BrokerError> {
        for topic in &config.topics {
            cluster.check_partitions(topic, &[Partition::new(0)]).await?;
        }
        let subscription = Subscription::new(cluster, &config);
        let member = Arc::new(Member::new(config.group.clone(), config.topics.clone(), subscription.lateness()));
        cluster.members.add(&member);
        let (commands, waiting) = mpsc::channel();
        let (told, news) = tokio_mpsc::unbounded_channel();
        let poll_liveness = Arc::new(PollLiveness::default());
        let poll_thread = PollThread::new(cluster.clone(), subscription, member.clone(), poll_liveness.clone(), told)?;
        std::thread::Builder::new()
            .name("kafka-member".into())
            .spawn(move || poll_thread.attend(&waiting))
            .map_err(|error| cluster.unavailable("starting a thread for the membership", &error))?;
        Ok(Self {
            member,
            commands,
            news,
            poll_liveness,
            pending: VecDeque::new(),
            owned: BTreeSet::new(),
            revoked: BTreeSet::new(),
            told_loss: false,
        })
    }

    /// Collects the news that has arrived, and returns the first. A loss makes all earlier news
    /// void, so earlier news is dropped.
    fn collect(&mut self) -> Option<Result<GroupEvent, BrokerError>> {
        while let Ok(news) = self.news.try_recv() {
            self.pending.push_back(news);
        }
        if let Some(loss) = self.pending.iter().rposition(|news| matches!(news, Ok(GroupEvent::Lost(_)))) {
            self.pending.drain(..loss);
        }
        self.pending.pop_front()
    }

    /// Updates `owned` and `revoked` with news that is about to be returned.
    fn telling(&mut self, news: Result<GroupEvent, BrokerError>) -> Result<GroupEvent, BrokerError> {
        match &news {
            Ok(GroupEvent::Assigned(partitions)) => self.owned.extend(partitions.iter().cloned()),
            Ok(GroupEvent::Revoked(partitions)) => {
                self.owned.retain(|partition| !partitions.contains(partition));
                self.revoked.extend(partitions.iter().cloned());
            }
            Ok(GroupEvent::Lost(_)) => {
                self.told_loss = true;
                self.revoked.clear();
                return Ok(GroupEvent::Lost(std::mem::take(&mut self.owned).into_iter().collect()));
            }
            Err(_) => {}
        }
        news
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, BrokerError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).map_err(|_| ended())?;
        answer.await.map_err(|_| ended())
    }
}

impl Membership for KafkaMembership {
    fn next(&mut self) -> BoxFuture<'_, Result<GroupEvent, BrokerError>> {
        Box::pin(async move {
            if std::mem::take(&mut self.told_loss) {
                // The lost work is dropped, so the member may join the group again.
                let _ = self.commands.send(Command::Dropped);
            }
            if self.pending.is_empty() {
                let waiting = PollLivenessGuard::begin(&self.poll_liveness);
                if self.poll_liveness.take_lapsed() {
                    self.ask(Command::Attend).await?;
                }
                let news = self.news.recv().await;
                drop(waiting);
                self.pending.push_back(news.unwrap_or_else(|| Err(ended())));
            }
            let news = self.collect().unwrap_or_else(|| Err(ended()));
            self.telling(news)
        })
    }

    fn acknowledge(&mut self, partitions: &[TopicPartition]) -> BoxFuture<'_, Result<(), BrokerError>> {
        let partitions = partitions.to_vec();
        Box::pin(async move {
            if let Some(partition) = partitions.iter().find(|partition| !self.revoked.contains(partition)) {
                return Err(BrokerError::Fenced {
                    who: format!("the member that gives back {partition}"),
                    reason: "the group did not ask it to, or has expelled it".into(),
                });
            }
            self.revoked.retain(|partition| !partitions.contains(partition));
            self.ask(|reply| Command::Acknowledge(partitions, reply)).await?
        })
    }

    fn metadata(&self) -> Arc<dyn MetadataSource> {
        self.member.clone()
    }

    fn leave(self: Box<Self>) -> BoxFuture<'static, Result<(), BrokerError>> {
        Box::pin(async move { self.ask(Command::Leave).await? })
    }
}

fn ended() -> BrokerError {
    BrokerError::InvalidState("the membership has ended".into())
}
