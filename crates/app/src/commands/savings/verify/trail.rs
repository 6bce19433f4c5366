//! The audit trail, as far as a report follows from it.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use mass_audit_service::export::{ExportReport, ExportVerifier, VerifyExportError, read_export};
use mass_domain::analytics::{Effect, effect};
use mass_domain::audit::note::NoteKey;
use mass_domain::audit::tree::{Frontier, TreeHash};
use mass_domain::audit::{Action, Event, NewEvent, Object};
use mass_domain::canonical::Fingerprint;
use mass_domain::contracts::ContractId;
use mass_domain::ids::{MassRequestId, SavingsProjectId, SavingsReportId};
use mass_domain::savings::Project;
use mass_savings_report::Trail;

use super::Finding;
use crate::commands::audit::bytes_bar;

/// A request, as the trail tells of it.
pub(super) struct TrailRequest {
    /// The sequence of its acceptance.
    pub(super) accepted: i64,
    pub(super) contract: ContractId,
    /// The fingerprint of its document.
    pub(super) document: Fingerprint,
    /// Whether figures count it at the position of the report.
    pub(super) is_current: bool,
    /// The sequence of the event behind that position that erased its document.
    pub(super) erased: Option<i64>,
}

/// The events of a trail that a report follows from.
pub(super) struct ReportTrail {
    /// The number of events that the report names.
    position: i64,
    project: SavingsProjectId,
    report: Option<SavingsReportId>,
    tree: Frontier,
    /// The root at the position.
    root: Option<TreeHash>,
    /// The last version of the project at the position.
    last_version: Option<Fingerprint>,
    /// The version of the project that the report was asked for.
    asked_version: Option<Fingerprint>,
    /// The event that records the report, and the document's fingerprint.
    pub(super) recorded: Option<(i64, Fingerprint)>,
    /// The requests whose contracts have values.
    pub(super) requests: HashMap<MassRequestId, TrailRequest>,
    /// The first event that this program cannot read.
    unreadable: Option<String>,
}

impl ReportTrail {
    /// Begins a trail without events, for a report that names so many.
    pub(super) fn new(position: i64, project: SavingsProjectId, report: Option<SavingsReportId>) -> Self {
        Self {
            position,
            project,
            report,
            tree: Frontier::default(),
            root: (position == 0).then(TreeHash::of_nothing),
            last_version: None,
            asked_version: None,
            recorded: None,
            requests: HashMap::new(),
            unreadable: None,
        }
    }

    /// Reads exports, each of which goes on where the one before ends. Returns the report on the last one.
    pub(super) fn read(
        &mut self,
        exports: &[PathBuf],
        keys: &[NoteKey],
    ) -> anyhow::Result<Result<ExportReport, Finding>> {
        let mut last: Option<ExportReport> = None;
        for path in exports {
            let before = self.tree.size();
            let report = match self.read_one(path, keys)? {
                Ok(report) => report,
                Err(finding) => return Ok(Err(finding)),
            };
            let is_other = last.as_ref().is_some_and(|last| last.origin != report.origin);
            if report.after != before || report.root != self.tree.root() || is_other {
                return Ok(Err(Finding::NotContinued { export: path.clone(), after: before }));
            }
            if let Some(unreadable) = self.unreadable.take() {
                bail!("the export {}: {unreadable}", path.display());
            }
            last = Some(report);
        }
        last.map(Ok).context("expected an export of the audit trail")
    }

    fn read_one(&mut self, path: &Path, keys: &[NoteKey]) -> anyhow::Result<Result<ExportReport, Finding>> {
        let context = || format!("the export {}", path.display());
        let file = File::open(path).with_context(context)?;
        let progress = bytes_bar(Some(file.metadata().with_context(context)?.len()));
        let reader = BufReader::with_capacity(1 << 20, file);
        let each = |text: &str, leaf_hash| self.event(text, leaf_hash);
        let read = read_export(ExportVerifier::new(keys.to_vec()), reader, each, |bytes| progress.inc(bytes));
        progress.finish_and_clear();
        match read {
            Ok(report) => Ok(Ok(report)),
            Err(VerifyExportError::Found(source)) => Ok(Err(Finding::Export { export: path.to_owned(), source })),
            Err(VerifyExportError::Unreadable(error)) => Err(error).with_context(context),
        }
    }

    fn event(&mut self, text: &str, leaf_hash: TreeHash) {
        self.tree.push(leaf_hash, |_| {});
        match Event::read(text) {
            Ok(Event { sequence, event, .. }) => self.follow(sequence, &event),
            Err(error) => drop(self.unreadable.get_or_insert_with(|| format!("event {}: {error}", self.tree.size()))),
        }
        if i64::try_from(self.tree.size()) == Ok(self.position) {
            self.root = Some(self.tree.root());
        }
    }

    fn follow(&mut self, sequence: i64, event: &NewEvent) {
        let is_before = sequence <= self.position;
        match (&event.object, event.output) {
            (Object::MassRequest(id), output) => self.follow_request(sequence, event, *id, output),
            (Object::SavingsProject(id), Some(version)) if *id == self.project && is_before => {
                self.last_version = Some(version);
            }
            (Object::SavingsReport(id), Some(output)) if Some(*id) == self.report => {
                if event.action == Action::SavingsReported {
                    self.recorded = Some((sequence, output));
                } else if event.action == Action::SavingsReportRequested && is_before {
                    self.asked_version = Some(output);
                }
            }
            _ => {}
        }
    }

    fn follow_request(&mut self, sequence: i64, event: &NewEvent, id: MassRequestId, output: Option<Fingerprint>) {
        let is_before = sequence <= self.position;
        match effect(event.action) {
            Some(Effect::Adds) => {
                // The simple contract's documents have no values that MASS knows.
                if let (true, Some(contract), Some(document)) = (is_before, event.contract, output)
                    && contract.name() != "simple"
                {
                    let request =
                        TrailRequest { accepted: sequence, contract, document, is_current: true, erased: None };
                    self.requests.insert(id, request);
                }
            }
            Some(changed @ (Effect::Reinstates | Effect::Removes)) => {
                let Some(request) = self.requests.get_mut(&id) else { return };
                if is_before {
                    request.is_current = changed == Effect::Reinstates;
                } else if event.action == Action::Deleted {
                    request.erased = Some(sequence);
                }
            }
            None => {}
        }
    }
}

impl Trail for ReportTrail {
    fn root(&self, events: i64) -> Option<String> {
        self.root.filter(|_| events == self.position).map(|root| root.to_string())
    }

    fn project(&self, project: &Project, events: i64) -> Option<Fingerprint> {
        let is_known = project.id == self.project && events == self.position;
        self.asked_version.or(self.last_version).filter(|_| is_known)
    }
}
