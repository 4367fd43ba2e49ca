//! Tests of a process that stood still past its session and does not know yet that others have its
//! shards.

use crate::common::client::Client;
use crate::held::Held;
use crate::program::{owners, program, settle};
use crate::scene::{Cluster, TestResult, eventually, start, stop, within};

#[tokio::test]
async fn an_expelled_process_reads_from_the_new_owners() -> TestResult {
    let cluster = Cluster::new().await;
    let stalled = Held::over(cluster.broker.clone());
    let late = start(program("stalled").app, cluster.config().broker(stalled.clone())).await?;
    let second = start(program("stalled").app, cluster.config()).await?;
    let processes = [late, second];
    settle(&processes).await;
    let [late, second] = processes;
    let program = program("stalled");
    let (inbox, view) = (second.open(program.squares.inbox()), late.open(program.squares.view()));
    for number in 0..40u64 {
        let sent = inbox.send(number, 1).await?;
        within(view.wait_for(&sent)).await?;
        assert_eq!(view.get(number).await?, Some(1));
    }
    stalled.members.send_replace(true);
    let own = format!("http://{}", second.web_addresses()[0]);
    for running in [&second, &late] {
        let client = Client::of(running);
        eventually("the second has all, and both know it", async || owners(&client).into_iter().eq([own.clone()]))
            .await;
    }
    assert_eq!(Client::of(&late).get("/readyz").json()["shards"], 9, "it believes that it has them still");
    for number in 0..40u64 {
        let sent = inbox.send(number, 2).await?;
        within(view.wait_for(&sent)).await?;
        assert_eq!(view.get(number).await?, Some(2), "{number}");
    }
    stalled.members.send_replace(false);
    for number in 0..40u64 {
        assert_eq!(within(view.get(number)).await?, Some(2));
    }
    stop(late).await?;
    stop(second).await?;
    Ok(())
}
