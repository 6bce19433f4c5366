//! The documents that the hours of a report follow from.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use mass_analytics_service::{HoursQuery, SiteDocuments, SiteHour};
use mass_domain::canonical::Fingerprint;
use mass_domain::contracts::ContractId;
use mass_domain::ids::MassRequestId;
use mass_savings_report::Contract;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::Finding;
use super::trail::TrailRequest;
use crate::commands::audit::bytes_bar;

/// The hours of a site, computed from documents that are those of the trail.
pub(super) struct DocumentHours {
    pub(super) hours: Vec<SiteHour>,
    /// The contracts of the documents.
    pub(super) contracts: Vec<Contract>,
    /// The number of documents that are current at the position of the report.
    pub(super) count: usize,
    /// The documents among these that have been erased since then: their number, and the first with the event that did it.
    pub(super) erased: Option<(usize, MassRequestId, i64)>,
}

/// A line of an export of requests.
#[derive(Deserialize)]
struct Line<'a> {
    id: Option<&'a str>,
    #[serde(borrow)]
    document: Option<&'a RawValue>,
    totals: Option<IgnoredAny>,
}

/// Reads exports of requests, and computes the hours of a site from the documents that are current.
pub(super) fn read(
    exports: &[PathBuf],
    requests: &HashMap<MassRequestId, TrailRequest>,
    query: HoursQuery,
) -> anyhow::Result<Result<DocumentHours, Finding>> {
    let mut reading =
        Reading { requests, documents: SiteDocuments::new(query), contracts: BTreeSet::new(), found: HashSet::new() };
    for path in exports {
        if let Err(finding) = reading.read(path)? {
            return Ok(Err(finding));
        }
    }
    reading.finish()
}

struct Reading<'a> {
    requests: &'a HashMap<MassRequestId, TrailRequest>,
    documents: SiteDocuments,
    contracts: BTreeSet<ContractId>,
    found: HashSet<MassRequestId>,
}

impl Reading<'_> {
    fn read(&mut self, path: &Path) -> anyhow::Result<Result<(), Finding>> {
        let context = || format!("the documents {}", path.display());
        let file = File::open(path).with_context(context)?;
        let progress = bytes_bar(Some(file.metadata().with_context(context)?.len()));
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let (mut text, mut is_whole) = (String::new(), false);
        while reader.read_line(&mut text).with_context(context)? > 0 {
            let Line { id, document, totals } = serde_json::from_str(&text).with_context(context)?;
            is_whole = totals.is_some();
            if let (Some(id), Some(document)) = (id, document)
                && let Err(finding) = self.add(id.parse().with_context(context)?, document.get())?
            {
                return Ok(Err(finding));
            }
            progress.inc(text.len() as u64);
            text.clear();
        }
        progress.finish_and_clear();
        if !is_whole {
            bail!("the documents {} are cut: expected a last line with the totals", path.display());
        }
        Ok(Ok(()))
    }

    fn add(&mut self, id: MassRequestId, document: &str) -> anyhow::Result<Result<(), Finding>> {
        let Some(request) = self.requests.get(&id).filter(|request| request.is_current) else { return Ok(Ok(())) };
        if !self.found.insert(id) {
            return Ok(Ok(()));
        }
        let (event, expected, found) = (request.accepted, request.document, Fingerprint::of(document));
        if found != expected {
            return Ok(Err(Finding::DocumentChanged { id, event, expected, found }));
        }
        let added = self.documents.add(event, request.contract, document);
        added.map_err(|error| anyhow::anyhow!("the document of event {event} cannot be read: {}", error.reason))?;
        self.contracts.insert(request.contract);
        Ok(Ok(()))
    }

    fn finish(self) -> anyhow::Result<Result<DocumentHours, Finding>> {
        let Self { requests, documents, contracts, found } = self;
        let missing = |(id, request): &(&MassRequestId, &TrailRequest)| request.is_current && !found.contains(*id);
        let missing: Vec<_> = requests.iter().filter(missing).collect();
        let (erased, missing): (Vec<_>, Vec<_>) = missing.into_iter().partition(|(_, it)| it.erased.is_some());
        if let Some((id, request)) = missing.iter().min_by_key(|(_, request)| request.accepted) {
            let (count, id, event) = (missing.len(), **id, request.accepted);
            return Ok(Err(Finding::DocumentsMissing { count, id, event }));
        }
        let first_erased = erased.iter().filter_map(|(id, request)| Some((**id, request.erased?)));
        let first_erased = first_erased.min_by_key(|(_, event)| *event);
        let contract = |id: ContractId| Contract { name: id.name().to_owned(), version: id.version().to_owned() };
        Ok(Ok(DocumentHours {
            hours: documents.hours()?,
            contracts: contracts.into_iter().map(contract).collect(),
            count: found.len(),
            erased: first_erased.map(|(id, event)| (erased.len(), id, event)),
        }))
    }
}
