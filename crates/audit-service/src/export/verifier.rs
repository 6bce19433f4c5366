//! The verification of an export: line by line, in constant memory.

use std::io::{BufRead, Read as _};

use mass_domain::audit::note::{Checkpoint, NoteKey};
use mass_domain::audit::tree::{Frontier, TreeHash};
use mass_domain::tenancy::TenantId;
use serde::Deserialize;

use super::{
    EVENT, EVENT_END, ExportHeader, Finding, LEAF_HASH, Line, Report, VERSIONS, VerifyExportError, WrittenEnd,
    WrittenHeader,
};
use crate::signer::{OpenCheckpointError, open_with_any};

/// The longest line that is read, in bytes. An event has some hundred.
const LONGEST_LINE: u64 = 16 << 20;

/// Reads an export to its end and verifies it. `progress` is told of the bytes of every line that was read.
///
/// # Errors
/// [`VerifyExportError`].
pub fn verify_export(
    mut verifier: ExportVerifier,
    mut export: impl BufRead,
    mut progress: impl FnMut(u64),
) -> Result<Report, VerifyExportError> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = export.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(verifier.finish()?);
        }
        progress(read.try_into().unwrap_or(u64::MAX));
        verifier.line(&line)?;
    }
}

/// Verifies an export that is given to it line by line.
#[derive(Debug)]
pub struct ExportVerifier {
    keys: Vec<NoteKey>,
    /// By their sizes, smallest first.
    earlier: Vec<Checkpoint>,
    lines: u64,
    log: Option<Log>,
    ended: bool,
}

/// What is known of the log by the lines so far.
#[derive(Debug)]
struct Log {
    version: u32,
    tenant: TenantId,
    origin: String,
    after: u64,
    tree: Frontier,
    checkpoints: u64,
    /// The size of the last checkpoint.
    covered: Option<u64>,
    /// The size of the last earlier checkpoint that the tree agrees with.
    confirmed: Option<u64>,
    /// The size of a checkpoint that covers more events than have been there. If they are missing, the next event tells.
    early: Option<u64>,
    /// How many of the earlier checkpoints cover less than the export leaves out.
    not_comparable: usize,
    /// How many of the earlier checkpoints have been passed.
    compared: usize,
    gap: Option<Gap>,
}

/// An event stood where another one was due. Whether that one is missing or elsewhere is seen further down.
#[derive(Debug, Clone, Copy)]
struct Gap {
    due: u64,
    found: u64,
}

/// What a place in the log is known by. That the rest of an event is as it was is known by its hash.
#[derive(Deserialize)]
struct Placed<'a> {
    sequence: u64,
    tenant_id: &'a str,
}

impl ExportVerifier {
    /// Begins. A checkpoint has to be signed by one of the keys; without keys, signatures are not checked.
    #[must_use]
    pub const fn new(keys: Vec<NoteKey>) -> Self {
        Self { keys, earlier: Vec::new(), lines: 0, log: None, ended: false }
    }

    /// Demands that the log goes on from the state of a checkpoint that was given out earlier.
    ///
    /// # Errors
    /// [`OpenCheckpointError`].
    pub fn with_earlier(mut self, note: &str) -> Result<Self, OpenCheckpointError> {
        self.earlier.push(open_with_any(note, &self.keys)?);
        self.earlier.sort_by_key(|checkpoint| checkpoint.size);
        Ok(self)
    }

    /// Takes the next line with its line feed.
    ///
    /// # Errors
    /// The [`Finding`], after which no more lines may be given.
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
        // A last line without its end is one that was cut.
        let cut = !line.ends_with(b"\n");
        if cut {
            return if u64::try_from(line.len()) == Ok(LONGEST_LINE) { Err(malformed) } else { Err(self.cut(after)) };
        }
        let line = str::from_utf8(line).map_err(|_| malformed.clone())?;
        if line.starts_with(EVENT) {
            return log.event(line, &self.earlier, malformed);
        }
        match read(line).ok_or_else(|| malformed.clone())? {
            Line::Header(_) => Err(malformed),
            Line::Checkpoint(note) => log.checkpoint(open_with_any(&note, &self.keys)),
            Line::End(end) => {
                self.ended = true;
                log.end(&end, malformed)
            }
        }
    }

    /// Takes the end of the export.
    ///
    /// # Errors
    /// The [`Finding`].
    pub fn finish(self) -> Result<Report, Finding> {
        let Some(log) = &self.log else { return Err(Finding::NotAnExport) };
        if let Some(Gap { due, found }) = log.gap {
            return Err(Finding::Missing { first: due, last: found - 1 });
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
        Ok(Report {
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

    /// How many events a checkpoint covers, if these are more than there are.
    fn covered_beyond(&self, last: u64) -> Option<u64> {
        let earlier = self.earlier.last().map(|checkpoint| checkpoint.size);
        earlier.max(self.log.as_ref().and_then(|log| log.early)).filter(|size| *size > last)
    }
}

/// Reads a line that is no event's, if it is spelled as it would be written.
fn read(line: &str) -> Option<Line> {
    let read = serde_json::from_str(line).ok()?;
    (super::write_line(&read) == line).then_some(read)
}

fn begin(line: &[u8], earlier: &[Checkpoint]) -> Result<Log, Finding> {
    let text = str::from_utf8(line).map_err(|_| Finding::NotAnExport)?;
    let Some(Line::Header(written)) = read(text) else { return Err(Finding::NotAnExport) };
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
    let mut log = Log {
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

/// Takes an event's line apart into the event's text and the hash of its leaf.
fn split(line: &str) -> Option<(&str, TreeHash)> {
    let rest = line.strip_prefix(EVENT)?.strip_suffix(EVENT_END)?;
    let (rest, hash) = rest.split_at_checked(rest.len().checked_sub(64)?)?;
    let event = rest.strip_suffix(LEAF_HASH)?;
    Some((event, hash.parse().ok()?))
}

/// Reads an event's place, if its text is one JSON object and nothing else.
fn place(event: &str) -> Option<Placed<'_>> {
    if event.starts_with('{') && event.ends_with('}') { serde_json::from_str(event).ok() } else { None }
}

impl Gap {
    /// Looks whether an event's line is that of the event that was due.
    fn search(self, line: &[u8]) -> Result<(), Finding> {
        let event = str::from_utf8(line).ok().and_then(split).and_then(|(event, _)| place(event));
        let Self { due, found } = self;
        match event {
            Some(event) if event.sequence == due => Err(Finding::OutOfPlace { found, due }),
            Some(_) | None => Ok(()),
        }
    }
}

impl Log {
    fn event(&mut self, line: &str, earlier: &[Checkpoint], malformed: Finding) -> Result<(), Finding> {
        let after = self.tree.size();
        let due = after + 1;
        let (event, leaf_hash) = split(line).ok_or_else(|| malformed.clone())?;
        if TreeHash::of_leaf(event.as_bytes()) != leaf_hash {
            return Err(Finding::Changed { event: due });
        }
        let Placed { sequence, tenant_id } = place(event).ok_or(malformed)?;
        if tenant_id != self.tenant.as_str() {
            return Err(Finding::OtherTenant { event: sequence });
        }
        if sequence > due {
            self.gap = Some(Gap { due, found: sequence });
            return Ok(());
        }
        if sequence < due {
            let outside = sequence <= self.after;
            return Err(if outside {
                Finding::OutOfPlace { found: sequence, due }
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

    /// Compares the tree with the earlier checkpoints of its size. What other checkpoints of the export say does not
    /// count beside them: whoever contradicts one checkpoint may have made the others.
    fn compare(&mut self, earlier: &[Checkpoint]) -> Result<(), Finding> {
        let size = self.tree.size();
        while let Some(due) = earlier.get(self.compared).filter(|checkpoint| checkpoint.size == size) {
            if due.root != self.tree.root() {
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
