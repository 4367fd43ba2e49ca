//! The place in the source of a thread's last panic. A panic that is caught has only its text.

use std::backtrace::Backtrace;
use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Once;

use crate::panics::panic_message;
use crate::plain::plain_lines;

thread_local! {
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Notes the places of all panics of the process from now on. Panics are printed as before. How a
/// program handles panics is its own concern, so only [`App::main`](crate::App::main) does this,
/// whose process is Marlowe's.
pub(crate) fn note() {
    static NOTING: Once = Once::new();
    NOTING.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let place = panic.location().map(|at| format!("{}:{}", at.file(), at.line()));
            // While the thread ends, `PLACE` may be gone already. The panic is then not noted.
            let _ = PLACE.try_with(|noted| noted.replace(place));
            let text = panic_message(panic.payload());
            match plain_lines(&text) {
                Cow::Borrowed(_) => before(panic),
                // A text that a terminal would obey is printed escaped.
                Cow::Owned(text) => {
                    let (thread, trace) = (std::thread::current(), Backtrace::capture());
                    let place = panic.location().map(|at| format!(" at {at}")).unwrap_or_default();
                    eprintln!("thread '{}' panicked{place}:\n{text}\n{trace}", thread.name().unwrap_or("<unnamed>"));
                }
            }
        }));
    });
}

/// Takes the place of this thread's last panic, if it was noted.
pub(crate) fn take() -> Option<String> {
    PLACE.with(RefCell::take)
}
