//! The `mass` program as a process, with its own folder and database.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use super::PASSWORD;
use super::client::http;
use super::database::{TestDatabase, execute_on_sqlite, lines_of_sqlite, unlock_audit_trail};

/// The default e-mail address of the first administrator.
pub(crate) const EMAIL: &str = "admin@mass.local";

/// Creates two tests of each function that takes a [`Workplace`], one per database.
macro_rules! workplaces_on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::support::process::Workplace::sqlite()).await;
            })+
        }

        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::support::process::Workplace::postgres()).await;
            })+
        }
    };
}
pub(crate) use workplaces_on_both;

/// A folder to run the program in, its whole environment, and its database.
pub(crate) struct Workplace {
    folder: TempDir,
    variables: BTreeMap<String, String>,
    /// A PostgreSQL database, dropped at the end; otherwise the program's own file.
    database: Option<TestDatabase>,
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Workplace {
    /// SQLite in the program's default file.
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let workplace = Self { folder, variables: BTreeMap::new(), database: None };
        workplace.with("MASS_PORT", "0").with("MASS_BCRYPT_COST", "10").with("MASS_ADMIN_PASSWORD", PASSWORD)
    }

    /// A PostgreSQL database that is dropped at the end.
    pub(crate) fn postgres() -> Self {
        let database = TestDatabase::postgres();
        let workplace = Self::sqlite().with("DATABASE_URL", &database.url());
        Self { database: Some(database), ..workplace }
    }

    /// A PostgreSQL database that one role owns and migrates, and that another role, subject to row-level security,
    /// serves.
    pub(crate) fn postgres_restricted() -> Self {
        let database = TestDatabase::postgres_restricted();
        let urls = database.urls();
        let workplace = Self::sqlite().with("DATABASE_URL", &urls.database);
        let workplace = workplace.with("MASS_MIGRATION_DATABASE_URL", &urls.migration.unwrap());
        Self { database: Some(database), ..workplace }
    }

    /// Another instance on the same PostgreSQL database, with its own folder.
    pub(crate) fn sibling(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, variables: self.variables.clone(), database: None }
    }

    pub(crate) fn with(mut self, variable: &str, value: &str) -> Self {
        self.variables.insert(variable.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn without(mut self, variable: &str) -> Self {
        self.variables.remove(variable);
        self
    }

    /// Returns a variable of the environment.
    pub(crate) fn variable(&self, name: &str) -> &str {
        &self.variables[name]
    }

    /// Sets a password in the database URL, if it has a user without one: a cluster that trusts everybody ignores it.
    pub(crate) fn with_database_password(self, password: &str) -> Self {
        let Some((scheme, rest)) = self.variables.get("DATABASE_URL").and_then(|url| url.split_once("://")) else {
            return self;
        };
        let Some((user, place)) = rest.split_once('@').filter(|(user, _)| !user.contains(':')) else { return self };
        let url = format!("{scheme}://{user}:{password}@{place}");
        self.with("DATABASE_URL", &url)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) const fn is_postgres(&self) -> bool {
        self.database.is_some()
    }

    /// Runs SQL directly on the database.
    pub(crate) fn execute(&self, sql: &str) {
        match &self.database {
            Some(database) => database.execute(sql),
            None => execute_on_sqlite(self.path("data/mass.db").to_str().unwrap(), sql),
        }
    }

    /// Loses the database and all that is in it: the file, or on PostgreSQL the tables, by an empty database of the same
    /// name.
    pub(crate) fn lose_database(&self) {
        match &self.database {
            Some(database) => database.empty(),
            None => {
                for ending in ["", "-wal", "-shm"] {
                    let _ = fs::remove_file(self.path(&format!("data/mass.db{ending}")));
                }
            }
        }
    }

    /// Removes the triggers that protect the audit trail.
    pub(crate) fn unlock_audit_trail(&self) {
        unlock_audit_trail(self.is_postgres(), |query| self.lines(query), |sql| self.execute(sql));
    }

    /// Returns the column `line` of a query directly.
    pub(crate) fn lines(&self, query: &str) -> Vec<String> {
        match &self.database {
            Some(database) => database.lines(query),
            None => lines_of_sqlite(self.path("data/mass.db").to_str().unwrap(), query),
        }
    }

    /// Runs a command to its end.
    pub(crate) fn mass(&self, arguments: &[&str]) -> Ended {
        self.mass_fed(arguments, "")
    }

    /// Runs a command to its end, with this standard input.
    pub(crate) fn mass_fed(&self, arguments: &[&str], input: &str) -> Ended {
        let mut child = self.spawn(arguments, Stdio::piped());
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        Ended {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs a command to its end, with one more setting.
    pub(crate) fn mass_with(&self, arguments: &[&str], variable: &str, value: &str) -> Ended {
        self.shell(&format!("{variable}='{value}' exec mass {}", arguments.join(" ")))
    }

    /// Keeps an SQLite file locked until the result is dropped.
    pub(crate) fn keep_locked(&self) -> SqliteConnection {
        let mut connection = SqliteConnection::establish(self.path("data/mass.db").to_str().unwrap()).unwrap();
        connection.batch_execute("BEGIN IMMEDIATE").unwrap();
        connection
    }

    /// Runs a shell command line, with the program as `mass`.
    pub(crate) fn shell(&self, line: &str) -> Ended {
        let program = Path::new(env!("CARGO_BIN_EXE_mass")).parent().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(self.folder.path()).env_clear().envs(&self.variables);
        let output = command.env("PATH", format!("{}:/usr/bin:/bin", program.display())).output().unwrap();
        Ended {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts a command without waiting for it.
    pub(crate) fn spawn(&self, arguments: &[&str], stderr: Stdio) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mass"));
        command.args(arguments).current_dir(self.folder.path()).env_clear().envs(&self.variables);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap()
    }

    /// Starts a server; [`Starting::ready`] waits until it listens.
    pub(crate) fn start(&self) -> Starting {
        self.start_with(&[])
    }

    fn start_with(&self, flags: &[&str]) -> Starting {
        self.start_command("serve", flags)
    }

    fn start_command(&self, command: &str, flags: &[&str]) -> Starting {
        let log = self.path(&format!("server-{}.log", Uuid::now_v7()));
        let child = self.spawn(&[&[command, "--json"], flags].concat(), File::create(&log).unwrap().into());
        Starting(Process { child, log })
    }

    /// Starts a demo with these flags and waits until it listens.
    pub(crate) fn demo(&self, flags: &[&str]) -> Server {
        self.start_command("demo", flags).ready()
    }

    /// Starts a server whose standard error nobody reads, and waits until it listens.
    pub(crate) fn serve_unheard(&self) -> Server {
        let log = self.path("unheard.log");
        File::create(&log).unwrap();
        let mut child = self.spawn(&["serve", "--json"], Stdio::piped());
        drop(child.stderr.take());
        Starting(Process { child, log }).ready()
    }

    /// Starts a server with a limit on the size of files in blocks, and waits until it listens.
    pub(crate) fn serve_with_files_up_to(&self, blocks: &str) -> Server {
        let log = self.path("limited.log");
        let mut command = Command::new("sh");
        // The signal that would end the process is turned into an error of the write.
        command.args([
            "-c",
            "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\"",
            blocks,
            env!("CARGO_BIN_EXE_mass"),
            "serve",
            "--json",
        ]);
        command.current_dir(self.folder.path()).env_clear().envs(&self.variables);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(&log).unwrap());
        Starting(Process { child: command.spawn().unwrap(), log }).ready()
    }

    /// Starts a server without `--json`.
    pub(crate) fn start_for_people(&self) -> Talking {
        let log = self.path("server.log");
        let mut child = self.spawn(&["serve"], File::create(&log).unwrap().into());
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Talking { _process: Process { child, log }, stdout }
    }

    /// Starts a server and waits until it listens.
    pub(crate) fn serve(&self) -> Server {
        self.start().ready()
    }

    /// Starts a server with these flags and waits until it listens.
    pub(crate) fn serve_with(&self, flags: &[&str]) -> Server {
        self.start_with(flags).ready()
    }
}

/// A process that ends with its test.
struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    fn logged(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that does not listen yet.
pub(crate) struct Starting(Process);

impl Starting {
    pub(crate) fn ready(mut self) -> Server {
        let mut stdout = BufReader::new(self.0.child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the server did not start: {}", self.0.logged());
        let announcement: Value = serde_json::from_str(&line).unwrap();
        let url = announcement["url"].as_str().unwrap().to_owned();
        Server { process: self.0, stdout, announcement, url, client: http().build().unwrap() }
    }
}

/// A server that prints for people.
pub(crate) struct Talking {
    _process: Process,
    stdout: BufReader<ChildStdout>,
}

impl Talking {
    pub(crate) fn next_line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }
}

/// A server that listens.
pub(crate) struct Server {
    process: Process,
    stdout: BufReader<ChildStdout>,
    /// Its output at the start.
    pub(crate) announcement: Value,
    pub(crate) url: String,
    client: Client,
}

impl Server {
    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url))
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url)).json(body)
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> RequestBuilder {
        self.client.put(format!("{}{path}", self.url)).json(body)
    }

    pub(crate) fn request(&self, method: reqwest::Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn try_to_log_in(&self, email: &str, password: &str) -> Response {
        let credentials = json!({"email": email, "password": password});
        self.post("/v1/auth/login", &credentials).send().await.unwrap()
    }

    /// An access token of the first administrator.
    pub(crate) async fn token(&self) -> String {
        self.token_of(EMAIL, PASSWORD).await
    }

    pub(crate) async fn token_of(&self, email: &str, password: &str) -> String {
        let answer = self.try_to_log_in(email, password).await;
        assert_eq!(answer.status(), 200, "{}", self.logged());
        let answer: Value = answer.json().await.unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    /// The body of a successful GET.
    pub(crate) async fn fetch(&self, token: &str, path: &str) -> Value {
        let answer = self.get(path).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }

    /// Returns all stored requests, page by page.
    pub(crate) async fn list(&self, token: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut path = "/v1/mass-requests?limit=500".to_owned();
        loop {
            let mut page = self.fetch(token, &path).await;
            items.append(page["items"].as_array_mut().unwrap());
            let Some(cursor) = page["next_cursor"].as_str() else { return items };
            path = format!("/v1/mass-requests?limit=500&cursor={cursor}");
        }
    }

    /// Returns the process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.child.id()
    }

    pub(crate) fn logged(&self) -> String {
        self.process.logged()
    }

    /// Waits for a log line with these words.
    pub(crate) async fn logs(&self, words: &str) {
        while !self.logged().contains(words) {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// Kills the server without warning.
    pub(crate) fn kill(&self) {
        let id = self.process.child.id().to_string();
        assert!(Command::new("kill").args(["-KILL", &id]).status().unwrap().success());
    }

    pub(crate) fn terminate(&self) {
        let id = self.process.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// Stops the server gracefully; returns its status and its output after the announcement.
    pub(crate) fn stop(mut self) -> (ExitStatus, String) {
        self.terminate();
        let status = self.process.child.wait().unwrap();
        let mut printed = String::new();
        self.stdout.read_to_string(&mut printed).unwrap();
        (status, printed + &self.logged())
    }
}

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}
