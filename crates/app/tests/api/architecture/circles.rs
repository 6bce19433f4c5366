//! Dependency cycles between files: none below a crate's `src`, judging by `use` and written paths.
//!
//! A file and its own parts (`engine.rs` and `engine/*.rs`) may depend on each other, and so may the root of a crate
//! and its modules. `http.rs` is an exception: it only wires, and nothing below may depend on it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::support::process::repository;

/// The path of a module from the root of its crate; empty for the root.
type Module = Vec<String>;

/// The files of a crate with the relevant part of their texts.
struct Files(BTreeMap<Module, String>);

impl Files {
    fn of(src: &Path, sources: &[(std::path::PathBuf, String)]) -> Self {
        let file = |(path, source): &(std::path::PathBuf, String)| {
            let inner = path.strip_prefix(src).ok()?.with_extension("");
            let parts: Module = inner.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
            match parts.first().map(String::as_str) {
                Some("main") => None,
                Some("lib") => Some((Module::new(), code(source))),
                _ => Some((parts, code(source))),
            }
        };
        Self(sources.iter().filter_map(file).collect())
    }

    /// Resolves a path within a module to a module and the rest of the path: an item and its parts.
    fn resolve(&self, from: &Module, path: &str) -> Option<(Module, Module)> {
        let mut rest: Module = path.split("::").map(str::to_owned).collect();
        let mut module = from.clone();
        match rest[0].as_str() {
            "crate" => module.clear(),
            "self" | "super" => {}
            child if self.0.contains_key(&joined(from, child)) => {}
            _ => return None,
        }
        while matches!(rest.first()?.as_str(), "crate" | "self" | "super") {
            if rest.remove(0) == "super" {
                module.pop()?;
            }
            if rest.is_empty() {
                return Some((module, rest));
            }
        }
        while !rest.is_empty() && self.0.contains_key(&joined(&module, &rest[0])) {
            module.push(rest.remove(0));
        }
        Some((module, rest))
    }

    /// Returns the module that defines the item of a path, following re-exports.
    fn definer(&self, from: &Module, path: &str, handed_on: &BTreeMap<(Module, String), String>) -> Option<Module> {
        let (mut module, mut rest) = self.resolve(from, path)?;
        for _ in 0..8 {
            let Some(item) = rest.first() else { break };
            let Some(onward) = handed_on.get(&(module.clone(), item.clone())) else { break };
            (module, rest) = self.resolve(&module, onward)?;
        }
        Some(module)
    }

    /// Returns the modules that each module depends on.
    fn arrows(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let mut handed_on = BTreeMap::new();
        let mut paths: Vec<(&Module, String)> = Vec::new();
        for (module, text) in &self.0 {
            let (uses, rest) = taken_apart(text);
            for (public, path) in uses {
                if public && let Some(name) = path.rsplit("::").next() {
                    handed_on.insert((module.clone(), name.to_owned()), path.clone());
                }
                paths.push((module, path));
            }
            paths.extend(written_paths(&rest).into_iter().map(|path| (module, path)));
        }
        let mut arrows: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
        for (module, path) in paths {
            let known = self.definer(module, &path, &handed_on).filter(|known| known != module);
            if let Some(known) = known.filter(|known| !is_whole_and_part(module, known)) {
                arrows.entry(module.clone()).or_default().insert(known);
            }
        }
        arrows
    }
}

fn joined(module: &Module, child: &str) -> Module {
    module.iter().cloned().chain([child.to_owned()]).collect()
}

fn is_whole_and_part(one: &Module, other: &Module) -> bool {
    let (whole, part) = if one.len() < other.len() { (one, other) } else { (other, one) };
    whole[..] != ["http"] && part.len() == whole.len() + 1 && part.starts_with(whole)
}

/// Strips comments, strings and tests from a file.
fn code(source: &str) -> String {
    let source = source.split("#[cfg(test)]\nmod tests").next().unwrap();
    let mut code = String::new();
    let mut letters = source.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '/' if letters.peek() == Some(&'/') => while letters.next().is_some_and(|letter| letter != '\n') {},
            '"' => {
                while let Some(inner) = letters.next().filter(|inner| *inner != '"') {
                    if inner == '\\' {
                        letters.next();
                    }
                }
            }
            '\'' if letters.peek() == Some(&'"') => {
                letters.nth(1);
            }
            letter => code.push(letter),
        }
    }
    code
}

/// Splits code into the paths of its `use` declarations, each with whether it is re-exported, and the other code.
fn taken_apart(code: &str) -> (Vec<(bool, String)>, String) {
    let (mut uses, mut rest) = (Vec::new(), String::new());
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        let declared = line.trim_start().split_once("use ").filter(|(before, _)| {
            before.is_empty() || *before == "pub " || (before.starts_with("pub(") && before.ends_with(") "))
        });
        let Some((visibility, tree)) = declared else {
            rest.push_str(line);
            rest.push('\n');
            continue;
        };
        let mut tree = tree.to_owned();
        while !tree.contains(';') {
            tree.push_str(lines.next().unwrap_or(";"));
        }
        uses.extend(flattened(tree.trim_end_matches(';')).into_iter().map(|path| (!visibility.is_empty(), path)));
    }
    (uses, rest)
}

/// Expands a tree such as `a::{b, c::{self, d}}` to its paths.
fn flattened(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((start, inner)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        return vec![path.trim().trim_end_matches("::self").to_owned()];
    };
    let inner = inner.strip_suffix('}').unwrap_or(inner);
    let (mut parts, mut depth, mut part) = (Vec::new(), 0, String::new());
    for letter in inner.chars() {
        match letter {
            ',' if depth == 0 => parts.push(std::mem::take(&mut part)),
            letter => {
                depth += i32::from(letter == '{') - i32::from(letter == '}');
                part.push(letter);
            }
        }
    }
    parts.push(part);
    let inner = parts.iter().filter(|part| !part.trim().is_empty()).flat_map(|part| flattened(part));
    inner.map(|path| format!("{}{path}", start.trim()).trim_end_matches("::self").to_owned()).collect()
}

/// Returns the paths in code other than declarations.
fn written_paths(code: &str) -> Vec<String> {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    // `pub(in crate::…)` is a visibility, not a dependency.
    let code = code.replace("(in crate", "");
    let paths = code.split(|letter: char| !is_part(letter)).map(|word| word.trim_matches(':'));
    paths.filter(|word| word.contains("::")).map(str::to_owned).collect()
}

/// Returns the cycles: the strongly connected sets of modules.
fn circles(arrows: &BTreeMap<Module, BTreeSet<Module>>) -> BTreeSet<Vec<String>> {
    let reached = |from: &Module| {
        let (mut reached, mut open) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(module) = open.pop() {
            for next in arrows.get(&module).into_iter().flatten() {
                if reached.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        reached
    };
    let reach: BTreeMap<&Module, BTreeSet<Module>> = arrows.keys().map(|module| (module, reached(module))).collect();
    let circle = |module: &&Module| {
        let leads_back = |other: &&Module| reach[*other].contains(*module);
        let names = reach[*module].iter().filter(|other| reach.contains_key(other)).filter(leads_back);
        names.map(|other| other.join("/")).collect::<Vec<_>>()
    };
    reach.keys().filter(|module| reach[**module].contains(**module)).map(circle).collect()
}

#[test]
fn no_files_of_a_crate_depend_on_each_other_in_a_cycle() {
    let sources = super::sources();
    let crates = repository().join("crates");
    let names: BTreeSet<String> = sources
        .iter()
        .map(|(path, _)| path.strip_prefix(&crates).unwrap().iter().next().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert!(names.len() >= 8, "{names:?}");
    let (mut found, mut arrows) = (BTreeMap::new(), 0);
    for name in names {
        let graph = Files::of(&crates.join(&name).join("src"), &sources).arrows();
        arrows += graph.values().map(BTreeSet::len).sum::<usize>();
        let circles = circles(&graph);
        if !circles.is_empty() {
            found.insert(name, circles);
        }
    }
    assert!(arrows > 500, "{arrows}");
    assert_eq!(found, BTreeMap::new());
}
