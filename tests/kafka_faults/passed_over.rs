//! Tests of static members that are passed over: the group goes on without them. They stay members,
//! but what they have may belong to others.

use marlowe::kafka::{KafkaBroker, KafkaConfig};
use marlowe_broker::{GroupConfig, GroupEvent, Membership, TopicConfig};
use rustix::process::Signal;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::dialog::{Dialog, ignored_test};
use crate::scene::{SESSION, Scene, eventually, pause, within};

/// The environment variable that has the addresses of the brokers.
const BROKERS: &str = "MARLOWE_FAULTS_MEMBER_BROKERS";
/// The environment variable that has the name of the group.
const GROUP: &str = "MARLOWE_FAULTS_MEMBER_GROUP";

const PARTITIONS: u32 = 12;

fn config(group: &str) -> GroupConfig {
    let mut config = GroupConfig::new(group, [group.into()]);
    config.session_timeout = SESSION;
    config
}

/// Gives up partitions as soon as the member is asked to, and calls `tell` with every event.
async fn attend(mut member: Box<dyn Membership>, mut tell: impl FnMut(&GroupEvent, u64)) {
    while let Ok(event) = member.next().await {
        tell(&event, member.metadata().current().generation);
        if let GroupEvent::Revoked(places) = &event {
            // If this is refused, the member is told of a loss.
            let _ = member.acknowledge(places).await;
        }
    }
}

/// A member in this process. It does not leave the group when it is dropped.
struct Other {
    told: mpsc::UnboundedReceiver<u64>,
    task: JoinHandle<()>,
}

impl Other {
    async fn join(scene: &Scene, group: &str) -> Self {
        let member = scene.broker.join(config(group)).await.unwrap();
        let (tell, told) = mpsc::unbounded_channel();
        let task = tokio::spawn(attend(member, move |_, generation| tell.send(generation).unwrap_or_default()));
        Self { told, task }
    }

    /// Waits until the member is told something in a generation after `generation`, and returns
    /// that later generation.
    async fn is_after(&mut self, generation: u64) -> u64 {
        within(async {
            loop {
                match self.told.recv().await {
                    Some(now) if now > generation => return now,
                    Some(_) => {}
                    None => panic!("it is no member any more"),
                }
            }
        })
        .await
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A static member in a process of its own, which is killed when this is dropped.
struct Late(Dialog);

impl Late {
    fn start(scene: &Scene, group: &str) -> Self {
        let mut command = ignored_test("passed_over::a_member");
        Self(Dialog::start(command.env(BROKERS, &scene.kafka.brokers).env(GROUP, group)))
    }

    /// Returns what the member is told next and in which generation, and skips lines of other
    /// output.
    async fn told(&mut self) -> (String, u64) {
        within(async {
            loop {
                let line = self.0.line().await.expect("the member ended");
                let said: Vec<&str> = line.split(' ').collect();
                if let ["told", what, generation] = said[..] {
                    return (what.to_owned(), generation.parse().unwrap());
                }
            }
        })
        .await
    }

    fn signal(&self, signal: Signal) {
        self.0.signal(signal);
    }
}

/// Runs the member that tests start as a process. This is no test.
#[test]
#[ignore = "the member that tests start as a process"]
fn a_member() {
    let (Ok(brokers), Ok(group)) = (std::env::var(BROKERS), std::env::var(GROUP)) else { return };
    std::thread::spawn(|| {
        // The input ends when the process that started this one is gone.
        let _ = std::io::stdin().read_line(&mut String::new());
        std::process::exit(3);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let broker = KafkaBroker::connect(KafkaConfig::new(brokers)).await.unwrap();
        let mut config = config(&group);
        config.instance = Some("late".into());
        let member = broker.join(config).await.unwrap();
        println!();
        attend(member, |event, generation| match event {
            GroupEvent::Assigned(places) if places.is_empty() => println!("told nothing {generation}"),
            GroupEvent::Assigned(_) => println!("told assigned {generation}"),
            GroupEvent::Revoked(_) => println!("told revoked {generation}"),
            GroupEvent::Lost(_) => println!("told lost {generation}"),
        })
        .await;
    });
}

/// Freezes a member that has just got its share and hears of a rebalance, before it joins again.
/// The group waits for it no longer than a session. Then it gives the member's share to others,
/// because the member had nothing yet when it joined the last time. `after` is the time until the
/// freeze, in milliseconds.
async fn is_passed_over(scene: &Scene, after: u64) {
    let group = format!("{}-passed-{after}", scene.app);
    scene.broker.create_topic(TopicConfig::new(group.as_str(), PARTITIONS)).await.unwrap();
    let mut first = Other::join(scene, &group).await;
    first.is_after(0).await;
    let mut late = Late::start(scene, &group);
    let own = loop {
        if let (what, generation) = late.told().await
            && what == "assigned"
        {
            break generation;
        }
    };
    let mut third = Other::join(scene, &group).await;
    pause(after).await;
    late.signal(Signal::STOP);
    let now = third.is_after(own).await;
    late.signal(Signal::CONT);
    let (what, generation) = late.told().await;
    println!("{after} ms: in {own} it stood still, the group went on to {now}; it was told {what} in {generation}");
    if what == "lost" {
        eventually("it joins anew, and has a share", async || late.told().await.0 == "assigned").await;
    } else {
        assert!(generation <= own + 1, "after {after} ms: it was not in {}, and was told {what}", own + 1);
    }
}

#[tokio::test]
async fn a_passed_over_member_is_told_first_that_all_is_lost() {
    let scene = Scene::shared().await;
    // The member hears of the rebalance with its next heartbeat, and joins again a second after its
    // last join. It must be frozen between the two.
    let moments = [500, 600, 700, 800, 900].map(|after| is_passed_over(&scene, after));
    futures_util::future::join_all(moments).await;
}
