//! Escaping of text from elsewhere (keys, values, messages of other workers and of brokers) for
//! terminals and logs. Its control characters could move the cursor, change what was written
//! before, or make one line look like several.

use std::borrow::Cow;
use std::fmt::Write;

/// Returns the text with its control characters escaped, as in `\n` and `\u{1b}`.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    escaped(text, |character| !character.is_control())
}

/// Returns the text with its control characters escaped, except for line breaks and tabs. Use it
/// for texts of several lines.
pub(crate) fn plain_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |character| !character.is_control() || matches!(character, '\n' | '\t'))
}

/// Returns the text escaped as by [`plain_lines`], except for the styles that `paint` makes.
pub(crate) fn plain_painted(text: &str) -> Cow<'_, str> {
    const STYLES: [&str; 4] = ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[36m"];
    if !text.contains('\x1b') {
        return plain_lines(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\x1b') {
        let (before, from) = rest.split_at(at);
        out.push_str(&plain_lines(before));
        let style = STYLES.into_iter().find(|style| from.starts_with(style));
        match style {
            Some(style) => out.push_str(style),
            None => out.push_str("\\u{1b}"),
        }
        rest = &from[style.map_or(1, str::len)..];
    }
    out.push_str(&plain_lines(rest));
    out.into()
}

/// Returns JSON with all control characters in its texts escaped. JSON itself requires this only
/// for the first 32.
pub(crate) fn plain_json(json: &str) -> Cow<'_, str> {
    if !json.chars().any(|character| matches!(character, '\u{7f}'..='\u{9f}')) {
        return json.into();
    }
    let mut out = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        match character {
            // Writing to a string does not fail.
            '\u{7f}'..='\u{9f}' => drop(write!(out, "\\u{:04x}", character as u32)),
            other => out.push(other),
        }
    }
    out.into()
}

fn escaped(text: &str, is_plain: impl Fn(char) -> bool) -> Cow<'_, str> {
    if text.chars().all(&is_plain) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_plain(character) {
            out.push(character);
        } else {
            out.extend(character.escape_default());
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        assert_eq!(plain("häuser — 家"), "häuser — 家");
        assert_eq!(plain("a\x1b[2J\r\nb\t\x07\x7f\u{9b}c"), "a\\u{1b}[2J\\r\\nb\\t\\u{7}\\u{7f}\\u{9b}c");
        assert_eq!(plain_lines("a\nb\x1b]0;x\x07"), "a\nb\\u{1b}]0;x\\u{7}");
    }

    #[test]
    fn styles_stay_and_nothing_else() {
        assert_eq!(plain_painted("\x1b[36mname\x1b[0m \x1b[2J\x1b"), "\x1b[36mname\x1b[0m \\u{1b}[2J\\u{1b}");
        assert_eq!(plain_painted("none"), "none");
    }

    #[test]
    fn json_stays_what_it_was() {
        let json = serde_json::to_string("a\u{9b}\u{7f}\x1b\"ü").unwrap();
        let plain = plain_json(&json);
        assert!(!plain.chars().any(char::is_control), "{plain}");
        assert_eq!(serde_json::from_str::<String>(&plain).unwrap(), "a\u{9b}\u{7f}\x1b\"ü");
    }
}
