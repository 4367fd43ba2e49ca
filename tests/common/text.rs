//! Checks of messages.

/// Asserts that `text` has each of `parts`.
#[track_caller]
pub(crate) fn assert_names(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}
