//! The rules of docs/ARCHITECTURE.md that a program can check.

mod circles;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use mass_app::http::problem::ProblemKind;
use serde_json::Value;

use crate::support::process::repository;

/// The output of `cargo metadata`.
static METADATA: LazyLock<Value> = LazyLock::new(|| {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version", "1", "--offline", "--filter-platform", "host-tuple"]);
    let output = cargo.current_dir(repository()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
});

/// The crates of the workspace that each crate may depend on.
const ARROWS: [(&str, &[&str]); 17] = [
    ("mass-admin-service", &["mass-auth", "mass-domain"]),
    ("mass-alert-service", &["mass-analytics-service", "mass-domain"]),
    ("mass-analytics-service", &["mass-domain"]),
    (
        "mass-app",
        &[
            "mass-admin-service",
            "mass-alert-service",
            "mass-analytics-service",
            "mass-audit-service",
            "mass-auth",
            "mass-bridge",
            "mass-console",
            "mass-demo",
            "mass-domain",
            "mass-mapping",
            "mass-persistence",
            "mass-reference-engine",
            "mass-savings-report",
            "mass-savings-service",
            "mass-service",
        ],
    ),
    ("mass-audit-service", &["mass-domain"]),
    ("mass-auth", &["mass-domain"]),
    ("mass-bridge", &[]),
    ("mass-console", &[]),
    ("mass-demo", &[]),
    ("mass-domain", &[]),
    ("mass-mapping", &["mass-domain"]),
    (
        "mass-persistence",
        &[
            "mass-admin-service",
            "mass-alert-service",
            "mass-analytics-service",
            "mass-audit-service",
            "mass-auth",
            "mass-domain",
            "mass-savings-service",
            "mass-service",
        ],
    ),
    ("mass-reference-engine", &[]),
    ("mass-savings", &[]),
    ("mass-savings-report", &["mass-domain", "mass-savings"]),
    ("mass-savings-service", &["mass-analytics-service", "mass-domain", "mass-savings", "mass-savings-report"]),
    ("mass-service", &["mass-domain", "mass-mapping"]),
];

fn items<'a>(value: &'a Value, member: &str) -> impl Iterator<Item = &'a Value> {
    value[member].as_array().unwrap().iter()
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap()
}

/// The packages of the workspace.
fn members() -> Vec<&'static Value> {
    let ids: BTreeSet<&str> = items(&METADATA, "workspace_members").map(|id| id.as_str().unwrap()).collect();
    items(&METADATA, "packages").filter(|package| ids.contains(text(package, "id"))).collect()
}

/// The direct dependencies of a package, without those of its tests and build.
fn declared(package: &Value) -> BTreeSet<&str> {
    items(package, "dependencies").filter(|it| it["kind"].is_null()).map(|it| text(it, "name")).collect()
}

/// The transitive dependencies of a package.
fn built_from(name: &str) -> BTreeSet<&'static str> {
    let names: BTreeMap<&str, &str> =
        items(&METADATA, "packages").map(|package| (text(package, "id"), text(package, "name"))).collect();
    let nodes: BTreeMap<&str, &Value> =
        items(&METADATA["resolve"], "nodes").map(|node| (text(node, "id"), node)).collect();
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = names.iter().filter(|(_, it)| **it == name).map(|(id, _)| *id).collect();
    while let Some(id) = open.pop() {
        let normal = |dependency: &&Value| items(dependency, "dep_kinds").any(|kind| kind["kind"].is_null());
        for dependency in items(nodes[id], "deps").filter(normal) {
            let id = text(dependency, "pkg");
            if found.insert(names[id]) {
                open.push(id);
            }
        }
    }
    found
}

/// All files of our own below a folder of the repository.
fn below(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![repository().join(folder)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with('.') || name == "node_modules" || name == "target" {
                continue;
            }
            if path.is_dir() {
                open.push(path.clone());
            }
            found.push(path);
        }
    }
    found
}

/// The sources of the libraries and the program.
fn sources() -> Vec<(PathBuf, String)> {
    let is_source = |path: &PathBuf| {
        path.extension().is_some_and(|ending| ending == "rs") && path.iter().any(|folder| folder == "src")
    };
    let read = |path: PathBuf| (path.clone(), fs::read_to_string(path).unwrap());
    below("crates").into_iter().filter(is_source).map(read).collect()
}

#[test]
fn crate_dependencies_match_the_architecture() {
    let ours: BTreeSet<&str> = members().into_iter().map(|package| text(package, "name")).collect();
    let arrows: BTreeMap<&str, BTreeSet<&str>> = members()
        .into_iter()
        .map(|package| (text(package, "name"), declared(package).intersection(&ours).copied().collect()))
        .collect();
    assert_eq!(arrows, ARROWS.map(|(name, to)| (name, to.iter().copied().collect())).into());
}

#[test]
fn the_domain_depends_on_no_framework() {
    let frameworks = ["actix", "diesel", "tokio", "paperclip", "reqwest", "hyper", "clap"];
    let known: Vec<&str> = built_from("mass-domain")
        .into_iter()
        .filter(|name| frameworks.iter().any(|framework| name.starts_with(framework)))
        .collect();
    assert_eq!(known, [""; 0]);
}

#[test]
fn only_the_program_uses_http_and_only_persistence_sql() {
    let owners = |names: &[&str]| -> Vec<&str> {
        let knows = |package: &&Value| declared(package).iter().any(|name| names.contains(name));
        members().into_iter().filter(knows).map(|package| text(package, "name")).collect()
    };
    // The reference engine is a program of its own.
    assert_eq!(owners(&["actix-web", "actix-http"]), ["mass-app", "mass-reference-engine"]);
    assert_eq!(owners(&["paperclip", "reqwest", "clap"]), ["mass-app"]);
    assert_eq!(owners(&["diesel", "diesel_migrations", "r2d2", "libsqlite3-sys", "pq-sys"]), ["mass-persistence"]);
}

#[test]
fn a_package_is_named_after_its_folder() {
    for package in members() {
        let folder = Path::new(text(package, "manifest_path")).parent().unwrap().file_name().unwrap().to_str().unwrap();
        let name = if folder.starts_with("mass-") { folder.to_owned() } else { format!("mass-{folder}") };
        assert_eq!(text(package, "name"), name);
    }
}

#[test]
fn every_crate_takes_the_lints_and_the_version_of_the_workspace() {
    for package in members() {
        let manifest = fs::read_to_string(text(package, "manifest_path")).unwrap();
        for lines in ["[lints]\nworkspace = true", "version.workspace = true", "edition.workspace = true"] {
            assert!(manifest.contains(lines), "{}: {lines}", text(package, "name"));
        }
    }
}

#[test]
fn every_dependency_is_declared_once_for_the_workspace() {
    for package in members() {
        let manifest = fs::read_to_string(text(package, "manifest_path")).unwrap();
        for line in manifest.lines().filter(|line| line.contains("version = ") || line.contains("= \"")) {
            let is_ours = ["name", "description", "path", "tls"].iter().any(|key| line.starts_with(key));
            assert!(is_ours || line.contains("workspace = true"), "{}: {line}", text(package, "name"));
        }
    }
}

#[test]
fn no_folder_or_module_has_a_meaningless_name() {
    let nothing = ["utils", "util", "common", "helpers", "helper", "manager", "misc"];
    for path in ["crates", "docs", "deploy", "migrations", "scripts", "tests"].into_iter().flat_map(below) {
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(!nothing.contains(&name), "{}", path.display());
    }
}

#[test]
fn a_module_with_parts_is_a_file_beside_its_folder() {
    assert_eq!(below("crates").into_iter().find(|path| path.ends_with("mod.rs")), None);
}

#[test]
fn the_entry_point_is_short() {
    let main = fs::read_to_string(repository().join("crates/app/src/main.rs")).unwrap();
    assert!(main.lines().count() <= 50);
}

/// The handlers of a file that routes lead to, each with the number of lines of its body.
fn handlers(source: &str) -> Vec<(String, usize)> {
    let routed = source.split("web::to(").skip(1).filter_map(|rest| rest.split(')').next());
    let handler = |name: &str| {
        let (_, signature) = source.split_once(&format!("async fn {name}("))?;
        let body = signature.lines().skip_while(|line| !line.ends_with('{')).skip(1).take_while(|line| *line != "}");
        Some((name.to_owned(), body.count()))
    };
    routed.filter_map(handler).collect()
}

#[test]
fn every_handler_is_short() {
    let handlers: Vec<_> = sources().iter().flat_map(|(_, source)| handlers(source)).collect();
    assert!(handlers.len() >= 56, "{handlers:?}");
    let long: Vec<_> = handlers.into_iter().filter(|(_, lines)| *lines > 15).collect();
    assert_eq!(long, []);
}

#[test]
fn only_the_configuration_reads_the_environment() {
    let is_configuration = |path: &Path| {
        path.ends_with("app/src/config.rs") || path.parent().is_some_and(|folder| folder.ends_with("app/src/config"))
    };
    for (path, source) in sources().iter().filter(|(path, _)| !is_configuration(path)) {
        for reading in ["env::var", "env::vars", "env::set_var", "dotenvy::"] {
            assert!(!source.contains(reading), "{}: {reading}", path.display());
        }
    }
}

#[test]
fn every_test_named_in_security_md_exists() {
    let page = fs::read_to_string(repository().join("docs/security.md")).unwrap();
    let named: Vec<_> = page.split('`').filter_map(|words| words.split_once("::")).collect();
    assert!(named.len() > 50, "{named:?}");
    let files: Vec<_> =
        below("crates").into_iter().filter(|path| path.extension().is_some_and(|it| it == "rs")).collect();
    for (module, function) in named {
        let mut files = files.iter().filter(|path| path.file_stem().is_some_and(|stem| stem == module));
        let is_there = files.any(|path| fs::read_to_string(path).unwrap().contains(&format!("fn {function}(")));
        assert!(is_there, "{module}::{function}");
    }
}

#[test]
fn errors_md_explains_exactly_the_problem_types() {
    let page = fs::read_to_string(repository().join("docs/errors.md")).unwrap();
    let (_, section) = page.split_once("\n## Problem types\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `/problems/")?.split(" | ");
        let slug = cells.next()?.strip_suffix('`')?;
        Some((slug.to_owned(), cells.next()?.to_owned()))
    };
    let explained: Vec<(String, String)> = section.lines().filter_map(row).collect();
    let kinds = ProblemKind::ALL.iter().map(|kind| (kind.slug().to_owned(), kind.status().as_str().to_owned()));
    assert_eq!(explained, kinds.collect::<Vec<_>>());
}

/// The page lists every file that a new domain touches, so each one that it names has to be there, but those of a migration,
/// whose date is not said.
#[test]
fn the_page_about_adding_a_domain_names_files_that_exist() {
    let page = fs::read_to_string(repository().join("docs/adding-a-domain.md")).unwrap();
    let is_path = |word: &&str| {
        ["crates/", "docs/", "migrations/", "Cargo.toml", "README", "CHANGELOG"].iter().any(|it| word.starts_with(it))
    };
    let named: Vec<&str> = page.split('`').skip(1).step_by(2).filter(is_path).collect();
    let missing: Vec<&&str> =
        named.iter().filter(|path| !path.contains("DATE") && !repository().join(path).exists()).collect();
    assert!(named.len() > 20 && missing.is_empty(), "{missing:?}");
}
