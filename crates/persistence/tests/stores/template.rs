//! A migrated database on the cluster of the tests, to be copied: that takes a fraction of the time of migrating another.
//! It is made once for each state of the migrations, and stays on the cluster.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::sql_types::Bool;
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, sql_query};

const MIGRATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations/postgres");

/// Held while a template is made, so that the processes of several tests make one together.
const LOCK: i64 = 0x006d_6173_7374_6d70;

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Bool)]
    found: bool,
}

/// Returns the name of the template on the cluster of this URL. `migrate` gets the name of the empty database that
/// becomes one.
pub(crate) fn migrated(cluster: &str, migrate: impl FnOnce(&str)) -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let name = format!("mass_template_{:016x}", digest(Path::new(MIGRATIONS)));
        let mut connection = PgConnection::establish(cluster).unwrap();
        connection.batch_execute(&format!("SELECT pg_advisory_lock({LOCK})")).unwrap();
        let query = format!("SELECT EXISTS (SELECT FROM pg_database WHERE datname = '{name}') AS found");
        if !sql_query(query).get_result::<Found>(&mut connection).unwrap().found {
            // It has its name only once it is whole.
            let begun = format!("{name}_begun");
            connection.batch_execute(&format!("DROP DATABASE IF EXISTS {begun} WITH (FORCE)")).unwrap();
            connection.batch_execute(&format!("CREATE DATABASE {begun}")).unwrap();
            migrate(&begun);
            connection.batch_execute(&format!("ALTER DATABASE {begun} WITH ALLOW_CONNECTIONS false")).unwrap();
            // The pools that migrated may take a moment to close.
            let rename = format!("ALTER DATABASE {begun} RENAME TO {name}");
            while let Err(error) = connection.batch_execute(&rename) {
                assert!(error.to_string().contains("being accessed"), "{error}");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        name
    })
}

/// Returns a digest of all files below a folder.
fn digest(folder: &Path) -> u64 {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort_unstable();
    let mut hasher = DefaultHasher::new();
    for entry in entries {
        entry.file_name().hash(&mut hasher);
        if entry.is_dir() {
            digest(&entry).hash(&mut hasher);
        } else {
            fs::read(&entry).unwrap().hash(&mut hasher);
        }
    }
    hasher.finish()
}
