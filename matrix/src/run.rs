use std::sync::Arc;
use std::time::Duration;

use marlowe::Read;
use marlowe::sim::{Cluster, Simulation, Trace};

use crate::check::{Seen, Truth};
use crate::program::{ALWAYS, Declared, Input, List, Notes, declare};
use crate::shape::Shape;

/// What a run was.
pub struct Ran {
    /// What happened.
    pub trace: Trace,
    /// How much time passed in it.
    pub simulated: Duration,
}

/// How long the faults last.
const DISTURBED: Duration = Duration::from_secs(12);

/// Runs what a seed says, and checks it.
///
/// # Panics
/// When something is not as it must be.
pub fn run(shape: &Shape) -> Ran {
    let notes = Arc::new(Notes::default());
    let (of_app, of_notes) = (shape.clone(), notes.clone());
    let cluster = Cluster::new(shape.seed, move || declare(&of_app, &of_notes).0).workers(shape.workers);
    let (lanes, interval, standbys) = (shape.lanes, shape.commit_interval, shape.standbys);
    let cluster =
        cluster.configure(move |config| config.lanes(lanes).commit_interval(interval).standby_replicas(standbys));
    let cluster = if shape.on_disk { cluster.on_disk() } else { cluster };
    cluster.run(async |sim| {
        let (_, declared) = declare(shape, &notes);
        let reading = read_on(sim, shape, &declared);
        let work = async { tokio::join!(feed(sim, shape, &declared), sim.disturb(shape.faults.faults(), DISTURBED)).0 };
        let mut seen = Seen::default();
        let fed = tokio::select! {
            biased;
            fed = work => fed,
            never = reading.run(&mut seen) => match never {},
        };
        notes.no_more();
        sim.settle().await;
        let sent = notes.acknowledged();
        let truth = Truth::collect(sim, shape, &declared, fed).await;
        truth.check(shape, &sent, &seen);
        Ran { trace: sim.trace().clone(), simulated: sim.elapsed() }
    })
}

/// Feeds the events; returns them with their keys, in order.
async fn feed(sim: &Simulation, shape: &Shape, declared: &Declared) -> Vec<(String, Input)> {
    let (inputs, chance) = (sim.open(declared.inputs), sim.chance());
    let longest = Duration::from_micros(2 * DISTURBED.as_micros() as u64 / shape.events);
    let mut fed = Vec::new();
    for id in 0..shape.events {
        let key = format!("k{}", chance.number(0..shape.keys));
        let other = format!("x{}", chance.number(0..shape.keys));
        let fails = match shape.has_failures.then(|| chance.number(0..40)) {
            Some(0) => ALWAYS,
            Some(1..4) => 1 + chance.number(0..2) as u32,
            _ => 0,
        };
        let input = Input { id, other, fails };
        if let Err(error) = inputs.send(&key, &input).await {
            panic!("an event was not taken: {error}");
        }
        fed.push((key, input));
        sim.elapse(chance.time(Duration::from_micros(1)..longest)).await;
    }
    fed
}

/// Someone who reads views all the time.
struct Reading<'a> {
    sim: &'a Simulation,
    shape: &'a Shape,
    declared: Declared,
}

fn read_on<'a>(sim: &'a Simulation, shape: &'a Shape, declared: &Declared) -> Reading<'a> {
    Reading { sim, shape, declared: *declared }
}

impl Reading<'_> {
    async fn run(self, seen: &mut Seen) -> std::convert::Infallible {
        if !self.shape.has_readers {
            std::future::pending::<()>().await;
        }
        let chance = marlowe::sim::Chance::of_seed(self.shape.seed ^ 0x5eed);
        let outside = self.sim.open(self.declared.table.view()).within(Duration::from_secs(2));
        loop {
            self.sim.elapse(chance.time(Duration::from_millis(5)..Duration::from_millis(200))).await;
            let key = format!("k{}", chance.number(0..self.shape.keys));
            let number = chance.number(0..self.shape.workers as u64) as usize;
            let there = self.sim.open_on(number, self.declared.table.view());
            let who = there.is_some().then(|| (number, self.sim.starts_of(number)));
            let view = there.map_or_else(|| outside.clone(), |view| view.within(Duration::from_secs(2)));
            // Nobody may have the row at the moment.
            if let Ok(Read { value, position, .. }) = view.read(&*key).await
                && !self.shape.has_unfenced_zombies()
            {
                seen.row(who, &key, value.unwrap_or_default(), position);
            }
            if let Some(global) = self.sim.open_on(number, self.declared.global)
                && let Ok(value) = global.try_get(&*key)
            {
                seen.copy(&key, value.unwrap_or_default() as List);
            }
        }
    }
}
