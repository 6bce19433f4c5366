use mass_domain::access::Actor;
use mass_domain::audit::note::{Checkpoint, KeyName, NoteKey};
use mass_domain::audit::{Action, NewEvent, Object, Outcome, Program};
use mass_domain::trace::{Origin, RequestId};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::signer::{CheckpointSigner, OpenCheckpointError};

mod damage;

fn signer(seed: u8) -> CheckpointSigner {
    CheckpointSigner::from_seed(KeyName::parse("mass.local").unwrap(), &[seed; 32]).unwrap()
}

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

/// Builds the canonical text of an event with `what` as its only detail.
fn event(sequence: u64, tenant: &TenantId, what: &str) -> String {
    let detail = serde_json::Map::from_iter([("what".to_owned(), json!(what))]);
    let new = NewEvent {
        tenant_id: tenant.clone(),
        at: "2026-11-24T18:00:00.120Z".parse().unwrap(),
        actor: Actor::System,
        action: Action::Started,
        object: Object::Server,
        outcome: Outcome::Success,
        contract: None,
        input: None,
        output: None,
        origin: Origin { request_id: RequestId::parse("r-1").unwrap(), trace: None, address: None },
        detail,
    };
    let program = Program { commit: "abc".to_owned(), version: "0.1.0".to_owned() };
    new.write(sequence.try_into().unwrap(), &program)
}

/// Builds the events 1…`last` of the tenant.
fn events(last: u64) -> Vec<String> {
    (1..=last).map(|sequence| event(sequence, &tenant(), &format!("thing {sequence}"))).collect()
}

fn tree(events: &[String]) -> Frontier {
    let mut tree = Frontier::default();
    events.iter().for_each(|event| tree.push(TreeHash::of_leaf(event.as_bytes()), |_| {}));
    tree
}

fn note(events: &[String], signer: &CheckpointSigner) -> String {
    let tree = tree(events);
    signer.sign(&Checkpoint { origin: "mass.local/acme".to_owned(), size: tree.size(), root: tree.root() })
}

/// Builds the lines of an export without its first `after` events, with checkpoints of the given sizes.
fn export_after(after: usize, events: &[String], signer: &CheckpointSigner, sizes: &[usize]) -> Vec<String> {
    let header = ExportHeader::new(signer.key().name(), tenant(), tree(&events[..after]));
    let mut lines = vec![header.line()];
    for size in after..=events.len() {
        if size > after {
            let event = &events[size - 1];
            lines.push(event_line(event, TreeHash::of_leaf(event.as_bytes())));
        }
        if sizes.contains(&size) {
            lines.push(checkpoint_line(&note(&events[..size], signer)));
        }
    }
    let signed = lines.iter().filter(|line| line.starts_with("{\"checkpoint\"")).count();
    lines.push(end_line((events.len() - after).try_into().unwrap(), signed.try_into().unwrap()));
    lines
}

/// Builds ten events with checkpoints over 3, 6, 9 and 10 of them: event `n` is in line `n + (n - 1) / 3`, counted from
/// 0.
fn export() -> Vec<String> {
    export_after(0, &events(10), &signer(1), &[3, 6, 9, 10])
}

fn line_of(event: usize) -> usize {
    event + (event - 1) / 3
}

fn with(keys: &[&CheckpointSigner], earlier: &[String], export: &[u8]) -> Result<ExportReport, Finding> {
    let keys: Vec<NoteKey> = keys.iter().map(|signer| signer.key().clone()).collect();
    let verifier =
        earlier.iter().fold(ExportVerifier::new(keys), |verifier, note| verifier.with_earlier(note).unwrap());
    verify_export(verifier, export, |_| {}).map_err(|error| match error {
        VerifyExportError::Found(finding) => finding,
        VerifyExportError::Unreadable(error) => panic!("{error}"),
    })
}

fn verify(lines: &[String]) -> Result<ExportReport, Finding> {
    with(&[&signer(1)], &[], lines.concat().as_bytes())
}

fn finding(lines: &[String]) -> Finding {
    verify(lines).unwrap_err()
}

#[test]
fn reports_on_a_valid_export() {
    let report = verify(&export()).unwrap();
    let expected = ExportReport {
        tenant: tenant(),
        origin: "mass.local/acme".to_owned(),
        after: 0,
        events: 10,
        root: tree(&events(10)).root(),
        checkpoints: 4,
        signatures_checked: true,
        covered: 10,
        confirmed: vec![],
        not_comparable: vec![],
    };
    assert_eq!(report, expected);
    assert_eq!((report.last(), report.uncovered()), (10, None));
    assert!(report.to_string().ends_with("\n4 checkpoints in the export agree with it"), "{report}");
    assert!(
        report.to_string().starts_with("10 events of acme (mass.local/acme), 1…10: none was changed\n"),
        "{report}"
    );
}

#[test]
fn reports_on_an_empty_log() {
    let lines = export_after(0, &[], &signer(1), &[0]);
    let report = verify(&lines).unwrap();
    assert_eq!((report.last(), report.checkpoints, report.uncovered()), (0, 1, None));
    assert_eq!(report.root, TreeHash::of_nothing());
}

#[test]
fn reports_progress_for_every_byte() {
    let text = export().concat();
    let mut read = 0;
    verify_export(ExportVerifier::new(vec![]), text.as_bytes(), |bytes| read += bytes).unwrap();
    assert_eq!(read, u64::try_from(text.len()).unwrap());
}

#[test]
fn an_export_may_continue_from_the_tree_of_earlier_events() {
    let events = events(10);
    let lines = export_after(5, &events, &signer(1), &[5, 10]);
    let report = verify(&lines).unwrap();
    assert_eq!((report.after, report.events, report.root), (5, 5, tree(&events).root()));
    let forged = |mut lines: Vec<String>| {
        let mut header = ExportHeader::new(signer(1).key().name(), tenant(), tree(&events[..5]));
        header.before = Frontier::from_parts(5, vec![TreeHash::of_nothing(); 2]).unwrap();
        lines[0] = header.line();
        finding(&lines)
    };
    assert_eq!(forged(lines), Finding::HeaderNotAsSigned { after: 5 });
    assert_eq!(
        forged(export_after(5, &events, &signer(1), &[9])),
        Finding::NotAsSigned { first: 1, last: 9 },
        "what is wrong is among the first events as well as among those that are there"
    );
}

#[test]
fn finds_a_changed_byte_of_an_event() {
    let mut lines = export();
    lines[line_of(5)] = lines[line_of(5)].replace("thing 5", "think 5");
    assert_eq!(finding(&lines), Finding::Changed { event: 5 });
    assert_eq!(finding(&lines).to_string(), "event 5 was changed: its text does not match its hash");
}

#[test]
fn finds_a_changed_leaf_hash() {
    let mut lines = export();
    let other = event_line(&events(5)[4], TreeHash::of_nothing());
    lines[line_of(5)] = other;
    assert_eq!(finding(&lines), Finding::Changed { event: 5 });
}

#[test]
fn finds_an_event_changed_with_its_hash_by_the_next_checkpoint() {
    let changed = |sequence: u64| {
        let mut lines = export();
        let event = event(sequence, &tenant(), "nothing");
        lines[line_of(sequence.try_into().unwrap())] = event_line(&event, TreeHash::of_leaf(event.as_bytes()));
        verify(&lines)
    };
    assert_eq!(changed(2), Err(Finding::NotAsSigned { first: 1, last: 3 }));
    assert_eq!(changed(5), Err(Finding::NotAsSigned { first: 4, last: 6 }));
    assert_eq!(
        changed(5).unwrap_err().to_string(),
        "events 4…6 were changed, inserted, removed or reordered: up to 3 the log is as signed"
    );
    assert_eq!(changed(10), Err(Finding::NotAsSigned { first: 10, last: 10 }));
}

#[test]
fn finds_swapped_events() {
    let mut lines = export();
    lines.swap(line_of(4), line_of(5));
    assert_eq!(finding(&lines), Finding::OutOfPlace { found: 5, expected: 4 });
    assert_eq!(finding(&lines).to_string(), "expected event 4, found event 5: reordered or inserted");
    let mut lines = export();
    lines.swap(line_of(2), line_of(10));
    assert_eq!(finding(&lines), Finding::OutOfPlace { found: 10, expected: 2 });
}

#[test]
fn finds_removed_events() {
    let mut lines = export();
    lines.remove(line_of(5));
    assert_eq!(finding(&lines), Finding::Missing { first: 5, last: 5 });
    assert_eq!(finding(&lines).to_string(), "event 5 is missing: 6 follows 4");
    let mut lines = export();
    lines.drain(line_of(5)..=line_of(7));
    assert_eq!(finding(&lines), Finding::Missing { first: 5, last: 7 });
    assert_eq!(finding(&lines).to_string(), "events 5…7 are missing: 8 follows 4");
    // The checkpoint after the last one of them stays.
    let mut lines = export();
    lines.drain(line_of(5)..=line_of(6));
    assert_eq!(finding(&lines), Finding::Missing { first: 5, last: 6 });
    let mut lines = export();
    lines.remove(line_of(1));
    assert_eq!(finding(&lines), Finding::Missing { first: 1, last: 1 });
}

/// Builds the ten events with `change` applied and renumbered, with the former checkpoints after the events of their
/// sizes.
fn renumbered(change: impl FnOnce(&mut Vec<String>)) -> Vec<String> {
    let mut things = (1..=10).map(|sequence| format!("thing {sequence}")).collect();
    change(&mut things);
    let numbered = (1..).zip(&things).map(|(sequence, what)| event(sequence, &tenant(), what)).collect::<Vec<_>>();
    let mut lines = export_after(0, &numbered, &signer(2), &[3, 6, 9, 10]);
    let before = export();
    for size in [3, 6, 9, 10].into_iter().filter(|size| *size <= numbered.len()) {
        lines[line_of(size) + 1].clone_from(&before[line_of(size) + 1]);
    }
    lines
}

#[test]
fn finds_insertions_and_removals_despite_renumbering() {
    assert!(verify(&renumbered(|_| {})).is_ok());
    let inserted = renumbered(|things| things.insert(4, "inserted".to_owned()));
    assert_eq!(finding(&inserted), Finding::NotAsSigned { first: 4, last: 6 });
    let removed = renumbered(|things| drop(things.remove(7)));
    assert_eq!(finding(&removed), Finding::NotAsSigned { first: 7, last: 9 });
    let swapped = renumbered(|things| things.swap(3, 4));
    assert_eq!(finding(&swapped), Finding::NotAsSigned { first: 4, last: 6 });
}

#[test]
fn finds_an_inserted_event() {
    let mut lines = export();
    lines.insert(line_of(8), lines[line_of(2)].clone());
    assert_eq!(finding(&lines), Finding::Repeated { event: 2, after: 7 });
    let mut lines = export();
    lines.insert(line_of(8), lines[line_of(7)].clone());
    assert_eq!(finding(&lines), Finding::Repeated { event: 7, after: 7 });
    let mut lines = export();
    let of_another = event(8, &TenantId::parse("other").unwrap(), "thing 8");
    lines[line_of(8)] = event_line(&of_another, TreeHash::of_leaf(of_another.as_bytes()));
    assert_eq!(finding(&lines), Finding::OtherTenant { event: 8 });
    let mut lines = export_after(5, &events(10), &signer(1), &[]);
    lines[2] = event_line(&events(5)[4], TreeHash::of_leaf(events(5)[4].as_bytes()));
    assert_eq!(finding(&lines), Finding::OutOfPlace { found: 5, expected: 7 });
}

#[test]
fn distinguishes_a_truncated_file_from_a_short_log() {
    let whole = export();
    assert_eq!(finding(&whole[..=line_of(8)]), Finding::FileCut { last: 8, covered: None });
    let text = whole[..=line_of(8)].concat();
    let in_a_line = with(&[], &[], &text.as_bytes()[..text.len() - 1]);
    assert_eq!(in_a_line, Err(Finding::FileCut { last: 7, covered: None }));
    let text = whole.concat();
    let without_the_last_byte = with(&[], &[], &text.as_bytes()[..text.len() - 1]);
    assert_eq!(without_the_last_byte, Err(Finding::FileCut { last: 10, covered: None }));
    let earlier = note(&events(9), &signer(1));
    let cut = with(&[&signer(1)], &[earlier], whole[..=line_of(8)].concat().as_bytes());
    assert_eq!(cut, Err(Finding::FileCut { last: 8, covered: Some(9) }));
    assert_eq!(finding(&[]), Finding::NotAnExport);
}

#[test]
fn finds_a_removed_tail_by_a_checkpoint() {
    let (ours, events) = (signer(1), events(10));
    let lines = export_after(0, &events[..8], &ours, &[3, 6, 8]);
    assert!(verify(&lines).is_ok(), "nothing tells the log of before from the one that was cut");
    let earlier = note(&events[..9], &ours);
    let found = with(&[&ours], &[earlier], lines.concat().as_bytes()).unwrap_err();
    assert_eq!(found, Finding::TailCut { covered: 9, last: 8 });
    assert_eq!(found.to_string(), "the tail was cut: the checkpoint covers 9 events, the export ends at 8");
    // The checkpoint may also be in the log itself.
    let mut lines = lines;
    lines.insert(line_of(8) + 1, export()[line_of(9) + 1].clone());
    assert_eq!(finding(&lines), Finding::TailCut { covered: 9, last: 8 });
    let mut lines = export();
    lines.remove(line_of(10));
    lines.remove(line_of(9));
    assert_eq!(finding(&lines), Finding::TailCut { covered: 10, last: 8 }, "whatever the last line counts");
}

#[test]
fn finds_a_log_rewritten_with_another_key() {
    let (ours, forger) = (signer(1), signer(2));
    let mut rewritten = events(10);
    rewritten[4] = event(5, &tenant(), "nothing");
    let lines = export_after(0, &rewritten, &forger, &[3, 6, 9]).concat();
    let lines = lines.as_bytes();
    assert_eq!(
        with(&[&ours], &[], lines),
        Err(Finding::CheckpointRefused { after: 3, source: OpenCheckpointError::NotSigned })
    );
    let unchecked = with(&[], &[], lines).unwrap();
    assert!(!unchecked.signatures_checked);
    assert!(unchecked.to_string().contains("\nNOT checked: the signatures, because no key was given\n"), "{unchecked}");
    assert!(unchecked.to_string().ends_with("\nNOT covered by a checkpoint: event 10"), "{unchecked}");

    let earlier = |size: usize| note(&events(10)[..size], &ours);
    assert_eq!(with(&[], &[earlier(6)], lines), Err(Finding::NotAsBefore { first: 1, last: 6 }));
    assert_eq!(with(&[], &[earlier(8), earlier(4)], lines), Err(Finding::NotAsBefore { first: 5, last: 8 }));
    assert_eq!(
        with(&[], &[earlier(8), earlier(4)], lines).unwrap_err().to_string(),
        "by the earlier checkpoint of 8 events, events 5…8 were changed, inserted, removed or reordered: up to 4 the log is \
         as signed"
    );
    assert_eq!(with(&[], &[earlier(4)], lines).unwrap().confirmed, [4]);
    let with_one_of_before = export_after(0, &rewritten, &ours, &[]);
    let with_one_of_before = [&with_one_of_before[..=6], &export()[line_of(6) + 1..=line_of(6) + 1]].concat().concat();
    let found = with(&[&ours], &[earlier(4)], with_one_of_before.as_bytes());
    assert_eq!(found, Err(Finding::NotAsSigned { first: 5, last: 6 }));
    let without_checkpoints = export_after(0, &rewritten, &ours, &[]).concat();
    let found = with(&[&ours], &[earlier(6)], without_checkpoints.as_bytes());
    assert_eq!(found, Err(Finding::NotAsBefore { first: 1, last: 6 }));
    let same_key = export_after(0, &rewritten, &ours, &[3, 6, 10]).concat();
    assert!(with(&[&ours], &[], same_key.as_bytes()).is_ok(), "whoever has the key can rewrite what nobody kept");
    assert_eq!(with(&[&ours], &[earlier(6)], same_key.as_bytes()), Err(Finding::NotAsBefore { first: 1, last: 6 }));
}

#[test]
fn reports_confirmed_and_incomparable_earlier_checkpoints() {
    let (ours, events) = (signer(1), events(10));
    let earlier: Vec<_> = [10, 2, 5, 4].iter().map(|size| note(&events[..*size], &ours)).collect();
    let lines = export_after(5, &events, &ours, &[]).concat();
    let report = with(&[&ours], &earlier, lines.as_bytes()).unwrap();
    assert_eq!(
        (report.confirmed.as_slice(), report.not_comparable.as_slice()),
        ([5, 10].as_slice(), [2, 4].as_slice())
    );
    assert_eq!(report.uncovered(), None);
    assert!(report.to_string().contains("NOT compared: the earlier checkpoint of 2 events"), "{report}");
    let of_another = Checkpoint { origin: "mass.local/other".to_owned(), size: 5, root: TreeHash::of_nothing() };
    let found = with(&[&ours], &[ours.sign(&of_another)], lines.as_bytes());
    assert_eq!(found, Err(Finding::EarlierOfOtherLog { size: 5 }));
    let wrong = Checkpoint { origin: "mass.local/acme".to_owned(), size: 5, root: TreeHash::of_nothing() };
    let found = with(&[&ours], &[ours.sign(&wrong)], lines.as_bytes());
    assert_eq!(found, Err(Finding::HeaderNotAsSigned { after: 5 }));
}

#[test]
fn earlier_checkpoints_must_be_signed_by_a_key() {
    let refused = |note: &str| ExportVerifier::new(vec![signer(1).key().clone()]).with_earlier(note).unwrap_err();
    assert_eq!(refused(&note(&events(3), &signer(2))), OpenCheckpointError::NotSigned);
    let changed = note(&events(3), &signer(1)).replace("\n3\n", "\n4\n");
    assert_eq!(refused(&changed), OpenCheckpointError::WrongSignature);
    assert!(ExportVerifier::new(vec![]).with_earlier("text").is_err());
}

#[test]
fn verifies_checkpoints_of_an_old_and_a_new_key() {
    let (old, new) = (signer(1), signer(2));
    let mut lines = export_after(0, &events(10), &new, &[3, 6, 10]);
    lines[line_of(3) + 1] = checkpoint_line(&note(&events(3), &old));
    let text = lines.concat();
    assert!(with(&[&new, &old], &[], text.as_bytes()).is_ok());
    let refused = Finding::CheckpointRefused { after: 3, source: OpenCheckpointError::NotSigned };
    assert_eq!(with(&[&new], &[], text.as_bytes()), Err(refused));
}

#[test]
fn finds_moved_repeated_or_foreign_checkpoints() {
    let checkpoint = line_of(6) + 1;
    let mut lines = export();
    lines.swap(checkpoint, checkpoint + 1);
    assert_eq!(finding(&lines), Finding::CheckpointOutOfPlace { size: 6, after: 7 });
    let mut lines = export();
    lines.swap(checkpoint, checkpoint - 1);
    assert_eq!(finding(&lines), Finding::CheckpointOutOfPlace { size: 6, after: 5 });
    let mut lines = export();
    lines.insert(checkpoint, lines[checkpoint].clone());
    assert_eq!(finding(&lines), Finding::CheckpointOutOfPlace { size: 6, after: 6 });
    let mut lines = export();
    let elsewhere = Checkpoint { origin: "mass.local/other".to_owned(), size: 6, root: tree(&events(6)).root() };
    lines[checkpoint] = checkpoint_line(&signer(1).sign(&elsewhere));
    assert_eq!(finding(&lines), Finding::OtherLog { after: 6 });
    let mut lines = export();
    lines[checkpoint] = lines[checkpoint].replace("\\n6\\n", "\\n7\\n");
    let refused = Finding::CheckpointRefused { after: 6, source: OpenCheckpointError::WrongSignature };
    assert_eq!(finding(&lines), refused);
}

#[test]
fn refuses_files_that_are_not_exports() {
    let changed = |at: usize, from: &str, to: &str| {
        let mut lines = export();
        assert!(lines[at].contains(from), "{}", lines[at]);
        lines[at] = lines[at].replacen(from, to, 1);
        finding(&lines)
    };
    assert_eq!(changed(0, "mass_audit_export", "mass_export"), Finding::NotAnExport);
    assert_eq!(changed(0, "\"after\":0", "\"after\": 0"), Finding::NotAnExport);
    assert_eq!(changed(0, "\"version\":2", "\"version\":3"), Finding::UnknownVersion { version: 3 });
    assert_eq!(changed(0, "\"after\":0", "\"after\":1"), Finding::HeaderChanged);
    assert_eq!(changed(0, "\"tenant\":\"acme\"", "\"tenant\":\"acne\""), Finding::HeaderChanged);
    assert_eq!(changed(0, "mass.local/acme", "/acme"), Finding::HeaderChanged);
    assert_eq!(changed(0, "mass.local/acme", "mass.elsewhere/acme"), Finding::OtherLog { after: 3 });
    assert_eq!(changed(1, "\n", "\r\n"), Finding::Malformed { line: 2, after: 0 });
    assert_eq!(changed(1, "{\"event\":", "{ \"event\":"), Finding::Malformed { line: 2, after: 0 });
    assert_eq!(changed(1, "\"}\n", "\",\"more\":1}\n"), Finding::Malformed { line: 2, after: 0 });
    assert_eq!(changed(4, "{\"checkpoint\":", "{\"checkpoint\": "), Finding::Malformed { line: 5, after: 3 });
    assert_eq!(changed(15, ":10", ":11"), Finding::WrongCount { stated: 11, found: 10 });
    assert_eq!(changed(15, "}}\n", "}}\n\n"), Finding::GoesOn { line: 17 });
    let mut lines = export();
    lines.insert(1, lines[0].clone());
    assert_eq!(finding(&lines), Finding::Malformed { line: 2, after: 0 });
    for text in [
        "[1]",
        "{}",
        "[1,\"acme\"]",
        " {\"sequence\":1,\"tenant_id\":\"acme\"}",
        "{\"sequence\":1,\"tenant_id\":\"acme\"},{}",
        "{\"sequence\":1,\"sequence\":1,\"tenant_id\":\"acme\"}",
    ] {
        let mut lines = export();
        lines[1] = event_line(text, TreeHash::of_leaf(text.as_bytes()));
        assert_eq!(finding(&lines), Finding::Malformed { line: 2, after: 0 }, "{text}");
    }
    let endless = vec![b'x'; 17 << 20];
    assert_eq!(
        with(&[], &[], &[export()[0].as_bytes(), &endless].concat()),
        Err(Finding::Malformed { line: 2, after: 0 })
    );
    assert_eq!(with(&[], &[], &[0xff; 99]), Err(Finding::NotAnExport));
}

proptest! {
    #[test]
    fn finds_any_changed_byte(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        // Up to the last event that a signature covers, and the end.
        let text = export_after(0, &events(9), &signer(1), &[3, 6, 9]).concat();
        let mut changed = text.clone().into_bytes();
        let at = at.index(changed.len());
        prop_assume!(changed[at] != to);
        changed[at] = to;
        prop_assert!(with(&[&signer(1)], &[], &changed).is_err(), "{}", String::from_utf8_lossy(&changed));
    }

    #[test]
    fn finds_any_removed_or_inserted_bytes(at in any::<prop::sample::Index>(), bytes in "[ \\n\"{}0-9a-z,:]{1,3}", removed in 0_usize..400) {
        let text = export_after(0, &events(9), &signer(1), &[3, 6, 9]).concat();
        let at = at.index(text.len());
        let rest = text.get(at + removed..).unwrap_or_default();
        let changed = [text.as_bytes().get(..at).unwrap(), bytes.as_bytes(), rest.as_bytes()].concat();
        prop_assume!(changed != text.as_bytes());
        prop_assert!(with(&[&signer(1)], &[], &changed).is_err(), "{}", String::from_utf8_lossy(&changed));
    }

    #[test]
    fn finds_a_removed_repeated_or_moved_line(from in 0_usize..14, to in 0_usize..14) {
        let lines = export_after(0, &events(9), &signer(1), &[3, 6, 9]);
        let (from, to) = (from % lines.len(), to % lines.len());
        let mut removed = lines.clone();
        let line = removed.remove(from);
        prop_assert!(verify(&removed).is_err());
        removed.insert(to, line.clone());
        prop_assert!(from == to || verify(&removed).is_err());
        let mut repeated = lines.clone();
        repeated.insert(to, line);
        prop_assert!(verify(&repeated).is_err());
    }
}
