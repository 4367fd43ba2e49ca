//! The embedded broker in a folder: what a process before it left there.

use std::time::Duration;

use crate::program::program;
use crate::scene::{TestResult, start, stop};

/// The embedded broker begins its groups anew with each process, and what was claimed in the process before is still written
/// in its folder.
#[tokio::test]
async fn what_a_crashed_run_in_the_same_folder_claimed_does_not_stand_against_the_next_run() -> TestResult {
    let folder = tempfile::tempdir()?;
    let config = || marlowe::Config::default().data_dir(folder.path()).web(crate::scene::free()).lanes(1);
    // Each rebalance is a generation: the first run is at a higher count of them than the second begins with.
    let first = start(program("folder").app, config().workers(3)).await?;
    let sent = first.open(program("folder").squares.inbox()).send(1, 1).await?;
    first.open(program("folder").squares.view()).wait_for(&sent).await?;
    drop(first);
    let second = start(program("folder").app, config()).await?;
    let view = second.open(program("folder").squares.view()).within(Duration::from_secs(2));
    for _ in 0..10 {
        assert_eq!(view.get(1).await?, Some(1));
        assert_eq!(view.len().await?, 1);
        crate::scene::pause(20).await;
    }
    stop(second).await?;
    Ok(())
}
