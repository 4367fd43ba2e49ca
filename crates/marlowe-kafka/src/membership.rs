use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak, mpsc};
use std::time::Duration;

use marlowe_broker::{
    BoxFuture, BrokerError, GroupConfig, GroupEvent, Membership, MetadataSource, Partition, TopicPartition,
};
use parking_lot::Mutex;
use tokio::sync::{mpsc as tokio_mpsc, oneshot};

use crate::attendant::{Attendant, Command};
use crate::cluster::Cluster;
use crate::members::Member;
use crate::native::{Client, Configuration, Kind, Observer, Place, Places, Rebalanced};

/// A membership of a group: a client of its own, which a thread attends to while someone waits for its news.
pub(crate) struct KafkaMembership {
    member: Arc<Member>,
    commands: mpsc::Sender<Command>,
    news: tokio_mpsc::UnboundedReceiver<Result<GroupEvent, BrokerError>>,
    attention: Arc<Attention>,
    /// A loss was told: when it is asked for more, the work is dropped.
    told_loss: bool,
}

/// Whether anyone waits for a member's news. A member whose program does not ask for them any more is to be taken for dead.
#[derive(Default)]
pub(crate) struct Attention {
    waits: AtomicBool,
    asked: AtomicBool,
}

impl Attention {
    /// Whether someone waits, or has since the last time.
    pub(crate) fn is_paid(&self) -> bool {
        self.asked.swap(false, Ordering::Relaxed) || self.waits.load(Ordering::Relaxed)
    }
}

struct Waiting<'a>(&'a Attention);

impl<'a> Waiting<'a> {
    fn begin(attention: &'a Attention) -> Self {
        attention.waits.store(true, Ordering::Relaxed);
        attention.asked.store(true, Ordering::Relaxed);
        Self(attention)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waits.store(false, Ordering::Relaxed);
    }
}

/// Where the client puts what the group decides, until the attendant looks.
#[derive(Default)]
pub(crate) struct Desk {
    decisions: Mutex<Vec<(Rebalanced, Vec<Place>)>>,
    /// Set when the member leaves: what it has is given up at once.
    leaving: OnceLock<Weak<Client>>,
}

impl Desk {
    pub(crate) fn take(&self) -> Vec<(Rebalanced, Vec<Place>)> {
        std::mem::take(&mut *self.decisions.lock())
    }

    pub(crate) fn leave(&self, client: &Arc<Client>) {
        let _ = self.leaving.set(Arc::downgrade(client));
    }
}

impl Observer for Desk {
    fn rebalanced(&self, rebalanced: Rebalanced, partitions: Vec<Place>) {
        match self.leaving.get().and_then(Weak::upgrade) {
            Some(client) if rebalanced == Rebalanced::Assigned => drop(client.take_up(&Places::of(&partitions))),
            Some(client) => drop(client.give_up(&Places::of(&partitions))),
            None => self.decisions.lock().push((rebalanced, partitions)),
        }
    }
}

impl KafkaMembership {
    pub(crate) async fn join(cluster: &Arc<Cluster>, config: GroupConfig) -> Result<Self, BrokerError> {
        for topic in &config.topics {
            cluster.check_partitions(topic, &[Partition::new(0)]).await?;
        }
        let configuration = Self::configuration(cluster, &config);
        let desk = Arc::new(Desk::default());
        let client = Client::observed(Kind::Member, &configuration, desk.clone())?;
        let member = Arc::new(Member::new(config.group.clone(), config.topics.clone(), &client));
        cluster.members.add(&member);
        let topics: Vec<&str> = config.topics.iter().map(|topic| &**topic).collect();
        client.subscribe(&topics).map_err(|failure| cluster.trial("joining the group").failed(&failure))?;

        let (commands, waiting) = mpsc::channel();
        let (told, news) = tokio_mpsc::unbounded_channel();
        let attention = Arc::new(Attention::default());
        let attendant = Attendant::new(cluster.clone(), client, member.clone(), desk, attention.clone(), told);
        std::thread::Builder::new()
            .name("kafka-member".into())
            .spawn(move || attendant.attend(&waiting))
            .map_err(|error| cluster.unavailable("starting a thread for the membership", &error))?;
        Ok(Self { member, commands, news, attention, told_loss: false })
    }

    fn configuration(cluster: &Cluster, config: &GroupConfig) -> Configuration {
        let session = config.session_timeout.as_millis().max(1);
        let mut configuration =
            Configuration::of_member(&cluster.config, &[("partition.assignment.strategy", "cooperative-sticky")])
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
        match &config.instance {
            Some(instance) => configuration.set("group.instance.id", &**instance),
            None => configuration,
        }
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, BrokerError> {
        let (reply, answer) = oneshot::channel();
        let gone = || BrokerError::InvalidState("the membership has ended".into());
        self.commands.send(command(reply)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }
}

impl Membership for KafkaMembership {
    fn next(&mut self) -> BoxFuture<'_, Result<GroupEvent, BrokerError>> {
        Box::pin(async move {
            if std::mem::take(&mut self.told_loss) {
                // What was lost is dropped: the group may make a member of it again.
                let _ = self.commands.send(Command::Dropped);
            }
            let waiting = Waiting::begin(&self.attention);
            let news = self.news.recv().await;
            drop(waiting);
            let news = news.unwrap_or_else(|| Err(BrokerError::InvalidState("the membership has ended".into())));
            self.told_loss = matches!(news, Ok(GroupEvent::Lost(_)));
            news
        })
    }

    fn acknowledge(&mut self, partitions: &[TopicPartition]) -> BoxFuture<'_, Result<(), BrokerError>> {
        let partitions = partitions.to_vec();
        Box::pin(async move { self.ask(|reply| Command::Acknowledge(partitions, reply)).await? })
    }

    fn metadata(&self) -> Arc<dyn MetadataSource> {
        self.member.clone()
    }

    fn leave(self: Box<Self>) -> BoxFuture<'static, Result<(), BrokerError>> {
        Box::pin(async move { self.ask(Command::Leave).await? })
    }
}

/// How long the attendant waits for the client before it looks for commands.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(20);
