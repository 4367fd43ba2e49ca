//! Tests of transactions that do not end as they should: they time out, or another producer takes
//! their id.

use std::time::Duration;

use marlowe::kafka::KafkaConfig;
use rustix::process::Signal;

use crate::audit::{count, records};
use crate::feeder::Feeder;
use crate::process::Worker;
use crate::program::Program;
use crate::scene::{Scene, eventually, meanwhile, pause, stop};

#[tokio::test]
async fn work_of_a_fenced_producer_is_done_again() {
    let scene = Scene::shared().await;
    let program = scene.program();
    let mut worker = scene.start_with(&program, scene.config().instance("fenced")).await.unwrap();
    let here = worker.web_addresses()[0];
    let feeder = Feeder::start(&scene.broker, &program.events(), 400);
    let id = format!("{}-fenced-0", scene.app);
    for round in 1..=4 {
        feeder.more(200).await;
        let intruder = scene.broker.transactional_producer(&id).await.unwrap();
        let dropped = async || count(here, "marlowe_commits_dropped_total").await >= f64::from(round);
        meanwhile(&mut [&mut worker], eventually("a commit is refused", dropped)).await;
        drop(intruder);
        // The next intruder has to wait until the worker has opened its new producer. Before that,
        // the intruder would be the one that is fenced.
        let before = program.handled();
        meanwhile(&mut [&mut worker], eventually("it goes on", async || program.handled() > before)).await;
    }
    feeder.more(200).await;
    let fed = feeder.stop().await;
    scene.check(&program, fed, &mut worker).await;
    stop(worker).await;
}

/// The time for which the worker is frozen, in milliseconds: longer than a transaction may take,
/// and shorter than the session.
const STILL: u64 = 3500;

/// Freezes the worker at a moment when what it sent is not committed yet, and lets it go on after a
/// while.
async fn stand_still_in_a_transaction(scene: &Scene, program: &Program, worker: &Worker) {
    for attempt in 0..1000 {
        worker.signal(Signal::STOP);
        // Readers wait for a transaction that is open, so a read that does not end shows that there
        // is one.
        let read = tokio::time::timeout(Duration::from_secs(1), records(&scene.broker, &program.outputs())).await;
        if read.is_err() {
            pause(STILL).await;
        }
        worker.signal(Signal::CONT);
        if read.is_err() {
            return;
        }
        pause(5 + attempt % 17).await;
    }
    panic!("no transaction was open when the process stood still");
}

#[tokio::test]
async fn work_of_a_timed_out_transaction_is_done_again() {
    let shared = Scene::shared().await;
    let scene = Scene::at(KafkaConfig::new(&shared.kafka.brokers).set("transaction.timeout.ms", "1500")).await;
    let program = scene.program();
    let mut config = scene.config();
    // With commits this frequent, a transaction is often open.
    config.commit_interval = Duration::from_millis(2);
    let worker = Worker::start(&scene, &config).await;
    let feeder = Feeder::start(&scene.broker, &program.events(), 400);
    let mut rounds = 0;
    while count(worker.address, "marlowe_commits_dropped_total").await < 2.0 {
        rounds += 1;
        assert!(rounds < 15, "no transaction that was open when the process stood still was dropped");
        feeder.more(100).await;
        stand_still_in_a_transaction(&scene, &program, &worker).await;
        feeder.more(200).await;
    }
    println!("{rounds} rounds");
    worker.stop().await;
    let fed = feeder.stop().await;
    let mut last = scene.start(&program).await;
    scene.check(&program, fed, &mut last).await;
    stop(last).await;
}
