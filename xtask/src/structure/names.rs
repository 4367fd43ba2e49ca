//! The names of types: within a crate, no two types have the same name.

use std::collections::BTreeMap;

use syn::Item;

use super::modules::Modules;

/// Types of one name that are alternatives of each other: a feature chooses the module.
const ALTERNATIVES: [&str; 1] = ["Tls"];

/// Returns the names that several types of a crate have. Types behind a `#[cfg]` are left out,
/// because they may be alternatives of each other.
pub(super) fn check(modules: &Modules) -> Vec<String> {
    let mut named = BTreeMap::<String, Vec<String>>::new();
    for (file, _, items) in modules.files() {
        look(items, &modules.path(file), &mut named);
    }
    let twice = named.into_iter().filter(|(name, files)| files.len() > 1 && !ALTERNATIVES.contains(&name.as_str()));
    twice.map(|(name, files)| format!("several types have the name `{name}`: in {}", files.join(", "))).collect()
}

fn look(items: &[Item], path: &str, named: &mut BTreeMap<String, Vec<String>>) {
    for item in items {
        let (name, attributes) = match item {
            Item::Struct(item) => (&item.ident, &item.attrs),
            Item::Enum(item) => (&item.ident, &item.attrs),
            Item::Trait(item) => (&item.ident, &item.attrs),
            Item::Type(item) => (&item.ident, &item.attrs),
            Item::Mod(module) => {
                let items = module.content.as_ref().map(|(_, items)| items.as_slice());
                look(items.unwrap_or_default(), path, named);
                continue;
            }
            _ => continue,
        };
        if !attributes.iter().any(|attribute| attribute.path().is_ident("cfg")) {
            named.entry(name.to_string()).or_default().push(path.to_owned());
        }
    }
}
