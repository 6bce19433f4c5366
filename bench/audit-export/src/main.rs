//! Writes an audit export of any length, for `mass audit verify` to be timed on, and the key that it is signed with.
//!
//! Its events are those of accepted requests, with a checkpoint after every ten thousand.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Parser;
use mass_audit_service::CheckpointSigner;
use mass_audit_service::export::{ExportHeader, checkpoint_line, end_line, event_line};
use mass_domain::access::Actor;
use mass_domain::audit::note::{Checkpoint, KeyName};
use mass_domain::audit::tree::{Frontier, TreeHash};
use mass_domain::audit::{Action, NewEvent, Object, Outcome, Program};
use mass_domain::canonical::Fingerprint;
use mass_domain::contracts::DEVICE_1_1;
use mass_domain::ids::{MassRequestId, UserId};
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use mass_domain::trace::{Origin, RequestId, TraceParent};
use serde_json::Map;
use uuid::Uuid;

/// How many events lie between two checkpoints.
const CHECKPOINT_EVERY: u64 = 10_000;

/// The microseconds since 1970 of the first event.
const BEGIN: i64 = 1_767_225_600_000_000;

#[derive(Parser)]
#[command(about)]
struct Settings {
    /// How many events.
    #[arg(long)]
    events: u64,
    /// The file of the export.
    #[arg(long)]
    export: PathBuf,
    /// The file of the key by which its checkpoints are verified.
    #[arg(long)]
    key: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let settings = Settings::parse();
    let (name, tenant) = (KeyName::parse("mass.local")?, TenantId::parse("default")?);
    let signer = CheckpointSigner::from_seed(name.clone(), &[7; 32])?;
    let header = ExportHeader::new(&name, tenant.clone(), Frontier::default());
    let program = Program { commit: "0123456789ab".to_owned(), version: "0.1.0".to_owned() };
    let mut out = BufWriter::new(File::create(&settings.export)?);
    let (mut tree, mut checkpoints) = (Frontier::default(), 0);
    out.write_all(header.line().as_bytes())?;
    for sequence in 1..=settings.events {
        let text = event(&tenant, sequence)?.write(i64::try_from(sequence)?, &program);
        let leaf = TreeHash::of_leaf(text.as_bytes());
        tree.push(leaf, |_| {});
        out.write_all(event_line(&text, leaf).as_bytes())?;
        if sequence.is_multiple_of(CHECKPOINT_EVERY) || sequence == settings.events {
            let checkpoint = Checkpoint { origin: header.origin.clone(), size: sequence, root: tree.root() };
            out.write_all(checkpoint_line(&signer.sign(&checkpoint)).as_bytes())?;
            checkpoints += 1;
        }
    }
    out.write_all(end_line(settings.events, checkpoints).as_bytes())?;
    out.flush()?;
    Ok(fs::write(&settings.key, format!("{}\n", signer.key()))?)
}

/// An event as a request that was stored leaves it.
fn event(tenant: &TenantId, sequence: u64) -> anyhow::Result<NewEvent> {
    let number = u128::from(sequence);
    let fingerprint = Some(Fingerprint::of(&sequence.to_string()));
    let at = Timestamp::from_unix_micros(BEGIN + i64::try_from(sequence)? * 1000);
    Ok(NewEvent {
        tenant_id: tenant.clone(),
        at: at.ok_or_else(|| anyhow::anyhow!("too many events"))?,
        actor: Actor::User(UserId::from_uuid(Uuid::from_u128(7))),
        action: Action::Accepted,
        object: Object::MassRequest(MassRequestId::from_uuid(Uuid::from_u128(number))),
        outcome: Outcome::Success,
        contract: Some(DEVICE_1_1),
        input: fingerprint,
        output: fingerprint,
        origin: Origin {
            request_id: RequestId::parse(&Uuid::from_u128(number << 64).to_string())?,
            trace: TraceParent::new(number, sequence, 1),
            address: Some([127, 0, 0, 1].into()),
        },
        detail: Map::new(),
    })
}
