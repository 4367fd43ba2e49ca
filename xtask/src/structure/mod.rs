//! `cargo xtask structure`: checks the imports, the names and the sizes of the source.
//!
//! No files of a crate may import each other in a circle, the modules of `marlowe` may import only
//! from floors below their own, no two types of a crate have one name, and files, folders and
//! functions have limits.
//!
//! The source is read as text, with `syn`. A path is followed through re-exports to the file that
//! defines what it names: `crate::table::Table` is an import of `src/table/handles.rs`. A re-export
//! alone is no import. Tests are left out.
//!
//! The floors stand in the table of `ARCHITECTURE.md`, and nowhere else.

mod circles;
mod floors;
mod imports;
mod modules;
mod names;
mod sizes;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::TaskResult;
use crate::cargo::root;
use floors::Floors;
use imports::Imports;
use modules::Modules;
use sizes::FolderLimits;

/// Checks for circles of files, imports that go up, names of several types, and what is too large.
#[derive(Args)]
pub(crate) struct Structure {
    /// Also list which file imports what, for a file whose path contains this.
    #[arg(long, value_name = "TEXT")]
    of: Option<String>,
}

impl Structure {
    pub(crate) fn run(&self) -> TaskResult {
        let mut faults = Vec::new();
        for source in sources()? {
            let modules = Modules::read(&root().join(&source))?;
            let imports = Imports::of(&modules);
            if let Some(text) = &self.of {
                imports.list(&modules, text);
            }
            for circle in circles::find(&imports) {
                let files: Vec<_> = circle.iter().map(|file| modules.path(*file)).collect();
                faults.push(format!("{}: a circle of {} files: {}", source.display(), files.len(), files.join(", ")));
                for (from, to, name) in imports.among(&circle) {
                    faults.push(format!("    {} imports {name} of {}", modules.path(from), modules.path(to)));
                }
            }
            faults.extend(names::check(&modules).into_iter().map(|fault| format!("{}: {fault}", source.display())));
            let limits = if source == Path::new("src") { FolderLimits::Apply } else { FolderLimits::None };
            faults.extend(
                sizes::check(&modules, limits).into_iter().map(|fault| format!("{}: {fault}", source.display())),
            );
            if source == Path::new("src") {
                let text = fs::read_to_string(root().join("ARCHITECTURE.md"));
                let text = text.map_err(|error| format!("ARCHITECTURE.md: {error}"))?;
                faults.extend(Floors::read(&text)?.check(&modules, &imports));
            }
        }
        if faults.is_empty() {
            println!("structure: no circle, no import that goes up, no name twice, nothing too large");
            return Ok(());
        }
        faults.iter().for_each(|fault| println!("{fault}"));
        Err(format!("the structure has {} faults", faults.iter().filter(|fault| !fault.starts_with(' ')).count()))
    }
}

/// Returns the `src` folders of `marlowe`, of the crates below it, and of the crates that test it.
fn sources() -> TaskResult<Vec<PathBuf>> {
    let mut sources = vec![PathBuf::from("src")];
    for folder in ["crates", "testing"] {
        let entries = fs::read_dir(root().join(folder)).map_err(|error| format!("{folder}: {error}"))?;
        let mut crates: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
        crates.sort();
        sources.extend(crates.into_iter().map(|name| Path::new(folder).join(name).join("src")));
    }
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a crate, and returns its modules.
    fn modules(name: &str, files: &[(&str, &str)]) -> Modules {
        let folder = std::env::temp_dir().join(format!("marlowe-structure-{}-{name}", std::process::id()));
        for (path, text) in files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap_or(&folder)).unwrap();
            fs::write(path, text).unwrap();
        }
        let modules = Modules::read(&folder).unwrap();
        fs::remove_dir_all(folder).unwrap();
        modules
    }

    /// Returns the circles of a crate, as paths.
    fn circles_of(modules: &Modules) -> Vec<Vec<String>> {
        let circles = circles::find(&Imports::of(modules));
        circles.iter().map(|circle| circle.iter().map(|file| modules.path(*file)).collect()).collect()
    }

    #[test]
    fn a_circle_is_found_through_reexports() {
        let modules = modules(
            "circle",
            &[
                ("lib.rs", "mod one;\nmod two;\npub use two::Two;"),
                ("one.rs", "use crate::Two;\npub struct One(Two);"),
                ("two/mod.rs", "mod inner;\npub use inner::Two;"),
                ("two/inner.rs", "pub struct Two;\nfn back() -> Option<crate::one::One> { None }"),
            ],
        );
        assert_eq!(circles_of(&modules), [["one.rs", "two/inner.rs"]]);
    }

    #[test]
    fn a_reexport_or_a_test_makes_no_circle() {
        let modules = modules(
            "none",
            &[
                ("lib.rs", "mod one;\nmod two;\npub use one::One;"),
                ("one.rs", "pub struct One;\n#[cfg(test)]\nmod tests { use crate::two::Two; }"),
                ("two.rs", "use super::One;\npub struct Two(One);"),
            ],
        );
        assert!(circles_of(&modules).is_empty());
    }

    #[test]
    fn an_import_that_goes_up_is_found() {
        let modules = modules(
            "floors",
            &[
                ("lib.rs", "mod low;\nmod high;\nmod lost;"),
                ("low.rs", "fn up() { let _ = crate::high::High; }"),
                ("high.rs", "pub struct High;"),
                ("lost.rs", ""),
            ],
        );
        let text = "| 1 | `marlowe::low` | down |\n| 2 | `marlowe::high`, `gone` | up |";
        let faults = Floors::read(text).unwrap().check(&modules, &Imports::of(&modules));
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(faults[0].contains("low.rs (floor 1) imports High of high.rs (floor 2)"), "{faults:?}");
    }

    #[test]
    fn a_name_of_two_types_is_found() {
        let modules = modules(
            "names",
            &[
                ("lib.rs", "mod one;\nmod two;"),
                ("one.rs", "struct Twice;\nstruct Once;\n#[cfg(test)]\nmod tests { struct Once; }"),
                ("two.rs", "mod inner { enum Twice {} }\n#[cfg(unix)]\nstruct Other;\n#[cfg(windows)]\nstruct Other;"),
            ],
        );
        assert_eq!(names::check(&modules), ["several types have the name `Twice`: in one.rs, two.rs"]);
    }
}
