//! Random faults: which ones occur, when, and when they end.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use marlowe_broker::{Partition, TopicPartition};
use tokio::time::Instant;

use super::faults::Faults;
use super::network::{OldPositions, Weather};
use super::simulation::Simulation;

/// A fault that has occurred.
enum Wrong {
    /// A fault that lasts for some time.
    For(Duration, Repair),
    /// A clean stop of a worker. It takes as long as the worker needs.
    Stops(usize),
}

/// The end of a fault.
enum Repair {
    Start(usize),
    Resume(usize),
    Calm,
    Broker,
    Disk(usize),
    Positions,
}

/// The probability that a clock is set in a turn, in thousandths.
const CLOCK_IS_SET: u64 = 150;

/// The furthest that a clock is behind and ahead, in milliseconds. The broker refuses records that
/// are an hour ahead.
const BEHIND: i64 = 2 * 60 * 60 * 1000;
const AHEAD: i64 = 30 * 60 * 1000;

/// The number of past states of the group's positions that are remembered. The coordinator may hand
/// out one of them again.
const REMEMBERED: usize = 8;

impl Simulation {
    /// Causes faults at random for the time `time`. Some may still last afterwards:
    /// [`settle`](Self::settle) ends them.
    pub async fn disturb(&self, faults: Faults, time: Duration) {
        let until = Instant::now() + time;
        let session = self.base.session_timeout;
        let mut repairs: Vec<(Instant, Repair)> = Vec::new();
        let mut remembered = VecDeque::new();
        // Workers that are starting or stopping. Those that stop are started later.
        let mut moving: FuturesUnordered<LocalBoxFuture<'_, Option<usize>>> = FuturesUnordered::new();
        loop {
            let next = Instant::now() + self.chance.time(Duration::from_millis(20)..Duration::from_millis(1500));
            repairs.sort_by_key(|(at, _)| *at);
            let due = repairs.first().map_or(next, |(at, _)| *at);
            tokio::select! {
                biased;
                Some(moved) = moving.next() => {
                    if let Some(number) = moved {
                        let after = self.chance.time(Duration::from_millis(1)..session);
                        repairs.push((Instant::now() + after, Repair::Start(number)));
                    }
                    continue;
                }
                () = tokio::time::sleep_until(due.min(next).min(until)) => {}
            }
            if Instant::now() >= until {
                break;
            }
            self.look_after_failed();
            if due <= Instant::now() && !repairs.is_empty() {
                match repairs.remove(0).1 {
                    Repair::Start(number) => moving.push(Box::pin(async move {
                        self.start(number).await;
                        None
                    })),
                    Repair::Resume(number) => self.resume(number),
                    Repair::Calm => self.network.set_weather(Weather::Calm),
                    Repair::Broker => self.network.set_broker(true),
                    Repair::Disk(number) => self.fast_disk(number),
                    Repair::Positions => self.network.set_old_positions(None),
                }
                continue;
            }
            if faults.old_positions {
                remembered.push_front(self.positions().await);
                remembered.truncate(REMEMBERED);
            }
            if faults.clocks && self.clock_chance.happens(CLOCK_IS_SET) {
                let number = self.clock_chance.number(0..self.cluster.workers as u64) as usize;
                let ahead = self.clock_chance.number(0..(BEHIND + AHEAD) as u64) as i64 - BEHIND;
                self.set_clock(number, ahead);
            }
            match self.wrong(faults, session, &remembered).await {
                Some(Wrong::For(after, repair)) => repairs.push((Instant::now() + after, repair)),
                Some(Wrong::Stops(number)) => moving.push(Box::pin(async move {
                    self.stop(number).await;
                    Some(number)
                })),
                None => {}
            }
        }
        // Workers that start or stop need the broker.
        self.network.set_old_positions(None);
        self.network.set_weather(Weather::Calm);
        self.network.set_broker(true);
        while moving.next().await.is_some() {}
    }

    /// Causes a random fault.
    async fn wrong(&self, faults: Faults, session: Duration, remembered: &VecDeque<OldPositions>) -> Option<Wrong> {
        let kinds = [
            (faults.crashes, 'c'),
            (faults.pauses, 'p'),
            (faults.rebalances, 'r'),
            (faults.slow_disks && self.cluster.is_on_disk, 'd'),
            (faults.network, 'n'),
            (faults.broker, 'b'),
            (faults.old_positions, 'o'),
        ];
        let kinds: Vec<char> = kinds.into_iter().filter(|(may, _)| *may).map(|(_, kind)| kind).collect();
        if kinds.is_empty() {
            return None;
        }
        let number = self.chance.number(0..self.cluster.workers as u64) as usize;
        let is_up = self.is_up(number);
        let millis = Duration::from_millis;
        match *self.chance.one_of(&kinds) {
            'c' if is_up => {
                match self.chance.number(0..100) {
                    0..30 if faults.lost_stores => self.crash_without_store(number).await,
                    30..60 if faults.lost_power => self.lose_power(number).await,
                    _ => self.crash(number).await,
                }
                Some(Wrong::For(self.chance.time(millis(1)..session * 2), Repair::Start(number)))
            }
            'p' if is_up => {
                self.pause(number);
                Some(Wrong::For(self.chance.time(millis(10)..session * 3), Repair::Resume(number)))
            }
            'r' if is_up => Some(Wrong::Stops(number)),
            'd' => {
                self.slow_disk(number);
                Some(Wrong::For(self.chance.time(millis(500)..millis(5000)), Repair::Disk(number)))
            }
            'n' => {
                self.trace.note("network", "is rough");
                self.network.set_weather(Weather::Rough);
                Some(Wrong::For(self.chance.time(millis(100)..millis(3000)), Repair::Calm))
            }
            'b' => {
                self.trace.note("broker", "is away");
                self.network.set_broker(false);
                Some(Wrong::For(self.chance.time(millis(50)..session), Repair::Broker))
            }
            'o' => {
                self.trace.note("broker", "hands out old positions");
                let chosen = self.chance.number(0..remembered.len() as u64) as usize;
                self.network.set_old_positions(remembered.get(chosen).cloned());
                Some(Wrong::For(self.chance.time(millis(100)..session * 2), Repair::Positions))
            }
            _ => None,
        }
    }

    /// Returns the group's positions in all topics that its members read. Anchors are left out,
    /// because nobody reads them.
    async fn positions(&self) -> OldPositions {
        let topics = self.broker.topics().await.unwrap_or_else(|error| panic!("{error}"));
        let read = topics.into_iter().filter(|topic| !topic.name.ends_with("-anchor"));
        let partitions: Vec<TopicPartition> = read
            .flat_map(|topic| {
                Partition::all(topic.partitions).map(move |each| TopicPartition::new(topic.name.clone(), each))
            })
            .collect();
        let committed = self.broker.committed(&self.app, &partitions).await;
        let committed = committed.unwrap_or_else(|error| panic!("{error}"));
        partitions.into_iter().zip(committed).collect()
    }
}
