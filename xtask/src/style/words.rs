//! Words that have plainer ones.

use super::Fault;

/// A word or phrase, and what to write.
const WORDS: [(&str, &str); 10] = [
    ("anew", "again"),
    ("besides", "also"),
    ("taken for dead", "expelled"),
    ("takes for dead", "expels"),
    ("how-manieth", "number"),
    ("mend", "fix"),
    ("mends", "fixes"),
    ("mended", "fixed"),
    ("whosoever", "any caller that"),
    ("thereof", "of it"),
];

/// Finds them in comments of Rust, or in a whole document.
pub(super) fn check(text: &str, is_rust: bool, faults: &mut Vec<Fault>) {
    for (index, line) in text.lines().enumerate() {
        let read = match (is_rust, line.find("//")) {
            (true, None) => continue,
            // Not `://`, and not the inside of a text.
            (true, Some(comment)) if line[..comment].matches('"').count() % 2 == 0 => &line[comment..],
            (true, Some(_)) => continue,
            (false, _) => line,
        };
        let read = read.to_lowercase();
        for (word, plain) in WORDS {
            if has_word(&read, word) {
                faults.push(Fault { line: index + 1, reason: format!("`{word}`: write `{plain}`") });
            }
        }
    }
}

fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    text.match_indices(word)
        .any(|(at, _)| !is_part(text[..at].chars().next_back()) && !is_part(text[at + word.len()..].chars().next()))
}
