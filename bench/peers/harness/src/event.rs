use std::io::Write;

/// How many users there are.
pub(crate) const USERS: u64 = 1000;

/// An event, as its numbers: somebody looked at a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// The page's number.
    pub(crate) page: u64,
    /// The user's number.
    pub(crate) user: u64,
    agent: u64,
}

impl Event {
    /// A page's key.
    pub(crate) fn page_key(page: u64) -> String {
        format!("page-{page:07}")
    }

    /// A user's key.
    pub(crate) fn user_key(user: u64) -> String {
        format!("user-{user:04}")
    }

    /// Writes its key and value; it is sent `at` so many microseconds since 1970.
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

/// Events with uniformly random keys, the same each time.
pub(crate) struct Events {
    state: u64,
    keys: u64,
}

impl Events {
    /// Those with so many keys; `seed` chooses which.
    pub(crate) fn new(keys: u64, seed: u64) -> Self {
        Self { state: 0x9e37_79b9_7f4a_7c15 ^ seed.wrapping_mul(0xd134_2543_de82_ef95), keys }
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        // xorshift64*
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let random = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16;
        // Of other bits than the page: else each page would have few users.
        Some(Event { page: random % self.keys, user: (random >> 24) % USERS, agent: random % 1_000_003 })
    }
}

#[cfg(test)]
mod tests {
    use super::Events;

    #[test]
    fn an_event_is_what_the_contract_says() {
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
    fn they_are_the_same_each_time_and_others_with_another_seed() {
        let draw = |seed| Events::new(100, seed).take(50).collect::<Vec<_>>();
        assert_eq!(draw(0), draw(0));
        assert_ne!(draw(0), draw(1));
    }
}
