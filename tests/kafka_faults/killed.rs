//! Tests of a whole worker that is killed again and again, and starts again in the folder with its
//! tables.

use rustix::process::Signal;

use crate::audit::count;
use crate::feeder::Feeder;
use crate::process::Worker;
use crate::scene::{Scene, stop};

/// The number of rows that would be read again if the tables were wiped.
const ROWS: u64 = 20_000;

#[tokio::test]
async fn a_killed_worker_reads_only_the_tail_when_it_starts_again() {
    let scene = Scene::shared().await;
    let program = scene.program().with_rows(ROWS);
    scene.write_rows(&program).await;
    let folder = tempfile::tempdir().unwrap();
    let config = || scene.config().data_dir(folder.path());
    let restored = async |worker: &Worker| count(worker.address, "marlowe_restored_records_total").await;
    let mut worker = Worker::start(&scene, &config()).await;
    assert!(restored(&worker).await >= ROWS as f64, "the first reads all");
    let feeder = Feeder::start(&scene.broker, &program.events(), 500);
    for round in 1..=4 {
        feeder.more(700 + 61 * round).await;
        worker.signal(Signal::KILL);
        drop(worker);
        worker = Worker::start(&scene, &config()).await;
        let restored = restored(&worker).await;
        // The rows of the last commits, one for each of some tens of keys, may not be in the folder
        // yet.
        assert!(restored < ROWS as f64 / 20.0, "round {round}: {restored} records were read again");
        println!("round {round}: {restored} records were read again");
    }
    worker.stop().await;
    let fed = feeder.stop().await;
    let mut last = scene.start_with(&program, config()).await.unwrap();
    scene.check(&program, fed, &mut last).await;
    stop(last).await;
}
