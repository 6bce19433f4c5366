//! From messages to records: by a mapping profile, to a server or, in a dry run, to the contracts.

use std::sync::Arc;

use anyhow::anyhow;
use mass_bridge::{Away, Destination, Message, Verdict};
use mass_domain::contracts;
use mass_domain::json::Value;
use mass_domain::tenancy::TenantId;
use mass_mapping::{Mapper, Outcome, Profile};
use serde_json::json;

use crate::commands::import::destination::judge;
use crate::commands::import::fault::{Fault, Unreadable};
use crate::commands::import::mapped::unreadable;
use crate::commands::import::outcome::ImportOutcome;
use crate::commands::import::server::Server;
use crate::commands::import::source::Row;
use crate::commands::remote::{PassingFailure, ServerProblem};
use crate::http::body::sentence;
use crate::terminal::in_one_line;

/// The number of records from which on they are sent.
const CHUNK: usize = 2000;

/// The kinds of problems that records of a batch can be the cause of: a part of it may be stored without them.
const CAUSED_BY_RECORDS: [&str; 3] = ["malformed-json", "too-many-refused", "too-large"];

/// The destination of messages.
pub(super) struct Records {
    profile: Arc<Profile>,
    target: Target,
}

/// The destination of records.
pub(super) enum Target {
    /// A server.
    Server(Box<Server>),
    /// The contracts of this program, for a tenant: a dry run.
    Contracts(TenantId),
}

impl Records {
    /// Creates a destination for messages that a profile describes.
    pub(super) const fn new(profile: Arc<Profile>, target: Target) -> Self {
        Self { profile, target }
    }

    /// Sends records, and adds their outcomes to the verdicts of their messages.
    async fn store(&mut self, rows: Vec<(usize, Row)>, verdicts: &mut [Verdict]) -> Result<(), Away> {
        let (owners, rows): (Vec<usize>, Vec<Row>) = rows.into_iter().unzip();
        let outcomes = match &mut self.target {
            Target::Server(server) => send(server, &rows).await.map_err(|error| away(&error))?,
            Target::Contracts(tenant) => rows.iter().map(|row| judge(row, tenant)).collect(),
        };
        for (owner, outcome) in owners.into_iter().zip(outcomes) {
            if let Some(verdict) = verdicts.get_mut(owner) {
                add(verdict, outcome);
            }
        }
        Ok(())
    }
}

impl Destination for Records {
    async fn deliver(&mut self, batch: &[Message]) -> Result<Vec<Verdict>, Away> {
        let mut verdicts = vec![Verdict::default(); batch.len()];
        let mut rows = Vec::new();
        for (index, message) in batch.iter().enumerate() {
            rows.extend(records(message, &self.profile).into_iter().map(|row| (index, row)));
            if rows.len() >= CHUNK {
                self.store(std::mem::take(&mut rows), &mut verdicts).await?;
            }
        }
        if !rows.is_empty() {
            self.store(rows, &mut verdicts).await?;
        }
        Ok(verdicts)
    }
}

/// Makes the records of a message. Each message is mapped for itself, so that the same records come of it however it is
/// sent.
fn records(message: &Message, profile: &Profile) -> Vec<Row> {
    let Some(document) = message.document() else {
        let refused = Fault::of_record("encoding", "The payload is not UTF-8.".to_owned());
        return vec![refused_row(refused)];
    };
    let mut rows = Vec::new();
    let mut each = |outcome: Outcome<'_>| match outcome {
        Outcome::Record(record) => {
            let key = key(message, &record.document, rows.len());
            let text = record.original.to_text().into_bytes();
            rows.push(Row { line: record.line, text, document: Ok(record.document), key });
        }
        Outcome::Refused(row) => {
            let text = row.original.to_text().into_bytes();
            rows.push(Row { line: row.line, text, document: Err(unreadable(&row.refusals)), key: None });
        }
    };
    let mapped = match Mapper::new(profile) {
        Ok(mut mapper) => {
            let line = format!("{document}\n");
            mapper.push(line.as_bytes(), &mut each).and_then(|()| mapper.finish(&mut each))
        }
        // The profile has been checked at the start.
        Err(_) => Ok(()),
    };
    if let Err(broken) = mapped {
        rows.push(refused_row(Fault::of_record("json", sentence(&broken.detail))));
    }
    rows
}

/// Returns the idempotency key of the nth record of a message, unless its contract has a natural key.
fn key(message: &Message, document: &Value, index: usize) -> Option<String> {
    let has_key = contracts::recognise(document).is_none_or(contracts::Contract::has_natural_key);
    (!has_key).then(|| format!("{}-{}", message.id, index + 1))
}

fn refused_row(fault: Fault) -> Row {
    let error = mass_domain::json::SyntaxError { code: "mapping", detail: fault.detail.clone(), line: 1, column: 1 };
    let document = Err(Unreadable { error, faults: vec![fault] });
    Row { line: 1, text: Vec::new(), document, key: None }
}

fn add(verdict: &mut Verdict, outcome: ImportOutcome) {
    match outcome {
        ImportOutcome::Accepted(_) | ImportOutcome::Correction(_) => verdict.stored += 1,
        ImportOutcome::Duplicate(_) => verdict.duplicates += 1,
        ImportOutcome::Refused(faults) => verdict.refusals.extend(faults.iter().map(|fault| json!(fault))),
    }
}

/// Sends records. If some of them make the server refuse a batch, the others are sent without them.
async fn send(server: &mut Server, rows: &[Row]) -> anyhow::Result<Vec<ImportOutcome>> {
    let mut outcomes = Vec::with_capacity(rows.len());
    let mut parts = vec![rows];
    while let Some(part) = parts.pop() {
        let error = match server.send(part).await {
            Ok(results) => {
                outcomes.extend(results);
                continue;
            }
            Err(error) => error,
        };
        let problem = error.downcast_ref::<ServerProblem>();
        match problem.filter(|problem| CAUSED_BY_RECORDS.contains(&problem.kind())) {
            Some(problem) if part.len() == 1 => {
                outcomes.push(ImportOutcome::Refused(vec![Fault::of_record(problem.kind(), problem.to_string())]));
            }
            Some(_) => {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([second, first]);
            }
            None => return Err(error),
        }
    }
    if outcomes.len() != rows.len() {
        return Err(anyhow!("expected {} outcomes, found {}", rows.len(), outcomes.len()));
    }
    Ok(outcomes)
}

/// Converts an error of a batch. All of them may pass: a token can be allowed again, a quota raised.
fn away(error: &anyhow::Error) -> Away {
    let after = error.downcast_ref::<PassingFailure>().and_then(|failure| failure.after);
    Away { failure: in_one_line(error), after }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mass_bridge::MessageId;

    use super::*;

    const PROFILE: &str = r#"
        contract = "device/2.0"
        [read]
        format = "ndjson"
        [time]
        from = "/payload/ts"
        format = "epoch_s"
        [members]
        "device.id" = { from = "/levels/1", identifier = true }
        "metrics.temperature_celsius" = "/payload/t"
    "#;

    fn message(payload: &[u8]) -> Message {
        Message {
            id: MessageId { spool: "s".to_owned(), number: 7 },
            received: Duration::new(1_769_853_600, 0),
            topic: "site/rack 07/env".to_owned(),
            retained: false,
            payload: payload.to_vec(),
        }
    }

    fn only(payload: &[u8], profile: &str) -> Row {
        let mut rows = records(&message(payload), &Profile::from_toml(profile).unwrap());
        assert_eq!(rows.len(), 1);
        rows.remove(0)
    }

    #[test]
    fn a_level_of_the_topic_names_the_device() {
        let row = only(br#"{"ts": 1769853600, "t": 21.5}"#, PROFILE);
        let document = mass_domain::canonical::write(&row.document.unwrap());
        assert!(document.contains(r#""id":"rack-07""#) && document.contains("21.5"), "{document}");
        assert_eq!(row.key, None, "a reading has a natural key");
    }

    #[test]
    fn records_without_a_natural_key_are_known_by_their_message() {
        let profile = "contract = \"simple/1.0\"\n[read]\nformat = \"json\"\nrecords = [\"/payload\"]\n\
                       [members]\n\"payload.pue\" = \"/pue\"\n";
        let profile = Profile::from_toml(profile).unwrap();
        let rows = records(&message(br#"[{"pue": 1.3}, {"pue": 1.3}]"#), &profile);
        let keys: Vec<_> = rows.iter().map(|row| row.key.as_deref().unwrap()).collect();
        assert_eq!(keys, ["mqtt-s-7-1", "mqtt-s-7-2"]);
    }

    #[test]
    fn what_is_no_record_has_a_reason() {
        for (payload, code) in [
            (&b"\xff"[..], "encoding"),
            (br#"{"ts": 1769853600, "t": "much"}"#, "number"),
            (b"no JSON", "absent"),
            (br#"{"ts": 1, "ts": 2, "t": 1}"#, "json"),
        ] {
            let row = only(payload, PROFILE);
            let faults = row.document.unwrap_err().faults;
            assert!(faults.iter().any(|fault| fault.code == code), "{faults:?}");
        }
    }
}
