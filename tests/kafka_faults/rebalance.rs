//! Tests of workers that come and go: shards that do not move go on, and shards that move are
//! restored, whatever comes between.

use std::time::Duration;

use marlowe::Running;
use marlowe::kafka::KafkaConfig;
use rustix::process::Signal;

use crate::audit::count;
use crate::feeder::Feeder;
use crate::process::Worker;
use crate::program::{PARTITIONS, Program};
use crate::scene::{Scene, crash, eventually, meanwhile, pause, stop};

/// The time between two looks, in milliseconds.
const LOOK_EVERY: u64 = 100;
/// The number of looks in a row within which a shard that stays must handle an event.
const WINDOW: usize = 20;

/// A task that notes how many events a program handled in each partition between two looks.
struct Watch {
    looks: tokio::task::JoinHandle<Vec<[u64; PARTITIONS as usize]>>,
    end: tokio::sync::oneshot::Sender<()>,
}

impl Watch {
    fn begin(program: &Program) -> Self {
        let (program, (end, mut ended)) = (program.clone(), tokio::sync::oneshot::channel());
        let looks = tokio::spawn(async move {
            let now = || std::array::from_fn(|partition| program.handled_in(partition as u32));
            let (mut before, mut looks) = (now(), Vec::new());
            while ended.try_recv().is_err() {
                pause(LOOK_EVERY).await;
                let after: [u64; PARTITIONS as usize] = now();
                looks.push(std::array::from_fn(|partition| after[partition] - before[partition]));
                before = after;
            }
            looks
        });
        Self { looks, end }
    }

    async fn end(self) -> Vec<[u64; PARTITIONS as usize]> {
        let _ = self.end.send(());
        self.looks.await.unwrap()
    }
}

async fn shards(worker: &Running) -> f64 {
    count(worker.web_addresses()[0], "marlowe_shards").await
}

async fn dropped(worker: &Running) -> f64 {
    count(worker.web_addresses()[0], "marlowe_commits_dropped_total").await
}

#[tokio::test]
async fn shards_that_stay_go_on_while_others_join_and_leave() {
    let scene = Scene::shared().await;
    let programs = [scene.program(), scene.program(), scene.program()];
    let mut first = scene.start(&programs[0]).await;
    let feeder = Feeder::start(&scene.broker, &programs[0].events(), 400);
    feeder.more(400).await;
    let watch = Watch::begin(&programs[0]);
    feeder.more(400).await;
    let mut second = scene.start(&programs[1]).await;
    feeder.more(800).await;
    let third = scene.start(&programs[2]).await;
    feeder.more(800).await;
    meanwhile(&mut [&mut first, &mut second], stop(third)).await;
    feeder.more(800).await;
    meanwhile(&mut [&mut first], stop(second)).await;
    feeder.more(800).await;
    let looks = watch.end().await;

    let others = |partition| programs[1].handled_in(partition) + programs[2].handled_in(partition);
    let stayed: Vec<u32> = (0..PARTITIONS).filter(|partition| others(*partition) == 0).collect();
    assert!(!stayed.is_empty(), "some shard stays with the first");
    assert!(stayed.len() < PARTITIONS as usize, "and some do not");
    for partition in stayed {
        let series: Vec<u64> = looks.iter().map(|look| look[partition as usize]).collect();
        println!("shard {partition} stayed; events in each {LOOK_EVERY} ms: {series:?}");
        for (start, window) in series.windows(WINDOW).enumerate() {
            assert!(window.iter().any(|events| *events > 0), "shard {partition} stood still from look {start} on");
        }
    }
    assert_eq!(dropped(&first).await, 0.0, "no commit of what stays is refused");
    let fed = feeder.stop().await;
    scene.check(&programs[0], fed, &mut first).await;
    stop(first).await;
}

/// The number of rows that are restored.
const ROWS: u64 = 300_000;

#[tokio::test]
async fn a_restore_that_a_rebalance_interrupts_goes_on_or_ends() {
    let scene = Scene::shared().await;
    let program = scene.program().with_rows(ROWS);
    scene.write_rows(&program).await;
    let folder = tempfile::tempdir().unwrap();
    let config = || scene.config().data_dir(folder.path());

    let mut first = program.app().start(config()).await.unwrap();
    let here = first.web_addresses()[0];
    let feeder = Feeder::start(&scene.broker, &program.events(), 200);
    // The second worker takes shards that the first is restoring, and leaves before it has restored
    // them itself.
    let restoring = async || count(here, "marlowe_restored_records_total").await > 0.0;
    meanwhile(&mut [&mut first], eventually("the first restores", restoring)).await;
    let mut second = scene.program().app().start(scene.config()).await.unwrap();
    let there = second.web_addresses()[0];
    let joined = async || count(there, "marlowe_shards_restoring").await > 0.0 || shards(&second).await > 0.0;
    meanwhile(&mut [&mut first], eventually("the second has a share", joined)).await;
    println!("the second restores {}", count(there, "marlowe_shards_restoring").await);
    meanwhile(&mut [&mut first], stop(second)).await;
    // The third worker crashes while it restores.
    let third = scene.program().app().start(scene.config()).await.unwrap();
    let there = third.web_addresses()[0];
    let joined = async || count(there, "marlowe_shards_restoring").await > 0.0 || shards(&third).await > 0.0;
    meanwhile(&mut [&mut first], eventually("the third has a share", joined)).await;
    println!("the third restores {}", count(there, "marlowe_shards_restoring").await);
    crash(third).await;

    let all = async || count(here, "marlowe_shards").await == f64::from(PARTITIONS);
    second = scene.program().app().start(scene.config()).await.unwrap();
    meanwhile(&mut [&mut first, &mut second], feeder.more(200)).await;
    meanwhile(&mut [&mut first], stop(second)).await;
    eventually("the first has all", all).await;
    feeder.more(200).await;
    let fed = feeder.stop().await;
    scene.check(&program, fed, &mut first).await;
    stop(first).await;

    // The folder has the same rows.
    let mut again = scene.start_with(&program, config()).await.unwrap();
    assert!(again.restored() < ROWS / 100, "the folder has what was restored: {} records were read", again.restored());
    scene.check(&program, fed, &mut again).await;
    stop(again).await;
}

#[tokio::test]
async fn a_group_of_the_new_protocol_is_as_exact() {
    let shared = Scene::shared().await;
    let scene = Scene::at(KafkaConfig::new(&shared.kafka.brokers).set("group.protocol", "consumer")).await;
    let programs = [scene.program(), scene.program()];
    let mut first = scene.start(&programs[0]).await;
    let feeder = Feeder::start(&scene.broker, &programs[0].events(), 300);
    meanwhile(&mut [&mut first], feeder.more(300)).await;
    let mut second = scene.start(&programs[1]).await;
    let handled = async || programs[1].handled() > 200;
    meanwhile(&mut [&mut first, &mut second], eventually("the second handles its share", handled)).await;
    meanwhile(&mut [&mut first], stop(second)).await;
    let here = first.web_addresses()[0];
    let all = async || count(here, "marlowe_shards").await == f64::from(PARTITIONS);
    meanwhile(&mut [&mut first], eventually("the first has all again", all)).await;

    let killed = Worker::start(&scene, &scene.config()).await;
    let shared_out = async || count(killed.address, "marlowe_shards").await > 0.0;
    meanwhile(&mut [&mut first], eventually("the third has a share", shared_out)).await;
    feeder.more(300).await;
    killed.signal(Signal::KILL);
    meanwhile(&mut [&mut first], eventually("the first replaces it", all)).await;

    // A worker that stands still past its session is expelled, as in the classic protocol.
    let zombie = Worker::start(&scene, &scene.config()).await;
    let shared_out = async || count(zombie.address, "marlowe_shards").await > 0.0;
    meanwhile(&mut [&mut first], eventually("the fourth has a share", shared_out)).await;
    feeder.more(300).await;
    zombie.signal(Signal::STOP);
    meanwhile(&mut [&mut first], eventually("the first replaces it", all)).await;
    feeder.more(300).await;
    zombie.signal(Signal::CONT);
    meanwhile(&mut [&mut first], eventually("it comes back", shared_out)).await;
    pause(Duration::from_secs(1).as_millis() as u64).await;
    meanwhile(&mut [&mut first], feeder.more(300)).await;
    zombie.stop().await;

    let fed = feeder.stop().await;
    scene.check(&programs[0], fed, &mut first).await;
    stop(first).await;
}
