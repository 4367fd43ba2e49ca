//! Names of topics: no two topics have the same name, whichever app they belong to, and no name is
//! too long for a topic.

use marlowe::topology::TopologyError;
use marlowe::{App, RunError};

use crate::scene::{Scene, TestResult, drain, start, stop};

/// Builds an app that sums the values of `topic` by key in `table`, its only table.
fn counting(app: &str, topic: &str, table: &str) -> App {
    let mut app = App::new(app);
    let words = app.topic::<String, u64>(topic).partitions(2);
    let counts = app.table::<String, u64>(table);
    app.agent("count", words).with(counts).each_event(async |counts, word| {
        counts.update(word.key, |count| *count += word.value);
        Ok(())
    });
    app
}

async fn refused(scene: &Scene, app: App) -> String {
    let Err(error) = scene.start(app).await else { panic!("it started") };
    assert!(matches!(error, RunError::TopicOwned { .. }), "another error: {error}");
    error.to_string()
}

#[tokio::test]
async fn n2_8_an_app_with_the_changelog_of_another_app_is_refused() -> TestResult {
    let scene = Scene::new().await;
    let shop = || counting("shop", "orders", "eu-stock");
    let mut running = scene.start(shop()).await?;
    scene.produce("orders", 0, Some(b"tea"), Some(b"5")).await;
    drain(&mut running).await?;

    let text = refused(&scene, counting("shop-eu", "sales", "stock")).await;
    for part in ["`shop-eu-stock-", "app `shop`", "app `shop-eu`", "table `stock`", "rename"] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    // The second app is refused while the first runs, and also after it has stopped. The first app
    // still starts, although the second asked for its topic.
    stop(running).await?;
    refused(&scene, counting("shop-eu", "sales", "stock")).await;
    let mut running = scene.start(shop()).await?;
    scene.produce("orders", 0, Some(b"tea"), Some(b"5")).await;
    drain(&mut running).await?;
    stop(running).await?;
    let changelog = scene.records("shop-eu-stock-changelog").await;
    assert!(changelog.iter().all(|record| record.key.as_deref() == Some("tea")), "{changelog:?}");
    // With another table name, the second app has its own topics.
    let running = scene.start(counting("shop-eu", "sales", "goods")).await?;
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn n2_8_the_order_of_the_two_apps_does_not_matter() -> TestResult {
    let scene = Scene::new().await;
    stop(scene.start(counting("shop-eu", "sales", "stock")).await?).await?;
    let text = refused(&scene, counting("shop", "orders", "eu-stock")).await;
    assert!(text.contains("internal topic of app `shop-eu`") && text.contains("app `shop` would have"), "{text}");
    Ok(())
}

#[tokio::test]
async fn n2_8_all_kinds_of_internal_topics_have_an_owner() -> TestResult {
    let scene = Scene::new().await;
    // The topic of a group_by.
    let grouping = |app: &str, agent: &str| {
        let mut app = App::new(app);
        let words = app.topic::<String, u64>("words").partitions(2);
        app.agent(agent, words.group_by(|word| *word)).each(async |(), _| Ok(()));
        app
    };
    stop(scene.start(grouping("a", "b-c")).await?).await?;
    let text = refused(&scene, grouping("a-b", "c")).await;
    assert!(text.contains("`a-b-c-repartition`") && text.contains("agent `c`"), "{text}");
    // The topic of a source's position.
    let feeding = |app: &str, source: &str| {
        let mut app = App::new(app);
        let words = app.topic::<(), u64>("fed").partitions(2);
        app.source(source, words).run(async |_| Ok(()));
        app
    };
    stop(scene.start(feeding("x", "y-z")).await?).await?;
    let text = refused(&scene, feeding("x-y", "z")).await;
    assert!(text.contains("`x-y-z-source`") && text.contains("source `z`"), "{text}");
    // The anchors: this app reads a topic without a table.
    let reading = |app: &str, topic: &str| {
        let mut app = App::new(app);
        let words = app.topic::<String, u64>(topic).partitions(2);
        app.agent("read", words).each(async |(), _| Ok(()));
        app
    };
    stop(scene.start(reading("p", "q-leader")).await?).await?;
    let text = refused(&scene, reading("p-q", "other")).await;
    assert!(text.contains("`p-q-leader-anchor`") && text.contains("leader's anchor"), "{text}");
    Ok(())
}

#[tokio::test]
async fn n2_8_at_most_one_of_two_apps_that_start_at_once_goes_on() -> TestResult {
    for _ in 0..5 {
        let scene = Scene::new().await;
        let (one, other) = (counting("shop", "orders", "eu-stock"), counting("shop-eu", "sales", "stock"));
        let (one, other) = tokio::join!(start(one, scene.config()), start(other, scene.config()));
        assert!(one.is_err() || other.is_err(), "both started");
        // If each found the claim of the other, both are refused, and the next start succeeds.
        let is_free = one.is_err() && other.is_err();
        for running in [one, other].into_iter().flatten() {
            stop(running).await?;
        }
        if is_free {
            stop(scene.start(counting("shop", "orders", "eu-stock")).await?).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn n2_8_another_apps_changelog_can_be_read() -> TestResult {
    let scene = Scene::new().await;
    let mut running = scene.start(counting("shop", "orders", "eu-stock")).await?;
    scene.produce("orders", 0, Some(b"tea"), Some(b"5")).await;
    drain(&mut running).await?;
    let mut app = App::new("shop-eu");
    let changes = app.topic::<String, u64>("shop-eu-stock-changelog");
    let seen = app.topic::<String, u64>("seen").partitions(2);
    app.agent("watch", changes).each(async |(), count| Ok(count)).sink(seen);
    let mut watching = scene.start(app).await?;
    drain(&mut watching).await?;
    assert_eq!(scene.values("seen").await, ["5"]);
    stop(watching).await?;
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn n2_8_ownership_is_not_written_again_at_each_start() -> TestResult {
    let scene = Scene::new().await;
    let listed = async || {
        let records = scene.records("shop-topics").await;
        records.into_iter().filter(|record| record.key.as_deref() == Some("topics")).count()
    };
    stop(scene.start(counting("shop", "orders", "stock")).await?).await?;
    let first = listed().await;
    assert!(first > 0);
    stop(scene.start(counting("shop", "orders", "stock")).await?).await?;
    assert_eq!(listed().await, first);
    Ok(())
}

#[tokio::test]
async fn n2_8_a_program_with_one_name_for_two_topics_is_refused() {
    let taken = |app: &App| match app.topology() {
        Err(error @ TopologyError::TopicNameTaken { .. }) => error.to_string(),
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it is not refused"),
    };
    let mut app = App::new("shop");
    app.topic::<String, u64>("shop-stock-changelog");
    app.table::<String, u64>("stock");
    let text = taken(&app);
    assert!(text.contains("declared by the program") && text.contains("the changelog of table `stock`"), "{text}");

    let mut app = App::new("shop");
    app.table::<String, u64>("stock");
    app.topic::<String, u64>("shop-stock-inbox");
    assert!(taken(&app).contains("the inbox of table `stock`"));

    let mut app = App::new("shop");
    app.topic::<String, u64>("shop-workers");
    assert!(taken(&app).contains("the directory of workers"));

    // The first stream of a chain of two has the name of another agent's stream.
    let mut app = App::new("shop");
    let orders = app.topic::<String, u64>("orders");
    let twice = orders.group_by(|order| order / 2).group_by(|order| *order);
    app.agent("a", twice).each(async |(), _| Ok(()));
    app.agent("a-before", orders.group_by(|order| order % 7)).each(async |(), _| Ok(()));
    let text = taken(&app);
    assert!(text.contains("agent `a`") && text.contains("agent `a-before`"), "{text}");

    let mut app = App::new("shop");
    let orders = app.topic::<String, u64>("orders");
    app.agent("a", orders.group_by(|order| *order)).each(async |(), _| Ok(()));
    app.agent("b", orders.group_by(|order| order % 7).named("a")).each(async |(), _| Ok(()));
    let text = taken(&app);
    assert!(text.contains("agent `a`") && text.contains("stream named `a`"), "{text}");

    // A chain that agents share under a name is a single stream.
    let mut app = App::new("shop");
    let orders = app.topic::<String, u64>("orders");
    for agent in ["a", "b"] {
        let shared = orders.group_by(|order| order / 2).group_by(|order| *order).named("shared");
        app.agent(agent, shared).each(async |(), _| Ok(()));
    }
    assert!(app.topology().is_ok());
}

#[tokio::test]
async fn n2_8_groups_have_names_of_their_own() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("same");
    // One table has the name of another group's topic. Another is named `leader`, as the leader's
    // anchor is.
    let orders = app.topic::<String, u64>("orders").partitions(2);
    let sales = app.topic::<String, u64>("sales").partitions(3);
    let log = app.topic::<String, u64>("log").partitions(4);
    let (sums, leader) = (app.table::<String, u64>("orders"), app.table::<String, u64>("leader"));
    let seen = app.topic::<String, u64>("seen").partitions(1);
    app.agent("pass", orders).each(async |(), order| Ok(order)).sink(seen);
    app.agent("sum", sales).with(sums).each_event(async |sums, sale| {
        sums.update(sale.key, |sum| *sum += sale.value);
        Ok(())
    });
    app.agent("lead", log).with(leader).each_event(async |leader, entry| {
        leader.update(entry.key, |sum| *sum += entry.value);
        Ok(())
    });
    let mut running = start(app, scene.config().workers(2)).await?;
    running.open(orders).send(&"k".to_owned(), &1).await?;
    running.open(sales).send(&"k".to_owned(), &2).await?;
    running.open(log).send(&"k".to_owned(), &3).await?;
    drain(&mut running).await?;
    assert_eq!(scene.values("seen").await, ["1"]);
    assert_eq!(running.open(sums.view()).get("k").await?, Some(2));
    assert_eq!(running.open(leader.view()).get("k").await?, Some(3));
    stop(running).await?;
    let partitions =
        async |topic: &str| Ok::<_, RunErrorOf>(scene.broker.topic(topic).await?.map(|topic| topic.partitions));
    assert_eq!(partitions("same-leader-anchor").await?, Some(1));
    Ok(())
}

type RunErrorOf = Box<dyn std::error::Error>;

#[tokio::test]
async fn n2_8_names_that_become_too_long_are_refused() {
    let too_long = |app: &App| match app.topology() {
        Err(error @ TopologyError::NameTooLong { .. }) => error.to_string(),
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it is not refused"),
    };
    // `{app}-{table}-changelog` is the longest name of a table's topics.
    let longest = 249 - "shop--changelog".len();
    let mut app = App::new("shop");
    app.table::<String, u64>(&"t".repeat(longest + 1));
    let text = too_long(&app);
    for part in ["changelog of table", "250 characters", "249", "shorten the name of table", "app `shop`", "by 1"] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    let mut app = App::new("shop");
    let words = app.topic::<String, u64>("words");
    app.agent(&"a".repeat(240), words.group_by(|word| *word)).each(async |(), _| Ok(()));
    assert!(too_long(&app).contains("agent `aaa"));
    let mut app = App::new(&"s".repeat(240));
    app.topic::<String, u64>("words");
    assert!(too_long(&app).contains("leader's anchor"));
    let mut app = App::new("shop");
    app.topic::<String, u64>(&"w".repeat(250));
    assert!(too_long(&app).contains("shorten its name by 1"));
    let mut app = App::new("shop");
    let fed = app.topic::<(), u64>("fed");
    app.source(&"s".repeat(240), fed).run(async |_| Ok(()));
    assert!(too_long(&app).contains("the position of source"));
}
