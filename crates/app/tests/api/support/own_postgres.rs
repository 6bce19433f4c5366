//! A PostgreSQL server for one test, which can be frozen, restarted and killed.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use diesel::{Connection, PgConnection};
use tempfile::TempDir;

/// The unprivileged user of every Linux system; PostgreSQL refuses to run as root.
const NOBODY: u32 = 65534;

/// A server, stopped on drop.
pub(crate) struct OwnPostgres {
    folder: TempDir,
    port: u16,
    process: Child,
}

impl OwnPostgres {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        if fs::metadata(folder.path()).unwrap().uid() == 0 {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        }
        let mut make = command(&folder, "initdb");
        make.args(["-U", "postgres", "-A", "trust", "--no-sync", "-D"]).arg(folder.path().join("data"));
        let made = make.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = spawn(&folder, port);
        let mut server = Self { folder, port, process };
        server.wait_until_it_listens();
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Stops all its processes, with open connections.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Continues its processes.
    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Stops it, which closes all connections, and starts it again.
    pub(crate) fn restart(&mut self) {
        send("-INT", &[self.process.id().to_string()]);
        self.process.wait().unwrap();
        self.process = spawn(&self.folder, self.port);
        self.wait_until_it_listens();
    }

    /// Kills all its processes, with what they have not written yet, and starts it again.
    pub(crate) fn kill_and_restart(mut self) -> Self {
        let ids = self.ids();
        send("-KILL", &ids);
        self.process.wait().unwrap();
        // The next server refuses to start beside them.
        while ids.iter().any(|id| fs::exists(format!("/proc/{id}")).unwrap()) {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.process = spawn(&self.folder, self.port);
        self.wait_until_it_listens();
        self
    }

    /// Signals the server and all its processes.
    fn signal(&self, signal: &str) {
        send(signal, &self.ids());
    }

    /// The ids of the server and of all its processes.
    fn ids(&self) -> Vec<String> {
        let id = self.process.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        std::iter::once(id.to_string()).chain(children.split_whitespace().map(str::to_owned)).collect()
    }

    fn wait_until_it_listens(&mut self) {
        while PgConnection::establish(&self.url()).is_err() {
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(self.process.try_wait().unwrap().is_none(), "PostgreSQL did not start: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for OwnPostgres {
    fn drop(&mut self) {
        self.thaw();
        send("-QUIT", &[self.process.id().to_string()]);
        let _ = self.process.wait();
    }
}

fn spawn(folder: &TempDir, port: u16) -> Child {
    let mut server = command(folder, "postgres");
    server.arg("-D").arg(folder.path().join("data")).arg("-k").arg(folder.path());
    server.args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]);
    // What nobody waits for stays in the server's memory for long, so that a kill loses it.
    server.args(["-c", "wal_writer_delay=10s", "-c", "wal_writer_flush_after=1GB"]);
    let log = File::options().create(true).append(true).open(folder.path().join("log")).unwrap();
    server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

/// Builds the command of one of PostgreSQL's programs.
fn command(folder: &TempDir, name: &str) -> Command {
    let mut command = Command::new(programs().join(name));
    command.current_dir(folder.path());
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// A process may have ended before the signal.
fn send(signal: &str, ids: &[String]) {
    let _ = Command::new("kill").arg(signal).args(ids).stderr(Stdio::null()).status().unwrap();
}

/// Returns the folder of PostgreSQL's programs, which is not on the path on Debian.
fn programs() -> PathBuf {
    let told = Command::new("pg_config").arg("--bindir").output().ok().filter(|told| told.status.success());
    let told = told.map(|told| PathBuf::from(String::from_utf8(told.stdout).unwrap().trim()));
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = told.into_iter().chain(versions.map(|version| version.path().join("bin")));
    found.into_iter().find(|folder| folder.join("initdb").is_file()).unwrap_or_else(|| panic!("install PostgreSQL"))
}
