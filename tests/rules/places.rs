//! Rule 3 when committed positions go back: an agent goes on at the later of the group's position
//! and the place that is kept with the state. The tests also cover where an agent without a place
//! begins.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use marlowe::app::Guarantee;
use marlowe::broker::{Offset, Partition};
use marlowe::{App, Config, Table, Topic};
use marlowe_broker::{CommittedOffset, TopicConfig, TopicPartition};

use crate::scene::{Scene, TestResult, drain, start, stop, within};

const APP: &str = "places";
const GUARANTEES: [Guarantee; 2] = [Guarantee::ExactlyOnce, Guarantee::AtLeastOnce];

type Rows = BTreeMap<String, u64>;

/// A program with all kinds of inputs: a topic, a repartition topic and inboxes.
struct Declared {
    app: App,
    numbers: Topic<String, u64>,
    sums: Table<String, u64>,
    tens: Table<String, u64>,
    others: Table<String, u64>,
}

fn new_app(guarantee: Guarantee) -> App {
    let mut app = App::new(APP);
    app.partitions(2);
    if guarantee == Guarantee::AtLeastOnce {
        app.at_least_once();
    }
    app
}

fn program(guarantee: Guarantee) -> Declared {
    let mut app = new_app(guarantee);
    let numbers = app.topic::<String, u64>("numbers");
    let sums = app.table::<String, u64>("sums");
    let tens = app.table::<String, u64>("tens");
    let others = app.table::<String, u64>("others").merge(|sum, more| *sum += more);
    app.agent("sum", numbers).with((sums, others.inbox())).each_event(async |(sums, others), event| {
        sums.update(event.key, |sum| *sum += event.value);
        others.send("all", event.value);
        Ok(())
    });
    let by_ten = numbers.group_by(|number| format!("{}", number / 10));
    app.agent("ten", by_ten).with(tens).each_event(async |tens, event| {
        tens.update(event.key, |sum| *sum += event.value);
        Ok(())
    });
    Declared { app, numbers, sums, tens, others }
}

/// Returns the rows that the program's tables should hold after `numbers`.
fn wanted(numbers: impl Iterator<Item = u64>) -> [Rows; 3] {
    let mut rows = [Rows::new(), Rows::new(), Rows::new()];
    for number in numbers {
        let keys = [format!("key-{}", number % 7), format!("{}", number / 10), "all".to_owned()];
        for (rows, key) in rows.iter_mut().zip(keys) {
            *rows.entry(key).or_default() += number;
        }
    }
    rows
}

/// Processes `numbers` and returns all rows.
async fn process(
    guarantee: Guarantee,
    config: &Config,
    numbers: impl Iterator<Item = u64>,
) -> Result<[Rows; 3], Box<dyn std::error::Error>> {
    let declared = program(guarantee);
    let mut running = start(declared.app, config.clone()).await?;
    let to = running.open(declared.numbers);
    for number in numbers {
        to.send(&format!("key-{}", number % 7), &number).await?;
    }
    drain(&mut running).await?;
    let rows = async |table: Table<String, u64>| {
        Ok::<Rows, marlowe::table::ViewError>(running.open(table.view()).iter().await?.into_iter().collect())
    };
    let rows = [rows(declared.sums).await?, rows(declared.tens).await?, rows(declared.others).await?];
    stop(running).await?;
    Ok(rows)
}

/// Returns the partitions of all inputs of the program, with the committed positions.
async fn positions(scene: &Scene) -> Vec<(TopicPartition, Option<CommittedOffset>)> {
    let topics = ["numbers", "places-ten-repartition", "places-sums-inbox", "places-tens-inbox", "places-others-inbox"];
    let at = |topic: &&'static str| {
        Partition::all(2).map(|partition| TopicPartition::new(*topic, partition)).collect::<Vec<_>>()
    };
    let all: Vec<TopicPartition> = topics.iter().flat_map(at).collect();
    let committed = scene.broker.committed(APP, &all).await.unwrap();
    all.into_iter().zip(committed).collect()
}

/// Sets positions, as an administrator does, or a coordinator that lost the newest commits.
async fn set(scene: &Scene, positions: &[(TopicPartition, CommittedOffset)]) {
    scene.broker.commit_offsets(APP, None, positions).await.unwrap();
}

fn at(topic: &str, partition: u32) -> TopicPartition {
    TopicPartition::new(topic, Partition::new(partition))
}

#[tokio::test]
async fn n4_2_rows_stay_exact_where_positions_go_back() -> TestResult {
    for guarantee in GUARANTEES {
        for kept in [false, true] {
            let (scene, folder) = (Scene::new().await, tempfile::tempdir()?);
            let config = if kept { scene.config().data_dir(folder.path()) } else { scene.config() };
            process(guarantee, &config, 0..20).await?;
            let early = positions(&scene).await;
            process(guarantee, &config, 20..40).await?;
            // The coordinator goes back to older positions.
            let early: Vec<_> = early.into_iter().filter_map(|(at, committed)| Some((at, committed?))).collect();
            set(&scene, &early).await;
            assert_eq!(process(guarantee, &config, 40..50).await?, wanted(0..50), "{guarantee:?} {kept}");
            // All positions are set to the start, and the worker has lost its rows.
            let begin: Vec<_> = early.into_iter().map(|(at, _)| (at, Offset::ZERO.into())).collect();
            set(&scene, &begin).await;
            assert_eq!(process(guarantee, &scene.config(), 50..60).await?, wanted(0..60), "{guarantee:?} {kept}");
            // The group is deleted altogether.
            let gone = async || scene.broker.delete_group(APP).await.is_ok();
            crate::scene::eventually("the group is deleted", gone).await;
            assert_eq!(process(guarantee, &config, 60..70).await?, wanted(0..70), "{guarantee:?} {kept}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn n4_2_a_drain_ends_if_positions_went_back_without_new_input() -> TestResult {
    let scene = Scene::new().await;
    process(Guarantee::ExactlyOnce, &scene.config(), 0..20).await?;
    let committed = positions(&scene).await;
    let begin: Vec<_> = committed.iter().map(|(at, _)| (at.clone(), Offset::ZERO.into())).collect();
    set(&scene, &begin).await;
    assert_eq!(process(Guarantee::ExactlyOnce, &scene.config(), 0..0).await?, wanted(0..20));
    assert_eq!(positions(&scene).await, committed, "the group knows again how far it is");
    Ok(())
}

/// Builds a program whose agents count the events of one topic with one partition, each under its
/// own name. The last agent fails at the event `fails_at`.
fn counters(
    guarantee: Guarantee,
    names: &[String],
    fails_at: Option<u64>,
) -> (App, Topic<String, u64>, Table<String, u64>) {
    let mut app = new_app(guarantee);
    app.partitions(1);
    let numbers = app.topic::<String, u64>("numbers");
    let counts = app.table::<String, u64>("counts");
    for name in names {
        let (own, fails_at) = (name.clone(), fails_at.filter(|_| names.last() == Some(name)));
        app.agent(name, numbers).with(counts).retries(0).each(async move |counts, number| {
            if fails_at == Some(number) {
                return Err("it fails".into());
            }
            counts.update(&own, |count| *count += 1);
            Ok(())
        });
    }
    (app, numbers, counts)
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("agent-{number}")).collect()
}

/// Runs such a program until it has processed all events or an agent has failed, and returns the
/// count of each agent.
async fn count(
    scene: &Scene,
    (app, numbers, counts): (App, Topic<String, u64>, Table<String, u64>),
    new: std::ops::Range<u64>,
) -> Result<Vec<u64>, Box<dyn std::error::Error>> {
    let mut running = start(app, scene.config()).await?;
    let to = running.open(numbers);
    for number in new {
        to.send(&"key".to_owned(), &number).await?;
    }
    drain(&mut running).await?;
    let rows: BTreeMap<String, u64> = running.open(counts.view()).iter().await?.into_iter().collect();
    stop(running).await?;
    let number = |name: &str| name.rsplit('-').next().and_then(|number| number.parse::<u64>().ok());
    let mut rows: Vec<_> = rows.into_iter().collect();
    rows.sort_by_key(|(name, _)| number(name));
    Ok(rows.into_iter().map(|(_, count)| count).collect())
}

/// Lets agents read 10 events, of which the last agent fails at the fourth, and stops.
async fn leave_one_behind(scene: &Scene, guarantee: Guarantee, names: &[String]) -> TestResult {
    count(scene, counters(guarantee, &names[..names.len() - 1], None), 0..10).await?;
    let (app, ..) = counters(guarantee, names, Some(3));
    let mut running = within(app.start(scene.config())).await?;
    let failed = within(running.failed()).await.to_string();
    assert!(failed.contains("it fails") && failed.contains(&names[names.len() - 1]), "{failed}");
    // The stop fails too, but what could be committed is committed.
    let _ = stop(running).await;
    Ok(())
}

#[tokio::test]
async fn n4_2_agents_of_one_topic_each_go_on_where_they_were() -> TestResult {
    for guarantee in GUARANTEES {
        for back_to in [0, 2, 3, 10] {
            let (scene, names) = (Scene::new().await, names(3));
            leave_one_behind(&scene, guarantee, &names).await?;
            // The position is set without the note that the program commits with it. Position 10
            // does not go back. It skips events that the third agent had not handled.
            set(&scene, &[(at("numbers", 0), Offset::new(back_to).into())]).await;
            let third = if back_to == 10 { 3 + 5 } else { 15 };
            let counted = count(&scene, counters(guarantee, &names, None), 10..15).await?;
            assert_eq!(counted, [15, 15, third], "{guarantee:?}, set to {back_to}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn n4_2_positions_that_are_set_forward_are_followed() -> TestResult {
    for guarantee in GUARANTEES {
        let (scene, names) = (Scene::new().await, names(2));
        count(&scene, counters(guarantee, &names, None), 0..10).await?;
        for number in 10..15u64 {
            scene.produce("numbers", 0, Some(b"\"key\""), Some(number.to_string().as_bytes())).await;
        }
        let now = scene.broker.offsets("numbers", &[Partition::new(0)], marlowe_broker::OffsetSpec::Latest).await?[0];
        set(&scene, &[(at("numbers", 0), now.into())]).await;
        assert_eq!(count(&scene, counters(guarantee, &names, None), 15..16).await?, [11, 11], "{guarantee:?}");
    }
    Ok(())
}

#[tokio::test]
async fn n4_2_a_recreated_topic_is_read_from_its_start() -> TestResult {
    for guarantee in GUARANTEES {
        let (scene, names) = (Scene::new().await, names(2));
        count(&scene, counters(guarantee, &names, None), 0..10).await?;
        scene.broker.delete_topic("numbers").await?;
        let made = async || scene.broker.create_topic(TopicConfig::new("numbers", 1)).await.is_ok();
        crate::scene::eventually("the topic is made anew", made).await;
        assert_eq!(count(&scene, counters(guarantee, &names, None), 0..12).await?, [22, 22], "{guarantee:?}");
    }
    Ok(())
}

#[tokio::test]
async fn n2_6_a_hundred_agents_with_long_names_and_one_behind() -> TestResult {
    for guarantee in GUARANTEES {
        let scene = Scene::new().await;
        let names: Vec<String> = (0..100).map(|number| format!("{}-{number}", "x".repeat(196))).collect();
        leave_one_behind(&scene, guarantee, &names).await?;
        let committed = scene.broker.committed(APP, &[at("numbers", 0)]).await?.remove(0).ok_or("no position")?;
        assert!(committed.metadata.len() <= 1024, "{}", committed.metadata);
        assert!(committed.offset < Offset::new(10), "the least of their places: {committed:?}");
        let counted = count(&scene, counters(guarantee, &names, None), 10..12).await?;
        assert_eq!(counted, [12; 100], "{guarantee:?}");
        set(&scene, &[(at("numbers", 0), Offset::ZERO.into())]).await;
        assert_eq!(count(&scene, counters(guarantee, &names, None), 12..13).await?, [13; 100], "{guarantee:?}");
    }
    Ok(())
}

/// Declares an agent that counts in a table of its own. With `now`, it begins at the end of the
/// topic.
fn with_agent(app: &mut App, numbers: Topic<String, u64>, name: &str, now: bool) -> Table<String, u64> {
    let counts = app.table::<String, u64>(&format!("{name}-counts"));
    let agent = app.agent(name, numbers).with(counts);
    let agent = if now { agent.from_now() } else { agent };
    agent.each_event(async |counts, event| {
        counts.update(event.key, |count| *count += 1);
        Ok(())
    });
    counts
}

/// Builds a program with `agents`. Those marked with `true` begin at the end of the topic.
fn edition(guarantee: Guarantee, agents: &[(&str, bool)]) -> (App, Topic<String, u64>, Vec<Table<String, u64>>) {
    let mut app = new_app(guarantee);
    let numbers = app.topic::<String, u64>("numbers");
    let tables = agents.iter().map(|(name, now)| with_agent(&mut app, numbers, name, *now)).collect();
    (app, numbers, tables)
}

/// Processes new events with an edition of the program, and returns how many each agent has counted
/// in total.
async fn run(
    scene: &Scene,
    (app, numbers, tables): (App, Topic<String, u64>, Vec<Table<String, u64>>),
    events: u64,
) -> Result<Vec<u64>, Box<dyn std::error::Error>> {
    let mut running = start(app, scene.config()).await?;
    let to = running.open(numbers);
    for number in 0..events {
        to.send(&format!("key-{number}"), &number).await?;
    }
    drain(&mut running).await?;
    let mut counted = Vec::new();
    for table in tables {
        counted.push(running.open(table.view()).iter().await?.into_iter().map(|(_, count)| count).sum());
    }
    stop(running).await?;
    Ok(counted)
}

/// Adds an agent whose table sorts before or after the others. If it sorts first, the group gets
/// another name.
#[tokio::test]
async fn n2_9_a_new_agent_begins_at_the_start() -> TestResult {
    for guarantee in GUARANTEES {
        for new in ["a", "z"] {
            let scene = Scene::new().await;
            assert_eq!(run(&scene, edition(guarantee, &[("m", false)]), 10).await?, [10]);
            // A drain waits for the new agent, although the group's position was at the end.
            let both = || edition(guarantee, &[("m", false), (new, false)]);
            assert_eq!(run(&scene, both(), 0).await?, [10, 10], "{guarantee:?} {new}");
            assert_eq!(run(&scene, both(), 5).await?, [15, 15], "{guarantee:?} {new}");
            // An agent that is renamed is new.
            let counted = run(&scene, edition(guarantee, &[("m", false), ("b", false)]), 5).await?;
            assert_eq!(counted, [20, 20], "{guarantee:?} {new}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn n2_9_a_new_agent_may_begin_now() -> TestResult {
    for guarantee in GUARANTEES {
        for new in ["a", "z"] {
            let scene = Scene::new().await;
            assert_eq!(run(&scene, edition(guarantee, &[("m", false)]), 10).await?, [10]);
            let both = || edition(guarantee, &[("m", false), (new, true)]);
            assert_eq!(run(&scene, both(), 5).await?, [15, 5], "{guarantee:?} {new}");
            assert_eq!(run(&scene, both(), 5).await?, [20, 10], "{guarantee:?} {new}");
            // `from_now` has no effect on an agent that has a place already.
            assert_eq!(run(&scene, edition(guarantee, &[("m", true), (new, false)]), 5).await?, [25, 15]);
        }
    }
    Ok(())
}

/// Crashes a worker as soon as its agents are open, before any event comes. The place where its new
/// agent begins is kept nevertheless.
#[tokio::test]
async fn n2_9_events_after_an_agents_beginning_are_not_lost() -> TestResult {
    for guarantee in GUARANTEES {
        let scene = Scene::new().await;
        let (first, numbers, _) = edition(guarantee, &[("m", false)]);
        let mut running = start(first, scene.config()).await?;
        running.open(numbers).send(&"key".to_owned(), &1).await?;
        drain(&mut running).await?;
        stop(running).await?;
        let config = scene.config_for_crashes().fixed_commit_interval(std::time::Duration::from_secs(3600));
        let running = start(edition(guarantee, &[("m", false), ("new", true)]).0, config).await?;
        drop(running);
        for _ in 0..3 {
            scene.produce("numbers", 1, Some(b"\"key\""), Some(b"7")).await;
        }
        let (app, _, tables) = edition(guarantee, &[("m", false), ("new", true)]);
        let mut running = start(app, scene.config_for_crashes()).await?;
        drain(&mut running).await?;
        let counted: u64 = running.open(tables[1].view()).iter().await?.into_iter().map(|(_, count)| count).sum();
        assert_eq!(counted, 3, "{guarantee:?}");
        stop(running).await?;
    }
    Ok(())
}

#[tokio::test]
async fn n2_9_a_group_by_begins_as_its_agent_does() -> TestResult {
    for (now, wanted) in [(false, 15), (true, 5)] {
        let scene = Scene::new().await;
        assert_eq!(run(&scene, edition(Guarantee::ExactlyOnce, &[("m", false)]), 10).await?, [10]);
        let (mut app, numbers, tables) = edition(Guarantee::ExactlyOnce, &[("m", false)]);
        let odd = app.table::<u64, u64>("odd");
        let seen = Arc::new(AtomicU64::new(0));
        let counted = seen.clone();
        let agent = app.agent("parity", numbers.group_by(|number| number % 2)).with(odd);
        let agent = if now { agent.from_now() } else { agent.from_start() };
        agent.each_event(async move |odd, event| {
            counted.fetch_add(1, Ordering::Relaxed);
            odd.update(event.key, |count| *count += 1);
            Ok(())
        });
        assert_eq!(run(&scene, (app, numbers, tables), 5).await?, [15]);
        assert_eq!(seen.load(Ordering::Relaxed), wanted, "from now: {now}");
    }
    Ok(())
}

/// Starts from the state of an older version of Marlowe, which kept no log of places. Agents that
/// its note does not name were at the group's position, whatever their names are.
#[tokio::test]
async fn n2_9_agents_of_an_older_marlowe_go_on_where_they_were() -> TestResult {
    let (scene, names) = (Scene::new().await, names(3));
    leave_one_behind(&scene, Guarantee::ExactlyOnce, &names).await?;
    scene.broker.delete_topic("places-counts-positions").await?;
    let third = scene.broker.committed(APP, &[at("numbers", 0)]).await?.remove(0).ok_or("no position")?.offset;
    let ahead = scene.broker.offsets("numbers", &[Partition::new(0)], marlowe_broker::OffsetSpec::Latest).await?[0];
    let metadata = format!("agent-0={ahead};agent-1={ahead}");
    set(&scene, &[(at("numbers", 0), CommittedOffset { offset: third, metadata })]).await;
    let counted = count(&scene, counters(Guarantee::ExactlyOnce, &names, None), 10..12).await?;
    assert_eq!(counted, [12, 12, 12]);
    Ok(())
}

/// Runs an older edition in between, because during a rolling deployment a shard may go back to a
/// worker of the previous edition.
#[tokio::test]
async fn n2_9_an_agent_keeps_its_place_while_an_older_edition_runs() -> TestResult {
    for guarantee in GUARANTEES {
        let scene = Scene::new().await;
        let both = || edition(guarantee, &[("m", false), ("z", false)]);
        assert_eq!(run(&scene, both(), 10).await?, [10, 10]);
        assert_eq!(run(&scene, edition(guarantee, &[("m", false)]), 5).await?, [15]);
        assert_eq!(run(&scene, both(), 5).await?, [20, 20], "{guarantee:?}");
    }
    Ok(())
}
