use mass_domain::access::Actor;
use mass_domain::audit::note::{Checkpoint, InvalidNote, KeyName};
use mass_domain::audit::tree::{Frontier, inclusion_proof, of_leaves};
use mass_domain::audit::{NewEvent, Program};
use mass_domain::ids::MassRequestId;
use mass_domain::tenancy::TenantId;
use mass_domain::trace::{Origin, RequestId};
use uuid::Uuid;

use super::*;
use crate::signer::CheckpointSigner;

const SENT: &str = r#"{"b": 1.50, "a": "x"}"#;
const STORED: &str = r#"{"a":"X","b":1.5}"#;

fn signer(seed: u8) -> CheckpointSigner {
    CheckpointSigner::from_seed(KeyName::parse("mass.local").unwrap(), &[seed; 32]).unwrap()
}

fn acceptance() -> Event {
    let event = NewEvent {
        tenant_id: TenantId::parse("acme").unwrap(),
        at: "2026-11-24T18:00:00.120Z".parse().unwrap(),
        actor: Actor::System,
        action: Action::Accepted,
        object: Object::MassRequest(MassRequestId::from_uuid(Uuid::from_u128(9))),
        outcome: Outcome::Success,
        contract: Some("device/1.1".parse().unwrap()),
        input: Some(Fingerprint::of(r#"{"a":"x","b":1.5}"#)),
        output: Some(Fingerprint::of(STORED)),
        origin: Origin { request_id: RequestId::parse("r-1").unwrap(), trace: None, address: None },
        detail: serde_json::Map::new(),
    };
    Event { sequence: 6, program: Program { commit: "abc".to_owned(), version: "0.1.0".to_owned() }, event }
}

/// Builds the receipt of an event in a log of nine events, with a checkpoint of the given origin.
fn receipt_of(event: &Event, origin: &str) -> Receipt {
    let text = event.write();
    let mut leaves: Vec<_> = (0..9_u8).map(|other| TreeHash::of_leaf(&[other])).collect();
    leaves[5] = TreeHash::of_leaf(text.as_bytes());
    let mut tree = Frontier::default();
    leaves.iter().for_each(|leaf| tree.push(*leaf, |_| {}));
    let proof = inclusion_proof(5, 9, of_leaves(&leaves)).unwrap();
    Receipt {
        request_id: "00000000-0000-0000-0000-000000000009".to_owned(),
        tenant_id: "acme".to_owned(),
        contract: "device/1.1".to_owned(),
        fingerprint: Fingerprint::of(STORED).to_string(),
        event: text,
        leaf_index: 5,
        leaf_hash: leaves[5].to_string(),
        inclusion: Inclusion { tree_size: 9, hashes: proof.iter().map(ToString::to_string).collect() },
        checkpoint: signer(1).sign(&Checkpoint { origin: origin.to_owned(), size: 9, root: tree.root() }),
    }
}

fn receipt() -> Receipt {
    receipt_of(&acceptance(), "mass.local/acme")
}

fn error(receipt: &Receipt) -> String {
    verify_receipt(receipt, signer(1).key()).unwrap_err().to_string()
}

#[test]
fn verifies_a_receipt_after_serialisation() {
    let written = serde_json::to_string(&receipt()).unwrap();
    let read: Receipt = serde_json::from_str(&written).unwrap();
    assert_eq!(read, receipt());
    let verified = verify_receipt(&read, signer(1).key()).unwrap();
    let fingerprint = Fingerprint::of(STORED);
    assert_eq!(verified, Verified { event: acceptance(), fingerprint, log_size: 9 });
}

#[test]
fn matches_a_document_in_any_json_spelling() {
    let verified = verify_receipt(&receipt(), signer(1).key()).unwrap();
    assert_eq!(verify_document(&verified, STORED.as_bytes()), Ok(DocumentForm::Stored));
    assert_eq!(verify_document(&verified, b"{ \"b\": 15e-1, \"a\": \"\\u0058\" }"), Ok(DocumentForm::Stored));
    assert_eq!(verify_document(&verified, SENT.as_bytes()), Ok(DocumentForm::Sent));
    let found = Fingerprint::of("{}");
    assert_eq!(verify_document(&verified, b"{}"), Err(DocumentError::Other { found }));
    assert!(matches!(verify_document(&verified, b"{"), Err(DocumentError::Unreadable(_))));
}

#[test]
fn refuses_a_receipt_that_contradicts_its_event() {
    let differs = |change: fn(&mut Receipt)| {
        let mut receipt = receipt();
        change(&mut receipt);
        match verify_receipt(&receipt, signer(1).key()) {
            Err(ReceiptError::Differs { member }) => member,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(differs(|receipt| receipt.request_id = receipt.request_id.replace('9', "8")), "request_id");
    assert_eq!(differs(|receipt| receipt.tenant_id = "other".to_owned()), "tenant_id");
    assert_eq!(differs(|receipt| receipt.contract = "simple/1.0".to_owned()), "contract");
    assert_eq!(differs(|receipt| receipt.fingerprint = Fingerprint::of("{}").to_string()), "fingerprint");
    assert_eq!(differs(|receipt| receipt.leaf_index = 6), "leaf_index");
}

#[test]
fn refuses_a_receipt_of_another_kind_of_event() {
    let mut refused = acceptance();
    refused.event.outcome = Outcome::Refused;
    let mut deleted = acceptance();
    deleted.event.action = Action::Deleted;
    let mut of_a_tenant = acceptance();
    of_a_tenant.event.object = Object::Quotas;
    let mut without_output = acceptance();
    without_output.event.output = None;
    for event in [refused, deleted, of_a_tenant, without_output] {
        let error = error(&receipt_of(&event, "mass.local/acme"));
        assert_eq!(error, "the event is not the acceptance of a request", "{event:?}");
    }
    assert!(error(&Receipt { event: "{}".to_owned(), ..receipt() }).starts_with("not an audit event: "));
}

#[test]
fn refuses_a_receipt_with_another_proof() {
    let changed = receipt().event.replace("r-1", "r-2");
    let not_the_leaf = "the event was changed: its text does not have the hash of the leaf";
    assert_eq!(error(&Receipt { event: changed.clone(), ..receipt() }), not_the_leaf);
    let leaf_hash = TreeHash::of_leaf(changed.as_bytes()).to_string();
    let not_included = "the proof does not show that the event is in the log that was signed";
    assert_eq!(error(&Receipt { event: changed, leaf_hash, ..receipt() }), not_included);
    let good = receipt().inclusion;
    let cut = good.hashes[1..].to_vec();
    let longer = [good.hashes.as_slice(), &[good.hashes[0].clone()]].concat();
    let shouted = good.hashes.iter().map(|hash| hash.to_uppercase()).collect();
    for hashes in [cut, longer, shouted, vec![]] {
        assert_eq!(error(&Receipt { inclusion: Inclusion { tree_size: 9, hashes }, ..receipt() }), not_included);
    }
    assert_eq!(error(&Receipt { inclusion: Inclusion { tree_size: 10, ..good }, ..receipt() }), not_included);
}

#[test]
fn refuses_a_receipt_with_an_unverifiable_checkpoint() {
    let result = verify_receipt(&receipt(), signer(2).key());
    assert!(matches!(result, Err(ReceiptError::Checkpoint(OpenCheckpointError::NotSigned))), "{result:?}");
    let changed = receipt().checkpoint.replace("\n9\n", "\n8\n");
    let wrong = "the checkpoint cannot be verified: the signature of the checkpoint is wrong";
    assert_eq!(error(&Receipt { checkpoint: changed, ..receipt() }), wrong);
    let none = Receipt { checkpoint: String::new(), ..receipt() };
    assert_eq!(error(&none), format!("the checkpoint cannot be verified: {InvalidNote}"));
    for origin in ["mass.local/other", "mass.elsewhere/acme", "acme"] {
        let error = error(&receipt_of(&acceptance(), origin));
        assert_eq!(error, format!("the checkpoint belongs to another log: {origin:?}"));
    }
}
