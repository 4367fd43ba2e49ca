use std::time::Instant;

/// The stretch that is measured, from the first quarter of the events to the last twentieth: to start, to have code compiled,
/// and to stop is not what is measured.
pub(crate) struct Stretch {
    /// Events that were done before it could begin.
    before: u64,
    events: u64,
    first: Option<Mark>,
    last: Option<Mark>,
}

/// How far a system was, and what it had used by then.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) at: Instant,
    pub(crate) done: u64,
    pub(crate) cpu_seconds: f64,
}

impl Stretch {
    /// Of a run over so many events.
    pub(crate) fn of(events: u64) -> Self {
        Self { before: 0, events, first: None, last: None }
    }

    /// Begins anew with what is left when so many are done.
    pub(crate) fn begin_after(&mut self, done: u64) {
        *self = Self { before: done, ..Self::of((self.before + self.events).saturating_sub(done)) };
    }

    /// Takes note of how far it is now.
    pub(crate) fn note(&mut self, mark: Mark) {
        let done = mark.done.saturating_sub(self.before);
        if self.first.is_none() && done >= self.events / 4 {
            self.first = Some(mark);
        } else if self.first.is_some() && self.last.is_none() && done >= self.events - self.events / 20 {
            self.last = Some(mark);
        }
    }

    /// Ends it only now, for events that went through a second stage: all are done.
    pub(crate) fn end(&mut self, mark: Mark) {
        self.last = Some(mark);
    }

    /// Whether it is under way.
    pub(crate) fn is_running(&self) -> bool {
        self.first.is_some() && self.last.is_none()
    }

    /// Events a second, and seconds of the processor for a million of them; `None` when half of them or more
    /// were done between two looks.
    pub(crate) fn figures(&self) -> Option<(f64, f64)> {
        let (first, last) = (self.first?, self.last?);
        let seconds = (last.at - first.at).as_secs_f64();
        let events = last.done.checked_sub(first.done).filter(|events| *events >= self.events / 2)? as f64;
        (seconds > 0.0).then(|| (events / seconds, (last.cpu_seconds - first.cpu_seconds) / events * 1e6))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Mark, Stretch};

    #[test]
    fn start_and_end_are_left_out() {
        let (begun, mut stretch) = (Instant::now(), Stretch::of(1000));
        for (second, done) in [(0, 0), (5, 40), (6, 260), (7, 500), (8, 960), (20, 1000)] {
            stretch.note(Mark { at: begun + Duration::from_secs(second), done, cpu_seconds: second as f64 / 2.0 });
        }
        let (speed, cpu) = stretch.figures().expect("it was seen");
        assert!((speed - 350.0).abs() < 1e-9, "{speed}");
        assert!((cpu - 1e6 / 700.0).abs() < 1e-6, "{cpu}");
    }

    #[test]
    fn what_was_done_before_it_began_is_left_out() {
        let (begun, mut stretch) = (Instant::now(), Stretch::of(1000));
        stretch.begin_after(600);
        for (second, done) in [(0, 610), (1, 700), (5, 980), (9, 1000)] {
            stretch.note(Mark { at: begun + Duration::from_secs(second), done, cpu_seconds: 0.0 });
        }
        let (speed, _) = stretch.figures().expect("it was seen");
        assert!((speed - 70.0).abs() < 1e-9, "{speed}");
    }

    #[test]
    fn what_was_done_at_one_look_has_no_speed() {
        let mut stretch = Stretch::of(1000);
        stretch.note(Mark { at: Instant::now(), done: 1000, cpu_seconds: 1.0 });
        assert_eq!(stretch.figures(), None);
    }
}
