//! Lists the console's files for `include_bytes!`, with a digest of them all: the part of their address that changes when they do.

use std::collections::hash_map::DefaultHasher;
use std::env;
use std::fmt::Write;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

#[expect(clippy::disallowed_methods, reason = "this is how a build script is told")]
fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=assets");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("assets");
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    files.sort();
    let mut digest = DefaultHasher::new();
    let mut list = String::from("&[\n");
    for path in files {
        let name = path.strip_prefix(&root).map_err(io::Error::other)?.to_string_lossy().replace('\\', "/");
        (&name, fs::read(&path)?).hash(&mut digest);
        let place = path.to_string_lossy().into_owned();
        writeln!(list, "    (\"{name}\", include_bytes!({place:?})),").map_err(io::Error::other)?;
    }
    list.push(']');
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("files.rs"), list)?;
    println!("cargo::rustc-env=MASS_CONSOLE_VERSION={:016x}", digest.finish());
    Ok(())
}

/// Collects the files that browsers load.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|ending| ["css", "html", "js", "svg"].iter().any(|it| ending == *it)) {
            files.push(path);
        }
    }
    Ok(())
}
