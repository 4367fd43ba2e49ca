//! Tests of the embedded broker in a folder that an earlier process has left.

use std::time::Duration;

use crate::program::program;
use crate::scene::{TestResult, start, stop};

/// Checks that claims of a crashed run do not count in the next run in the same folder. The
/// embedded broker begins its groups again with each process, but the claims of the process before
/// are still in its folder.
#[tokio::test]
async fn claims_of_a_crashed_run_do_not_count_in_the_next_one() -> TestResult {
    let folder = tempfile::tempdir()?;
    let config = || marlowe::Config::default().data_dir(folder.path()).web(crate::common::address::any_port()).lanes(1);
    // Each rebalance starts a new generation. So the generation of the first run is higher than the
    // one in which the second begins.
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
