//! The events that the harness sends, and the random numbers behind them.

use std::io::Write;

use serde::Serialize;

use crate::zipf::Zipf;

/// The number of users.
pub(crate) const USERS: u64 = 1000;

/// A view of a page by a user, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// The page's number.
    pub(crate) page: u64,
    /// The user's number.
    pub(crate) user: u64,
    agent: u64,
}

impl Event {
    /// Returns the key of a page.
    pub(crate) fn page_key(page: u64) -> String {
        format!("page-{page:07}")
    }

    /// Returns the key of a user.
    pub(crate) fn user_key(user: u64) -> String {
        format!("user-{user:04}")
    }

    /// Writes the key and the value. `at` is the time of sending, in microseconds since 1970.
    pub(crate) fn write(&self, at: u64, key: &mut Vec<u8>, value: &mut Vec<u8>) {
        let Self { page, user, agent } = self;
        key.clear();
        value.clear();
        // Writing to memory does not fail.
        let _ = write!(key, "page-{page:07}");
        let _ = write!(
            value,
            r#"{{"page":"page-{page:07}","user":"user-{user:04}","at":{at},"agent":"Mozilla/5.0 (bench; {agent:032})"}}"#
        );
    }
}

/// The distribution of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Draw {
    /// All keys are equally frequent.
    Uniform,
    /// A few keys are very frequent and most are rare, as real keys are: the k-th key is 1/k times
    /// as frequent as the first.
    Zipf,
}

impl Draw {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Draw::Uniform => "uniform",
            Draw::Zipf => "zipf",
        }
    }
}

/// Events with random keys. The same arguments give the same events.
pub(crate) struct Events {
    random: Random,
    keys: u64,
    zipf: Option<Zipf>,
}

impl Events {
    /// Returns events with `keys` keys, all equally frequent. `seed` selects the events.
    pub(crate) fn new(keys: u64, seed: u64) -> Self {
        Self::drawn(Draw::Uniform, keys, seed)
    }

    /// Returns events with `keys` keys, distributed as `draw` says.
    pub(crate) fn drawn(draw: Draw, keys: u64, seed: u64) -> Self {
        Self { random: Random::new(seed), keys, zipf: (draw == Draw::Zipf).then(|| Zipf::of(keys)) }
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let random = self.random.bits();
        let page = match self.zipf {
            // Frequent pages should not be neighbours.
            Some(zipf) => scattered(zipf.draw(|| self.random.unit()) - 1, self.keys),
            None => random % self.keys,
        };
        // The user follows from other bits than the page. Otherwise each page would have few users.
        Some(Event { page, user: (random >> 24) % USERS, agent: random % 1_000_003 })
    }
}

/// Returns a page for each `number` below `keys`: a different one for each, in no particular order.
pub(crate) fn scattered(number: u64, keys: u64) -> u64 {
    // This is a prime, so that each page occurs once.
    const STEP: u64 = 7_368_787;
    number * STEP % keys
}

/// A generator of random numbers: xorshift64*.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(0x9e37_79b9_7f4a_7c15 ^ seed.wrapping_mul(0xd134_2543_de82_ef95))
    }

    /// Returns 48 random bits.
    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// Returns a number from 0 to 1, without 1.
    pub(crate) fn unit(&mut self) -> f64 {
        self.bits() as f64 / (1u64 << 48) as f64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Draw, Events, scattered};

    #[test]
    fn an_event_follows_the_contract() {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let event = super::Event { page: 1234, user: 456, agent: 456 };
        event.write(1_700_000_000_000_000, &mut key, &mut value);
        assert_eq!(key, b"page-0001234");
        let expected = concat!(
            r#"{"page":"page-0001234","user":"user-0456","at":1700000000000000,"#,
            r#""agent":"Mozilla/5.0 (bench; 00000000000000000000000000000456)"}"#
        );
        assert_eq!(String::from_utf8(value).as_deref(), Ok(expected));
    }

    #[test]
    fn events_follow_from_the_seed() {
        for draw in [Draw::Uniform, Draw::Zipf] {
            let events = |seed| Events::drawn(draw, 100, seed).take(50).collect::<Vec<_>>();
            assert_eq!(events(0), events(0));
            assert_ne!(events(0), events(1));
        }
    }

    #[test]
    fn scattered_pages_are_all_pages() {
        assert_eq!((0..1000).map(|number| scattered(number, 1000)).collect::<BTreeSet<_>>(), (0..1000).collect());
    }
}
