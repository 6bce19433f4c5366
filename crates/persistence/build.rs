//! Compiles again when a migration is added, which `embed_migrations!` alone does not notice.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations");
}
