//! Tests of static members: workers whose names last.

use std::time::Duration;

use marlowe::Config;
use marlowe_broker::GroupConfig;
use rustix::process::Signal;

use crate::audit::count;
use crate::feeder::Feeder;
use crate::process::Worker;
use crate::scene::{Scene, crash, eventually, meanwhile, pause, stop, within};

impl Scene {
    /// Returns the settings of a worker with a name that lasts, and with time for a restart.
    fn called(&self, instance: &str) -> Config {
        self.config().instance(instance).session_timeout(Duration::from_secs(25))
    }
}

#[tokio::test]
async fn a_restart_within_the_session_moves_nothing() {
    let scene = Scene::shared().await;
    let program = scene.program();
    let mut stays = scene.start_with(&program, scene.called("stays")).await.unwrap();
    let restarted = Worker::start(&scene, &scene.called("restarted")).await;
    let feeder = Feeder::start(&scene.broker, &program.events(), 300);
    let here = stays.web_addresses()[0];
    let parted = async || count(here, "marlowe_shards").await == 2.0;
    meanwhile(&mut [&mut stays], eventually("both have two", parted)).await;
    feeder.more(300).await;
    let opened = count(here, "marlowe_shards_opened_total").await;

    restarted.stop().await;
    pause(1000).await;
    let restarted = Worker::start(&scene, &scene.called("restarted")).await;
    meanwhile(&mut [&mut stays], feeder.more(300)).await;
    restarted.signal(Signal::KILL);
    drop(restarted);
    pause(1000).await;
    let restarted = Worker::start(&scene, &scene.called("restarted")).await;
    meanwhile(&mut [&mut stays], feeder.more(300)).await;

    assert_eq!(count(restarted.address, "marlowe_shards").await, 2.0, "it has what it had");
    assert_eq!(count(here, "marlowe_shards").await, 2.0);
    assert_eq!(count(here, "marlowe_shards_opened_total").await, opened, "none of the other's shards was closed");
    assert_eq!(count(here, "marlowe_commits_dropped_total").await, 0.0, "and none of its commits refused");
    let fed = feeder.stop().await;
    scene.check(&program, fed, &mut stays).await;
    restarted.stop().await;
    stop(stays).await;
}

/// Takes the worker's name for a moment, as when a coordinator forgets a join. The member goes on
/// with a name that another member holds, and that other member never comes back.
#[tokio::test]
async fn a_worker_goes_on_after_another_held_its_name_for_a_moment() {
    let scene = Scene::shared().await;
    let program = scene.program();
    let mut worker = scene.start_with(&program, scene.called("one")).await.unwrap();
    let here = worker.web_addresses()[0];
    let feeder = Feeder::start(&scene.broker, &program.events(), 300);
    let topics = scene.broker.topics().await.unwrap().into_iter().map(|topic| topic.name);
    let anchors = topics.filter(|topic| topic.starts_with(&scene.app) && topic.ends_with("-anchor"));
    let mut group = GroupConfig::new(&*scene.app, anchors);
    group.instance = Some("one".into());
    for round in 1..=2 {
        feeder.more(200).await;
        let opened = count(here, "marlowe_shards_opened_total").await;
        let other = scene.broker.join(group.clone()).await.unwrap();
        let taken_back = async || count(here, "marlowe_shards_opened_total").await > opened;
        meanwhile(&mut [&mut worker], eventually(&format!("it is back for the {round}. time"), taken_back)).await;
        drop(other);
    }
    meanwhile(&mut [&mut worker], feeder.more(200)).await;
    let fed = feeder.stop().await;
    scene.check(&program, fed, &mut worker).await;
    stop(worker).await;
}

#[tokio::test]
async fn of_two_workers_with_one_name_the_first_ends_and_says_why() {
    let scene = Scene::shared().await;
    let program = scene.program();
    let mut first = scene.start_with(&program, scene.called("one")).await.unwrap();
    let feeder = Feeder::start(&scene.broker, &program.events(), 300);
    feeder.more(300).await;
    let mut second = scene.start_with(&program, scene.called("one")).await.unwrap();
    let told = within(first.failed()).await.to_string();
    assert!(told.contains("`one`") && told.contains("its own instance name"), "{told}");
    crash(first).await;
    meanwhile(&mut [&mut second], feeder.more(300)).await;
    let fed = feeder.stop().await;
    scene.check(&program, fed, &mut second).await;
    stop(second).await;
}
