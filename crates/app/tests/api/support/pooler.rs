//! PgBouncer in front of a PostgreSQL database, in transaction mode.

use std::fs::{self, File, Permissions};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::program_of_the_system;

/// The unprivileged user of every Linux system; PgBouncer refuses to run as root.
const NOBODY: u32 = 65534;

/// A pooler, stopped on drop.
pub(crate) struct Pooler {
    process: Child,
    port: u16,
    folder: TempDir,
}

impl Pooler {
    /// Starts a pooler in front of the database of a URL with user, password and port. It has fewer connections than
    /// clients, so that they have to share.
    pub(crate) fn before(url: &str) -> Self {
        let program = program_of_the_system("pgbouncer", "PgBouncer (the package is called pgbouncer)");
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let configuration = folder.path().join("pgbouncer.ini");
        fs::write(&configuration, configured(url, port)).unwrap();
        let log = folder.path().join("log");
        let mut command = Command::new(program);
        command.arg(&configuration).stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(log).unwrap());
        if fs::metadata(&configuration).unwrap().uid() == 0 {
            fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
            command.uid(NOBODY).gid(NOBODY);
        }
        let mut pooler = Self { process: command.spawn().unwrap(), port, folder };
        pooler.wait_until_it_listens();
        pooler
    }

    fn wait_until_it_listens(&mut self) {
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(self.process.try_wait().unwrap().is_none(), "pgbouncer did not start: {}", self.logged());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Returns the URL of the same database through the pooler.
    pub(crate) fn url(&self, url: &str) -> String {
        let (_, database) = url.rsplit_once('/').unwrap();
        format!("postgres://anybody@127.0.0.1:{}/{database}", self.port)
    }

    fn logged(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn configured(url: &str, port: u16) -> String {
    let (_, rest) = url.split_once("://").unwrap();
    let (user, place) = rest.rsplit_once('@').unwrap();
    let (user, password) = user.split_once(':').unwrap();
    let (server, database) = place.split_once('/').unwrap();
    let (host, server_port) = server.split_once(':').unwrap_or((server, "5432"));
    format!(
        "[databases]\n\
         {database} = host={host} port={server_port} user={user} password={password}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_type = any\n\
         pool_mode = transaction\n\
         default_pool_size = 3\n\
         max_client_conn = 200\n"
    )
}
