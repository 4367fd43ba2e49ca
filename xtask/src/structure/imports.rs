//! Which file uses what of which other file.

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{ItemMod, ItemUse, Macro};

use super::modules::{FileId, Module, Modules, Named, is_reexport, unfold};

/// The imports of a crate's files from each other.
pub(super) struct Imports {
    files: usize,
    /// By file and imported file: a name that is imported, for messages.
    names: BTreeMap<(FileId, FileId), String>,
}

impl Imports {
    pub(super) fn of(modules: &Modules) -> Self {
        let mut imports = Self { files: 0, names: BTreeMap::new() };
        for (file, module, items) in modules.files() {
            imports.files += 1;
            let mut reader = Reader { modules, file, module, imports: &mut imports };
            items.iter().for_each(|item| reader.visit_item(item));
        }
        imports
    }

    /// Returns the number of files.
    pub(super) fn files(&self) -> usize {
        self.files
    }

    /// Returns each import: who imports, of whom, and a name.
    pub(super) fn all(&self) -> impl Iterator<Item = (FileId, FileId, &str)> {
        self.names.iter().map(|((from, to), name)| (*from, *to, name.as_str()))
    }

    /// Returns the imports between files of a circle.
    pub(super) fn among(&self, circle: &[FileId]) -> Vec<(FileId, FileId, &str)> {
        self.all().filter(|(from, to, _)| circle.contains(from) && circle.contains(to)).collect()
    }

    /// Prints the imports of files whose path contains `text`.
    pub(super) fn list(&self, modules: &Modules, text: &str) {
        for (from, to, name) in self.all().filter(|(from, ..)| modules.path(*from).contains(text)) {
            println!("{} imports {name} of {}", modules.path(from), modules.path(to));
        }
    }
}

/// Reads the paths of a file.
struct Reader<'a> {
    modules: &'a Modules,
    file: FileId,
    module: Module,
    imports: &'a mut Imports,
}

impl Reader<'_> {
    fn path(&mut self, path: &[String]) {
        if let Some(Named::Item(to)) = self.modules.resolve(self.module, path)
            && to != self.file
        {
            let name = path.last().cloned().unwrap_or_default();
            self.imports.names.entry((self.file, to)).or_insert(name);
        }
    }

    /// Reads what looks like a path in a macro's arguments.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) if path.is_empty() || colons == 2 => {
                    path.push(name.to_string());
                    colons = 0;
                    continue;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() && colons < 2 => {
                    colons += 1;
                    continue;
                }
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(name) => {
                    self.path(&std::mem::replace(&mut path, vec![name.to_string()]));
                    colons = 0;
                    continue;
                }
                _ => {}
            }
            self.path(&std::mem::take(&mut path));
            colons = 0;
        }
        self.path(&path);
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_use(&mut self, used: &'ast ItemUse) {
        if is_reexport(&used.vis) {
            return;
        }
        let mut paths = Vec::new();
        unfold(&used.tree, &mut Vec::new(), &mut |path, _| paths.push(path));
        paths.iter().for_each(|path| self.path(path));
    }

    fn visit_item_mod(&mut self, declared: &'ast ItemMod) {
        let Some((_, items)) = &declared.content else { return };
        let Some(inner) = self.modules.child(self.module, &declared.ident.to_string()) else { return };
        let outer = std::mem::replace(&mut self.module, inner);
        items.iter().for_each(|item| self.visit_item(item));
        self.module = outer;
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.path(&names);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        self.visit_path(&called.path);
        self.tokens(called.tokens.clone());
    }
}
