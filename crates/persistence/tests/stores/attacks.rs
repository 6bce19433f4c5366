//! Tampering with the audit trail by somebody with all rights on the database, and the findings of the verification.

use std::fmt::Write as _;

use diesel::connection::SimpleConnection;
use mass_audit_service::live::{LiveFinding, LiveReport, VerifyLiveError, verify};
use mass_audit_service::signer::OpenCheckpointError;
use mass_audit_service::{AuditStore, CheckpointSigner, StoredCheckpoint};
use mass_auth::{PasswordHash, created_user};
use mass_domain::audit::note::{Checkpoint, KeyName};
use mass_domain::audit::tree::{Frontier, Subtree, TreeHash};
use mass_domain::audit::{Action, CREDENTIALS, Object};
use mass_domain::ids::{MassRequestId, UserId};
use mass_domain::mass_request::Status;
use mass_domain::tenancy::TenantId;

use crate::databases::{DatabaseLocation, TestDatabase};
use crate::fixtures::{Vary, account, act, at, deletion, event, founded, reading, simple, tenant, transition};

on_both!(
    an_unchanged_log_is_valid,
    a_changed_text_is_found,
    a_changed_text_with_its_hash_is_found,
    a_changed_acceptance_with_its_hash_is_found_by_its_request,
    swapped_events_are_found,
    a_removed_event_is_found,
    there_are_no_proofs_of_missing_events,
    an_inserted_event_is_found,
    a_removed_tail_is_found,
    a_removed_tail_is_found_by_its_requests,
    a_rewritten_log_is_found_by_an_earlier_checkpoint,
    a_changed_column_is_found,
    a_changed_node_is_found,
    a_changed_head_is_found,
    a_forged_checkpoint_is_found,
    a_changed_request_is_found,
    each_changed_column_of_a_request_is_found,
    a_request_put_back_to_its_acceptance_is_found,
    a_request_that_names_the_event_of_another_is_found,
    a_changed_account_is_found,
    an_inserted_or_removed_account_is_found,
    an_unreadable_value_is_a_finding,
    accounts_of_older_logs_are_not_reported,
    a_log_only_grows_by_valid_events,
);

/// The number of events in the log: enough for a stored node of the tree, and some peaks beside it.
const EVENTS: u64 = 300;

/// The sizes of its checkpoints.
const SIGNED: [u64; 2] = [100, 290];

/// A log that begins with three accepted requests, the second of which is then deleted.
struct Log {
    db: TestDatabase,
    requests: [MassRequestId; 3],
    notes: Vec<String>,
}

fn signer() -> CheckpointSigner {
    CheckpointSigner::from_seed(KeyName::parse("mass.local").unwrap(), &[7; 32]).unwrap()
}

impl Log {
    async fn new(db: TestDatabase) -> Self {
        let requests = [1, 2, 3].map(simple);
        let ids = [requests[0].id, requests[1].id, requests[2].id];
        for request in requests {
            db.stored(request).await;
        }
        db.mass().delete(&tenant(), ids[1], deletion()).await.unwrap();
        let rest = (4..EVENTS).map(|second| event(&tenant(), at(4_000_000 + i64::try_from(second).unwrap())));
        db.database.stores().audit.append(&tenant(), rest.collect()).await.unwrap();
        let mut log = Self { db, requests: ids, notes: Vec::new() };
        for size in SIGNED {
            let root = log.audit().frontier_at(&tenant(), size).await.unwrap().unwrap().root();
            let note = signer().sign(&Checkpoint { origin: "mass.local/default".to_owned(), size, root });
            let checkpoint = StoredCheckpoint { size, at: at(5), note: note.clone() };
            log.audit().keep_checkpoint(&tenant(), checkpoint).await.unwrap();
            log.notes.push(note);
        }
        log
    }

    fn audit(&self) -> &dyn AuditStore {
        &*self.db.database.stores().audit
    }

    async fn verify(&self, earlier: &[String]) -> Result<LiveReport, VerifyLiveError> {
        verify(&*self.db.database.stores().live, &tenant(), Some(signer().key()), earlier, |_| {}).await
    }

    async fn finding(&self) -> LiveFinding {
        found(self.verify(&[]).await)
    }

    /// Runs statements that the triggers of the audit trail refuse, without the triggers.
    fn attack(&self, statements: &str) {
        let refused = execute(&self.db.place, statements).unwrap_err();
        assert!(refused.contains("the audit trail only grows"), "{refused}");
        let armless = match &self.db.place {
            DatabaseLocation::Sqlite(_) => {
                let triggers = self.db.place.lines("SELECT name AS line FROM sqlite_schema WHERE type = 'trigger'");
                triggers.into_iter().fold(String::new(), |drops, name| drops + &format!("DROP TRIGGER {name};"))
            }
            DatabaseLocation::Postgres(_) => "SET session_replication_role = replica;".to_owned(),
        };
        execute(&self.db.place, &format!("{armless}{statements}")).unwrap();
    }

    /// Runs statements that the triggers refuse, unless an earlier attack has removed these.
    fn attack_again(&self, statements: &str) {
        let left = "SELECT name AS line FROM sqlite_schema WHERE type = 'trigger'";
        match &self.db.place {
            DatabaseLocation::Sqlite(_) if self.db.place.lines(left).is_empty() => self.change(statements),
            DatabaseLocation::Sqlite(_) | DatabaseLocation::Postgres(_) => self.attack(statements),
        }
    }

    /// Runs statements that no trigger refuses.
    fn change(&self, statements: &str) {
        self.db.place.execute(statements);
    }

    fn text(&self, event: u64) -> String {
        let query = format!("SELECT event AS line FROM audit_events WHERE {} AND sequence = {event}", of_tenant());
        self.db.place.lines(&query).pop().unwrap()
    }

    fn texts(&self) -> Vec<String> {
        self.db.place.lines(&format!("SELECT event AS line FROM audit_events WHERE {} ORDER BY sequence", of_tenant()))
    }

    /// Builds the statement that rewrites an event's text and its hash.
    fn rewriting(&self, event: u64, text: &str) -> String {
        let hash = self.bytes(TreeHash::of_leaf(text.as_bytes()).as_bytes());
        let text = text.replace('\'', "''");
        let place = format!("{} AND sequence = {event}", of_tenant());
        format!("UPDATE audit_events SET event = '{text}', leaf_hash = {hash} WHERE {place};")
    }

    /// Builds the statement that rewrites the head of a log.
    fn heading(&self, frontier: &Frontier) -> String {
        let peaks: Vec<u8> = frontier.peaks().iter().flat_map(|peak| *peak.as_bytes()).collect();
        let (size, peaks) = (frontier.size(), self.bytes(&peaks));
        format!("UPDATE audit_heads SET size = {size}, frontier = {peaks} WHERE {};", of_tenant())
    }

    fn bytes(&self, bytes: &[u8]) -> String {
        let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        });
        match &self.db.place {
            DatabaseLocation::Sqlite(_) => format!("x'{hex}'"),
            DatabaseLocation::Postgres(_) => format!("decode('{hex}', 'hex')"),
        }
    }

    fn id(&self, request: usize) -> String {
        let id = self.requests[request].as_uuid();
        match &self.db.place {
            DatabaseLocation::Sqlite(_) => self.bytes(id.as_bytes()),
            DatabaseLocation::Postgres(_) => format!("'{id}'"),
        }
    }
}

fn of_tenant() -> &'static str {
    "tenant_id = 'default'"
}

fn execute(place: &DatabaseLocation, statements: &str) -> Result<(), String> {
    let done = match place {
        DatabaseLocation::Sqlite(_) => place.sqlite_connection().batch_execute(statements),
        DatabaseLocation::Postgres(database) => database.connection().batch_execute(statements),
    };
    done.map_err(|error| error.to_string())
}

fn found(result: Result<LiveReport, VerifyLiveError>) -> LiveFinding {
    match result {
        Err(VerifyLiveError::Found(finding)) => finding,
        other => panic!("nothing was found: {other:?}"),
    }
}

async fn an_unchanged_log_is_valid(db: TestDatabase) {
    let log = Log::new(db).await;
    let mut progress = 0;
    let live = &*log.db.database.stores().live;
    let report = verify(live, &tenant(), Some(signer().key()), &log.notes, |count| progress += count).await.unwrap();
    let expected = LiveReport {
        tenant: tenant(),
        events: EVENTS,
        archived: 0,
        root: log.audit().head(&tenant()).await.unwrap().root(),
        requests: 3,
        unindexed: 0,
        // The user is older than its log.
        users: 1,
        untold_users: 1,
        checkpoints: 2,
        signatures_checked: true,
        covered: 290,
        confirmed: SIGNED.to_vec(),
    };
    assert_eq!((report, progress), (expected, EVENTS));
}

async fn a_changed_text_is_found(db: TestDatabase) {
    let log = Log::new(db).await;
    log.attack("UPDATE audit_events SET event = replace(event, 'req-1', 'req-2') WHERE sequence = 50");
    assert_eq!(log.finding().await, LiveFinding::Changed { event: 50 });
}

/// An event is protected by the next checkpoint, by the next stored node, and by the head.
async fn a_changed_text_with_its_hash_is_found(db: TestDatabase) {
    let log = Log::new(db).await;
    let original: Vec<_> = [295, 150, 50].map(|event| (event, log.text(event))).into();
    for (event, text) in original {
        log.attack_again(&log.rewriting(event, &text.replacen("req-1", "req-2", 1)));
        let expected = match event {
            295 => LiveFinding::Head { first: 289, last: 296 },
            150 => LiveFinding::Node { level: 8, position: 0, first: 1, last: 256 },
            _ => LiveFinding::NotAsSigned { first: 1, last: 100 },
        };
        assert_eq!(log.finding().await, expected);
    }
}

async fn a_changed_acceptance_with_its_hash_is_found_by_its_request(db: TestDatabase) {
    let log = Log::new(db).await;
    log.attack(&log.rewriting(3, &log.text(3).replacen("req-1", "req-2", 1)));
    let (request, what) = (log.requests[2], "receipt");
    assert_eq!(log.finding().await, LiveFinding::RequestChanged { request, what, event: 3 });
}

async fn swapped_events_are_found(db: TestDatabase) {
    let log = Log::new(db).await;
    let swap = log.rewriting(50, &log.text(60)) + &log.rewriting(60, &log.text(50));
    log.attack(&swap);
    assert_eq!(log.finding().await, LiveFinding::OutOfPlace { found: 60, expected: 50 });
}

async fn a_removed_event_is_found(db: TestDatabase) {
    let log = Log::new(db).await;
    log.attack("DELETE FROM audit_events WHERE sequence IN (50, 51, 70)");
    assert_eq!(log.finding().await, LiveFinding::Missing { first: 50, last: 51 });
}

async fn there_are_no_proofs_of_missing_events(db: TestDatabase) {
    let log = Log::new(db).await;
    log.attack("DELETE FROM audit_events WHERE sequence = 290");
    assert_eq!(log.audit().frontier_at(&tenant(), EVENTS).await.unwrap(), None);
    assert_eq!(log.audit().inclusion(&tenant(), 295, EVENTS).await.unwrap(), None);
    assert_eq!(log.audit().consistency(&tenant(), 289, EVENTS).await.unwrap(), None);
    assert!(log.audit().frontier_at(&tenant(), 256).await.unwrap().is_some());
}

async fn an_inserted_event_is_found(db: TestDatabase) {
    let log = Log::new(db).await;
    let copy = |from: u64, to: u64| {
        format!(
            "INSERT INTO audit_events SELECT tenant_id, {to}, at, actor_kind, actor_id, action, object_kind, object_id, \
             outcome, event, leaf_hash FROM audit_events WHERE {} AND sequence = {from};",
            of_tenant()
        )
    };
    match &log.db.place {
        DatabaseLocation::Sqlite(_) => log.change(&copy(EVENTS, EVENTS + 1)),
        // Here the head has to move as well before the transaction ends.
        DatabaseLocation::Postgres(_) => log.attack(&copy(EVENTS, EVENTS + 1)),
    }
    assert_eq!(log.finding().await, LiveFinding::BeyondHead { last: EVENTS + 1, head: EVENTS });
    let room = "UPDATE audit_events SET sequence = sequence + 1000 WHERE sequence >= 50;
                UPDATE audit_events SET sequence = sequence - 999 WHERE sequence >= 1000;";
    log.attack_again(&format!("{room}{}", copy(49, 50)));
    assert_eq!(log.finding().await, LiveFinding::OutOfPlace { found: 49, expected: 50 });
}

async fn a_removed_tail_is_found(db: TestDatabase) {
    let log = Log::new(db).await;
    let shorter = log.audit().frontier_at(&tenant(), 280).await.unwrap().unwrap();
    log.attack("DELETE FROM audit_events WHERE sequence > 280");
    assert_eq!(log.finding().await, LiveFinding::TailCut { last: 280, head: EVENTS });
    log.attack_again(&log.heading(&shorter));
    assert_eq!(log.finding().await, LiveFinding::CutBelowCheckpoint { covered: 290, last: 280 });
    log.attack_again("DELETE FROM audit_checkpoints WHERE size > 280");
    assert_eq!(log.verify(&log.notes[..1]).await.unwrap().events, 280);
    let finding = found(log.verify(&log.notes).await);
    assert_eq!(finding, LiveFinding::CutBelowCheckpoint { covered: 290, last: 280 });
}

async fn a_removed_tail_is_found_by_its_requests(db: TestDatabase) {
    let log = Log::new(db).await;
    let shorter = log.audit().head(&tenant()).await.unwrap();
    let request = log.db.stored(simple(9)).await.summary.id;
    let cut = format!("DELETE FROM audit_events WHERE sequence > {EVENTS};{}", log.heading(&shorter));
    log.attack(&cut);
    assert_eq!(log.finding().await, LiveFinding::RequestWithoutEvent { request });
}

/// With a new tree and head, and without checkpoints, a rewritten log is valid in itself.
async fn a_rewritten_log_is_found_by_an_earlier_checkpoint(db: TestDatabase) {
    let log = Log::new(db).await;
    let mut texts = log.texts();
    texts[49] = texts[49].replacen("req-1", "req-2", 1);
    let (mut tree, mut nodes) = (Frontier::default(), Vec::new());
    texts.iter().for_each(|text| tree.push(TreeHash::of_leaf(text.as_bytes()), |told| nodes.push(told)));
    let (_, node) = nodes.into_iter().find(|(node, _)| *node == Subtree { level: 8, position: 0 }).unwrap();
    let node = log.bytes(node.as_bytes());
    let anew = [
        log.rewriting(50, &texts[49]),
        format!("UPDATE audit_nodes SET hash = {node};"),
        log.heading(&tree),
        "DELETE FROM audit_checkpoints;".to_owned(),
    ];
    log.attack(&anew.concat());
    assert_eq!(log.verify(&[]).await.unwrap().root, tree.root());
    assert_eq!(found(log.verify(&log.notes).await), LiveFinding::NotAsBefore { first: 1, last: 100 });
}

async fn a_changed_column_is_found(db: TestDatabase) {
    let log = Log::new(db).await;
    let column = |column, stated: &str, text: &str| LiveFinding::Column {
        event: 50,
        column,
        stated: stated.to_owned(),
        text: text.to_owned(),
    };
    let ours = "00000000-0000-0000-0000-000000000007";
    let columns = [
        ("outcome", "'refused'", column("outcome", "refused", "success")),
        ("object_id", "'x'", column("object_id", "x", "nothing")),
        ("object_kind", "'user'", column("object_kind", "user", "server")),
        ("action", "'accepted'", column("action", "accepted", "user_changed")),
        ("actor_id", "NULL", column("actor_id", "nothing", ours)),
        ("actor_kind", "'system'", column("actor_kind", "system", "user")),
        ("at", "'2020-01-01T00:00:00.000000Z'", column("at", "2020-01-01T00:00:00Z", "2026-11-24T12:00:04.000049Z")),
    ];
    for (name, value, expected) in columns {
        // Each one precedes those that were changed before.
        log.attack_again(&format!("UPDATE audit_events SET {name} = {value} WHERE sequence = 50"));
        assert_eq!(log.finding().await, expected);
    }
}

async fn a_changed_node_is_found(db: TestDatabase) {
    let log = Log::new(db).await;
    log.attack(&format!("UPDATE audit_nodes SET hash = {}", log.bytes(&[1; 32])));
    let node = LiveFinding::Node { level: 8, position: 0, first: 1, last: 256 };
    assert_eq!(log.finding().await, node);
    log.attack_again("DELETE FROM audit_nodes");
    assert_eq!(log.finding().await, node);
}

async fn a_changed_head_is_found(db: TestDatabase) {
    let log = Log::new(db).await;
    for (size, finding) in [
        (EVENTS, LiveFinding::Head { first: 1, last: 256 }),
        (EVENTS + 5, LiveFinding::TailCut { last: EVENTS, head: EVENTS + 5 }),
    ] {
        log.attack_again(&format!("UPDATE audit_heads SET size = {size}, frontier = {}", log.bytes(&[1; 32])));
        assert_eq!(log.finding().await, finding);
    }
}

async fn a_forged_checkpoint_is_found(db: TestDatabase) {
    let log = Log::new(db).await;
    let other = CheckpointSigner::from_seed(KeyName::parse("mass.local").unwrap(), &[8; 32]).unwrap();
    let forged = other.sign(&Checkpoint {
        origin: "mass.local/default".to_owned(),
        size: 200,
        root: log.audit().frontier_at(&tenant(), 200).await.unwrap().unwrap().root(),
    });
    log.change(&format!(
        "INSERT INTO audit_checkpoints VALUES ('default', 200, '2026-11-24T12:00:00.000000Z', '{forged}')"
    ));
    let source = OpenCheckpointError::NotSigned;
    assert_eq!(log.finding().await, LiveFinding::CheckpointRefused { size: 200, source });
    let moved = &log.notes[0];
    log.attack(&format!("UPDATE audit_checkpoints SET note = '{moved}' WHERE size = 200"));
    assert_eq!(log.finding().await, LiveFinding::OtherCheckpoint { size: 200 });
}

async fn a_changed_request_is_found(db: TestDatabase) {
    let log = Log::new(db).await;
    let [first, second, third] = log.requests;
    let update =
        |request, set: &str| log.change(&format!("UPDATE mass_requests SET {set} WHERE id = {}", log.id(request)));
    // From the last to the first, because the first fault is reported.
    log.change(&format!("DELETE FROM mass_requests WHERE id = {}", log.id(2)));
    assert_eq!(log.finding().await, LiveFinding::RequestMissing { request: third, event: 3 });
    update(1, "deleted_at = NULL");
    assert_eq!(log.finding().await, LiveFinding::NotDeleted { request: second, event: 4 });
    update(0, "document = replace(document, '1', '2')");
    let changed = |what| LiveFinding::RequestChanged { request: first, what, event: 1 };
    assert_eq!(log.finding().await, changed("document"));
    update(0, "deleted_at = created_at");
    assert_eq!(log.finding().await, LiveFinding::ErasedWithoutEvent { request: first, event: 1 });
    update(0, "audit_sequence = 9");
    assert_eq!(log.finding().await, changed("receipt"));
    update(0, &format!("fingerprint = {}", log.bytes(&[1; 32])));
    assert_eq!(log.finding().await, changed("fingerprint"));
    update(0, "contract = 'device/1.1'");
    assert_eq!(log.finding().await, changed("contract"));
}

/// The columns that no document shows: those that requests are found by, and their progress.
async fn each_changed_column_of_a_request_is_found(db: TestDatabase) {
    let first = db.stored(reading("d-1", 20).keyed("k-1")).await.summary;
    let second = db.stored(reading("d-1", 21).correcting()).await.summary;
    let third = db.stored(reading("d-2", 20).sent(at(3))).await.summary;
    db.mass().transition(&tenant(), third.id, transition(Status::Processing)).await.unwrap();
    let fourth = db.stored(reading("d-3", 20).sent(at(4))).await.summary;
    db.mass().delete(&tenant(), fourth.id, deletion()).await.unwrap();
    let live = &*db.database.stores().live;
    let verify = async || verify(live, &tenant(), None, &[""; 0], |_| {}).await;
    assert_eq!(verify().await.unwrap().unindexed, 0);

    let postgres = matches!(&db.place, DatabaseLocation::Postgres(_));
    let id = |id: MassRequestId| {
        let simple = id.as_uuid().simple().to_string();
        if postgres { format!("'{simple}'") } else { format!("x'{simple}'") }
    };
    let other = &*id(third.id);
    let instant = "'2020-01-01T00:00:00.000000Z'";
    for (request, column, value) in [
        (&first, "status", "'done'"),
        (&first, "version", "3"),
        (&first, "outcome", "'correction'"),
        (&first, "created_at", instant),
        (&first, "updated_at", instant),
        (&first, "created_by_kind", "'api_key'"),
        (&first, "created_by_id", other),
        (&first, "created_by_id", "NULL"),
        (&first, "corrects", other),
        (&first, "corrected_by", other),
        (&second, "corrects", "NULL"),
        (&second, "outcome", "'accepted'"),
        (&second, "corrected_by", other),
        (&third, "status", "'pending'"),
        (&third, "version", "1"),
        (&third, "updated_at", instant),
        (&fourth, "deleted_at", instant),
        (&fourth, "version", "1"),
        (&first, "correlation_id", "'x'"),
        (&first, "idempotency_key", "NULL"),
        (&first, "site_id", "'site-2'"),
        (&first, "device_id", "'d-9'"),
        (&first, "observed_at", instant),
        (&first, "natural_key", "'d-9'"),
        (&first, "batch_id", "'another'"),
        (&first, "call_id", "'another'"),
        (&fourth, "call_id", "'another'"),
        (&first, "warnings", "'[]'"),
        (&second, "site_id", "NULL"),
        (&fourth, "site_id", "'site-1'"),
        (&fourth, "natural_key", "'d-3'"),
    ] {
        let row = format!("tenant_id = 'default' AND id = {}", id(request.id));
        let copy = "CREATE TABLE kept AS SELECT * FROM mass_requests";
        db.place.execute(&format!("{copy} WHERE {row}"));
        db.place.execute(&format!("UPDATE mass_requests SET {column} = {value} WHERE {row}"));
        let finding = found(verify().await);
        let request = request.id;
        let is_of_index =
            matches!(finding, LiveFinding::RequestChanged { request: of, what: "index", .. } if of == request);
        let is_of_column = matches!(finding, LiveFinding::RequestColumn { request: of, column: named, .. } if (of, named) == (request, column));
        let is_named = is_of_index || is_of_column;
        assert!(is_named, "{column} = {value}: {finding}");
        db.place.execute(&format!(
            "UPDATE mass_requests SET {column} = (SELECT {column} FROM kept WHERE {row}) WHERE {row}"
        ));
        db.place.execute("DROP TABLE kept");
        verify().await.unwrap();
    }
}

/// A request that was put back to what it was after its acceptance looks like one that nothing has happened to.
async fn a_request_put_back_to_its_acceptance_is_found(db: TestDatabase) {
    let request = db.stored(reading("d-1", 20)).await.summary.id;
    db.mass().transition(&tenant(), request, transition(Status::Processing)).await.unwrap();
    db.place.execute("UPDATE mass_requests SET status = 'pending', version = 1, updated_at = created_at");
    let finding = found(verify(&*db.database.stores().live, &tenant(), None, &[""; 0], |_| {}).await);
    let (stated, told) = ("1".to_owned(), "at least 2".to_owned());
    assert_eq!(finding, LiveFinding::RequestColumn { request, column: "version", stated, told });
}

/// A row that no event accepted, among others that are accounted for.
async fn a_request_that_names_the_event_of_another_is_found(db: TestDatabase) {
    for device in ["d-1", "d-2"] {
        db.stored(reading(device, 20)).await;
    }
    let live = &*db.database.stores().live;
    let report = verify(live, &tenant(), None, &[""; 0], |_| {}).await.unwrap();
    assert_eq!((report.events, report.requests), (2, 2));
    let id = if matches!(&db.place, DatabaseLocation::Postgres(_)) { "gen_random_uuid()" } else { "randomblob(16)" };
    for sequence in [2, 7] {
        db.place.execute("CREATE TABLE kept AS SELECT * FROM mass_requests WHERE audit_sequence = 2");
        db.place.execute(&format!("UPDATE kept SET id = {id}, natural_key = NULL, audit_sequence = {sequence}"));
        db.place.execute("INSERT INTO mass_requests SELECT * FROM kept");
        let finding = found(verify(live, &tenant(), None, &[""; 0], |_| {}).await);
        assert!(matches!(finding, LiveFinding::RequestWithoutEvent { .. }), "{sequence}: {finding}");
        db.place.execute("DELETE FROM mass_requests WHERE natural_key IS NULL");
        db.place.execute("DROP TABLE kept");
    }
}

fn administered_tenant() -> TenantId {
    TenantId::parse("administered").unwrap()
}

/// A tenant whose log has its creation and two accounts, the second of which was changed in every way.
async fn administered(db: &TestDatabase) -> [UserId; 2] {
    let other = administered_tenant();
    let (first, second) = (account("first@example.com", &other), account("second@example.com", &other));
    let ids = [first.user.id, second.user.id];
    let at_creation = act(at(0));
    let created = at_creation.done(&other, Action::TenantCreated, Object::Tenant(other.clone()));
    let founding = vec![created, created_user(&at_creation, &first.user, &first.password)];
    db.tenants().insert(founded(other.clone()), first, founding).await.unwrap();
    let event = created_user(&at_creation, &second.user, &second.password);
    db.accounts().insert(second, event).await.unwrap();
    let hash = PasswordHash::from_stored("another".to_owned());
    let event = act(at(2)).done(&other, Action::PasswordReset, Object::User(ids[1]));
    let event = event.with(CREDENTIALS, hash.digest().to_string());
    assert!(db.users().set_password(&other, ids[1], hash, event).await.unwrap());
    ids
}

async fn a_changed_account_is_found(db: TestDatabase) {
    let ids = administered(&db).await;
    let live = &*db.database.stores().live;
    let verify = async || verify(live, &administered_tenant(), None, &[""; 0], |_| {}).await;
    let report = verify().await.unwrap();
    assert_eq!((report.users, report.untold_users), (2, 0));
    let instant = "'2020-01-01T00:00:00.000000Z'";
    for (user, column, value, named) in [
        (ids[0], "roles", "'admin,operator,platform-admin'", "roles"),
        (ids[0], "roles", "''", "roles"),
        (ids[0], "password_hash", "'known'", "password_hash"),
        (ids[1], "password_hash", "'hash'", "password_hash"),
        (ids[1], "disabled_at", instant, "disabled"),
        (ids[1], "created_at", instant, "created_at"),
    ] {
        db.place.execute("CREATE TABLE kept AS SELECT * FROM users");
        let email = if user == ids[0] { "first" } else { "second" };
        let row = format!("tenant_id = 'administered' AND email = '{email}@example.com'");
        db.place.execute(&format!("UPDATE users SET {column} = {value} WHERE {row}"));
        let finding = found(verify().await);
        let LiveFinding::UserColumn { user: of, column: of_column, .. } = finding else {
            panic!("{column} = {value}: {finding}");
        };
        assert_eq!((of, of_column), (user, named));
        db.place.execute(&format!("UPDATE users SET {column} = (SELECT {column} FROM kept WHERE {row}) WHERE {row}"));
        db.place.execute("DROP TABLE kept");
        verify().await.unwrap();
    }
}

async fn an_inserted_or_removed_account_is_found(db: TestDatabase) {
    let ids = administered(&db).await;
    let live = &*db.database.stores().live;
    let finding = async || found(verify(live, &administered_tenant(), None, &[""; 0], |_| {}).await);
    let id = match &db.place {
        DatabaseLocation::Sqlite(_) => "x'00000000000000000000000000000009'",
        DatabaseLocation::Postgres(_) => "'00000000-0000-0000-0000-000000000009'",
    };
    db.place.execute(&format!(
        "INSERT INTO users (tenant_id, id, email, password_hash, roles, created_at, updated_at)
         SELECT tenant_id, {id}, 'third@example.com', password_hash, roles, created_at, updated_at FROM users
         WHERE email = 'first@example.com'"
    ));
    let user = UserId::from_uuid(uuid::Uuid::from_u128(9));
    assert_eq!(finding().await, LiveFinding::UserWithoutEvent { user });
    db.place.execute("DELETE FROM users WHERE email LIKE '%d@example.com'");
    assert_eq!(finding().await, LiveFinding::UserMissing { user: ids[1] });
}

/// Older logs have neither every account nor password hashes.
async fn accounts_of_older_logs_are_not_reported(db: TestDatabase) {
    let old = account("old@example.com", &tenant());
    let id = old.user.id;
    db.accounts().insert(old, event(&tenant(), at(0))).await.unwrap();
    let live = &*db.database.stores().live;
    let verify = async || verify(live, &tenant(), None, &[""; 0], |_| {}).await;
    let report = verify().await.unwrap();
    // The other account is there from the beginning.
    assert_eq!((report.users, report.untold_users), (2, 2));
    assert!(report.to_string().contains("\nNOT compared: some columns of 2 users"), "{report}");
    let event = act(at(2)).done(&tenant(), Action::PasswordReset, Object::User(id));
    assert!(db.users().set_password(&tenant(), id, PasswordHash::from_stored("new".to_owned()), event).await.unwrap());
    assert_eq!(verify().await.unwrap().untold_users, 2);
}

/// Any stored value leads to a finding, never to a failure of the verification.
async fn an_unreadable_value_is_a_finding(db: TestDatabase) {
    let log = Log::new(db).await;
    let (instant, short) = match &log.db.place {
        DatabaseLocation::Sqlite(_) => ("'yesterday'", "x'00'"),
        DatabaseLocation::Postgres(_) => ("'infinity'", "'\\x00'"),
    };
    log.change(&format!("UPDATE mass_requests SET updated_at = {instant} WHERE id = {}", log.id(0)));
    let stated = "no instant".to_owned();
    let told = "2026-11-24T12:00:00.000001Z".to_owned();
    let column = LiveFinding::RequestColumn { request: log.requests[0], column: "updated_at", stated, told };
    assert_eq!(log.finding().await, column);
    log.attack(&format!("UPDATE audit_checkpoints SET at = {instant}"));
    assert!(matches!(log.finding().await, LiveFinding::Stored(_)));
    log.attack_again("DELETE FROM audit_checkpoints");
    log.attack_again(&format!("UPDATE audit_events SET at = {instant} WHERE sequence = 1"));
    assert!(matches!(log.finding().await, LiveFinding::Column { event: 1, column: "at", .. }));
    log.attack_again(&format!("UPDATE audit_nodes SET hash = {short}"));
    let found = log.finding().await;
    assert!(matches!(found, LiveFinding::Column { .. } | LiveFinding::Stored(_)), "{found}");
}

/// Changes that would block a tenant or its future events, although they alter nothing that exists.
async fn a_log_only_grows_by_valid_events(db: TestDatabase) {
    let log = Log::new(db).await;
    let (one, two) = (log.bytes(&[1; 32]), log.bytes(&[1; 64]));
    let (instant, next) = ("'2026-11-24T12:00:00.000000Z'", EVENTS + 1);
    let event = |sequence: u64, hash: &str| {
        format!(
            "INSERT INTO audit_events VALUES ('default', {sequence}, {instant}, 'system', NULL, 'started', 'server', NULL, \
             'success', '{{}}', {hash});"
        )
    };
    let of = of_tenant();
    let refused = [
        format!("UPDATE audit_heads SET size = size + 5 WHERE {of}"),
        format!("UPDATE audit_heads SET size = size + 1, frontier = {two} WHERE {of}"),
        format!("UPDATE audit_heads SET frontier = {two} WHERE {of}"),
        format!("UPDATE audit_heads SET frontier = {} WHERE {of}", log.bytes(&[])),
        format!("INSERT INTO audit_heads VALUES ('other', 5, {two})"),
        event(next + 1, &one),
        event(EVENTS - 1, &one),
        event(0, &one),
        event(next, "''").replace("''", &log.bytes(&[])),
        format!("BEGIN; {} UPDATE audit_heads SET size = {} WHERE {of}; COMMIT;", event(next, &one), next + 1),
        format!(
            "BEGIN; {} UPDATE audit_heads SET size = {next}, frontier = {} WHERE {of}; COMMIT;",
            event(next, &one),
            log.bytes(&[1; 31])
        ),
        format!("INSERT INTO audit_nodes VALUES ('default', 8, 1, {one})"),
        format!("INSERT INTO audit_nodes VALUES ('default', 63, 0, {one})"),
        format!("INSERT INTO audit_nodes VALUES ('default', 0, 0, {one})"),
        format!("INSERT INTO audit_checkpoints VALUES ('default', {next}, {instant}, 'x')"),
        format!("INSERT INTO audit_checkpoints VALUES ('default', -1, {instant}, 'x')"),
    ];
    for statement in refused {
        let refused = execute(&log.db.place, &statement).expect_err(&statement);
        let told = ["the audit trail only grows", "duplicate key value"];
        assert!(told.iter().any(|told| refused.contains(told)), "{statement}: {refused}");
    }
    if let DatabaseLocation::Postgres(_) = &log.db.place {
        // Here the head may follow later in the transaction, but it must.
        let refused = execute(&log.db.place, &event(next, &one)).unwrap_err();
        assert!(refused.contains("the audit trail only grows"), "{refused}");
    }
    log.verify(&[]).await.unwrap();
    log.db.stored(simple(9)).await;
    assert_eq!(log.verify(&[]).await.unwrap().events, next);
}

/// Replaces rows by their keys and rowids, as anybody can who opens the file.
#[tokio::test]
async fn sqlite_refuses_to_replace_rows_of_the_audit_trail() {
    let log = Log::new(TestDatabase::sqlite().await).await;
    log.audit().archive(&tenant(), 1..=10, event(&tenant(), at(9))).await.unwrap();
    let tables = ["audit_heads", "audit_events", "audit_nodes", "audit_archived_leaves", "audit_checkpoints"];
    let content = || {
        tables.map(|table| {
            let columns = log.db.place.lines(&format!("SELECT name AS line FROM pragma_table_info('{table}')"));
            let all = columns.iter().map(|column| format!("quote({column})")).collect::<Vec<_>>().join(" || ");
            log.db.place.lines(&format!("SELECT {all} AS line FROM {table} ORDER BY rowid"))
        })
    };
    let before = content();
    for (table, rows) in tables.iter().zip(&before) {
        assert!(!rows.is_empty(), "{table}");
        // The same row, one with another row's rowid, and one with another row's key.
        for statement in [
            format!("INSERT OR REPLACE INTO {table} SELECT * FROM {table} LIMIT 1"),
            format!("REPLACE INTO {table} SELECT * FROM {table} ORDER BY rowid DESC LIMIT 1"),
            format!("UPDATE OR REPLACE {table} SET rowid = (SELECT max(rowid) FROM {table}) + 1"),
            format!("UPDATE OR REPLACE {table} SET tenant_id = 'other'"),
        ] {
            let refused = execute(&log.db.place, &statement).expect_err(&statement);
            assert!(refused.contains("the audit trail only grows"), "{statement}: {refused}");
        }
    }
    let next = EVENTS + 2;
    let (one, instant) = (log.bytes(&[1; 32]), "'2026-11-24T12:00:00.000000Z'");
    for new in [
        "audit_heads (rowid, tenant_id, size, frontier) VALUES (1, 'other', 0, x'')".to_owned(),
        format!(
            "audit_events (rowid, tenant_id, sequence, at, actor_kind, action, object_kind, outcome, event, leaf_hash)
             VALUES (50, 'default', {next}, {instant}, 'system', 'started', 'server', 'success', '{{}}', {one})"
        ),
        format!("audit_nodes (rowid, tenant_id, level, position, hash) VALUES (1, 'default', 8, 0, {one})"),
        format!("audit_archived_leaves (rowid, tenant_id, sequence, leaf_hash) VALUES (1, 'default', {next}, {one})"),
        format!("audit_checkpoints (rowid, tenant_id, size, at, note) VALUES (1, 'default', 101, {instant}, 'x')"),
    ] {
        let refused = execute(&log.db.place, &format!("INSERT OR REPLACE INTO {new}")).expect_err(&new);
        assert!(refused.contains("the audit trail only grows"), "{new}: {refused}");
    }
    assert_eq!(content(), before);
    log.verify(&[]).await.unwrap();
}

/// The triggers that count changes of credentials cannot be circumvented either.
#[tokio::test]
async fn sqlite_counts_replaced_credentials() {
    let db = TestDatabase::sqlite().await;
    db.accounts().insert(account("ana@example.test", &tenant()), event(&tenant(), at(0))).await.unwrap();
    let version = || -> i64 {
        let version = "SELECT CAST(credentials_version AS TEXT) AS line FROM tenants WHERE id = 'default'";
        db.place.lines(version)[0].parse().unwrap()
    };
    let mut last = version();
    let copy = |columns: &str| {
        format!("INSERT OR REPLACE INTO users ({columns}) SELECT {columns} FROM users WHERE email LIKE 'ana%'")
    };
    let columns = "tenant_id, id, email, password_hash, roles, created_at, updated_at";
    for statement in [copy(columns), copy(&format!("rowid, {columns}"))] {
        db.place.execute(&statement);
        assert!(version() > last, "{statement}");
        last = version();
    }
    for statement in [
        "INSERT OR REPLACE INTO tenants (id, created_at) VALUES ('default', '2026-01-01T00:00:00.000000Z')",
        "INSERT OR REPLACE INTO tenants (rowid, id, created_at)
         SELECT rowid, 'third', created_at FROM tenants WHERE id = 'default'",
    ] {
        db.place.execute(statement);
        assert_eq!(version(), last);
    }
    for statement in [
        "UPDATE tenants SET credentials_version = 0 WHERE id = 'default'",
        "UPDATE OR REPLACE tenants SET id = 'other' WHERE id = 'default'",
    ] {
        execute(&db.place, statement).expect_err(statement);
        assert_eq!(version(), last);
    }
}
