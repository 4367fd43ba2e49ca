//! Tests of a worker that is frozen past its session while another takes over, and then goes on as
//! if nothing had happened.

use std::time::Duration;

use rustix::process::Signal;

use crate::audit::{count, state};
use crate::feeder::Feeder;
use crate::process::Worker;
use crate::scene::{Scene, eventually, meanwhile, pause, stop};

/// Freezes a worker again and again, each time until the other has all shards and `longer` is over.
async fn stand_still(rounds: u64, longer: Duration) {
    let scene = Scene::shared().await;
    let program = scene.program();
    let mut worker = scene.start(&program).await;
    let zombie = Worker::start(&scene, &scene.config()).await;
    let feeder = Feeder::start(&scene.broker, &program.events(), 400);
    let here = worker.web_addresses()[0];
    let shares =
        async || count(here, "marlowe_shards").await < 4.0 && count(zombie.address, "marlowe_shards").await > 0.0;
    for round in 1..=rounds {
        meanwhile(&mut [&mut worker], eventually("both have a share", shares)).await;
        feeder.more(400).await;
        zombie.signal(Signal::STOP);
        let all = async || count(here, "marlowe_shards").await == 4.0;
        meanwhile(&mut [&mut worker], eventually("the other has all", all)).await;
        meanwhile(&mut [&mut worker], pause(longer.as_millis() as u64)).await;
        // The other worker's counts go on from where the zombie's ended.
        feeder.more(400).await;
        zombie.signal(Signal::CONT);
        println!("round {round}: {}", state(zombie.address).await);
    }
    meanwhile(&mut [&mut worker], eventually("both have a share again", shares)).await;
    feeder.more(400).await;
    let fed = feeder.stop().await;
    scene.check(&program, fed, &mut worker).await;
    assert_eq!(count(here, "marlowe_commits_dropped_total").await, 0.0, "who was always there is refused nothing");
    zombie.stop().await;
    stop(worker).await;
}

#[tokio::test]
async fn a_zombies_writes_are_refused_and_it_comes_back() {
    stand_still(2, Duration::ZERO).await;
}

/// Freezes the zombie for longer than a transaction may take. The broker has then ended the
/// zombie's transactions, and the epoch of its producer is over too.
#[tokio::test]
async fn a_zombie_of_a_minute_is_also_refused() {
    stand_still(1, Duration::from_secs(60)).await;
}
