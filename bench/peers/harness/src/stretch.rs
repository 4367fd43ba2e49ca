//! The part of a run that is measured.

use std::time::Instant;

/// The part of a run that is measured: from the first quarter of the events to the last twentieth.
/// Starting, compiling at run time, and stopping are left out.
pub(crate) struct Stretch {
    /// The events that were done before the stretch could begin.
    before: u64,
    events: u64,
    first: Option<Mark>,
    last: Option<Mark>,
}

/// The progress of a system at a moment, and the processor time that it had used by then.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) at: Instant,
    pub(crate) done: u64,
    pub(crate) cpu_seconds: f64,
}

impl Stretch {
    /// Creates the stretch of a run over `events` events.
    pub(crate) fn of(events: u64) -> Self {
        Self { before: 0, events, first: None, last: None }
    }

    /// Begins again with the events that are left when `done` are done.
    pub(crate) fn begin_after(&mut self, done: u64) {
        *self = Self { before: done, ..Self::of((self.before + self.events).saturating_sub(done)) };
    }

    /// Notes the progress at a moment.
    pub(crate) fn note(&mut self, mark: Mark) {
        let done = mark.done.saturating_sub(self.before);
        if self.first.is_none() && done >= self.events / 4 {
            self.first = Some(mark);
        } else if self.first.is_some() && self.last.is_none() && done >= self.events - self.events / 20 {
            self.last = Some(mark);
        }
    }

    /// Ends the stretch at `mark`, when all events have also passed a second stage.
    pub(crate) fn end(&mut self, mark: Mark) {
        self.last = Some(mark);
    }

    /// Returns whether the stretch has begun and not ended yet.
    pub(crate) fn is_running(&self) -> bool {
        self.first.is_some() && self.last.is_none()
    }

    /// Returns the events per second, and the processor time per million events in seconds. Returns
    /// `None` if the stretch has fewer than half of the events, because too many were done between
    /// two looks.
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
    fn events_done_before_the_begin_are_left_out() {
        let (begun, mut stretch) = (Instant::now(), Stretch::of(1000));
        stretch.begin_after(600);
        for (second, done) in [(0, 610), (1, 700), (5, 980), (9, 1000)] {
            stretch.note(Mark { at: begun + Duration::from_secs(second), done, cpu_seconds: 0.0 });
        }
        let (speed, _) = stretch.figures().expect("it was seen");
        assert!((speed - 70.0).abs() < 1e-9, "{speed}");
    }

    #[test]
    fn events_done_at_one_look_have_no_speed() {
        let mut stretch = Stretch::of(1000);
        stretch.note(Mark { at: Instant::now(), done: 1000, cpu_seconds: 1.0 });
        assert_eq!(stretch.figures(), None);
    }
}
