//! The comparisons of a live verification, without any store.

use std::collections::VecDeque;
use std::ops::{Range, RangeInclusive};

use mass_domain::audit::note::{Checkpoint, NoteKey};
use mass_domain::audit::tree::{Frontier, Subtree, TreeHash};
use mass_domain::audit::{Action, Event, Object};
use mass_domain::tenancy::TenantId;

use super::request::{ImpliedRequest, changes_request};
use super::users::ImpliedUsers;
use super::{
    ArchivedLeaf, EventRecord, Extent, LiveFinding, LiveReport, PAGE, Part, RequestPage, RequestRecord, UserRecords,
    VerifyLiveError,
};
use crate::signer::open_with_any;
use crate::store::StoredCheckpoint;

/// The number of checkpoints that are read at a time.
pub(super) const CHECKPOINTS: usize = 100;

/// The distance between stored levels of the tree.
const STORED_LEVELS: u32 = 8;

/// Checks the parts of a log in their order.
pub(super) struct Checker<'a> {
    tenant: &'a TenantId,
    keys: Vec<NoteKey>,
    extent: Extent,
    tree: Frontier,
    archived: u64,
    /// The given checkpoints ahead, smallest first.
    earlier: VecDeque<Checkpoint>,
    /// The stored checkpoints ahead, smallest first.
    stored: VecDeque<Checkpoint>,
    /// The size of the last stored checkpoint that was read.
    read_until: u64,
    all_read: bool,
    checkpoints: u64,
    /// The number of requests that were compared beside their acceptance event.
    accepted: u64,
    requests: u64,
    unindexed: u64,
    implied_users: ImpliedUsers,
    users: u64,
    untold_users: u64,
    covered: u64,
    confirmed: Vec<u64>,
}

impl<'a> Checker<'a> {
    pub(super) fn new<'b>(
        extent: Extent,
        tenant: &'a TenantId,
        keys: Vec<NoteKey>,
        earlier: impl Iterator<Item = &'b str>,
    ) -> Result<Self, VerifyLiveError> {
        let open = |note| open_with_any(note, &keys).map_err(|error| VerifyLiveError::Earlier(error.to_string()));
        let mut earlier: Vec<_> = earlier.map(open).collect::<Result<_, _>>()?;
        if let Some(foreign) = earlier.iter().find(|checkpoint| !is_of(checkpoint, tenant, &keys)) {
            return Err(VerifyLiveError::Earlier(format!("it is of {}", foreign.origin)));
        }
        earlier.sort_by_key(|checkpoint| checkpoint.size);
        Ok(Self {
            tenant,
            keys,
            extent,
            tree: Frontier::default(),
            archived: 0,
            earlier: earlier.into(),
            stored: VecDeque::new(),
            read_until: 0,
            all_read: false,
            checkpoints: 0,
            accepted: 0,
            requests: 0,
            unindexed: 0,
            implied_users: ImpliedUsers::default(),
            users: 0,
            untold_users: 0,
            covered: 0,
            confirmed: Vec::new(),
        })
    }

    /// Returns the sequences of the next part; the first event is one after the start of the range.
    pub(super) fn next_range(&self) -> Option<Range<u64>> {
        self.range_after(self.tree.size())
    }

    /// Returns the sequences of the part after this event.
    pub(super) fn range_after(&self, start: u64) -> Option<Range<u64>> {
        (start < self.extent.size).then(|| start..self.extent.size.min(start + PAGE))
    }

    /// Returns true if checkpoints up to this size may not have been read yet.
    pub(super) const fn checkpoints_before(&self, size: u64) -> bool {
        !self.all_read && self.read_until < size
    }

    /// Returns the size of the last checkpoint that was read.
    pub(super) const fn last_checkpoint(&self) -> u64 {
        self.read_until
    }

    pub(super) fn give_checkpoints(&mut self, page: Vec<StoredCheckpoint>) -> Result<(), LiveFinding> {
        self.all_read = page.len() < CHECKPOINTS;
        for StoredCheckpoint { size, note, .. } in page {
            let checkpoint =
                open_with_any(&note, &self.keys).map_err(|source| LiveFinding::CheckpointRefused { size, source })?;
            if checkpoint.size != size || !is_of(&checkpoint, self.tenant, &self.keys) {
                return Err(LiveFinding::OtherCheckpoint { size });
            }
            self.read_until = size;
            self.stored.push_back(checkpoint);
        }
        Ok(())
    }

    /// Checks the [next](Self::next_range) part.
    pub(super) fn check(&mut self, part: Part) -> Result<(), LiveFinding> {
        let Some(range) = self.next_range() else { return Ok(()) };
        if let (Some(leaf), Some(event)) = (part.archived.last(), part.events.first())
            && event.sequence <= leaf.sequence
        {
            return Err(LiveFinding::NotArchived { event: event.sequence });
        }
        for leaf in part.archived {
            self.archived_leaf(leaf, &part.nodes)?;
        }
        for event in part.events {
            self.event(&event, &part.nodes)?;
        }
        self.missing_before(range.end + 1)
    }

    fn archived_leaf(
        &mut self,
        ArchivedLeaf { sequence, leaf_hash }: ArchivedLeaf,
        nodes: &[(Subtree, TreeHash)],
    ) -> Result<(), LiveFinding> {
        self.missing_before(sequence)?;
        if self.archived < self.tree.size() {
            return Err(LiveFinding::NotArchived { event: self.tree.size() });
        }
        let leaf_hash = leaf_hash.try_into().map_err(|_| LiveFinding::Changed { event: sequence })?;
        self.archived = sequence;
        self.grow(TreeHash::from_bytes(leaf_hash), nodes)
    }

    fn event(&mut self, record: &EventRecord, nodes: &[(Subtree, TreeHash)]) -> Result<(), LiveFinding> {
        let place = record.sequence;
        self.missing_before(place)?;
        let leaf_hash = TreeHash::of_leaf(record.event.as_bytes());
        if record.leaf_hash != leaf_hash.as_bytes() {
            return Err(LiveFinding::Changed { event: place });
        }
        let event = Event::read(&record.event).map_err(|_| LiveFinding::Unreadable { event: place })?;
        if u64::try_from(event.sequence) != Ok(place) {
            return Err(LiveFinding::OutOfPlace { found: event.sequence, expected: place });
        }
        if event.event.tenant_id != *self.tenant {
            return Err(LiveFinding::OtherTenant { event: place });
        }
        check_columns(record, &event)?;
        if event.event.action == Action::Accepted {
            self.unindexed += u64::from(!check_accepted(record, &event)?);
            self.accepted += 1;
        } else {
            check_later(record, &event)?;
        }
        self.implied_users.take(&event);
        self.grow(leaf_hash, nodes)
    }

    /// Returns a finding of missing events, unless the place is the next one.
    fn missing_before(&self, place: u64) -> Result<(), LiveFinding> {
        let Extent { size, last, .. } = self.extent;
        let expected = self.tree.size() + 1;
        if expected >= place {
            Ok(())
        } else if last < expected {
            Err(LiveFinding::TailCut { last: expected - 1, head: size })
        } else {
            Err(LiveFinding::Missing { first: expected, last: place - 1 })
        }
    }

    /// Appends a leaf, and compares the stored nodes and checkpoints that it completes.
    fn grow(&mut self, leaf: TreeHash, nodes: &[(Subtree, TreeHash)]) -> Result<(), LiveFinding> {
        let mut completed = Vec::new();
        self.tree.push(leaf, |node| completed.push(node));
        for (node, hash) in completed.into_iter().filter(|(node, _)| node.level.is_multiple_of(STORED_LEVELS)) {
            let stored = nodes.iter().find(|(stored, _)| *stored == node);
            if stored.is_none_or(|(_, stored)| *stored != hash) {
                let Subtree { level, position } = node;
                let (first, last) = (node.first_leaf() + 1, node.first_leaf() + node.leaves());
                return Err(LiveFinding::Node { level, position, first, last });
            }
        }
        self.compare_checkpoints()
    }

    fn compare_checkpoints(&mut self) -> Result<(), LiveFinding> {
        let size = self.tree.size();
        let (first, last) = (self.covered + 1, size);
        while let Some(earlier) = self.earlier.pop_front_if(|checkpoint| checkpoint.size <= size) {
            // An empty log has nothing to compare.
            if earlier.size == size && earlier.root != self.tree.root() {
                return Err(LiveFinding::NotAsBefore { first, last });
            }
            self.confirmed.push(earlier.size);
            self.covered = self.covered.max(earlier.size);
        }
        if let Some(stored) = self.stored.pop_front_if(|checkpoint| checkpoint.size == size) {
            if stored.root != self.tree.root() {
                return Err(LiveFinding::NotAsSigned { first, last });
            }
            self.checkpoints += 1;
            self.covered = size;
        }
        Ok(())
    }

    /// Compares the end of the log with its head, nodes and checkpoints.
    pub(super) fn check_end(&mut self) -> Result<(), LiveFinding> {
        let Extent { size, ref peaks, last, nodes, .. } = self.extent;
        if let Some(beyond) = self.earlier.iter().find(|checkpoint| checkpoint.size > size) {
            return Err(LiveFinding::CutBelowCheckpoint { covered: beyond.size, last: size });
        }
        if last > size {
            return Err(LiveFinding::BeyondHead { last, head: size });
        }
        let (stored, rest) = peaks.as_chunks::<32>();
        let mut first = 1;
        for (index, peak) in self.tree.peaks().iter().enumerate() {
            let leaves = 1 << (size - (first - 1)).ilog2();
            if stored.get(index) != Some(peak.as_bytes()) {
                return Err(LiveFinding::Head { first, last: first + leaves - 1 });
            }
            first += leaves;
        }
        if stored.len() > self.tree.peaks().len() || !rest.is_empty() {
            return Err(LiveFinding::Head { first: 1, last: size });
        }
        let expected = (1..u64::BITS / STORED_LEVELS).map(|step| size >> (step * STORED_LEVELS)).sum();
        if nodes == expected { Ok(()) } else { Err(LiveFinding::Nodes { found: nodes, expected }) }
    }

    /// Compares the latest checkpoint with the current size of the log.
    pub(super) const fn check_latest(&self, covered: u64, size: u64) -> Result<(), LiveFinding> {
        if covered > size { Err(LiveFinding::CutBelowCheckpoint { covered, last: size }) } else { Ok(()) }
    }

    /// Returns the number of checked events.
    pub(super) const fn size(&self) -> u64 {
        self.tree.size()
    }

    /// Returns the sequences of the events whose texts were checked.
    pub(super) const fn verified(&self) -> RangeInclusive<u64> {
        self.archived + 1..=self.tree.size()
    }

    /// Counts all requests that name an acceptance event among the verified ones, if they are those that were compared
    /// beside it; each of these events was compared with a request of its own. Returns whether they are.
    pub(super) const fn account_for(&mut self, requests: u64) -> bool {
        let is_all = requests == self.accepted;
        if is_all {
            self.requests += requests;
        }
        is_all
    }

    /// Compares the accounts with the log.
    pub(super) fn check_users(&mut self, records: &UserRecords) -> Result<(), LiveFinding> {
        (self.users, self.untold_users) = std::mem::take(&mut self.implied_users).compare(records)?;
        Ok(())
    }

    /// Compares a page of requests with the log. Requests with an acceptance event were compared beside that event.
    pub(super) fn check_requests(&mut self, page: &RequestPage) -> Result<(), LiveFinding> {
        self.requests += page.requests;
        for record in &page.unaccepted {
            if record.archived_leaf.as_ref() != Some(&record.audit_leaf_hash) {
                return Err(LiveFinding::RequestWithoutEvent { request: record.id });
            }
            let event = record.audit_sequence;
            let mut implied = ImpliedRequest::default();
            implied.follow(record)?;
            check_document(record, event)?;
            implied.compare(record, event)?;
            self.unindexed += u64::from(!implied.tells_index());
        }
        Ok(())
    }

    pub(super) fn report(self) -> LiveReport {
        LiveReport {
            tenant: self.tenant.clone(),
            events: self.tree.size(),
            archived: self.archived,
            root: self.tree.root(),
            requests: self.requests,
            unindexed: self.unindexed,
            users: self.users,
            untold_users: self.untold_users,
            checkpoints: self.checkpoints,
            signatures_checked: !self.keys.is_empty(),
            covered: self.covered,
            confirmed: self.confirmed,
        }
    }
}

/// Returns true if a checkpoint belongs to the tenant's log.
fn is_of(checkpoint: &Checkpoint, tenant: &TenantId, keys: &[NoteKey]) -> bool {
    match keys {
        [] => checkpoint.origin.rsplit_once('/').is_some_and(|(_, of)| of == tenant.as_str()),
        keys => keys.iter().any(|key| checkpoint.origin == key.name().origin(tenant)),
    }
}

fn check_columns(record: &EventRecord, event: &Event) -> Result<(), LiveFinding> {
    let said = &event.event;
    let or_nothing = |text: Option<String>| text.unwrap_or_else(|| "nothing".to_owned());
    let columns = [
        ("at", record.at.clone(), said.at.to_string()),
        ("actor_kind", record.actor_kind.clone(), said.actor.kind().to_owned()),
        (
            "actor_id",
            or_nothing(record.actor_id.map(|id| id.to_string())),
            or_nothing(said.actor.id().map(|id| id.to_string())),
        ),
        ("action", record.action.clone(), said.action.as_str().to_owned()),
        ("object_kind", record.object_kind.clone(), said.object.kind().to_owned()),
        ("object_id", or_nothing(record.object_id.clone()), or_nothing(said.object.id().map(Into::into))),
        ("outcome", record.outcome.clone(), said.outcome.as_str().to_owned()),
    ];
    match columns.into_iter().find(|(_, stated, text)| stated != text) {
        Some((column, stated, text)) => Err(LiveFinding::Column { event: record.sequence, column, stated, text }),
        None => Ok(()),
    }
}

/// Compares a request with its acceptance event and its later events. Returns true if the events cover its index
/// columns.
fn check_accepted(record: &EventRecord, event: &Event) -> Result<bool, LiveFinding> {
    let (place, said) = (record.sequence, &event.event);
    let Object::MassRequest(request) = said.object else {
        return Err(LiveFinding::Unreadable { event: place });
    };
    let Some(stored) = &record.request else { return Err(LiveFinding::RequestMissing { request, event: place }) };
    let fingerprint = said.output.map(|fingerprint| *fingerprint.as_bytes());
    let receipt = (stored.audit_sequence, &stored.audit_leaf_hash);
    let facts = [
        ("contract", Some(&stored.contract) == said.contract.map(|contract| contract.to_string()).as_ref()),
        ("fingerprint", fingerprint.is_some_and(|fingerprint| stored.fingerprint == fingerprint)),
        ("receipt", receipt == (place, &record.leaf_hash)),
    ];
    if let Some((what, _)) = facts.into_iter().find(|(_, holds)| !holds) {
        return Err(LiveFinding::RequestChanged { request, what, event: place });
    }
    let mut implied = ImpliedRequest::accepted(said);
    implied.follow(stored)?;
    match (stored.deleted_at.is_some(), implied.deleted) {
        (true, None) => return Err(LiveFinding::ErasedWithoutEvent { request, event: place }),
        (false, Some((event, _))) => return Err(LiveFinding::NotDeleted { request, event }),
        (true, Some(_)) | (false, None) => check_document(stored, place)?,
    }
    implied.compare(stored, place)?;
    Ok(implied.tells_index())
}

/// Compares a later event of a request with the version of the request, which may have been compared without its events.
fn check_later(record: &EventRecord, event: &Event) -> Result<(), LiveFinding> {
    let Object::MassRequest(request) = event.event.object else { return Ok(()) };
    if !changes_request(&event.event) {
        return Ok(());
    }
    match record.request_version {
        Some(2..) => Ok(()),
        Some(version) => Err(LiveFinding::RequestColumn {
            request,
            column: "version",
            stated: version.to_string(),
            told: "at least 2".to_owned(),
        }),
        None => Err(LiveFinding::RequestMissing { request, event: record.sequence }),
    }
}

/// Compares a document with its stored fingerprint.
fn check_document(stored: &RequestRecord, event: u64) -> Result<(), LiveFinding> {
    if stored.deleted_at.is_some() || stored.fingerprint == stored.document.as_bytes() {
        Ok(())
    } else {
        Err(LiveFinding::RequestChanged { request: stored.id, what: "document", event })
    }
}
