//! Removed rows stay removed, also in stores that were away until the tombstones were gone. They
//! could come back there, because the changelog no longer says that they were removed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use marlowe::embedded::{EmbeddedBroker, EmbeddedConfig};
use marlowe::{App, Config, GlobalTable, Running, Table};

use crate::common::clock::SetClock;
use crate::scene::{GUARANTEES, TestResult, drain, eventually, start, stop};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const PARTITIONS: u32 = 6;
const ROWS: u64 = 40;

/// A broker whose cleaner the test calls, and a clock that the test sets.
#[derive(Clone)]
struct World {
    broker: Arc<EmbeddedBroker>,
    clock: Arc<SetClock>,
    guarantee: fn(&mut App),
}

/// The program's tables.
#[derive(Clone, Copy)]
struct Tables {
    rows: Table<String, u64>,
    global: GlobalTable<String, u64>,
}

fn key(number: u64) -> String {
    format!("key-{number}")
}

impl World {
    fn new(guarantee: fn(&mut App)) -> Self {
        let clock = SetClock::at(1_700_000_000_000);
        let embedded = EmbeddedConfig { clock: clock.clone(), ..EmbeddedConfig::default() };
        Self { broker: Arc::new(EmbeddedBroker::in_memory(embedded)), clock, guarantee }
    }

    fn program(&self) -> (App, Tables) {
        let mut app = App::new("zombies");
        app.partitions(PARTITIONS);
        (self.guarantee)(&mut app);
        let rows = app.table::<String, u64>("rows");
        let global = app.global_table::<String, u64>("global");
        (app, Tables { rows, global })
    }

    /// Returns settings without a folder, so that a worker has nothing when it starts.
    fn config(&self) -> Config {
        let mut config = Config::default().broker(self.broker.clone()).without_web().lanes(1);
        config.commit_interval = Duration::from_millis(10);
        config.session_timeout = Duration::from_secs(2);
        config.clock = self.clock.clone();
        config
    }

    async fn start(&self, config: Config) -> Result<(Running, Tables), Box<dyn std::error::Error>> {
        let (app, tables) = self.program();
        Ok((start(app, config).await?, tables))
    }

    /// Writes all rows.
    async fn fill(&self, running: &mut Running, tables: Tables) -> TestResult {
        let (rows, global) = running.open((tables.rows.inbox(), tables.global));
        for number in 0..ROWS {
            rows.send(key(number), number).await?;
            global.send(key(number), number).await?;
        }
        Ok(drain(running).await?)
    }

    /// Removes three of four rows, and lets time pass until the tombstones are gone, too.
    async fn remove_and_forget(&self, running: &mut Running, tables: Tables) -> TestResult {
        let (rows, global) = running.open((tables.rows.inbox(), tables.global));
        for number in (0..ROWS).filter(|number| number % 4 > 0) {
            rows.remove(key(number)).await?;
            global.remove(key(number)).await?;
        }
        drain(running).await?;
        // The cleaner leaves the last batch of a partition alone.
        for number in (0..ROWS).filter(|number| number % 4 == 0) {
            rows.send(key(number), number).await?;
            global.send(key(number), number).await?;
        }
        drain(running).await?;
        for _ in 0..2 {
            self.broker.clean().await?;
            self.clock.forward(8 * DAY);
        }
        Ok(self.broker.clean().await?)
    }

    /// Checks that a worker has the rows that are left, and no others.
    async fn check(&self, running: &mut Running, tables: Tables) -> TestResult {
        drain(running).await?;
        let mut left: Vec<(String, u64)> = (0..ROWS).step_by(4).map(|number| (key(number), number)).collect();
        left.sort();
        let (rows, global, copy) = running.open((tables.rows.view(), tables.global.view(), tables.global));
        assert_eq!(rows.iter().await?, left);
        assert_eq!(rows.len().await?, left.len() as u64);
        assert_eq!(global.iter().await?, left);
        assert_eq!(copy.iter()?, left);
        Ok(())
    }
}

fn in_folder(config: Config, folder: &Path) -> Config {
    config.data_dir(folder)
}

#[tokio::test]
async fn n4_1_removed_rows_stay_removed_after_a_restart() -> TestResult {
    for guarantee in GUARANTEES {
        let (world, folder) = (World::new(guarantee), tempfile::tempdir()?);
        let (mut running, tables) = world.start(in_folder(world.config(), folder.path())).await?;
        world.fill(&mut running, tables).await?;
        stop(running).await?;
        let (mut running, tables) = world.start(world.config()).await?;
        world.remove_and_forget(&mut running, tables).await?;
        world.check(&mut running, tables).await?;
        stop(running).await?;
        let (mut running, tables) = world.start(in_folder(world.config(), folder.path())).await?;
        world.check(&mut running, tables).await?;
        stop(running).await?;
    }
    Ok(())
}

#[tokio::test]
async fn n4_1_removed_rows_stay_removed_when_a_shard_comes_back() -> TestResult {
    for standbys in [0, 1] {
        let (world, folder) = (World::new(|_| {}), tempfile::tempdir()?);
        let in_memory = world.config().standby_replicas(standbys);
        let on_disk = in_folder(in_memory.clone(), folder.path());
        // The worker with the folder has all shards at first. Then it has some shards and standbys
        // of others, and at last none.
        let (mut first, tables) = world.start(on_disk.clone()).await?;
        world.fill(&mut first, tables).await?;
        let (mut second, tables) = world.start(in_memory).await?;
        drain(&mut second).await?;
        stop(first).await?;
        world.remove_and_forget(&mut second, tables).await?;
        // It comes back, and then it is the only worker.
        let (mut first, tables) = world.start(on_disk).await?;
        let owns = async || first.open(tables.global).iter().is_ok_and(|rows| rows.len() == ROWS as usize / 4);
        eventually("its copy is what it should be", owns).await;
        stop(second).await?;
        world.check(&mut first, tables).await?;
        stop(first).await?;
    }
    Ok(())
}

#[tokio::test]
async fn n4_1_removed_rows_stay_removed_after_fewer_workers() -> TestResult {
    for guarantee in GUARANTEES {
        let (world, folder) = (World::new(guarantee), tempfile::tempdir()?);
        let workers = |number| in_folder(world.config(), folder.path()).workers(number);
        let (mut running, tables) = world.start(workers(3)).await?;
        world.fill(&mut running, tables).await?;
        stop(running).await?;
        let (mut running, tables) = world.start(workers(1)).await?;
        world.remove_and_forget(&mut running, tables).await?;
        stop(running).await?;
        let (mut running, tables) = world.start(workers(3)).await?;
        world.check(&mut running, tables).await?;
        stop(running).await?;
    }
    Ok(())
}
