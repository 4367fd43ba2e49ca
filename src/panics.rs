//! The text of a panic.

use std::any::Any;

/// Returns a text that says that the user's code panicked, and with which message.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    format!("the handler panicked: {}", panic_message(panic))
}

/// Returns the message of a panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "without a message".to_owned())
}
