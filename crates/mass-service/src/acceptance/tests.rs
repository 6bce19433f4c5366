use mass_domain::access::Actor;
use mass_domain::audit::Object;
use mass_domain::contracts::{Index, ValidDocument};
use mass_domain::mass_request::Status;
use mass_domain::tenancy::{AutoSend, OverQuota};
use mass_domain::trace::{Origin, RequestId};
use uuid::Uuid;

use super::*;

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn state() -> TenantState {
    TenantState {
        settings: TenantSettings::default(),
        quotas: Quotas::default(),
        usage: Usage::default(),
        credentials: CredentialsVersion::default(),
        is_suspended: false,
    }
}

fn nothing_stored() -> StoredState {
    StoredState::without_matches(state())
}

fn id(number: u128) -> MassRequestId {
    MassRequestId::from_uuid(Uuid::from_u128(number))
}

fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::parse(text).unwrap()
}

fn natural_key(device: &str) -> NaturalKey {
    ("device", device.to_owned())
}

/// A document about a device, whose name is its natural key.
fn reading(number: u128, device: &str, value: i64) -> Submission {
    let canonical = format!(r#"{{"device":"{device}","value":{value}}}"#);
    Submission {
        id: id(number),
        at: "2026-11-24T12:00:00Z".parse().unwrap(),
        actor: Actor::System,
        input: Fingerprint::of("as it was sent"),
        examined: ValidDocument {
            contract: "device/1.1".parse().unwrap(),
            fingerprint: Fingerprint::of(&canonical),
            canonical,
            index: Index { natural_key: Some(device.to_owned()), ..Index::default() },
            warnings: Vec::new(),
        },
        idempotency_key: None,
        on_conflict: OnConflict::Refuse,
        auto_send: AutoSend::NoEngine,
        mapping: None,
        call_id: None,
        quarantined: None,
        origin: Origin { request_id: RequestId::parse("req-1").unwrap(), trace: None, address: None },
    }
}

fn keyed(submission: Submission, text: &str) -> Submission {
    Submission { idempotency_key: Some(key(text)), ..submission }
}

fn correcting(submission: Submission) -> Submission {
    Submission { on_conflict: OnConflict::Correct, ..submission }
}

/// State in which a submission has been stored under an idempotency key.
fn stored(submission: &Submission, text: &str) -> StoredState {
    let request = submission.clone().into_request(&tenant(), None);
    let RequestSummary { id, contract, fingerprint, .. } = request.summary;
    let record = KeyRecord { request_id: id, contract, fingerprint, deleted: false };
    let version = StoredVersion { id, fingerprint, superseded: false };
    let natural_key = submission.examined.index.natural_key.as_deref().unwrap();
    StoredState {
        keys: HashMap::from([(key(text), (record, Snapshot::of(&request.summary, Outcome::Accepted)))]),
        versions: HashMap::from([(self::natural_key(natural_key), vec![version])]),
        requests: HashMap::from([(id, request)]),
        ..nothing_stored()
    }
}

fn judged(stored: StoredState, submissions: &[Submission]) -> Judgement {
    judge(&tenant(), stored, submissions, &[]).unwrap()
}

fn outcomes(judgement: &Judgement) -> Vec<Option<Outcome>> {
    judgement.results.iter().map(|result| result.as_ref().ok().map(|receipt| receipt.outcome)).collect()
}

fn actions(judgement: &Judgement) -> Vec<Action> {
    judgement.additions.events.iter().map(|event| event.action).collect()
}

#[test]
fn stores_a_new_document_with_its_event_keys_and_usage() {
    let sent = keyed(reading(1, "dev-1", 20), "k");
    let Judgement { results, additions } = judged(nothing_stored(), std::slice::from_ref(&sent));
    let request = sent.clone().into_request(&tenant(), None);
    assert_eq!(
        results,
        [Ok(Receipt { outcome: Outcome::Accepted, replayed: false, sent: false, request: request.clone() })]
    );
    let [new] = &additions.requests[..] else { panic!("{additions:?}") };
    assert_eq!((&new.request, new.look_up.natural_key.as_deref()), (&request, Some("dev-1")));
    let [kept] = &additions.keys[..] else { panic!("{additions:?}") };
    assert_eq!((&kept.key, kept.record.request_id, kept.at), (&key("k"), id(1), sent.at));
    assert_eq!(kept.answer, Snapshot::of(&request.summary, Outcome::Accepted));
    let [event] = &additions.events[..] else { panic!("{additions:?}") };
    assert_eq!((event.action, event.input), (Action::Accepted, Some(sent.input)));
    assert_eq!(event.detail[IndexedValues::DETAIL], index_digest(&request, &new.look_up).to_string());
    let Usage { requests, stored_bytes, .. } = additions.usage;
    assert_eq!((requests, stored_bytes), (1, request.document.len() as u64));
}

#[test]
fn judges_each_submission_as_if_those_before_it_were_stored() {
    let submissions = [
        reading(1, "dev-1", 20),
        keyed(reading(2, "dev-1", 20), "k"),
        keyed(reading(3, "dev-1", 20), "k"),
        keyed(reading(4, "dev-1", 21), "k"),
        reading(5, "dev-1", 21),
    ];
    let judgement = judged(nothing_stored(), &submissions);
    let duplicate = Some(Outcome::Duplicate);
    assert_eq!(outcomes(&judgement), [Some(Outcome::Accepted), duplicate, duplicate, None, None]);
    assert!(judgement.results[2].as_ref().unwrap().replayed);
    assert_eq!(judgement.results[3], Err(Refusal::KeyReused { request_id: id(1) }));
    assert!(matches!(judgement.results[4], Err(Refusal::Conflict { request_id, .. }) if request_id == id(1)));
    assert_eq!((judgement.additions.requests.len(), judgement.additions.keys.len()), (1, 1));
    assert_eq!(actions(&judgement), [Action::Accepted]);
}

#[test]
fn replays_the_first_answer_whatever_became_of_the_request() {
    let first = reading(1, "dev-1", 20);
    let mut before = stored(&first, "k");
    let request = before.requests.get_mut(&id(1)).unwrap();
    (request.summary.status, request.summary.version) = (Status::Done, 3);
    let Judgement { results, additions } = judged(before, &[keyed(reading(2, "dev-1", 20), "k")]);
    let request = first.into_request(&tenant(), None);
    assert_eq!(results, [Ok(Receipt { outcome: Outcome::Accepted, replayed: true, sent: false, request })]);
    assert!(additions.is_empty());
}

#[test]
fn refuses_the_key_of_a_deleted_request() {
    let mut before = stored(&reading(1, "dev-1", 20), "k");
    before.keys.get_mut(&key("k")).unwrap().0.deleted = true;
    before.requests.clear();
    let sent = [keyed(reading(2, "dev-1", 20), "k")];
    before.versions.clear();
    assert_eq!(before.needed(&sent), []);
    assert_eq!(judged(before, &sent).results, [Err(Refusal::KeyOfDeleted { request_id: id(1) })]);
}

#[test]
fn a_correction_supersedes_the_stored_version() {
    let judgement = judged(stored(&reading(1, "dev-1", 20), "k"), &[correcting(reading(2, "dev-1", 21))]);
    assert_eq!(outcomes(&judgement), [Some(Outcome::Correction)]);
    let [older] = &judgement.additions.superseded[..] else { panic!("{judgement:?}") };
    assert_eq!((older.id, older.corrected_by, older.version), (id(1), Some(id(2)), 2));
    assert_eq!(judgement.additions.requests[0].request.summary.corrects, Some(id(1)));
    assert_eq!(actions(&judgement), [Action::Accepted, Action::Corrected]);
}

#[test]
fn a_correction_within_the_group_changes_the_new_request_and_not_its_receipt() {
    let submissions = [reading(1, "dev-1", 20), correcting(reading(2, "dev-1", 21))];
    let judgement = judged(nothing_stored(), &submissions);
    assert_eq!(judgement.additions.superseded, []);
    let corrected_by = |request: &MassRequest| request.summary.corrected_by;
    let added = judgement.additions.requests.iter().map(|new| corrected_by(&new.request));
    assert_eq!(added.collect::<Vec<_>>(), [Some(id(2)), None]);
    let told = judgement.results.iter().map(|result| corrected_by(&result.as_ref().unwrap().request));
    assert_eq!(told.collect::<Vec<_>>(), [None, None]);
}

#[test]
fn refuses_beyond_the_quota_and_counts_refused_calls() {
    let quotas = Quotas { requests_per_day: Some(2), ..Quotas::default() };
    let before = StoredState::without_matches(TenantState { quotas, ..state() });
    let submissions = [reading(1, "dev-1", 20), reading(2, "dev-2", 20)];
    let act = Act::new(Actor::System, submissions[0].at, &submissions[0].origin);
    let refused = submissions[0].clone().into_request(&tenant(), None).summary.event(&act, Action::Accepted);
    let judgement = judge(&tenant(), before, &submissions, std::slice::from_ref(&refused)).unwrap();
    assert_eq!(outcomes(&judgement), [Some(Outcome::Accepted), None]);
    assert!(matches!(judgement.results[1], Err(Refusal::OverQuota(OverQuota::Requests { used: 2, .. }))));
    assert_eq!((judgement.additions.events.len(), &judgement.additions.events[0]), (2, &refused));
    assert_eq!(judgement.additions.usage.requests, 2);
}

#[test]
fn sends_new_requests_unless_the_tenant_has_switched_it_off() {
    let sent = || [Submission { auto_send: AutoSend::On, ..reading(1, "dev-1", 20) }];
    let judgement = judged(nothing_stored(), &sent());
    assert!(judgement.results[0].as_ref().unwrap().sent);
    assert_eq!(judgement.additions.sendings.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [id(1)]);
    assert_eq!(judgement.additions.events[0].detail["delivery"], DeliveryId::of(id(1)).to_string());
    let settings = TenantSettings { auto_send: Some(false), ..TenantSettings::default() };
    let judgement = judged(StoredState::without_matches(TenantState { settings, ..state() }), &sent());
    assert_eq!((judgement.results[0].as_ref().unwrap().sent, judgement.additions.sendings.len()), (false, 0));
}

#[test]
fn new_requests_and_their_receipts_get_their_positions_in_the_log() {
    use mass_domain::audit::tree::TreeHash;
    let submissions = [correcting(reading(2, "dev-1", 21)), reading(3, "dev-2", 20), reading(4, "dev-2", 20)];
    let mut judgement = judged(stored(&reading(1, "dev-1", 20), "k"), &submissions);
    assert_eq!(actions(&judgement), [Action::Accepted, Action::Corrected, Action::Accepted]);
    let leaf = |sequence| AuditLeaf { sequence, leaf_hash: TreeHash::of_leaf(b"leaf") };
    judgement.place(&[leaf(7), leaf(8), leaf(9)]);
    let told: Vec<_> = judgement.results.iter().map(|result| result.as_ref().unwrap().request.summary.audit).collect();
    assert_eq!(told, [Some(leaf(7)), Some(leaf(9)), Some(leaf(9))]);
    let added: Vec<_> = judgement.additions.requests.iter().map(|new| new.request.summary.audit).collect();
    assert_eq!(added, [Some(leaf(7)), Some(leaf(9))]);
}

#[test]
fn needs_the_requests_that_it_answers_with_or_supersedes_and_fails_without_them() {
    let before = || stored(&reading(1, "dev-1", 20), "k");
    let with_other_keys = |submission: Submission| {
        let StoredState { tenant, versions, .. } = before();
        let stored = StoredState { versions, ..StoredState::without_matches(tenant) };
        (stored.needed(std::slice::from_ref(&submission)), judge(&self::tenant(), stored, &[submission], &[]))
    };
    assert_eq!(before().needed(&[keyed(reading(2, "dev-9", 0), "k")]), [id(1)]);
    assert_eq!(with_other_keys(reading(2, "dev-1", 20)), (vec![id(1)], Err(JudgeError::MissingRequest(id(1)))));
    assert_eq!(
        with_other_keys(correcting(reading(2, "dev-1", 21))),
        (vec![id(1)], Err(JudgeError::MissingRequest(id(1))))
    );
    let (needed, conflict) = with_other_keys(reading(2, "dev-1", 21));
    assert_eq!((needed, conflict.unwrap().results.len()), (vec![], 1));
}

#[test]
fn fails_for_two_submissions_with_one_id() {
    let submissions = [reading(1, "dev-1", 20), reading(1, "dev-2", 20)];
    assert_eq!(judge(&tenant(), nothing_stored(), &submissions, &[]), Err(JudgeError::TakenId(id(1))));
}

#[test]
fn nothing_of_a_suspended_tenant_is_stored_or_recorded() {
    let suspended = StoredState::without_matches(TenantState { is_suspended: true, ..state() });
    let sent = reading(1, "dev-1", 20);
    let event = Act::new(sent.actor, sent.at, &sent.origin);
    let event = event.refused(&tenant(), Action::PayloadRefused, Object::MassRequest(sent.id));
    let judgement = judge(&tenant(), suspended, &[sent], &[event]).unwrap();
    assert!(matches!(judgement.results[0], Err(Refusal::Suspended(_))));
    assert!(judgement.additions.is_empty());
}
