//! Opening a database, losing connections, and maintenance.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use mass_domain::delivery::{DeadReason, Failure, FailureCode, WorkerName};
use mass_domain::mass_request::{RequestFilter, Status};
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::tenancy::AutoSend;
use mass_persistence::{InvalidUrl, OpenError, Options, open};
use mass_service::{Claimed, Conclusion, Recorded, Restraint, Submission};

use crate::databases::{DatabaseLocation, TestDatabase, administration};
use crate::fixtures::{Vary, account, at, deletion, founded, other_tenant, reading, simple, tenant, transition};

on_both!(a_database_can_be_checked, old_keys_are_forgotten, statements_work_without_the_cache);

async fn a_database_can_be_checked(db: TestDatabase) {
    db.database.check().await.unwrap();
    let kind = match db.place {
        DatabaseLocation::Sqlite(_) => "SQLite at /",
        DatabaseLocation::Postgres(_) => "PostgreSQL at ",
    };
    assert!(db.database.describe().starts_with(kind), "{}", db.database.describe());
}

async fn old_keys_are_forgotten(db: TestDatabase) {
    let submissions = vec![simple(1).keyed("old").sent(at(1)), simple(1).keyed("new").sent(at(2))];
    db.mass().accept(&tenant(), submissions.clone(), Vec::new(), None).await.unwrap().unwrap();
    assert_eq!(db.database.purge(at(2)).await.unwrap(), 1);
    assert_eq!(db.database.purge(at(2)).await.unwrap(), 0);
    let again = submissions.into_iter().map(|sent| sent.sent(at(3))).collect();
    let results = db.mass().accept(&tenant(), again, Vec::new(), None).await.unwrap().unwrap();
    assert_eq!(results.iter().map(|result| result.as_ref().unwrap().replayed).collect::<Vec<_>>(), [false, true]);
}

async fn statements_work_without_the_cache(db: TestDatabase) {
    let database = open(&Options { statement_cache: false, ..db.place.options() }).unwrap();
    for celsius in 0..3 {
        let submissions = vec![reading("dev-1", celsius).correcting().keyed(&format!("k-{celsius}"))];
        database
            .stores()
            .mass
            .accept(&tenant(), submissions, Vec::new(), None)
            .await
            .unwrap()
            .unwrap()
            .pop()
            .unwrap()
            .unwrap();
    }
}

/// A statement that is prepared while a table is empty keeps its plan, which must not scan the table.
#[tokio::test]
async fn a_first_import_scans_no_table() {
    let TestDatabase { database, place } = TestDatabase::postgres().await;
    for chunk in 0..20 {
        let readings = (0..20).map(|n| reading(&format!("dev-{chunk}-{n}"), 20)).collect();
        for result in database.stores().mass.accept(&tenant(), readings, Vec::new(), None).await.unwrap().unwrap() {
            result.unwrap();
        }
    }
    // A connection submits its statistics when it ends, which takes a moment.
    drop(database);
    while statistics(&place, "mass_requests", "idx_scan") == 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(statistics(&place, "mass_requests", "seq_tup_read"), 0);
}

/// A plan made for small tables is kept while they grow.
#[tokio::test]
async fn grown_tables_are_not_scanned() {
    let TestDatabase { database, place } = TestDatabase::postgres().await;
    place.execute("ALTER TABLE idempotency_keys SET (autovacuum_enabled = off)");
    place.execute("ALTER TABLE mass_requests SET (autovacuum_enabled = off)");
    let send = async |from: i64, to: i64| {
        for n in from..to {
            let readings = (0..10).map(|m| reading(&format!("dev-{n}-{m}"), 20).keyed(&format!("key-{n}-{m}")));
            let results =
                database.stores().mass.accept(&tenant(), readings.collect(), Vec::new(), None).await.unwrap().unwrap();
            results.into_iter().for_each(|result| assert!(!result.unwrap().replayed));
        }
    };
    send(0, 1).await;
    place.execute("ANALYZE");
    send(1, 101).await;
    // These are looked up, because they exist.
    let again = (0..10).map(|m| reading(&format!("dev-50-{m}"), 20).keyed(&format!("key-50-{m}"))).collect::<Vec<_>>();
    for _ in 0..10 {
        for result in database.stores().mass.accept(&tenant(), again.clone(), Vec::new(), None).await.unwrap().unwrap()
        {
            assert!(result.unwrap().replayed);
        }
    }
    drop(database);
    while statistics(&place, "mass_requests", "n_tup_ins") < 1010 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for table in ["idempotency_keys", "mass_requests"] {
        let read = statistics(&place, table, "seq_tup_read + idx_tup_fetch");
        assert!(read < 3000, "{read} rows of {table} were read for 1,110 documents");
    }
}

/// The planner knows too little of a table that was never analysed, so that a kept plan must be good.
#[tokio::test]
async fn tables_without_statistics_are_not_scanned() {
    let TestDatabase { database, place } = TestDatabase::postgres().await;
    for table in ["idempotency_keys", "mass_requests"] {
        place.execute(&format!("ALTER TABLE {table} SET (autovacuum_enabled = off)"));
    }
    for n in 0..100 {
        let readings = (0..30).map(|m| reading(&format!("dev-{n}-{m}"), 20).keyed(&format!("key-{n}-{m}")));
        let results =
            database.stores().mass.accept(&tenant(), readings.collect(), Vec::new(), None).await.unwrap().unwrap();
        assert!(results.iter().all(Result::is_ok));
    }
    drop(database);
    while statistics(&place, "mass_requests", "n_tup_ins") < 3000 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for table in ["idempotency_keys", "mass_requests"] {
        let read = statistics(&place, table, "seq_tup_read + idx_tup_fetch");
        // A table of a page or two may be scanned, and is, a few times.
        assert!(read < 100_000, "{read} rows of {table} were read for 3,000 documents");
    }
}

/// The same holds for plans made while there are few deliveries: each is found by its key alone.
#[tokio::test]
async fn deliveries_are_looked_up_by_their_keys() {
    let TestDatabase { database, place } = TestDatabase::postgres().await;
    for table in ["deliveries", "delivery_queue"] {
        place.execute(&format!("ALTER TABLE {table} SET (autovacuum_enabled = off)"));
    }
    let stores = database.stores();
    let worker = WorkerName::parse("w").unwrap();
    for n in 0..30 {
        let readings = (0..10).map(|m| reading(&format!("dev-{n}-{m}"), 20));
        let sent = readings.map(|reading| Submission { auto_send: AutoSend::On, ..reading }).collect();
        assert!(
            stores.mass.accept(&tenant(), sent, Vec::new(), None).await.unwrap().unwrap().iter().all(Result::is_ok)
        );
        let claimed = stores.deliveries.claim(&worker, 5, at(9), at(99), &Restraint::default()).await.unwrap();
        assert_eq!(claimed.len(), 5);
        for Claimed { claim, .. } in claimed {
            let again = Conclusion::Postponed { due_at: at(9) };
            assert_eq!(stores.deliveries.record(&claim, again, at(9)).await.unwrap(), Recorded::Recorded);
        }
    }
    drop(database);
    let used = |index: &str| -> i64 {
        let used = "SELECT CAST(idx_scan AS text) AS line FROM pg_stat_user_indexes WHERE indexrelname";
        place.lines(&format!("{used} = '{index}'"))[0].parse().unwrap()
    };
    while statistics(&place, "delivery_queue", "n_tup_ins") < 300 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for table in ["deliveries", "delivery_queue", "audit_events"] {
        let read = statistics(&place, table, "seq_tup_read + idx_tup_fetch");
        assert!(read < 4000, "{read} rows of {table} were read for 300 documents and 150 attempts");
    }
    assert!(used("deliveries_pkey") >= 300 && used("delivery_queue_pkey") >= 300);
    // Inserting a delivery checks that the request has none yet.
    let written = statistics(&place, "deliveries", "n_tup_ins");
    assert!(used("deliveries_by_request") <= written && used("deliveries_by_state") == 0);
    // A claim goes from tenant to tenant and reads the due deliveries of each: a few look-ups per claim.
    let turns = used("delivery_queue_by_tenant");
    assert!(turns <= 30 * 20, "{turns} looks at what is due");
}

fn statistics(place: &DatabaseLocation, table: &str, column: &str) -> i64 {
    let sum = format!("SELECT CAST(COALESCE(sum({column}), 0) AS text) AS line FROM pg_stat_user_tables");
    place.lines(&format!("{sum} WHERE relname = '{table}'"))[0].parse().unwrap()
}

/// A page is read in index order, even of a new table without statistics.
#[tokio::test]
async fn a_page_of_a_new_table_reads_no_more_than_a_page() {
    let TestDatabase { database, place } = TestDatabase::postgres().await;
    place.execute("ALTER TABLE mass_requests SET (autovacuum_enabled = off)");
    let readings = (0..3000).map(|n| reading(&format!("dev-{n}"), 20)).collect();
    database.stores().mass.accept(&tenant(), readings, Vec::new(), None).await.unwrap().unwrap();
    drop(database);
    let fetched = || statistics(&place, "mass_requests", "idx_tup_fetch");
    while statistics(&place, "mass_requests", "n_tup_ins") < 3000 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let before = fetched();
    let database = place.open();
    let of_status = RequestFilter { status: Some(Status::Pending), ..RequestFilter::default() };
    let of_two = RequestFilter { site_id: Some("site-1".to_owned()), ..of_status.clone() };
    let filters = [RequestFilter::default(), of_status, of_two];
    for filter in &filters {
        let page = database.stores().mass.list(&tenant(), filter, None, Limit::DEFAULT).await.unwrap();
        assert!(page.len() > 20);
    }
    drop(database);
    while fetched() == before {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let most = i64::from(Limit::DEFAULT.get() + 1) * i64::try_from(filters.len()).unwrap();
    assert!(fetched() - before <= most, "{}", fetched() - before);
}

/// A process that is alone with its tenant reads the state once and then caches it, whatever its worker does.
#[tokio::test]
async fn the_state_cache_saves_queries() {
    let TestDatabase { database, place } = TestDatabase::postgres().await;
    let worker = WorkerName::parse("w").unwrap();
    for n in 0..50 {
        let sent = reading(&format!("dev-{n}"), 20).keyed(&format!("key-{n}"));
        let sent = Submission { auto_send: AutoSend::On, ..sent };
        let stores = database.stores();
        stores.mass.accept(&tenant(), vec![sent], Vec::new(), None).await.unwrap().unwrap().remove(0).unwrap();
        let claimed = stores.deliveries.claim(&worker, 1, at(9), at(99), &Restraint::default()).await.unwrap();
        let failure = Failure { code: FailureCode::Refused, detail: "No.".to_owned() };
        let dead = Conclusion::Dead { failure, reason: DeadReason::NotRetryable };
        assert_eq!(stores.deliveries.record(&claimed[0].claim, dead, at(9)).await.unwrap(), Recorded::Recorded);
    }
    assert_eq!(place.lines("SELECT CAST(size AS text) AS line FROM audit_heads WHERE tenant_id = 'default'"), ["150"]);
    drop(database);
    while statistics(&place, "mass_requests", "n_tup_ins") < 50 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Quotas and settings are read only when the cache has no entry.
    let asked = statistics(&place, "quotas", "seq_scan + idx_scan");
    assert!((1..5).contains(&asked), "{asked}");
}

fn error(url: &str) -> OpenError {
    let options = Options { url: url.to_owned(), ..DatabaseLocation::sqlite().options() };
    match open(&options) {
        Ok(database) => panic!("opened {}", database.describe()),
        Err(error) => error,
    }
}

#[test]
fn failures_to_open_are_reported_soon_and_without_the_password() {
    let started = Instant::now();
    let unreachable = error("postgres://mass:s3cret@127.0.0.1:1/mass").to_string();
    assert!(unreachable.contains("127.0.0.1") && !unreachable.contains("s3cret"), "{unreachable}");
    let unreadable = error("postgres://mass:s3cret@[::1/mass").to_string();
    assert!(!unreadable.contains("s3cret"), "{unreadable}");
    assert!(matches!(error("mysql://mass:s3cret@db/mass"), OpenError::Url(InvalidUrl::Scheme)));
    assert!(matches!(error("sqlite:///proc/none/mass.db"), OpenError::Folder { .. }));
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(error(&format!("sqlite://{}", folder.path().display())), OpenError::Unreachable(_)));
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_migration_url_needs_a_server_database() {
    let migration_url = Some("postgres://owner@127.0.0.1:1/mass".to_owned());
    let options = Options { migration_url, ..DatabaseLocation::sqlite().options() };
    assert!(matches!(open(&options), Err(OpenError::MigrationUrl)));
}

#[tokio::test]
async fn the_serving_role_need_not_own_the_tables() {
    let place = DatabaseLocation::postgres();
    let role = format!("{}_app", place.lines("SELECT current_database()::text AS line")[0]);
    administration().batch_execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 'app'")).unwrap();
    let owner = place.options().url;
    let url = format!("{owner}?user={role}&password=app");
    let database = open(&Options { url, migration_url: Some(owner), ..place.options() }).unwrap();
    database.migrate().unwrap();
    place.execute(&format!(
        "GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO {role};
         GRANT UPDATE ON users, mass_requests, audit_heads TO {role};
         GRANT DELETE ON idempotency_keys TO {role};"
    ));

    let (users, mass) = (&database.stores().auth.users, &database.stores().mass);
    assert!(users.bootstrap(founded(tenant()), account("admin@example.test", &tenant()), Vec::new()).await.unwrap());
    let submissions = vec![reading("dev-1", 20).keyed("k"), reading("dev-1", 21).correcting()];
    let ids = submissions.iter().map(|sent| sent.id).collect::<Vec<_>>();
    mass.accept(&tenant(), submissions, Vec::new(), None).await.unwrap().unwrap();
    mass.transition(&tenant(), ids[0], transition(Status::Processing)).await.unwrap();
    mass.delete(&tenant(), ids[1], deletion()).await.unwrap();
    assert_eq!(database.purge(at(9)).await.unwrap(), 1);

    let as_server = format!("SET ROLE {role}");
    for forbidden in ["DELETE FROM audit_events", "UPDATE audit_events SET sequence = 0", "DROP TABLE users"] {
        let DatabaseLocation::Postgres(server) = &place else { panic!("not PostgreSQL") };
        let mut connection = server.connection();
        connection.batch_execute(&as_server).unwrap();
        assert!(connection.batch_execute(forbidden).is_err(), "{forbidden}");
    }
    drop((database, place));
    administration().batch_execute(&format!("DROP ROLE {role}")).unwrap();
}

#[tokio::test]
async fn queued_writes_of_a_tenant_do_not_delay_others() {
    let db = TestDatabase::postgres().await;
    let id = db.stored(reading("dev-1", 20)).await.summary.id;
    let DatabaseLocation::Postgres(server) = &db.place else { panic!("not PostgreSQL") };
    let mut holder = server.connection();
    holder
        .batch_execute(&format!("BEGIN; SELECT size FROM audit_heads WHERE tenant_id = '{}' FOR UPDATE", tenant()))
        .unwrap();
    let noisy = tenant();
    let many = (0..100).map(|_| db.mass().transition(&noisy, id, transition(Status::Processing)));
    let piled_up = futures_util::future::join_all(many);
    let other = async {
        // By now the others have taken all connections that they could get.
        tokio::task::yield_now().await;
        let stored = db.mass().accept(&other_tenant(), vec![reading("dev-1", 20)], Vec::new(), None).await;
        holder.batch_execute("COMMIT").unwrap();
        stored
    };
    let (moved, stored) = tokio::join!(piled_up, other);
    assert!(stored.unwrap().unwrap()[0].is_ok());
    assert!(moved.iter().all(Result::is_ok));
}

#[tokio::test]
async fn reconnects_after_the_server_closed_its_connections() {
    let db = TestDatabase::postgres().await;
    db.database.check().await.unwrap();
    let DatabaseLocation::Postgres(server) = &db.place else { panic!("not PostgreSQL") };
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                  WHERE datname = current_database() AND pid <> pg_backend_pid()";
    server.connection().batch_execute(others).unwrap();

    // Each connection fails at most once, because none of them is used again.
    let mut answers = Vec::new();
    for celsius in 0..8 {
        let submissions = vec![reading("dev-1", celsius).correcting()];
        answers.push(db.mass().accept(&tenant(), submissions, Vec::new(), None).await.map(|_| ()));
        answers.push(db.database.check().await);
    }
    let failures: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert!(failures.iter().all(|error| matches!(error, PortError::Unavailable(_))), "{failures:?}");
    assert!(failures.len() <= 8 && answers[8..].iter().all(Result::is_ok), "{answers:?}");
}

/// A proxy to a server whose connections can be lost silently: the loss shows at the next use.
struct LossyWay {
    address: SocketAddr,
    losses: Arc<AtomicUsize>,
}

impl LossyWay {
    fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, losses) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&losses);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(&server).unwrap());
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let (count, at_first) = (Arc::clone(&count), count.load(Ordering::SeqCst));
                std::thread::spawn(move || pass(client, server, || count.load(Ordering::SeqCst) == at_first));
                std::thread::spawn(move || pass(back.0, back.1, || true));
            }
        });
        Self { address, losses }
    }

    fn lose_connections(&self) {
        self.losses.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns the options with this proxy in their URLs.
    fn options(&self, options: Options) -> Options {
        let by_this_way = |url: &str| {
            let (before, after) = url.rsplit_once('@').unwrap();
            format!("{before}@{}/{}", self.address, after.split_once('/').unwrap().1)
        };
        Options { url: by_this_way(&options.url), ..options }
    }
}

/// Copies bytes while it may; then closes both connections.
fn pass(mut from: TcpStream, mut to: TcpStream, may: impl Fn() -> bool) {
    let mut buffer = [0; 65536];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if !may() || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    for end in [from, to] {
        let _ = end.shutdown(Shutdown::Both);
    }
}

/// A connection that passed its health check and was lost afterwards.
#[tokio::test]
async fn silently_lost_connections_fail_no_request() {
    for place in [DatabaseLocation::postgres_restricted(), DatabaseLocation::postgres()] {
        let is_restricted = place.options().migration_url.is_some();
        let db = TestDatabase::with_tenants(place).await;
        let url = db.place.options().url;
        let way = LossyWay::to(url.rsplit_once('@').unwrap().1.split_once('/').unwrap().0.to_owned());
        let database = open(&way.options(db.place.options())).unwrap();
        let stores = database.stores();
        let id = reading("dev-1", 0).id;
        for round in 0..3 {
            // With row-level security, writes begin their transactions in another way.
            if is_restricted {
                let sent = vec![reading("dev-1", round).correcting()];
                stores.mass.accept(&tenant(), sent, Vec::new(), None).await.unwrap().unwrap().remove(0).unwrap();
                way.lose_connections();
            }
            let address = account("nobody@example.test", &tenant()).user.email;
            assert_eq!(stores.auth.users.find_by_email(&address).await.unwrap(), None);
            way.lose_connections();
            stores.mass.find(&tenant(), id).await.unwrap();
            way.lose_connections();
            stores.mass.list(&tenant(), &RequestFilter::default(), None, Limit::DEFAULT).await.unwrap();
            way.lose_connections();
            stores.auth.users.credentials_version(&tenant()).await.unwrap();
            way.lose_connections();
            database.check().await.unwrap();
            way.lose_connections();
        }
    }
}

/// The driver exposes few SQLSTATEs, so that the messages have to be understood.
#[tokio::test]
async fn requests_error_messages_in_english_if_allowed() {
    let db = TestDatabase::postgres().await;
    let name = db.place.lines("SELECT current_database()::text AS line").pop().unwrap();
    db.place.execute(&format!("ALTER DATABASE {name} SET lc_messages = 'POSIX'"));
    db.place.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'in the language %', current_setting('lc_messages'); END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON audit_events EXECUTE FUNCTION refuse()",
    );
    let database = db.place.open();
    let refused = database.stores().mass.accept(&tenant(), vec![simple(1)], Vec::new(), None).await;
    let Err(PortError::Unexpected(told)) = refused else { panic!("{refused:?}") };
    assert!(format!("{told:#}").contains("in the language C"), "{told:#}");
}

#[tokio::test]
async fn a_server_that_is_gone_is_unavailable() {
    let db = TestDatabase::postgres().await;
    let name = db.place.lines("SELECT current_database()::text AS line").pop().unwrap();
    administration().batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).unwrap();
    for _ in 0..2 {
        let started = Instant::now();
        assert!(matches!(db.database.check().await, Err(PortError::Unavailable(_))));
        assert!(started.elapsed() < Duration::from_secs(8));
    }
    administration().batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
    db.database.check().await.unwrap();
}

#[tokio::test]
async fn a_file_that_another_process_keeps_locked_is_unavailable() {
    let db = TestDatabase::sqlite().await;
    let mut other = db.place.sqlite_connection();
    other.batch_execute("BEGIN IMMEDIATE").unwrap();
    let refused = db.mass().accept(&tenant(), vec![simple(1)], Vec::new(), None).await;
    assert!(matches!(refused, Err(PortError::Unavailable(_))), "{refused:?}");
    db.database.check().await.unwrap();
    other.batch_execute("ROLLBACK").unwrap();
    db.mass().accept(&tenant(), vec![simple(1)], Vec::new(), None).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_file_that_was_moved_away_is_unavailable_until_it_is_back() {
    let db = TestDatabase::sqlite().await;
    let DatabaseLocation::Sqlite(folder) = &db.place else { unreachable!() };
    let url = db.place.options().url;
    let (path, elsewhere) = (url.trim_start_matches("sqlite://"), folder.path().join("elsewhere.db"));
    let assert_unavailable = async || {
        assert!(matches!(db.database.check().await, Err(PortError::Unavailable(_))));
        let refused = db.mass().accept(&tenant(), vec![simple(1)], Vec::new(), None).await;
        assert!(matches!(refused, Err(PortError::Unavailable(_))), "{refused:?}");
    };
    std::fs::rename(path, &elsewhere).unwrap();
    assert_unavailable().await;
    std::fs::copy(&elsewhere, path).unwrap();
    assert_unavailable().await;
    std::fs::rename(&elsewhere, path).unwrap();
    db.database.check().await.unwrap();
    db.mass().accept(&tenant(), vec![simple(1)], Vec::new(), None).await.unwrap().unwrap();
}

/// Messages of PostgreSQL about its environment, with their SQLSTATEs.
const SURROUNDINGS: [(&str, &str); 12] = [
    ("08006", "server closed the connection unexpectedly"),
    ("25006", "cannot execute INSERT in a read-only transaction"),
    ("40001", "could not serialize access due to concurrent update"),
    ("40P01", "deadlock detected"),
    ("53100", "could not extend file \"base/1/2\": No space left on device"),
    ("53200", "out of memory"),
    ("53300", "sorry, too many clients already"),
    ("53400", "temporary file size exceeds temp_file_limit (1kB)"),
    ("55P03", "canceling statement due to lock timeout"),
    ("57014", "canceling statement due to statement timeout"),
    ("57P01", "terminating connection due to administrator command"),
    ("58030", "could not read block 0 in file \"base/1/2\": Input/output error"),
];

/// Makes writes of events fail with this error, this number of times.
fn fail_events(place: &DatabaseLocation, state: &str, message: &str, times: u32) {
    place.execute(&format!(
        "DROP TRIGGER IF EXISTS refuse ON audit_events;
         DROP SEQUENCE IF EXISTS failures;
         CREATE SEQUENCE failures;
         CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF nextval('failures') <= {times} THEN
                 RAISE EXCEPTION USING ERRCODE = '{state}', MESSAGE = '{message}';
             END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION refuse()"
    ));
}

#[tokio::test]
async fn errors_of_the_database_servers_environment_are_unavailability() {
    let db = TestDatabase::postgres().await;
    for (state, message) in SURROUNDINGS {
        fail_events(&db.place, state, message, 1000);
        let refused = db.mass().accept(&tenant(), vec![simple(1)], Vec::new(), None).await;
        assert!(matches!(refused, Err(PortError::Unavailable(_))), "{state}: {refused:?}");
        db.database.check().await.unwrap();
    }
    fail_events(&db.place, "P0001", "refused", 1000);
    let refused = db.mass().accept(&tenant(), vec![simple(1)], Vec::new(), None).await;
    assert!(matches!(refused, Err(PortError::Unexpected(_))), "{refused:?}");
}

/// A limit on temporary files stands in for a full disk: tables cannot be kept from growing otherwise.
#[tokio::test]
async fn a_database_whose_log_has_room_and_whose_files_have_none_is_unavailable() {
    let db = TestDatabase::postgres().await;
    let name = db.place.lines("SELECT current_database()::text AS line").pop().unwrap();
    let limit = |limit: &str| db.place.execute(&format!("ALTER DATABASE {name} SET temp_file_limit = '{limit}'"));
    fail_events(&db.place, "53100", "could not extend file \"base/1/2\": No space left on device", 1000);
    for (files, has_room) in [("64kB", false), ("64MB", true)] {
        limit(files);
        let database = db.place.open();
        database.check().await.unwrap();
        let refused = database.stores().mass.accept(&tenant(), vec![simple(1)], Vec::new(), None).await;
        assert!(matches!(refused, Err(PortError::Unavailable(_))), "{refused:?}");
        for _ in 0..2 {
            assert_eq!(database.check().await.is_ok(), has_room, "{files}");
        }
    }
}

#[tokio::test]
async fn an_answer_of_the_engine_survives_a_deadlock() {
    let db = TestDatabase::postgres().await;
    let worker = WorkerName::parse("w").unwrap();
    for (state, message) in [("40001", "could not serialize access"), ("40P01", "deadlock detected")] {
        let sent = Submission { auto_send: AutoSend::On, ..simple(1) };
        db.mass().accept(&tenant(), vec![sent], Vec::new(), None).await.unwrap().unwrap().remove(0).unwrap();
        let deliveries = &db.database.stores().deliveries;
        let claimed = deliveries.claim(&worker, 1, at(9), at(99), &Restraint::default()).await.unwrap();
        fail_events(&db.place, state, message, 1);
        let failure = Failure { code: FailureCode::Refused, detail: "No.".to_owned() };
        let dead = Conclusion::Dead { failure, reason: DeadReason::NotRetryable };
        assert_eq!(deliveries.record(&claimed[0].claim, dead, at(9)).await.unwrap(), Recorded::Recorded);
    }
}
