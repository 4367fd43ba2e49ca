//! Where in the source the last panic of a thread was: what is caught tells its text alone.

use std::backtrace::Backtrace;
use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Once;

use crate::panics::panic_message;
use crate::plain::plain_lines;

thread_local! {
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Notes the places of all panics of the process from now on, and lets them be printed as before. A program's panics are
/// its own affair: only [`App::main`](crate::App::main) does this, whose process is Marlowe's.
pub(crate) fn note() {
    static NOTING: Once = Once::new();
    NOTING.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let place = panic.location().map(|at| format!("{}:{}", at.file(), at.line()));
            // A panic while the thread ends has no place to be noted.
            let _ = PLACE.try_with(|noted| noted.replace(place));
            let text = panic_message(panic.payload());
            match plain_lines(&text) {
                Cow::Borrowed(_) => before(panic),
                // What a terminal would obey is not printed as it is.
                Cow::Owned(text) => {
                    let (thread, trace) = (std::thread::current(), Backtrace::capture());
                    let place = panic.location().map(|at| format!(" at {at}")).unwrap_or_default();
                    eprintln!("thread '{}' panicked{place}:\n{text}\n{trace}", thread.name().unwrap_or("<unnamed>"));
                }
            }
        }));
    });
}

/// Takes the place of this thread's last panic, where it was noted.
pub(crate) fn take() -> Option<String> {
    PLACE.with(RefCell::take)
}
