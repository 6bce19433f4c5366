//! Shared support: a server for each test, and a client that checks every answer.

pub(crate) mod broker;
pub(crate) mod client;
pub(crate) mod collector;
pub(crate) mod database;
pub(crate) mod documents;
pub(crate) mod engines;
pub(crate) mod fault_proxy;
pub(crate) mod operations;
pub(crate) mod own_postgres;
pub(crate) mod pooler;
pub(crate) mod process;
#[path = "../../../persistence/tests/stores/template.rs"]
pub(crate) mod template;
pub(crate) mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use clap::Parser;
use mass_admin_service::NewUser;
use mass_alert_service::Evaluated;
use mass_analytics_service::Projector;
use mass_app::config::{SECRETS, Secrets, Settings};
use mass_app::engine::{RunningWorker, Worker};
use mass_app::http::Services;
use mass_app::http::context::local_origin;
use mass_app::periodic::Periodic;
use mass_app::startup::{self, Application};
use mass_app::telemetry::Telemetry;
use mass_auth::{Cost, NewPassword};
use mass_domain::access::{Principal, Role};
use mass_domain::delivery::WorkerName;
use mass_domain::tenancy::TenantId;
use mass_domain::users::Email;
use mass_persistence::Stores;
use secrecy::SecretString;
use serde_json::json;

use client::{Call, Client};
use database::TestDatabase;

/// Creates two tests of each function, one per database.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::support::TestApp::sqlite().await).await;
            })+
        }

        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::support::TestApp::postgres().await).await;
            })+
        }
    };
}

/// Creates one more test of each function: on PostgreSQL, under a role that is subject to row-level security.
macro_rules! also_restricted {
    ($($name:ident),+ $(,)?) => {
        mod postgres_restricted {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::support::TestApp::postgres_restricted().await).await;
            })+
        }
    };
}

/// The folders of servers on Debian, which are not on every user's path.
const SYSTEM_FOLDERS: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// Finds a program of the system, or fails with the package to install.
#[expect(clippy::disallowed_methods, reason = "a program is found by the environment")]
pub(crate) fn program_of_the_system(name: &str, install: &str) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(std::env::split_paths(SYSTEM_FOLDERS));
    let found = folders.map(|folder| folder.join(name)).find(|program| program.is_file());
    found.unwrap_or_else(|| panic!("install {install}, or run ./scripts/test as root"))
}

/// The first administrator.
pub(crate) const FOUNDER: &str = "founder@example.test";
/// The password of all users.
pub(crate) const PASSWORD: &str = "correct horse battery staple";
/// The first administrator's tenant.
pub(crate) const TENANT: &str = "default";
/// A tenant that must see nothing of the first.
pub(crate) const OTHER_TENANT: &str = "other";

/// The seed of the key that signs the audit trail; it is public.
pub(crate) const AUDIT_KEY: &str = "Zm9yIHRoZSB0ZXN0cyBvZiB0aGUgYXVkaXQgdHJhaWw=";

/// A running server with its own database; its requests are those of the first administrator, who has all permissions.
pub(crate) struct TestApp {
    founder: Client,
    settings: Settings,
    services: Services,
    server: Server,
    database: Arc<TestDatabase>,
}

impl TestApp {
    pub(crate) async fn sqlite() -> Self {
        Self::boot(TestDatabase::sqlite()).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::boot(TestDatabase::migrated()).await
    }

    pub(crate) async fn postgres_restricted() -> Self {
        Self::boot(TestDatabase::postgres_restricted()).await
    }

    async fn boot(database: TestDatabase) -> Self {
        Self::on(Arc::new(database), &[]).await
    }

    async fn on(database: Arc<TestDatabase>, flags: &[Flag<'_>]) -> Self {
        let urls = database.urls();
        let owner = urls.migration.as_deref().map(|url| ("--migration-database-url", url));
        let flags: Vec<_> = owner.into_iter().chain(flags.iter().copied()).collect();
        let (settings, secrets) = settings(&urls.database, &flags);
        let application = Application::build(&settings, &secrets, Telemetry::silent().unwrap()).await.unwrap();
        let server = Server::start(application.services.clone());
        let anonymous = Client::new(server.address);
        let login = anonymous.post("/v1/auth/login").json(&json!({"email": FOUNDER, "password": PASSWORD})).await;
        let token = login.expect(200).text("/access_token");
        Self { founder: anonymous.with_token(&token), settings, services: application.services, server, database }
    }

    /// Another server on the same database.
    pub(crate) async fn another(&self) -> Self {
        Self::on(Arc::clone(&self.database), &[]).await
    }

    /// Another server on the same database, with these flags.
    pub(crate) async fn another_with(&self, flags: &[Flag<'_>]) -> Self {
        Self::on(Arc::clone(&self.database), flags).await
    }

    /// The same server, restarted with these flags.
    pub(crate) async fn restart(self, flags: &[Flag<'_>]) -> Self {
        let Self { services, server, database, .. } = self;
        drop((server, services));
        Self::on(database, flags).await
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// A client without a token.
    pub(crate) fn anonymous(&self) -> Client {
        Client::new(self.server.address)
    }

    /// A client with a token.
    pub(crate) fn bearer(&self, token: &str) -> Client {
        self.anonymous().with_token(token)
    }

    /// The first administrator.
    pub(crate) const fn founder(&self) -> &Client {
        &self.founder
    }

    /// A new user of this role.
    pub(crate) async fn user(&self, role: Role) -> Client {
        self.user_of(TENANT, role).await
    }

    /// A new user of this role in the other tenant.
    pub(crate) async fn foreigner(&self, role: Role) -> Client {
        let tenant =
            format!("INSERT INTO tenants (id, created_at) VALUES ('{OTHER_TENANT}', '2026-01-01T00:00:00.000000Z')");
        self.execute(&format!("{tenant} ON CONFLICT DO NOTHING"));
        self.user_of(OTHER_TENANT, role).await
    }

    async fn user_of(&self, tenant: &str, role: Role) -> Client {
        let tenant_id = TenantId::parse(tenant).unwrap();
        let email = Email::parse(&format!("{role}-{}@{tenant}.test", uuid::Uuid::now_v7())).unwrap();
        let password = NewPassword::parse(&SecretString::from(PASSWORD), &email).unwrap();
        let new = NewUser { email: email.clone(), password: Some(password), roles: BTreeSet::from([role]) };
        self.services.admin.create_user(&Principal::system(tenant_id), new, &local_origin()).await.unwrap();
        self.log_in(email.as_str(), PASSWORD).await
    }

    /// Logs in, and returns the client.
    pub(crate) async fn log_in(&self, email: &str, password: &str) -> Client {
        let login = self.anonymous().post("/v1/auth/login").json(&json!({"email": email, "password": password})).await;
        self.bearer(&login.expect(200).text("/access_token"))
    }

    pub(crate) fn get(&self, path: &str) -> Call {
        self.founder.get(path)
    }

    pub(crate) fn head(&self, path: &str) -> Call {
        self.founder.head(path)
    }

    pub(crate) fn post(&self, path: &str) -> Call {
        self.founder.post(path)
    }

    pub(crate) fn patch(&self, path: &str) -> Call {
        self.founder.patch(path)
    }

    pub(crate) fn delete(&self, path: &str) -> Call {
        self.founder.delete(path)
    }

    /// The ports on the database.
    pub(crate) fn stores(&self) -> &Stores {
        self.services.database.stores()
    }

    /// Projects all that the audit trail has.
    pub(crate) async fn project(&self) {
        let projector = Projector::new(Arc::clone(&self.services.database.stores().projection));
        for tenant in projector.tenants().await.unwrap() {
            while !projector.step(&tenant).await.unwrap().is_done() {}
        }
    }

    /// Deletes all figures, and projects the audit trail anew.
    pub(crate) async fn rebuild(&self) {
        let projector = Projector::new(Arc::clone(&self.services.database.stores().projection));
        for tenant in projector.tenants().await.unwrap() {
            projector.rebuild(&tenant).await.unwrap();
        }
    }

    /// Evaluates the alert rules of all tenants now.
    pub(crate) async fn evaluate(&self) {
        self.execute("UPDATE tenant_tasks SET due_at = '2026-01-01T00:00:00.000000Z' WHERE task = 'alerts'");
        let evaluator = self.services.alerting.evaluator(WorkerName::parse("test").unwrap());
        while evaluator.step().await.unwrap() != Evaluated::Nothing {}
    }

    /// Sends all notifications that wait, whenever they are due.
    pub(crate) async fn notify(&self) {
        self.execute("UPDATE notification_queue SET due_at = '2026-01-01T00:00:00.000000Z'");
        let notifying = self.services.notifying.get_ref().as_ref().unwrap();
        let notifier = notifying.notifier(WorkerName::parse("test").unwrap());
        while let Some(claimed) = notifier.claim(&[]).await.unwrap() {
            notifier.send(claimed).await.unwrap();
        }
    }

    /// Starts the worker.
    pub(crate) fn work(&self) -> RunningWorker {
        startup::worker(&self.settings.worker, &self.services).unwrap().start()
    }

    /// Starts the worker, which polls once and then runs only when woken.
    pub(crate) fn work_when_woken(&self) -> RunningWorker {
        let worker = startup::worker(&self.settings.worker, &self.services).unwrap();
        Worker { poll: Duration::from_secs(86_400), ..worker }.start()
    }

    /// Starts the periodic tasks.
    pub(crate) fn periodic(&self) -> Periodic {
        Periodic::start(&self.services, Duration::from_secs(3600))
    }

    /// Begins to drain, as after SIGTERM.
    pub(crate) fn drain(&self) {
        self.services.draining.begin();
    }

    /// Runs SQL directly on the database.
    pub(crate) fn execute(&self, sql: &str) {
        self.database.execute(sql);
    }

    pub(crate) fn database(&self) -> &TestDatabase {
        &self.database
    }
}

/// A setting as a flag and its value.
type Flag<'a> = (&'a str, &'a str);

/// The settings of a server as flags, without the environment.
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    settings: Settings,
}

fn settings(database_url: &str, flags: &[Flag<'_>]) -> (Settings, Secrets) {
    let mut all = BTreeMap::from([
        ("--database-url", database_url),
        ("--secret-key", tokens::SECRET_KEY),
        ("--audit-key", AUDIT_KEY),
        ("--admin-email", FOUNDER),
        ("--admin-password", PASSWORD),
        ("--default-tenant", TENANT),
        // Nothing calls it unless a test starts a worker.
        ("--engine-url", "http://127.0.0.1:9"),
    ]);
    all.extend(flags.iter().copied());
    // Secrets are variables, not flags.
    let (secrets, flags): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|(flag, _)| SECRETS.iter().any(|it| names(flag, it)));
    let arguments = std::iter::once("mass").chain(flags.into_iter().flat_map(|(name, value)| [name, value]));
    let mut settings = Flags::try_parse_from(arguments).unwrap().settings;
    settings.local.bcrypt_cost = Cost::FASTEST;
    let value = |name: &str| secrets.iter().find(|(flag, _)| names(flag, name)).map(|(_, value)| value.into());
    (settings, Secrets::read(value).unwrap())
}

/// Returns true if the flag names the variable of a secret.
fn names(flag: &str, variable: &str) -> bool {
    let name = flag.trim_start_matches('-').replace('-', "_").to_ascii_uppercase();
    variable.strip_prefix("MASS_").unwrap_or(variable) == name
}

/// A server on its own thread, stopped on drop, also when a test fails.
struct Server {
    address: SocketAddr,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(services: Services) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (told, handle) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async {
                let server = mass_app::http::serve(listener, services).unwrap();
                told.send(server.handle()).unwrap();
                server.await.unwrap();
            });
        });
        Self { address, handle: handle.recv().unwrap(), thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The command is sent at once; awaiting the future would only wait for the end, as the thread does.
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}
