//! Where in the source the last panic of a thread was: what is caught tells its text alone.

use std::cell::RefCell;
use std::sync::Once;

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
            before(panic);
        }));
    });
}

/// Takes the place of this thread's last panic, where it was noted.
pub(crate) fn take() -> Option<String> {
    PLACE.with(RefCell::take)
}
