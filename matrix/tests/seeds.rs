//! Some seeds of the matrix, with every test run. `cargo xtask sim` runs more.

use marlowe_matrix::{Shape, run};

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

/// Each of these once failed.
#[test]
fn seeds_that_failed_once() {
    // A partition timer that was due while an event was in hand kept its thread busy: no time passed.
    run(&Shape::of(0));
    // Nobody knew whether a changelog was repaired, and the worker ended.
    run(&Shape::of(27));
}
