//! Verification of an export, line by line in constant memory.

use std::io::{BufRead, Read as _};

use mass_domain::audit::note::{Checkpoint, NoteKey};
use mass_domain::audit::tree::{Frontier, TreeHash};
use mass_domain::tenancy::TenantId;
use serde::Deserialize;

use super::{
    EVENT, EVENT_END, ExportHeader, ExportLine, ExportReport, Finding, LEAF_HASH, VERSIONS, VerifyExportError,
    WrittenEnd, WrittenHeader,
};
use crate::signer::{OpenCheckpointError, open_with_any};

/// The maximum length of a line in bytes. An event has some hundred.
const LONGEST_LINE: u64 = 16 << 20;

/// Reads an export to its end and verifies it. `progress` gets the number of bytes of each line that was read.
///
/// # Errors
/// [`VerifyExportError`].
pub fn verify_export(
    verifier: ExportVerifier,
    export: impl BufRead,
    progress: impl FnMut(u64),
) -> Result<ExportReport, VerifyExportError> {
    verify_lines(verifier, export, |_| {}, progress)
}

/// Verifies an export as [`verify_export`] does, and passes on the canonical text and the leaf hash of each event. Nothing
/// may be concluded from them before the end has been verified.
///
/// # Errors
/// [`VerifyExportError`].
pub fn read_export(
    verifier: ExportVerifier,
    export: impl BufRead,
    mut each: impl FnMut(&str, TreeHash),
    progress: impl FnMut(u64),
) -> Result<ExportReport, VerifyExportError> {
    let each = |line: &[u8]| {
        if let Some((event, leaf_hash)) = str::from_utf8(line).ok().and_then(split) {
            each(event, leaf_hash);
        }
    };
    verify_lines(verifier, export, each, progress)
}

fn verify_lines(
    mut verifier: ExportVerifier,
    mut export: impl BufRead,
    mut each: impl FnMut(&[u8]),
    mut progress: impl FnMut(u64),
) -> Result<ExportReport, VerifyExportError> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = export.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(verifier.finish()?);
        }
        progress(read.try_into().unwrap_or(u64::MAX));
        verifier.line(&line)?;
        each(&line);
    }
}

/// Verifies an export that is fed line by line.
#[derive(Debug)]
pub struct ExportVerifier {
    keys: Vec<NoteKey>,
    /// Sorted by size, smallest first.
    earlier: Vec<Checkpoint>,
    lines: u64,
    log: Option<LogState>,
    ended: bool,
}

/// The state of the verification after the lines so far.
#[derive(Debug)]
struct LogState {
    version: u32,
    tenant: TenantId,
    origin: String,
    after: u64,
    tree: Frontier,
    checkpoints: u64,
    /// The size of the last checkpoint.
    covered: Option<u64>,
    /// The size of the last given checkpoint that the tree matches.
    confirmed: Option<u64>,
    /// The size of a checkpoint that covers more events than have been read. The next event shows whether they are
    /// missing.
    early: Option<u64>,
    /// The number of given checkpoints below the start of the export.
    not_comparable: usize,
    /// The number of given checkpoints that have been passed.
    compared: usize,
    gap: Option<Gap>,
}

/// A place with an unexpected event. Later lines show whether the expected one is missing or elsewhere.
#[derive(Debug, Clone, Copy)]
struct Gap {
    expected: u64,
    found: u64,
}

/// The members that place an event in the log. The leaf hash covers the others.
#[derive(Deserialize)]
struct EventPosition<'a> {
    sequence: u64,
    tenant_id: &'a str,
}

impl ExportVerifier {
    /// Creates the verifier. Each checkpoint must be signed by one of the keys; without keys, signatures are not
    /// checked.
    #[must_use]
    pub const fn new(keys: Vec<NoteKey>) -> Self {
        Self { keys, earlier: Vec::new(), lines: 0, log: None, ended: false }
    }

    /// Requires the log to extend an earlier checkpoint.
    ///
    /// # Errors
    /// [`OpenCheckpointError`].
    pub fn with_earlier(mut self, note: &str) -> Result<Self, OpenCheckpointError> {
        self.earlier.push(open_with_any(note, &self.keys)?);
        self.earlier.sort_by_key(|checkpoint| checkpoint.size);
        Ok(self)
    }

    /// Verifies the next line, with its line feed.
    ///
    /// # Errors
    /// [`Finding`]; no more lines may be fed then.
    pub fn line(&mut self, line: &[u8]) -> Result<(), Finding> {
        self.lines += 1;
        if self.ended {
            return Err(Finding::GoesOn { line: self.lines });
        }
        let Some(log) = &mut self.log else {
            self.log = Some(begin(line, &self.earlier)?);
            return Ok(());
        };
        if let Some(gap) = log.gap {
            return gap.search(line);
        }
        let after = log.tree.size();
        let malformed = Finding::Malformed { line: self.lines, after };
        // A last line without its line feed is truncated.
        let cut = !line.ends_with(b"\n");
        if cut {
            return if u64::try_from(line.len()) == Ok(LONGEST_LINE) { Err(malformed) } else { Err(self.cut(after)) };
        }
        let line = str::from_utf8(line).map_err(|_| malformed.clone())?;
        if line.starts_with(EVENT) {
            return log.event(line, &self.earlier, malformed);
        }
        match read(line).ok_or_else(|| malformed.clone())? {
            ExportLine::Header(_) => Err(malformed),
            ExportLine::Checkpoint(note) => log.checkpoint(open_with_any(&note, &self.keys)),
            ExportLine::End(end) => {
                self.ended = true;
                log.end(&end, malformed)
            }
        }
    }

    /// Verifies the end of the export.
    ///
    /// # Errors
    /// [`Finding`].
    pub fn finish(self) -> Result<ExportReport, Finding> {
        let Some(log) = &self.log else { return Err(Finding::NotAnExport) };
        if let Some(Gap { expected, found }) = log.gap {
            return Err(Finding::Missing { first: expected, last: found - 1 });
        }
        let last = log.tree.size();
        if !self.ended {
            return Err(self.cut(last));
        }
        if let Some(covered) = self.covered_beyond(last) {
            return Err(Finding::TailCut { covered, last });
        }
        let covered = log.covered.max(log.confirmed);
        let is_signed = !self.keys.is_empty();
        if is_signed && covered.is_none_or(|covered| covered < last) {
            return Err(Finding::NotSigned { after: covered.unwrap_or(log.after), last });
        }
        let sizes: Vec<_> = self.earlier.iter().map(|checkpoint| checkpoint.size).collect();
        let (not_comparable, confirmed) = sizes.split_at(log.not_comparable);
        Ok(ExportReport {
            tenant: log.tenant.clone(),
            origin: log.origin.clone(),
            after: log.after,
            events: last - log.after,
            root: log.tree.root(),
            checkpoints: log.checkpoints,
            signatures_checked: is_signed,
            covered: covered.unwrap_or(log.after),
            confirmed: confirmed.to_vec(),
            not_comparable: not_comparable.to_vec(),
        })
    }

    fn cut(&self, last: u64) -> Finding {
        Finding::FileCut { last, covered: self.covered_beyond(last) }
    }

    /// Returns the largest size of a checkpoint that covers more than `last` events, if there is one.
    fn covered_beyond(&self, last: u64) -> Option<u64> {
        let earlier = self.earlier.last().map(|checkpoint| checkpoint.size);
        earlier.max(self.log.as_ref().and_then(|log| log.early)).filter(|size| *size > last)
    }
}

/// Parses a line that is not an event's, if it has the canonical spelling.
fn read(line: &str) -> Option<ExportLine> {
    let read = serde_json::from_str(line).ok()?;
    (super::write_line(&read) == line).then_some(read)
}

fn begin(line: &[u8], earlier: &[Checkpoint]) -> Result<LogState, Finding> {
    let text = str::from_utf8(line).map_err(|_| Finding::NotAnExport)?;
    let Some(ExportLine::Header(written)) = read(text) else { return Err(Finding::NotAnExport) };
    let version = written.version;
    if !VERSIONS.contains(&version) {
        return Err(Finding::UnknownVersion { version });
    }
    let ExportHeader { tenant, origin, before } = header(written).ok_or(Finding::HeaderChanged)?;
    let after = before.size();
    if let Some(other) = earlier.iter().find(|checkpoint| checkpoint.origin != origin) {
        return Err(Finding::EarlierOfOtherLog { size: other.size });
    }
    let not_comparable = earlier.partition_point(|checkpoint| checkpoint.size < after);
    let mut log = LogState {
        version,
        tenant,
        origin,
        after,
        tree: before,
        checkpoints: 0,
        covered: None,
        confirmed: None,
        early: None,
        not_comparable,
        compared: not_comparable,
        gap: None,
    };
    log.compare(earlier)?;
    Ok(log)
}

fn header(written: WrittenHeader) -> Option<ExportHeader> {
    let tenant = TenantId::parse(&written.tenant).ok()?;
    let name = written.origin.strip_suffix(tenant.as_str())?.strip_suffix('/')?;
    let peaks = written.peaks.iter().map(|peak| peak.parse()).collect::<Result<_, _>>().ok()?;
    let before = Frontier::from_parts(written.after, peaks).ok()?;
    (!name.is_empty()).then_some(ExportHeader { tenant, origin: written.origin, before })
}

/// Splits the line of an event into its text and its leaf hash.
fn split(line: &str) -> Option<(&str, TreeHash)> {
    let rest = line.strip_prefix(EVENT)?.strip_suffix(EVENT_END)?;
    let (rest, hash) = rest.split_at_checked(rest.len().checked_sub(64)?)?;
    let event = rest.strip_suffix(LEAF_HASH)?;
    Some((event, hash.parse().ok()?))
}

/// Parses the place of an event, if its text is a single JSON object.
fn place(event: &str) -> Option<EventPosition<'_>> {
    if event.starts_with('{') && event.ends_with('}') { serde_json::from_str(event).ok() } else { None }
}

impl Gap {
    /// Checks a later line after a gap for the expected event.
    fn search(self, line: &[u8]) -> Result<(), Finding> {
        let event = str::from_utf8(line).ok().and_then(split).and_then(|(event, _)| place(event));
        let Self { expected, found } = self;
        match event {
            Some(event) if event.sequence == expected => Err(Finding::OutOfPlace { found, expected }),
            Some(_) | None => Ok(()),
        }
    }
}

impl LogState {
    fn event(&mut self, line: &str, earlier: &[Checkpoint], malformed: Finding) -> Result<(), Finding> {
        let after = self.tree.size();
        let expected = after + 1;
        let (event, leaf_hash) = split(line).ok_or_else(|| malformed.clone())?;
        if TreeHash::of_leaf(event.as_bytes()) != leaf_hash {
            return Err(Finding::Changed { event: expected });
        }
        let EventPosition { sequence, tenant_id } = place(event).ok_or(malformed)?;
        if tenant_id != self.tenant.as_str() {
            return Err(Finding::OtherTenant { event: sequence });
        }
        if sequence > expected {
            self.gap = Some(Gap { expected, found: sequence });
            return Ok(());
        }
        if sequence < expected {
            let outside = sequence <= self.after;
            return Err(if outside {
                Finding::OutOfPlace { found: sequence, expected }
            } else {
                Finding::Repeated { event: sequence, after }
            });
        }
        if let Some(size) = self.early {
            return Err(Finding::CheckpointOutOfPlace { size, after });
        }
        self.tree.push(leaf_hash, |_| {});
        self.compare(earlier)
    }

    fn checkpoint(&mut self, opened: Result<Checkpoint, OpenCheckpointError>) -> Result<(), Finding> {
        let after = self.tree.size();
        let Checkpoint { origin, size, root } =
            opened.map_err(|source| Finding::CheckpointRefused { after, source })?;
        if origin != self.origin {
            return Err(Finding::OtherLog { after });
        }
        if size > after && self.early < Some(size) {
            self.early = Some(size);
            return Ok(());
        }
        if size != after || self.covered == Some(size) {
            return Err(Finding::CheckpointOutOfPlace { size, after });
        }
        if root != self.tree.root() {
            return Err(match self.covered.max(self.confirmed) {
                None if after == self.after => Finding::HeaderNotAsSigned { after },
                known => Finding::NotAsSigned { first: known.unwrap_or(0) + 1, last: size },
            });
        }
        self.covered = Some(size);
        self.checkpoints += 1;
        Ok(())
    }

    fn end(&self, written: &WrittenEnd, malformed: Finding) -> Result<(), Finding> {
        let WrittenEnd { checkpoints, events } = *written;
        let last = self.tree.size();
        let found = last - self.after;
        if let Some(covered) = self.early {
            return Err(Finding::TailCut { covered, last });
        }
        if checkpoints.is_none() != (self.version == 1) {
            return Err(malformed);
        }
        if events != found {
            return Err(Finding::WrongCount { stated: events, found });
        }
        match checkpoints {
            Some(stated) if stated != self.checkpoints => {
                Err(Finding::WrongCheckpointCount { stated, found: self.checkpoints })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Compares the tree with the given checkpoints of its size. They take precedence over the export's own, because a
    /// forger of one could have made the others.
    fn compare(&mut self, earlier: &[Checkpoint]) -> Result<(), Finding> {
        let size = self.tree.size();
        while let Some(expected) = earlier.get(self.compared).filter(|checkpoint| checkpoint.size == size) {
            if expected.root != self.tree.root() {
                return Err(match self.confirmed.filter(|confirmed| *confirmed < size) {
                    None if size == self.after => Finding::HeaderNotAsSigned { after: size },
                    known => Finding::NotAsBefore { first: known.unwrap_or(0) + 1, last: size },
                });
            }
            self.confirmed = Some(size);
            self.compared += 1;
        }
        Ok(())
    }
}
