//! `cargo xtask style`: checks of the language of comments and documents that a program can make.
//!
//! `CONTRIBUTING.md` says how this project writes. This checks the first words of doc comments, the
//! header of each file, the length of comment lines, words that have plainer ones, and the length
//! of test names.

mod comments;
mod words;

use std::fs;
use std::path::Path;
use std::process::Command;

use clap::Args;

use crate::TaskResult;
use crate::cargo::root;

/// Checks the language of comments and documents.
#[derive(Args)]
pub(crate) struct Style {
    /// Only check files whose path begins with one of these.
    paths: Vec<String>,
    /// Print how many faults each folder has, instead of the faults.
    #[arg(long)]
    summary: bool,
}

/// A place where the text is not as it should be.
pub(crate) struct Fault {
    /// The line, from 1.
    line: usize,
    reason: String,
}

impl Style {
    pub(crate) fn run(&self) -> TaskResult {
        let mut count = 0;
        let mut folders = std::collections::BTreeMap::<String, usize>::new();
        for file in files()? {
            if !self.paths.is_empty() && !self.paths.iter().any(|path| file.starts_with(path.as_str())) {
                continue;
            }
            let text = fs::read_to_string(root().join(&file)).map_err(|error| format!("{file}: {error}"))?;
            let faults = check(&file, &text);
            count += faults.len();
            if self.summary {
                let folder = Path::new(&file).parent().map_or_else(String::new, |folder| folder.display().to_string());
                *folders.entry(folder).or_default() += faults.len();
            } else {
                faults.iter().for_each(|Fault { line, reason }| println!("{file}:{line}: {reason}"));
            }
        }
        folders.iter().filter(|(_, count)| **count > 0).for_each(|(folder, count)| println!("{count:5} {folder}"));
        if count == 0 {
            println!("style: nothing to say");
            return Ok(());
        }
        Err(format!("the language has {count} faults; CONTRIBUTING.md says how this project writes"))
    }
}

/// Returns the Rust files and documents that are tracked, or new and not ignored.
fn files() -> TaskResult<Vec<String>> {
    let listed = Command::new("git")
        .current_dir(root())
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs", "*.md"])
        .output()
        .map_err(|error| format!("git does not run: {error}"))?;
    let mut files: Vec<_> = String::from_utf8_lossy(&listed.stdout).lines().map(str::to_owned).collect();
    files.retain(|file| root().join(file).exists());
    files.sort();
    Ok(files)
}

fn check(file: &str, text: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    // Programs that must not compile: the compiler's messages have their lines' numbers.
    if file.ends_with(".rs") && !file.starts_with("testing/misuse/tests/misuse/") {
        comments::check(text, &mut faults);
    }
    words::check(text, file.ends_with(".rs"), &mut faults);
    faults.sort_by_key(|fault| fault.line);
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(text: &str) -> Vec<String> {
        check("a.rs", text).into_iter().map(|Fault { line, reason }| format!("{line}: {reason}")).collect()
    }

    #[test]
    fn plain_text_passes() {
        let text = "//! A thing.\n\n/// A thing, of which there is one.\npub struct Thing;\n\n/// Opens it.\n#[must_use]\npub fn open() {}\n";
        assert!(reasons(text).is_empty(), "{:?}", reasons(text));
    }

    #[test]
    fn a_file_begins_with_what_it_is() {
        assert_eq!(reasons("pub struct Thing;\n").len(), 1);
    }

    #[test]
    fn a_function_is_described_by_what_it_does() {
        for first in ["That it is open.", "Whether it is open.", "A thing that is open.", "The same, closed."] {
            let text = format!("//! A thing.\n\n/// {first}\nfn open() {{}}\n");
            assert_eq!(reasons(&text).len(), 1, "{first}");
        }
    }

    #[test]
    fn a_type_is_no_clause() {
        for first in ["What is open.", "Who opens it.", "Of the open ones."] {
            let text = format!("//! A thing.\n\n/// {first}\nstruct Thing;\n");
            assert_eq!(reasons(&text).len(), 1, "{first}");
        }
    }

    #[test]
    fn long_comments_and_odd_words_are_found() {
        let long = "a ".repeat(60);
        let said = reasons(&format!("//! A thing.\n\n// {long}\nfn f() {{}}\n// it begins anew\n"));
        assert!(said.len() == 2 && said[0].starts_with("3: ") && said[1].contains("`again`"), "{said:?}");
        assert!(reasons("//! A thing.\nconst ANEW: &str = \"an unbesides word\";\n").is_empty());
    }
}
