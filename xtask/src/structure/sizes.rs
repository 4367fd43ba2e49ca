//! The sizes of files, folders and functions, which have limits.

use std::collections::BTreeMap;
use std::path::Path;

use proc_macro2::LineColumn;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{ImplItemFn, ItemFn};

use super::modules::Modules;

/// The most lines of a file.
const FILE: usize = 450;

/// The most files of a folder, and the most lines of all of them.
const FOLDER_FILES: usize = 16;
const FOLDER_LINES: usize = 2500;

/// The most lines of a function.
const FUNCTION: usize = 80;

/// The limits of a crate's folders. A small crate is one folder, and has none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FolderLimits {
    Apply,
    None,
}

/// Returns the files, folders and functions that are larger than their limits.
pub(super) fn check(modules: &Modules, limits: FolderLimits) -> Vec<String> {
    let mut faults = Vec::new();
    let mut folders = BTreeMap::<String, (usize, usize)>::new();
    for (file, _, items) in modules.files() {
        let (path, lines) = (modules.path(file), modules.lines(file));
        if lines > FILE {
            faults.push(format!("{path} has {lines} lines, and {FILE} are allowed"));
        }
        let folder = Path::new(&path).parent().map_or_else(String::new, |folder| folder.display().to_string());
        let (files, all) = folders.entry(folder).or_default();
        (*files, *all) = (*files + 1, *all + lines);
        let mut functions = Functions { path: &path, faults: &mut faults };
        items.iter().for_each(|item| functions.visit_item(item));
    }
    for (folder, (files, lines)) in folders {
        if limits == FolderLimits::Apply && (files > FOLDER_FILES || lines > FOLDER_LINES) {
            faults.push(format!(
                "folder `{folder}` has {files} files and {lines} lines, and {FOLDER_FILES} and {FOLDER_LINES} are allowed"
            ));
        }
    }
    faults
}

/// Finds functions that are too long.
struct Functions<'a> {
    path: &'a str,
    faults: &'a mut Vec<String>,
}

impl Functions<'_> {
    fn look(&mut self, name: &syn::Ident, begin: LineColumn, end: LineColumn) {
        let lines = end.line - begin.line + 1;
        if lines > FUNCTION {
            self.faults.push(format!("{}: `{name}` has {lines} lines, and {FUNCTION} are allowed", self.path));
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.look(&function.sig.ident, function.sig.span().start(), function.block.span().end());
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.look(&function.sig.ident, function.sig.span().start(), function.block.span().end());
        visit::visit_impl_item_fn(self, function);
    }
}
