//! Some seeds of the matrix, which are part of every test run. `cargo xtask sim` runs more.

use std::time::Duration;

use marlowe_matrix::{FaultKind, Reading, Shape, run};

fn seeds(all: std::ops::Range<u64>) {
    for seed in all {
        let ran = run(&Shape::of(seed));
        assert!(ran.simulated.as_secs() > 0);
    }
}

#[test]
fn seeds_0_to_40() {
    seeds(0..40);
}

#[test]
fn seeds_40_to_80() {
    seeds(40..80);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in [3, 8, 21, 55] {
        let [first, second] = [(), ()].map(|()| run(&Shape::of(seed)).trace.lines());
        assert_eq!(first, second, "seed {seed}");
    }
}

/// Runs shapes that each failed once.
#[test]
fn shapes_that_failed_once() {
    let calm = Shape {
        seed: 0,
        workers: 1,
        on_disk: false,
        exactly_once: true,
        faults: FaultKind::None,
        partitions: 6,
        lanes: 2,
        standbys: 0,
        cache_rows: 100_000,
        commit_interval: Duration::from_millis(400),
        has_fixed_interval: true,
        keys: 15,
        events: 248,
        reading: Reading::Each,
        has_second_agent: false,
        sends_to_others: false,
        changes_global: true,
        regroups: true,
        has_partition_timer: true,
        has_timers: false,
        has_failures: false,
        has_readers: false,
        has_calls: false,
        has_writers: false,
        forgets_removals: false,
        has_transactional_outputs: false,
    };
    // A partition timer that was due during an event kept its thread busy, so no time passed.
    run(&calm);
    // It was unknown whether a changelog was repaired, and the worker ended.
    run(&Shape {
        seed: 27,
        on_disk: true,
        exactly_once: false,
        faults: FaultKind::Network,
        partitions: 4,
        lanes: 1,
        standbys: 1,
        cache_rows: 2,
        commit_interval: Duration::from_millis(20),
        events: 155,
        reading: Reading::Concurrent,
        regroups: false,
        ..calm
    });
    // A restore skipped records that ran ahead of the positions it knew. These positions were
    // outdated by then, but the restore saved its place after the skipped records.
    run(&Shape {
        seed: 74633,
        workers: 3,
        on_disk: true,
        exactly_once: false,
        faults: FaultKind::All,
        partitions: 5,
        lanes: 1,
        standbys: 0,
        commit_interval: Duration::from_millis(100),
        keys: 7,
        events: 135,
        reading: Reading::Each,
        changes_global: false,
        regroups: false,
        has_partition_timer: false,
        has_failures: true,
        ..calm
    });
    // It was unknown whether the dead letter of a refused event was committed. It was, but the next
    // event was condemned instead.
    run(&Shape {
        seed: 12987,
        workers: 5,
        on_disk: true,
        faults: FaultKind::All,
        partitions: 1,
        standbys: 1,
        commit_interval: Duration::from_millis(100),
        keys: 1,
        events: 238,
        reading: Reading::Stream,
        has_second_agent: true,
        has_partition_timer: false,
        has_timers: true,
        has_failures: true,
        ..calm
    });
    // An expelled worker was asked again after its successor had given the shard back.
    run(&Shape {
        seed: 36703,
        workers: 3,
        on_disk: true,
        exactly_once: true,
        faults: FaultKind::Pauses,
        partitions: 3,
        lanes: 1,
        standbys: 0,
        commit_interval: Duration::from_millis(100),
        keys: 1,
        events: 34,
        reading: Reading::Each,
        changes_global: false,
        regroups: false,
        has_partition_timer: false,
        has_timers: true,
        has_readers: true,
        ..calm
    });
    // The same happened to a view that waits for a change.
    run(&Shape {
        seed: 33000,
        workers: 3,
        on_disk: false,
        exactly_once: true,
        faults: FaultKind::All,
        partitions: 1,
        lanes: 1,
        standbys: 1,
        commit_interval: Duration::from_millis(400),
        keys: 1,
        events: 20,
        reading: Reading::Each,
        changes_global: false,
        regroups: false,
        has_partition_timer: false,
        has_writers: true,
        ..calm
    });
    // A worker was restarted while a reader from before the restart had a copy of a global table
    // open.
    run(&Shape {
        seed: 35541,
        workers: 3,
        on_disk: true,
        exactly_once: true,
        faults: FaultKind::All,
        partitions: 3,
        lanes: 2,
        standbys: 0,
        commit_interval: Duration::from_millis(20),
        keys: 16,
        events: 23,
        reading: Reading::Stream,
        changes_global: true,
        regroups: false,
        has_partition_timer: false,
        sends_to_others: true,
        has_timers: true,
        has_failures: true,
        has_readers: true,
        ..calm
    });
    // A refused record was blamed on another agent, because two ways of numbering agents were
    // confused.
    run(&Shape {
        seed: 98,
        workers: 3,
        faults: FaultKind::Crashes,
        partitions: 2,
        commit_interval: Duration::from_millis(20),
        keys: 19,
        events: 243,
        reading: Reading::Concurrent,
        sends_to_others: true,
        regroups: false,
        has_partition_timer: false,
        has_failures: true,
        has_calls: true,
        ..calm
    });
    // A timer's commit ended the shard's caution for an event that had finished since. This
    // happened a thousand times.
    run(&Shape {
        seed: 1254,
        workers: 5,
        partitions: 1,
        standbys: 1,
        cache_rows: 2,
        commit_interval: Duration::from_millis(100),
        keys: 9,
        events: 144,
        reading: Reading::Stream,
        regroups: false,
        has_timers: true,
        has_failures: true,
        has_readers: true,
        ..calm
    });
    // With at least once, a worker whose session had expired wrote a record. Compaction dropped the
    // owner's record because of it.
    run(&Shape {
        seed: 572,
        workers: 3,
        on_disk: true,
        exactly_once: false,
        faults: FaultKind::Pauses,
        partitions: 4,
        lanes: 1,
        cache_rows: 2,
        commit_interval: Duration::from_millis(100),
        keys: 12,
        events: 140,
        has_second_agent: true,
        sends_to_others: true,
        changes_global: false,
        regroups: false,
        has_partition_timer: false,
        has_readers: true,
        has_writers: true,
        forgets_removals: true,
        ..calm
    });
    // A worker stood still while its copy of a global table asked the broker for the ends of its
    // changelog. When it went on, the copy was moved to an end behind tombstones that were gone.
    // It showed a removed row until the next look.
    run(&Shape {
        seed: 14548,
        workers: 5,
        on_disk: true,
        faults: FaultKind::All,
        partitions: 4,
        lanes: 1,
        commit_interval: Duration::from_millis(100),
        keys: 1,
        events: 20,
        regroups: false,
        has_writers: true,
        forgets_removals: true,
        ..calm
    });
}
