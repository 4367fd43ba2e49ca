//! Tests of the simulation itself: a seed gives the same run each time, and each fault does to
//! workers what its name says.

use std::time::Duration;

use marlowe::sim::{Cluster, Faults, Simulation, Trace};
use marlowe::topology::TopologyError;
use marlowe::{App, RunError, Table, Topic};

fn lists() -> (App, Topic<String, u64>, Table<String, Vec<u64>>) {
    let mut app = App::new("lists");
    app.partitions(4);
    let numbers = app.topic::<String, u64>("numbers");
    let lists = app.table::<String, Vec<u64>>("lists");
    app.agent("append", numbers).with(lists).each_event(async |lists, event| {
        lists.update(event.key, |all| all.push(event.value));
        Ok(())
    });
    (app, numbers, lists)
}

/// Feeds numbers while faults happen, and checks that each was appended once, in order.
fn run(cluster: Cluster, faults: Faults) -> Trace {
    cluster.workers(3).run(async |sim| {
        let (_, numbers, lists) = lists();
        let (numbers, view, chance) = (sim.open(numbers), sim.open(lists.view()), sim.chance());
        let feed = async {
            let mut sent = vec![Vec::new(); 10];
            for number in 0..200u64 {
                let key = chance.number(0..10) as usize;
                numbers.send(&format!("key-{key}"), &number).await.unwrap();
                sent[key].push(number);
                sim.elapse(chance.time(Duration::from_millis(1)..Duration::from_millis(100))).await;
            }
            sent
        };
        let (sent, ()) = tokio::join!(feed, sim.disturb(faults, Duration::from_secs(10)));
        sim.settle().await;
        for (key, sent) in sent.into_iter().enumerate() {
            let found = view.get(&*format!("key-{key}")).await.unwrap().unwrap_or_default();
            assert_eq!(found, sent, "key-{key}");
        }
        sim.trace().clone()
    })
}

fn cluster(seed: u64) -> Cluster {
    Cluster::new(seed, || lists().0)
}

#[test]
fn the_same_seed_gives_the_same_run_line_by_line() {
    for seed in 0..20 {
        let on = |disk: bool| if disk { cluster(seed).on_disk() } else { cluster(seed) };
        let [first, second] = [(), ()].map(|()| run(on(seed % 4 == 0), Faults::ALL).lines());
        for (number, (first, second)) in first.iter().zip(&second).enumerate() {
            assert_eq!(first, second, "seed {seed}, line {number}");
        }
        assert_eq!(first.len(), second.len(), "seed {seed}");
    }
    let digests: Vec<u64> = (0..3).map(|seed| run(cluster(seed), Faults::ALL).digest()).collect();
    assert!(digests[0] != digests[1] && digests[1] != digests[2], "and others give others: {digests:?}");
}

#[test]
fn each_kind_of_fault_happens_and_harms_no_count() {
    let happens = |faults: Faults, what: &str| {
        // At a fixed interval, more work waits for a commit when a fault happens.
        let interval = Duration::from_millis(100);
        let cluster = |seed| cluster(seed).on_disk().configure(move |config| config.fixed_commit_interval(interval));
        let runs = (0..5).map(|seed| run(cluster(seed), faults).lines());
        let happened = runs.into_iter().any(|lines| lines.iter().any(|line| line.contains(what)));
        assert!(happened, "`{what}` does not happen with {faults:?}");
    };
    happens(Faults::CRASHES, "crashes");
    happens(Faults::CRASHES, "loses its store");
    happens(Faults::CRASHES, "its machine lost power");
    happens(Faults::PAUSES, "goes on");
    happens(Faults::PAUSES, "its disk is slow");
    happens(Faults::PAUSES, "was fenced");
    happens(Faults::REBALANCES, "has stopped");
    happens(Faults::NETWORK, "no answer, Unanswered");
    happens(Faults::NETWORK, "no answer, Lost");
    happens(Faults::NETWORK, "is away");
    let calm = run(cluster(0), Faults::NONE).lines();
    let wrong = ["fenced", "no answer", "has stopped", "is away", "stands still"];
    assert!(!calm.iter().any(|line| wrong.iter().any(|what| line.contains(what))), "{calm:?}");
}

#[test]
fn a_worker_that_stands_still_is_expelled_and_comes_back() {
    cluster(1).workers(2).run(async |sim| {
        let (_, numbers, lists) = lists();
        let (numbers, view) = (sim.open(numbers), sim.open(lists.view()));
        let send = async |from: u64| {
            for number in from..from + 20 {
                numbers.send(&format!("key-{}", number % 5), &number).await.unwrap();
            }
        };
        send(0).await;
        sim.elapse(Duration::from_secs(1)).await;
        sim.pause(0);
        send(20).await;
        sim.elapse(Duration::from_secs(10)).await;
        for key in 0..5 {
            let list = view.get(&*format!("key-{key}")).await.unwrap().unwrap_or_default();
            assert_eq!(list.len(), 8, "the other has all shards by now");
        }
        sim.resume(0);
        send(40).await;
        sim.settle().await;
        for key in 0..5u64 {
            let wanted: Vec<u64> = (0..60).filter(|number| number % 5 == key).collect();
            assert_eq!(view.get(&*format!("key-{key}")).await.unwrap(), Some(wanted));
        }
    });
}

#[test]
fn hours_pass_in_no_time_and_timers_fire_when_they_are_due() {
    let build = || {
        let mut app = App::new("hours");
        app.partitions(1);
        let ticks = app.table::<String, u64>("ticks");
        let chimes = app.global_table::<String, u64>("chimes").merge(|all, one| *all += one);
        app.partition_timer("tick", Duration::from_secs(60)).with(ticks).run(async |ticks| {
            ticks.update("tick", |count| *count += 1);
            Ok(())
        });
        app.crontab("chime", "0 * * * *", "UTC").on_leader().with(chimes.inbox()).run(async |chimes| {
            chimes.send("chime", 1).await?;
            Ok(())
        });
        (app, ticks, chimes)
    };
    Cluster::new(0, move || build().0).run(async |sim: &Simulation| {
        let (_, ticks, chimes) = build();
        sim.elapse(Duration::from_secs(2 * 3600 + 30)).await;
        let ticks = sim.open(ticks.view()).get("tick").await.unwrap();
        assert_eq!((ticks, sim.open_on(0, chimes).unwrap().get("chime")), (Some(2 * 60), Some(2)));
    });
}

/// Fires as Kafka Streams' wall-clock punctuators do: once after a gap, and next when the timer
/// would have fired without the gap.
#[test]
fn after_a_standstill_a_timer_fires_once_and_keeps_its_rhythm() {
    let build = || {
        let mut app = App::new("standstill");
        app.partitions(1);
        let ticks = app.table::<String, u64>("ticks");
        let told = app.global_table::<String, u64>("told").merge(|all, one| *all += one);
        app.partition_timer("tick", Duration::from_secs(60)).with(ticks).run(async |ticks| {
            ticks.update("tick", |count| *count += 1);
            Ok(())
        });
        app.timer("tell", Duration::from_secs(60)).with(told.inbox()).run(async |told| {
            told.send("tell", 1).await?;
            Ok(())
        });
        (app, ticks, told)
    };
    let minute = Duration::from_secs(60);
    // The long session keeps the worker from being expelled while it stands still.
    let cluster = Cluster::new(0, move || build().0).configure(move |config| config.session_timeout(600 * minute));
    cluster.run(async |sim: &Simulation| {
        let (_, ticks, told) = build();
        let fired = async || {
            let ticks = sim.open(ticks.view()).get("tick").await.unwrap().unwrap_or_default();
            (ticks, sim.open_on(0, told).unwrap().get("tell").unwrap_or_default())
        };
        sim.elapse(10 * minute + minute / 2).await;
        let before = fired().await;
        assert_eq!(before, (10, 10));
        sim.pause(0);
        sim.elapse(100 * minute).await;
        sim.resume(0);
        sim.elapse(Duration::from_secs(10)).await;
        assert_eq!(fired().await, (11, 11), "one firing for a hundred that were missed");
        sim.elapse(3 * minute).await;
        assert_eq!(fired().await, (14, 14));
    });
}

/// Guards against a bug that the simulation found. A partition timer that was due while an event
/// was in flight kept the thread busy until the event ended. In a simulation, no time passes then.
#[test]
fn time_passes_while_a_timer_is_due_and_an_event_is_in_hand() {
    let build = || {
        let mut app = App::new("due");
        app.partitions(1);
        let slow = app.topic::<String, u64>("slow");
        let done = app.table::<String, u64>("done");
        app.agent("slow", slow).with(done).each_event(async |done, event| {
            tokio::time::sleep(Duration::from_secs(event.value)).await;
            done.insert(event.key, event.value);
            Ok(())
        });
        app.partition_timer("often", Duration::from_millis(10)).with(done).run(async |_| Ok(()));
        (app, slow, done)
    };
    let (over, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        Cluster::new(0, move || build().0).run(async |sim: &Simulation| {
            let (_, slow, done) = build();
            sim.open(slow).send(&"key".to_owned(), &60).await.unwrap();
            sim.elapse(Duration::from_secs(70)).await;
            assert_eq!(sim.open(done.view()).get("key").await.unwrap(), Some(60));
        });
        over.send(()).unwrap();
    });
    // The run takes milliseconds, or for ever.
    ended.recv_timeout(Duration::from_secs(60)).expect("no time passes, or it is not done");
}

#[test]
fn an_edition_that_does_not_start_leaves_the_old_one_running() {
    let (_, numbers, table) = lists();
    cluster(7).workers(3).run(async |sim| {
        let edition = || {
            let (mut app, _, table) = lists();
            let more = app.topic::<String, u64>("more").partitions(5);
            app.agent("more", more).with(table).each(async |_, _| Ok(()));
            app
        };
        sim.stop(0).await;
        let refused = sim.start_with(0, edition()).await;
        assert!(matches!(refused, Err(RunError::Topology(TopologyError::NotCopartitioned { .. }))), "{refused:?}");
        assert_eq!(sim.running(), 2);
        sim.open(numbers).send(&"k".to_owned(), &7).await.unwrap();
        sim.settle().await;
        assert_eq!(sim.running(), 3);
        assert_eq!(sim.open(table.view()).get("k").await.unwrap(), Some(vec![7]));
    });
}

#[test]
fn a_clock_that_is_set_is_that_of_one_worker() {
    const BEHIND: i64 = 90 * 60 * 1000;
    fn times() -> (App, Topic<String, u64>, Table<String, i64>) {
        let mut app = App::new("times");
        let numbers = app.topic::<String, u64>("numbers");
        let times = app.table::<String, i64>("times");
        app.agent("keep", numbers).with(times).each_event(async |times, event| {
            times.insert(event.key, event.timestamp.millis());
            Ok(())
        });
        (app, numbers, times)
    }
    Cluster::new(1, || times().0).workers(2).run(async |sim| {
        let (_, numbers, times) = times();
        sim.set_clock(1, -BEHIND);
        let [right, behind] = [0, 1].map(|number| sim.open_on(number, numbers).unwrap());
        right.send(&"right".to_owned(), &1).await.unwrap();
        behind.send(&"behind".to_owned(), &1).await.unwrap();
        // The clock is still wrong when its worker comes back.
        sim.crash(1).await;
        sim.start(1).await;
        sim.open_on(1, numbers).unwrap().send(&"again".to_owned(), &1).await.unwrap();
        sim.settle().await;
        sim.open_on(1, numbers).unwrap().send(&"settled".to_owned(), &1).await.unwrap();
        sim.settle().await;
        let view = sim.open(times.view());
        let mut seen = Vec::new();
        for key in ["right", "behind", "again", "settled"] {
            seen.push(view.get(key).await.unwrap().unwrap());
        }
        let ahead: Vec<i64> = seen.iter().map(|time| (time - seen[0] + BEHIND / 2).div_euclid(BEHIND)).collect();
        assert_eq!(ahead, [0, -1, -1, 0], "{seen:?}");
    });
}
