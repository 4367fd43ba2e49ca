//! Rule 7 for workers that are expelled again and again, because their session is shorter than any
//! other broker allows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::handing_over::{Guard, check, program, send};
use crate::scene::{Scene, TestResult, drain, pause, start, stop};

/// Runs workers whose processes seem to stand still past their session. Others have their shards
/// then, so what they had in hand is not committed.
#[tokio::test]
async fn an_expelled_worker_drops_its_work_and_comes_back() -> TestResult {
    let scene = Scene::new().await;
    let mut config = scene.config();
    config.session_timeout = Duration::from_millis(1);
    // With such a session, every worker is expelled again and again.
    let (app, places) = program("first", &Guard::default(), &Arc::default());
    let first = app.start(config.clone()).await?;
    let (app, _) = program("second", &Guard::default(), &Arc::default());
    let second = app.start(config).await?;
    send(&first, places.numbers, 0..300).await;
    pause(500).await;
    stop(first).await?;
    stop(second).await?;
    let (app, places) = program("third", &Guard::default(), &Arc::default());
    let mut third = start(app, scene.config()).await?;
    drain(&mut third).await?;
    check(&scene, &third, places.sums, 300).await?;
    stop(third).await?;
    Ok(())
}

/// Runs such workers at least once. Their rows stay exact, but their outputs may be repeated.
#[tokio::test]
async fn an_expelled_worker_at_least_once_writes_no_row() -> TestResult {
    let scene = Scene::new().await;
    let mut config = scene.config();
    config.session_timeout = Duration::from_millis(1);
    let program = |who| {
        let (mut app, places) = program(who, &Guard::default(), &Arc::default());
        app.at_least_once();
        (app, places)
    };
    let (app, places) = program("first");
    let first = app.start(config.clone()).await?;
    let second = program("second").0.start(config).await?;
    send(&first, places.numbers, 0..300).await;
    pause(500).await;
    stop(first).await?;
    stop(second).await?;
    let (app, places) = program("third");
    let mut third = start(app, scene.config()).await?;
    drain(&mut third).await?;
    let sums: BTreeMap<String, u64> = third.open(places.sums.view()).iter().await?.into_iter().collect();
    let mut wanted = BTreeMap::new();
    (0..300).for_each(|number| *wanted.entry(format!("key-{}", number % 23)).or_default() += number);
    assert_eq!(sums, wanted);
    let outputs: BTreeSet<String> = scene.values("outputs").await.into_iter().collect();
    assert_eq!(outputs, (0..300).map(|number| number.to_string()).collect());
    stop(third).await?;
    Ok(())
}
