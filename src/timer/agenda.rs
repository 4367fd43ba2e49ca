//! The times at which a crontab is due, by a clock that may be set, run slow or fast, or stand
//! still.

use std::time::Duration;

use marlowe_broker::{Clock, Timestamp};
use tokio::time::Instant;

use super::crontab::Crontab;

/// The longest time between two looks at the clock, because the clock may be set.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The most stretches of time that are remembered as over. There is one, and one more for each time
/// that the clock was set forward or the process stood still.
const STRETCHES: usize = 32;

/// The runs of a crontab: one for each time that it names. The clock may be set back or forward,
/// run slow or fast, or have stood still with the process. If several times have passed unseen,
/// only the last one has a run.
pub(crate) struct Agenda {
    times: Crontab,
    /// The clock's time at the last look.
    looked: Timestamp,
    /// Stretches of time, each from its first to its last moment, in order. Named times in them
    /// have had their run.
    over: Vec<(Timestamp, Timestamp)>,
    reading: ClockReading,
    /// The first named time after the last look. Until then there is nothing to do.
    next: Option<Timestamp>,
}

/// A reading of the clock, and when it was taken. If the clock stands still, as a test's does, the
/// time goes on from the reading as tokio's does.
struct ClockReading {
    clock: Timestamp,
    at: Instant,
}

impl ClockReading {
    fn of(clock: &dyn Clock) -> Self {
        Self { clock: clock.now(), at: Instant::now() }
    }

    fn now(&mut self, clock: &dyn Clock) -> Timestamp {
        if clock.now() != self.clock {
            *self = Self::of(clock);
        }
        Timestamp::from_millis(self.clock.millis().saturating_add(self.at.elapsed().as_millis() as i64))
    }
}

impl Agenda {
    /// Begins an agenda now. Times before now are over.
    pub(crate) fn begin(times: Crontab, clock: &dyn Clock) -> Self {
        let reading = ClockReading::of(clock);
        let now = reading.clock;
        let next = times.next_time(now);
        Self { times, looked: now, over: vec![(now, now)], reading, next }
    }

    /// Waits until a named time has come, and returns it.
    pub(crate) async fn next(&mut self, clock: &dyn Clock) -> Timestamp {
        loop {
            let now = self.reading.now(clock);
            if let Some(named) = self.due(now) {
                return named;
            }
            let wait = self.next.map_or(LOOK_EVERY, |next| {
                Duration::from_millis(next.millis().saturating_sub(now.millis()).max(0).unsigned_abs())
            });
            tokio::time::sleep(wait.clamp(Duration::from_millis(1), LOOK_EVERY)).await;
        }
    }

    /// Returns the last time that was named since the last look and has had no run.
    fn due(&mut self, now: Timestamp) -> Option<Timestamp> {
        if self.looked <= now && self.next.is_none_or(|next| now < next) {
            let from = std::mem::replace(&mut self.looked, now);
            self.pass(from, now);
            return None;
        }
        // A clock that was set back goes through a stretch of time again.
        let from = self.looked.min(now);
        self.looked = now;
        let named = self.last_named(from, now);
        let missed = named.is_some_and(|named| self.last_named(from, just_before(named)).is_some());
        // Missed times are not over. If the clock was wrong only for a moment, it comes to them
        // later at the right time.
        let since = if missed { named.unwrap_or(from) } else { from };
        self.pass(since, now);
        self.next = self.times.next_time(now);
        named
    }

    /// Returns the last named time that is after `from`, not after `to`, and not over.
    fn last_named(&self, from: Timestamp, to: Timestamp) -> Option<Timestamp> {
        let mut to = to;
        loop {
            let named = self.times.last_until(to).filter(|named| *named > from)?;
            match self.over.iter().find(|(first, last)| *first <= named && named <= *last) {
                Some((first, _)) => to = just_before(*first),
                None => return Some(named),
            }
        }
    }

    /// Notes that the time from `first` to `last` is over.
    fn pass(&mut self, first: Timestamp, last: Timestamp) {
        let (mut first, mut last) = (first, last);
        self.over.retain(|(other_first, other_last)| {
            let apart = *other_last < first || last < *other_first;
            if !apart {
                first = first.min(*other_first);
                last = last.max(*other_last);
            }
            apart
        });
        let place = self.over.partition_point(|(other, _)| *other < first);
        self.over.insert(place, (first, last));
        if self.over.len() > STRETCHES {
            self.over.remove(0);
        }
    }
}

fn just_before(time: Timestamp) -> Timestamp {
    Timestamp::from_millis(time.millis() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::SetClock;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    /// Returns the times that have a run if the clock shows `looks` one after the other.
    fn runs(times: &str, zone: &str, looks: &[&str]) -> Vec<String> {
        let clock = SetClock::new(at(looks[0]));
        let mut agenda = Agenda::begin(Crontab::parse(times, zone).unwrap(), &clock);
        let run = looks[1..].iter().filter_map(|look| agenda.due(at(look)));
        run.map(|named| jiff::Timestamp::from_millisecond(named.millis()).unwrap().to_string()).collect()
    }

    /// Returns `count` looks at a clock, one per minute from `first` on.
    fn minutes(first: &str, count: i64) -> Vec<String> {
        let first = at(first).millis();
        (0..count).map(|n| jiff::Timestamp::from_millisecond(first + n * 60_000 + 3).unwrap().to_string()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn n3_5_a_clock_that_is_set_back_runs_nothing_again() {
        let looks = ["2026-03-01T12:59:59Z", "2026-03-01T13:00:00.002Z", "2026-03-01T12:59:59.701Z"];
        let looks =
            [&looks[..], &["2026-03-01T13:00:00.002Z", "2026-03-01T13:01:00Z", "2026-03-01T12:00:30Z"]].concat();
        let looks = [&looks[..], &["2026-03-01T12:01:00Z", "2026-03-01T13:01:30Z", "2026-03-01T13:02:01Z"]].concat();
        // 12:01 was before the program began, and 13:01 has had its run. The times between them
        // were skipped by the clock.
        let wanted = ["2026-03-01T13:00:00Z", "2026-03-01T13:01:00Z", "2026-03-01T12:01:00Z", "2026-03-01T12:59:00Z"];
        let wanted = [&wanted[..], &["2026-03-01T13:02:00Z"]].concat();
        assert_eq!(runs("* * * * *", "UTC", &looks), wanted);
    }

    #[tokio::test(start_paused = true)]
    async fn n3_5_of_times_that_passed_unseen_the_last_has_a_run() {
        let looks = ["2026-03-01T12:00:30Z", "2026-03-04T08:15:10Z", "2026-03-04T08:15:11Z", "2026-03-04T08:16:00Z"];
        assert_eq!(runs("* * * * *", "UTC", &looks), ["2026-03-04T08:15:00Z", "2026-03-04T08:16:00Z"]);
        let looks = ["2026-03-01T12:00:30Z", "2026-03-01T20:00:00Z", "2026-03-02T20:00:00Z"];
        assert_eq!(runs("0 4 * * *", "UTC", &looks), ["2026-03-02T04:00:00Z"]);
    }

    #[tokio::test(start_paused = true)]
    async fn n3_5_a_clock_far_ahead_for_a_moment_prevents_no_run() {
        let looks = ["2026-03-01T03:59:00Z", "2027-03-01T03:00:00Z", "2026-03-01T03:59:01Z", "2026-03-01T04:00:00Z"];
        let wanted = ["2027-02-28T04:00:00Z", "2026-03-01T04:00:00Z"];
        assert_eq!(runs("0 4 * * *", "UTC", &looks), wanted);
    }

    #[tokio::test(start_paused = true)]
    async fn n3_5_a_daily_time_runs_once_over_summer_time_both_ways() {
        let run = |first: &str| {
            let looks = minutes(first, 6 * 60);
            runs("30 2 * * *", "Europe/Berlin", &looks.iter().map(String::as_str).collect::<Vec<_>>())
        };
        // In spring there is no half past two. It runs when that hour would have begun. In autumn
        // there are two.
        assert_eq!(run("2026-03-28T23:00:00Z"), ["2026-03-29T01:00:00Z"]);
        assert_eq!(run("2026-10-24T22:00:00Z"), ["2026-10-25T00:30:00Z"]);
    }

    #[tokio::test(start_paused = true)]
    async fn n3_5_a_clock_that_runs_slow_or_fast_is_followed() {
        for speed in [0.5, 2.0] {
            let begin = at("2026-03-01T12:59:50Z").millis();
            let clock = std::sync::Arc::new(SetClock::new(Timestamp::from_millis(begin)));
            let moved = clock.clone();
            let started = Instant::now();
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    let passed = started.elapsed().as_millis() as f64 * speed;
                    moved.set(Timestamp::from_millis(begin + passed as i64));
                }
            });
            let mut agenda = Agenda::begin(Crontab::parse("* * * * *", "UTC").unwrap(), &*clock);
            for minute in 0..3 {
                let named = agenda.next(&*clock).await;
                assert_eq!(named.millis(), begin + 10_000 + minute * 60_000);
                let late = clock.now().millis() - named.millis();
                assert!((-20..100).contains(&late), "{late} ms late at speed {speed}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn n3_5_a_clock_that_is_set_forward_is_noticed_soon() {
        let clock = std::sync::Arc::new(SetClock::new(at("2026-03-01T12:00:10Z")));
        let mut agenda = Agenda::begin(Crontab::parse("0 4 * * *", "UTC").unwrap(), &*clock);
        let set = clock.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            set.set(at("2026-03-02T04:00:00.500Z"));
        });
        let began = Instant::now();
        assert_eq!(agenda.next(&*clock).await, at("2026-03-02T04:00:00Z"));
        assert!(began.elapsed() < Duration::from_secs(7), "{:?}", began.elapsed());
    }
}
