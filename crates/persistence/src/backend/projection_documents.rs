//! The documents of a part of the log, as many as fit.

use std::collections::HashMap;

use diesel::prelude::*;
use mass_analytics_service::StoredDocument;
use mass_domain::contracts::ContractId;
use mass_domain::tenancy::TenantId;
use uuid::Uuid;

use super::{Connection, projecting};
use crate::columns::Id;
use crate::rows::RequestDocument;
use crate::schema::mass_requests;

/// The requests that one statement reads.
const PAGE: usize = 200;

/// The size of a document, in bytes, beyond which it is read alone, and only if it fits.
const LONG: i32 = 32 << 10;

/// The outcome of the search for a document.
pub(super) enum Found {
    /// It does not fit any more.
    Full,
    /// The document; `None` if it has been erased.
    Document(Option<StoredDocument>),
    /// The reason for which it cannot be read.
    Unreadable(String),
}

/// Reads documents in pages.
pub(super) struct Documents<'a> {
    tenant: &'a TenantId,
    room: u64,
    is_first: bool,
    /// The requests before this index are read.
    read: usize,
    page: HashMap<Uuid, RequestDocument>,
}

impl<'a> Documents<'a> {
    /// Reads documents of this number of bytes, but at least one.
    pub(super) fn new(tenant: &'a TenantId, bytes: u64) -> Self {
        Self { tenant, room: bytes, is_first: true, read: 0, page: HashMap::new() }
    }

    /// Reads the document of the request at an index of `wanted`, which has the requests in the order in which they are asked
    /// for, and whether their documents are.
    pub(super) fn get(
        &mut self,
        connection: &mut Connection,
        wanted: &[(Uuid, bool)],
        index: usize,
    ) -> QueryResult<Found> {
        if index >= self.read {
            let rest = wanted.iter().enumerate().skip(index).filter(|(_, (_, is_wanted))| *is_wanted);
            let page: Vec<(usize, Uuid)> = rest.take(PAGE).map(|(index, (id, _))| (index, *id)).collect();
            self.read = page.last().map_or(index, |(index, _)| *index) + 1;
            self.page = load(connection, self.tenant, &page.into_iter().map(|(_, id)| Id(id)).collect::<Vec<_>>())?;
        }
        let Some(request) = wanted.get(index).and_then(|(id, _)| self.page.get(id)) else {
            return Ok(Found::Unreadable("the request of the event is missing".to_owned()));
        };
        if request.is_erased {
            return Ok(Found::Document(None));
        }
        let rest = self.room.checked_sub(request.size.unsigned_abs().into());
        if rest.is_none() && !self.is_first {
            return Ok(Found::Full);
        }
        (self.room, self.is_first) = (rest.unwrap_or(0), false);
        let text = match &request.text {
            Some(text) => text.clone(),
            None => long(connection, self.tenant, request.id)?,
        };
        Ok(document(request, text))
    }
}

/// Reads the documents of requests that have not been erased, by the sequences of their acceptance.
pub(super) fn of_requests(
    connection: &mut Connection,
    tenant: &TenantId,
    ids: Vec<Uuid>,
) -> QueryResult<HashMap<i64, StoredDocument>> {
    let mut documents = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(PAGE) {
        for request in load(connection, tenant, &ids.iter().copied().map(Id).collect::<Vec<_>>())?.into_values() {
            let text = match &request.text {
                Some(_) if request.is_erased => continue,
                Some(text) => text.clone(),
                None => long(connection, tenant, request.id)?,
            };
            if let Found::Document(Some(document)) = document(&request, text) {
                documents.insert(document.accepted, document);
            }
        }
    }
    Ok(documents)
}

fn document(request: &RequestDocument, text: String) -> Found {
    let contract: ContractId = match request.contract.parse() {
        Ok(contract) => contract,
        Err(_) => {
            return Found::Unreadable(format!("the contract {:?} is not known to this program", request.contract));
        }
    };
    let (accepted, accepted_at) = (request.accepted, request.created_at.0.unix_micros());
    Found::Document(Some(StoredDocument { accepted, accepted_at, contract, text }))
}

fn load(connection: &mut Connection, tenant: &TenantId, ids: &[Id]) -> QueryResult<HashMap<Uuid, RequestDocument>> {
    let rows = projecting::documents(connection, tenant, ids, LONG)?;
    Ok(rows.into_iter().map(|request| (request.id.0, request)).collect())
}

fn long(connection: &mut Connection, tenant: &TenantId, id: Id) -> QueryResult<String> {
    mass_requests::table.find((tenant.as_str(), id)).select(mass_requests::document).first(connection)
}
