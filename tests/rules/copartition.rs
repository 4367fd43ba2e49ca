//! Rule 6: a program that cannot run as declared is refused at the start, with the names of all
//! parts that disagree.

use std::time::Duration;

use marlowe::topology::TopologyError;
use marlowe::{App, RunError};

use crate::common::text::assert_names;
use crate::scene::{Scene, TestResult, stop};

/// Returns the error with which `app` does not start.
async fn refusal(app: App) -> String {
    match Scene::new().await.start(app).await {
        Ok(_) => panic!("it started"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn topics_that_share_a_table_need_equal_partition_counts() {
    let mut app = App::new("counts");
    let orders = app.topic::<String, u64>("orders").partitions(8);
    let payments = app.topic::<String, u64>("payments").partitions(4);
    let accounts = app.table::<String, u64>("accounts");
    app.agent("order", orders).with(accounts).each(async |_, _| Ok(()));
    app.agent("pay", payments).with(accounts).each(async |_, _| Ok(()));
    app.partition_timer("tidy", Duration::from_secs(1)).with(accounts).run(async |_| Ok(()));
    let text = refusal(app).await;
    let parts = [
        "`orders` has 8",
        "`payments` has 4",
        "agent `order`",
        "agent `pay`",
        "partition_timer `tidy`",
        "table `accounts`",
    ];
    assert_names(&text, &parts);
    assert_names(&text, &["group_by", "same number"]);
}

#[tokio::test]
async fn a_group_by_gets_the_partition_count_of_its_group() -> TestResult {
    let scene = Scene::new().await;
    let mut app = App::new("brought");
    let orders = app.topic::<String, u64>("orders").partitions(8);
    let payments = app.topic::<String, u64>("payments").partitions(4);
    let accounts = app.table::<u64, u64>("accounts");
    app.agent("order", orders.group_by(|order| *order)).with(accounts).each(async |accounts, order| {
        accounts.update(order, |count| *count += 1);
        Ok(())
    });
    app.agent("pay", payments.group_by(|payment| *payment)).with(accounts).each(async |accounts, payment| {
        accounts.update(payment, |count| *count += 1);
        Ok(())
    });
    let mut running = scene.start(app).await?;
    for number in 0..40 {
        running.open(orders).send(&"k".to_owned(), &number).await?;
        running.open(payments).send(&"k".to_owned(), &number).await?;
    }
    crate::scene::drain(&mut running).await?;
    let rows = running.open(accounts.view()).iter().await?;
    assert_eq!(rows, (0..40).map(|number| (number, 2)).collect::<Vec<_>>());
    stop(running).await?;
    Ok(())
}

#[tokio::test]
async fn a_table_needs_the_partition_count_of_its_changelog() -> TestResult {
    let scene = Scene::new().await;
    let build = |partitions| {
        let mut app = App::new("changed");
        app.table::<String, u64>("accounts").partitions(partitions);
        app
    };
    stop(scene.start(build(4)).await?).await?;
    let Err(error) = scene.start(build(6)).await else { panic!("it started") };
    assert_names(&error.to_string(), &["`changed-accounts-changelog` has 4", "table `accounts` has 6"]);
    stop(scene.start(build(4)).await?).await?;
    Ok(())
}

#[tokio::test]
async fn a_recreated_topic_with_another_count_does_not_fit_its_table() -> TestResult {
    let scene = Scene::new().await;
    let build = |partitions| {
        let mut app = App::new("anew");
        let orders = app.topic::<String, u64>("orders").partitions(partitions);
        let accounts = app.table::<String, u64>("accounts");
        app.agent("order", orders).with(accounts).each(async |_, _| Ok(()));
        app
    };
    stop(scene.start(build(4)).await?).await?;
    scene.broker.delete_topic("orders").await?;
    let Err(error) = scene.start(build(2)).await else { panic!("it started") };
    assert_names(&error.to_string(), &["`orders` has 2", "`anew-accounts-changelog` has 4", "agent `order`"]);
    Ok(())
}

/// Builds an app with an agent that reads `orders` and has the table `counts`.
fn orders(app: &str, partitions: Option<u32>) -> App {
    let mut app = App::new(app);
    let mut orders = app.topic::<String, u64>("orders");
    if let Some(partitions) = partitions {
        orders = orders.partitions(partitions);
    }
    let counts = app.table::<String, u64>("counts");
    app.agent("order", orders).with(counts).each(async |_, _| Ok(()));
    app
}

#[tokio::test]
async fn added_partitions_are_reported_with_the_state_they_do_not_fit() -> TestResult {
    for declared in [None, Some(4)] {
        let scene = Scene::new().await;
        scene.broker.create_topic(marlowe_broker::TopicConfig::new("orders", 4)).await?;
        stop(scene.start(orders("grown", declared)).await?).await?;
        scene.broker.delete_topic("orders").await?;
        scene.broker.create_topic(marlowe_broker::TopicConfig::new("orders", 6)).await?;
        let Err(error) = scene.start(orders("grown", declared)).await else { panic!("it started") };
        assert!(matches!(error, RunError::Topology(TopologyError::PartitionsChanged { .. })));
        assert_names(
            &error.to_string(),
            &["`orders` has 6", "`grown-counts-changelog` has 4", "agent `order`", "table `counts`", "`reset`"],
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_topic_with_another_count_than_declared_is_refused() -> TestResult {
    let scene = Scene::new().await;
    scene.broker.create_topic(marlowe_broker::TopicConfig::new("orders", 6)).await?;
    let Err(error) = scene.start(orders("other", Some(4))).await else { panic!("it started") };
    assert_names(&error.to_string(), &["`orders`", "declared with 4", "has 6"]);
    // A topic that the app only sends to is refused, too.
    let mut app = App::new("other");
    app.topic::<String, u64>("orders").partitions(5);
    let Err(error) = scene.start(app).await else { panic!("it started") };
    assert_names(&error.to_string(), &["`orders`", "declared with 5", "has 6"]);
    Ok(stop(scene.start(orders("other", None)).await?).await?)
}

#[tokio::test]
async fn unsuitable_internal_topics_are_refused_with_the_fix() -> TestResult {
    use marlowe_broker::{Cleanup, TopicConfig};
    let day = Duration::from_secs(24 * 60 * 60);
    for (topic, partitions, cleanup, words) in [
        ("wrong-counts-changelog", 4, Cleanup::Delete { retention: None }, "cleanup.policy to compact"),
        ("wrong-counts-changelog", 4, Cleanup::CompactDelete { retention: day }, "cleanup.policy to compact"),
        ("wrong-counts-inbox", 4, Cleanup::Compact, "cleanup.policy to delete"),
        ("wrong-counts-anchor", 3, Cleanup::Delete { retention: None }, "`reset`"),
        ("wrong-leader-anchor", 2, Cleanup::Delete { retention: None }, "`reset`"),
    ] {
        let scene = Scene::new().await;
        scene.broker.create_topic(TopicConfig::new(topic, partitions).cleanup(cleanup)).await?;
        let Err(error) = scene.start(orders("wrong", Some(4))).await else { panic!("it started with {topic}") };
        assert!(matches!(error, RunError::Topic { .. }), "{error}");
        assert_names(&error.to_string(), &[topic, words]);
    }
    Ok(())
}

#[tokio::test]
async fn two_parts_of_one_name_are_refused() {
    let mut app = App::new("twice");
    app.table::<String, u64>("accounts");
    app.table::<String, u64>("accounts");
    assert_names(&refusal(app).await, &["two tables named `accounts`"]);

    let mut app = App::new("twice");
    let orders = app.topic::<String, u64>("orders");
    app.agent("order", orders).each(async |(), _| Ok(()));
    app.agent("order", orders).each(async |(), _| Ok(()));
    assert_names(&refusal(app).await, &["two agents named `order`"]);

    let mut app = App::new("twice");
    app.timer("tick", Duration::from_secs(1)).run(async |()| Ok(()));
    app.task("tick").run(async |()| Ok(()));
    assert_names(&refusal(app).await, &["two timers named `tick`"]);
}

#[tokio::test]
async fn a_partition_timer_without_a_table_is_refused_with_the_fix() {
    let mut app = App::new("homeless");
    app.partition_timer("tidy", Duration::from_secs(1)).run(async |()| Ok(()));
    assert_names(&refusal(app).await, &["partition_timer `tidy`", "`.with(table)`", "use `timer`"]);
}

#[tokio::test]
async fn a_crontab_that_does_not_parse_is_refused_at_the_start() {
    let mut app = App::new("times");
    app.crontab("nightly", "every night", "UTC").run(async |()| Ok(()));
    assert_names(&refusal(app).await, &["crontab `nightly`", "every night", "0 4 * * 1-5"]);
    let mut app = App::new("zones");
    app.crontab("nightly", "0 4 * * *", "Mars/Olympus").run(async |()| Ok(()));
    assert!(matches!(app.topology(), Err(TopologyError::Crontab { .. })));
    assert_names(&refusal(app).await, &["crontab `nightly`", "Mars/Olympus", "Europe/Berlin"]);
}

#[tokio::test]
async fn invalid_names_and_partition_counts_are_refused() {
    let mut app = App::new("a b");
    app.topic::<String, u64>("orders");
    assert_names(&refusal(app).await, &["app name `a b`"]);
    let mut app = App::new("names");
    app.table::<String, u64>("views/page");
    assert_names(&refusal(app).await, &["table name `views/page`", "letters"]);
    let mut app = App::new("none");
    app.topic::<String, u64>("orders").partitions(0);
    assert_names(&refusal(app).await, &["topic `orders`", "0 partitions"]);
}

#[tokio::test]
async fn a_changelog_whose_records_are_deleted_by_age_is_refused() -> TestResult {
    let scene = Scene::new().await;
    scene.broker.create_topic(marlowe_broker::TopicConfig::new("aged-accounts-changelog", 8)).await?;
    let mut app = App::new("aged");
    app.table::<String, u64>("accounts");
    let Err(error) = scene.start(app).await else { panic!("it started") };
    assert!(matches!(error, RunError::Topic { .. }));
    assert_names(&error.to_string(), &["aged-accounts-changelog", "compact"]);
    Ok(())
}

#[tokio::test]
async fn two_different_streams_cannot_share_a_repartition_topic() {
    let mut app = App::new("named");
    let orders = app.topic::<String, u64>("orders");
    let payments = app.topic::<String, u64>("payments");
    app.agent("order", orders.group_by(|order| *order).named("by-number")).each(async |(), _| Ok(()));
    app.agent("pay", payments.group_by(|payment| *payment).named("by-number")).each(async |(), _| Ok(()));
    assert_names(&refusal(app).await, &["by-number", "orders", "payments"]);
}
