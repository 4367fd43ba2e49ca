//! The modules of a crate: which file each is, and what it defines and imports.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use syn::{Attribute, Item, UseTree, Visibility};

use crate::TaskResult;

/// Index of a module in [`Modules`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Module(usize);

/// Index of a file in [`Modules`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct FileId(pub(super) usize);

/// The thing that a path names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Named {
    Module(Module),
    /// Something that a file defines.
    Item(FileId),
}

struct Node {
    parent: Option<Module>,
    file: FileId,
    children: BTreeMap<String, Module>,
    defined: Vec<String>,
    /// A name and the path it stands for.
    uses: Vec<(String, Vec<String>)>,
    globs: Vec<Vec<String>>,
}

/// A file: its path below the source folder, its module, and its items without tests.
struct SourceFile {
    path: String,
    module: Module,
    items: Vec<Item>,
    lines: usize,
}

/// All modules of a crate, as its files declare them.
pub(super) struct Modules {
    nodes: Vec<Node>,
    files: Vec<SourceFile>,
}

impl Modules {
    /// Reads the crate whose `lib.rs` or `main.rs` is in `source`.
    ///
    /// # Errors
    /// If a file cannot be read, or is not Rust.
    pub(super) fn read(source: &Path) -> TaskResult<Self> {
        let mut modules = Self { nodes: Vec::new(), files: Vec::new() };
        let top = source.join("lib.rs");
        let top = if top.exists() { top } else { source.join("main.rs") };
        modules.read_file(source, &top, source.to_owned(), None)?;
        Ok(modules)
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (FileId, Module, &[Item])> {
        self.files.iter().enumerate().map(|(index, file)| (FileId(index), file.module, file.items.as_slice()))
    }

    /// Returns a file's path below the source folder.
    pub(super) fn path(&self, file: FileId) -> String {
        self.files[file.0].path.clone()
    }

    /// Returns how many lines a file has.
    pub(super) fn lines(&self, file: FileId) -> usize {
        self.files[file.0].lines
    }

    pub(super) fn child(&self, module: Module, name: &str) -> Option<Module> {
        self.nodes[module.0].children.get(name).copied()
    }

    /// Returns the thing in this crate that `path`, written in `module`, names. `None` if it is in
    /// another crate.
    pub(super) fn resolve(&self, module: Module, path: &[String]) -> Option<Named> {
        self.follow(module, path, 16)
    }

    fn follow(&self, module: Module, path: &[String], depth: usize) -> Option<Named> {
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Module(0),
            "self" => module,
            "super" => self.nodes[module.0].parent?,
            _ => {
                rest = path;
                module
            }
        };
        while let Some((name, after)) = rest.split_first() {
            if name == "super" {
                at = self.nodes[at.0].parent?;
            } else {
                match self.member(at, name, depth)? {
                    Named::Module(child) => at = child,
                    item => return Some(item),
                }
            }
            rest = after;
        }
        Some(Named::Module(at))
    }

    fn member(&self, module: Module, name: &str, depth: usize) -> Option<Named> {
        let node = &self.nodes[module.0];
        if let Some(child) = node.children.get(name) {
            return Some(Named::Module(*child));
        }
        if node.defined.iter().any(|defined| defined == name) {
            return Some(Named::Item(node.file));
        }
        let depth = depth.checked_sub(1)?;
        if let Some((_, path)) = node.uses.iter().find(|(used, _)| used == name) {
            return self.follow(module, path, depth);
        }
        node.globs.iter().find_map(|glob| match self.follow(module, glob, depth)? {
            Named::Module(from) if from != module => self.member(from, name, depth),
            _ => None,
        })
    }

    /// Reads a file as a module. Files of its own modules are in `folder`.
    fn read_file(&mut self, source: &Path, path: &Path, folder: PathBuf, parent: Option<Module>) -> TaskResult<Module> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let parsed = syn::parse_file(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        let (file, module) = (FileId(self.files.len()), Module(self.nodes.len()));
        let name = path.strip_prefix(source).unwrap_or(path).display().to_string();
        let lines = text.lines().count();
        self.files.push(SourceFile { path: name, module, items: Vec::new(), lines });
        self.add(parent, file);
        let items: Vec<_> = parsed.items.into_iter().filter(|item| !is_test(item)).collect();
        self.read_items(source, &items, module, &folder)?;
        self.files[file.0].items = items;
        Ok(module)
    }

    fn add(&mut self, parent: Option<Module>, file: FileId) {
        let (children, defined) = (BTreeMap::new(), Vec::new());
        self.nodes.push(Node { parent, file, children, defined, uses: Vec::new(), globs: Vec::new() });
    }

    fn read_items(&mut self, source: &Path, items: &[Item], module: Module, folder: &Path) -> TaskResult {
        for item in items {
            match item {
                Item::Mod(declared) => {
                    let name = declared.ident.to_string();
                    let child = match &declared.content {
                        Some((_, inner)) => {
                            let child = Module(self.nodes.len());
                            self.add(Some(module), self.nodes[module.0].file);
                            let inner: Vec<_> = inner.iter().filter(|item| !is_test(item)).cloned().collect();
                            self.read_items(source, &inner, child, &folder.join(&name))?;
                            child
                        }
                        None => {
                            let (flat, deep) = (folder.join(format!("{name}.rs")), folder.join(&name).join("mod.rs"));
                            let path = if flat.exists() { flat } else { deep };
                            self.read_file(source, &path, folder.join(&name), Some(module))?
                        }
                    };
                    self.nodes[module.0].children.insert(name, child);
                }
                Item::Use(used) => {
                    let node = &mut self.nodes[module.0];
                    unfold(&used.tree, &mut Vec::new(), &mut |path, name| match name {
                        Some(name) => node.uses.push((name, path)),
                        None => node.globs.push(path),
                    });
                }
                _ => self.nodes[module.0].defined.extend(name_of(item)),
            }
        }
        Ok(())
    }
}

/// Calls `each` with every path of a tree of imports and its name; without a name where the path
/// ends in `*`.
pub(super) fn unfold(tree: &UseTree, prefix: &mut Vec<String>, each: &mut impl FnMut(Vec<String>, Option<String>)) {
    match tree {
        UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            unfold(&path.tree, prefix, each);
            prefix.pop();
        }
        UseTree::Name(name) if name.ident == "self" => each(prefix.clone(), prefix.last().cloned()),
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            each([prefix.as_slice(), std::slice::from_ref(&name)].concat(), Some(name));
        }
        UseTree::Rename(name) => {
            let path = [prefix.as_slice(), &[name.ident.to_string()]].concat();
            each(path, Some(name.rename.to_string()));
        }
        UseTree::Glob(_) => each(prefix.clone(), None),
        UseTree::Group(group) => group.items.iter().for_each(|tree| unfold(tree, prefix, each)),
    }
}

/// Returns whether an import only passes a name on.
pub(super) fn is_reexport(visibility: &Visibility) -> bool {
    !matches!(visibility, Visibility::Inherited)
}

fn name_of(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

fn is_test(item: &Item) -> bool {
    let attributes: &[Attribute] = match item {
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    };
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| {
                let condition = list.tokens.to_string();
                condition == "test" || condition == "doctest"
            })
    })
}
