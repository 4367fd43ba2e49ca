//! Tests of brokers that go away and come back: one, most or all of them, stopped or killed.
//! Coordinators move to other brokers meanwhile.

use std::time::Duration;

use kafka_cluster::{Cluster, ClusterConfig};
use marlowe::Running;
use marlowe::kafka::KafkaConfig;

use crate::feeder::Feeder;
use crate::program::Program;
use crate::scene::{Scene, broker_in_charge, cluster, eventually, meanwhile, pause, stop, to};

/// The time for which brokers are away, in milliseconds.
const AWAY: u64 = 1500;

/// Two workers of a program, and the feeder of their events.
struct Pair {
    scene: Scene,
    programs: [Program; 2],
    workers: [Running; 2],
    feeder: Feeder,
}

impl Pair {
    async fn start(cluster: &Cluster) -> Self {
        let scene = Scene::at(KafkaConfig::new(cluster.bootstrap()).patience(Duration::from_secs(100))).await;
        let programs = [scene.program(), scene.program()];
        // With names of their own, the workers have transactional ids that the test knows.
        let config = |name: &str| scene.config().instance(name);
        let first = scene.start_with(&programs[0], config("first")).await.unwrap();
        let second = scene.start_with(&programs[1], config("second")).await.unwrap();
        let feeder = Feeder::start(&scene.broker, &programs[0].events(), 300);
        feeder.more(300).await;
        Self { scene, programs, workers: [first, second], feeder }
    }

    fn handled(&self) -> u64 {
        self.programs.iter().map(Program::handled).sum()
    }

    /// Waits until the workers have handled what came meanwhile, and panics if one of them has
    /// failed.
    async fn goes_on(&mut self, after: &str) {
        println!("after {after}: fed {}, handled {}", self.feeder.fed(), self.handled());
        let (until, handled) = (self.feeder.fed() + 200, self.handled() + 200);
        let Self { feeder, programs, workers: [first, second], .. } = self;
        let all = || programs.iter().map(Program::handled).sum::<u64>();
        let more = async || feeder.fed() >= until && all() >= handled;
        meanwhile(&mut [first, second], eventually(&format!("events are fed and handled after {after}"), more)).await;
    }

    async fn end(self) {
        let Self { scene, programs, workers: [mut first, second], feeder } = self;
        let fed = feeder.stop().await;
        scene.check(&programs[0], fed, &mut first).await;
        stop(second).await;
        stop(first).await;
    }
}

#[tokio::test]
async fn every_count_is_exact_after_brokers_were_away() {
    let cluster = cluster(ClusterConfig::three()).await;
    let mut pair = Pair::start(&cluster).await;
    let (group, id) = (pair.scene.app.clone(), format!("{}-first-0", pair.scene.app));

    let coordinator = broker_in_charge(&cluster, move |cluster| cluster.group_coordinator(&group)).await;
    to(&cluster, move |cluster| cluster.broker(coordinator).stop()).await;
    pair.goes_on("the group's coordinator was stopped").await;
    to(&cluster, move |cluster| cluster.broker(coordinator).start()).await;

    let coordinator = broker_in_charge(&cluster, move |cluster| cluster.transaction_coordinator(&id)).await;
    to(&cluster, move |cluster| cluster.broker(coordinator).kill()).await;
    pair.goes_on("the first one's transactions' coordinator was killed").await;
    to(&cluster, move |cluster| cluster.broker(coordinator).start()).await;

    for id in 1..=3 {
        to(&cluster, move |cluster| cluster.broker(id).kill()).await;
        pause(AWAY).await;
        to(&cluster, move |cluster| cluster.broker(id).start()).await;
    }
    pair.goes_on("each was killed").await;

    to(&cluster, |cluster| [1, 3].into_iter().try_for_each(|id| cluster.broker(id).kill())).await;
    pause(AWAY).await;
    to(&cluster, Cluster::start_all).await;
    pair.goes_on("most were killed").await;

    to(&cluster, Cluster::stop_all).await;
    pause(AWAY).await;
    to(&cluster, Cluster::start_all).await;
    pair.goes_on("all were stopped").await;

    to(&cluster, |cluster| cluster.brokers().iter().try_for_each(|broker| broker.kill())).await;
    pause(AWAY).await;
    to(&cluster, Cluster::start_all).await;
    pair.goes_on("all were killed").await;

    pair.end().await;
}
