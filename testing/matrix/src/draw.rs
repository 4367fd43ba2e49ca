//! Drawing a shape from a seed, and making a shape that fails smaller.

use std::time::Duration;

use proptest::bool::weighted;
use proptest::sample::select;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::shape::{FaultKind, Reading, Shape};

/// A shape that a seed draws, and that can become smaller.
pub struct Drawn(Box<dyn ValueTree<Value = Shape>>);

/// Returns a strategy for all shapes, which simplifies towards the smallest ones.
fn shapes(seed: u64) -> impl Strategy<Value = Shape> {
    let cluster = (
        select(vec![1, 3, 5]),
        weighted(0.3),
        weighted(0.25),
        select(FaultKind::ALL.to_vec()),
        1..7u32,
        1..3usize,
        weighted(0.25),
        select(vec![100_000, 8, 2]),
        select(vec![100, 20, 400]),
    );
    let first =
        (1..20u64, 20..250u64, select(vec![Reading::Each, Reading::Stream, Reading::Concurrent]), weighted(0.5));
    let others = (
        weighted(0.4),
        weighted(0.5),
        weighted(0.5),
        weighted(0.4),
        weighted(0.4),
        weighted(0.4),
        weighted(0.6),
        weighted(0.3),
        weighted(0.3),
        weighted(0.3),
        weighted(0.3),
        weighted(0.5),
    );
    (cluster, first, others).prop_map(move |(cluster, first, others)| {
        let (workers, on_disk, at_least_once, faults, partitions, lanes, stands_by, cache_rows, commit_millis) =
            cluster;
        let (keys, events, reading, has_failures) = first;
        let (
            has_second_agent,
            sends_to_others,
            changes_global,
            regroups,
            has_partition_timer,
            has_timers,
            has_readers,
            has_calls,
            has_writers,
            forgets_removals,
            has_fixed_interval,
            has_transactional_outputs,
        ) = others;
        Shape {
            seed,
            workers,
            on_disk,
            exactly_once: !at_least_once,
            faults,
            partitions,
            lanes,
            standbys: usize::from(stands_by),
            cache_rows,
            commit_interval: Duration::from_millis(commit_millis),
            has_fixed_interval,
            keys,
            events,
            reading,
            has_second_agent,
            sends_to_others,
            changes_global,
            regroups,
            has_partition_timer,
            has_timers,
            has_failures,
            has_readers,
            has_calls,
            has_writers: has_writers || forgets_removals,
            forgets_removals,
            has_transactional_outputs,
        }
    })
}

impl Drawn {
    /// Draws the shape of a seed.
    pub fn of(seed: u64) -> Self {
        let bytes = [seed.to_le_bytes(); 4].concat();
        let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
        let tree = shapes(seed).new_tree(&mut runner);
        Self(Box::new(tree.unwrap_or_else(|reason| panic!("no shape can be drawn: {reason}"))))
    }

    /// Returns the shape.
    pub fn shape(&self) -> Shape {
        self.0.current()
    }

    /// Returns the smallest shape that still fails, found within `tries` tries.
    pub fn shrink(mut self, tries: u32, mut fails: impl FnMut(&Shape) -> bool) -> Shape {
        let mut smallest = self.shape();
        let mut changed = self.0.simplify();
        for _ in 0..tries {
            if !changed {
                break;
            }
            let shape = self.shape();
            changed = match fails(&shape) {
                true => {
                    smallest = shape;
                    self.0.simplify()
                }
                false => self.0.complicate(),
            };
        }
        smallest
    }
}

impl Shape {
    /// Returns the shape of a seed.
    pub fn of(seed: u64) -> Self {
        Drawn::of(seed).shape()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_seed_draws_its_own_shape_each_time() {
        for seed in 0..100 {
            assert_eq!(Shape::of(seed), Shape::of(seed));
            assert_ne!(Shape::of(seed), Shape { seed, ..Shape::of(seed + 1) });
        }
    }

    #[test]
    fn shrinking_leaves_out_what_does_not_matter() {
        let fails = |shape: &Shape| shape.workers >= 3 && shape.has_timers && shape.events >= 60;
        let mut shrunk = 0;
        for seed in (0..100).filter(|seed| fails(&Shape::of(*seed))) {
            let Shape { workers, events, has_timers, faults, has_readers, on_disk, keys, .. } =
                Drawn::of(seed).shrink(500, fails);
            assert_eq!((workers, events, has_timers), (3, 60, true), "seed {seed}");
            assert_eq!((faults, has_readers, on_disk, keys), (FaultKind::None, false, false, 1), "seed {seed}");
            shrunk += 1;
        }
        assert!(shrunk > 0);
    }
}
