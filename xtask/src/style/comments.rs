//! Checks of the comments of a Rust file: its header, the first words of docs, the lengths of
//! lines, and the names of tests.

use super::Fault;

/// The most columns of a line that is a comment.
const COLUMNS: usize = 100;

/// The most characters of a test's name.
const TEST_NAME: usize = 60;

/// Words that begin a clause where the name of a thing, or a verb, should stand.
const CLAUSES: [&str; 8] = ["That", "Who", "Whose", "What", "Whether", "Of", "Whoever", "Whatever"];

pub(super) fn check(text: &str, faults: &mut Vec<Fault>) {
    let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!"));
    if !first.is_some_and(|line| line.starts_with("//!")) {
        faults.push(Fault { line: 1, reason: "the file does not begin with `//!` and what it is".into() });
    }
    let mut doc: Option<(usize, String)> = None;
    let mut in_attribute = false;
    let mut is_test = false;
    for (index, line) in text.lines().enumerate() {
        let (number, line_trimmed) = (index + 1, line.trim_start());
        if line_trimmed.starts_with("//")
            && line.chars().count() > COLUMNS
            && !line.contains("http")
            && !is_table(line_trimmed)
        {
            faults.push(Fault { line: number, reason: format!("a comment of more than {COLUMNS} columns") });
        }
        if let Some(words) = line_trimmed.strip_prefix("///") {
            doc.get_or_insert_with(|| (number, words.trim().to_owned()));
            continue;
        }
        if line_trimmed.starts_with("#[") || in_attribute {
            is_test |= line_trimmed.starts_with("#[test]") || line_trimmed.contains("::test");
            in_attribute = !line_trimmed.ends_with(']');
            continue;
        }
        let item = Item::of(line_trimmed);
        if let (Some((line, words)), Some(item)) = (&doc, &item) {
            faults.extend(first_words(words, item).map(|reason| Fault { line: *line, reason }));
        }
        if let (true, Some(Item::Function(name))) = (is_test, &item)
            && name.len() > TEST_NAME
        {
            faults.push(Fault { line: number, reason: format!("a test's name of more than {TEST_NAME} characters") });
        }
        doc = None;
        is_test = false;
    }
}

fn is_table(comment: &str) -> bool {
    comment.trim_start_matches(['/', '!', ' ']).starts_with('|')
}

/// The item that a doc comment describes.
enum Item<'a> {
    Function(&'a str),
    Other,
}

impl<'a> Item<'a> {
    fn of(line: &'a str) -> Option<Self> {
        const BEFORE: [&str; 5] = ["async ", "const ", "unsafe ", "extern \"C\" ", "default "];
        if line.is_empty() || line.starts_with("//") {
            return None;
        }
        let mut rest = line;
        if let Some(after) = rest.strip_prefix("pub") {
            rest = match after.strip_prefix('(') {
                Some(inside) => inside.split_once(") ").map_or(inside, |(_, after)| after),
                None => after.trim_start(),
            };
        }
        let const_item = rest;
        while let Some(after) = BEFORE.iter().find_map(|word| rest.strip_prefix(word)) {
            rest = after;
        }
        match rest.strip_prefix("fn ") {
            Some(after) => Some(Self::Function(after.split(['(', '<']).next().unwrap_or_default())),
            None if const_item.is_empty() => None,
            None => Some(Self::Other),
        }
    }
}

fn first_words(words: &str, item: &Item<'_>) -> Option<String> {
    let first = words.split_whitespace().next().unwrap_or_default();
    let plain = first.trim_end_matches([',', '.', ':']);
    if CLAUSES.contains(&plain) || words.starts_with("The same") {
        return Some(format!("a doc comment that begins with `{plain}`"));
    }
    let is_verb = plain.ends_with('s') && plain.chars().all(|c| c.is_alphabetic() || c == '-');
    match item {
        Item::Function(name) if !is_verb => {
            Some(format!("the doc comment of `{name}` does not begin with a verb, as `Returns`: `{plain}`"))
        }
        _ => None,
    }
}
