//! Reading recommendations.

use mass_domain::access::{Permission, Principal};
use mass_domain::ids::{MassRequestId, RecommendationId};
use mass_domain::page::{CursorScope, Limit, Page, decode_cursor};
use mass_domain::recommendation::{Recommendation, RecommendationFilter};

use crate::deliveries::DeliveryService;
use crate::read::{ReadError, present};

/// A page of a list of recommendations.
#[derive(Debug, Clone)]
pub struct RecommendationQuery {
    /// The filter.
    pub filter: RecommendationFilter,
    /// The size of the page.
    pub limit: Limit,
    /// The cursor that the page before ended with.
    pub cursor: Option<String>,
}

impl DeliveryService {
    /// Lists the recommendations on a request, including flagged ones, newest first.
    ///
    /// # Errors
    /// [`ReadError`], but never [`ReadError::ForeignCursor`].
    pub async fn recommendations(
        &self,
        principal: &Principal,
        id: MassRequestId,
    ) -> Result<Vec<Recommendation>, ReadError> {
        principal.require(Permission::MassRead)?;
        present(self.recommendations.list_of_request(principal.tenant(), id).await?)
    }

    /// Lists a page of recommendations on all requests, newest first.
    ///
    /// # Errors
    /// [`ReadError::Forbidden`], [`ReadError::ForeignCursor`] or [`ReadError::Store`].
    pub async fn list_recommendations(
        &self,
        principal: &Principal,
        query: &RecommendationQuery,
    ) -> Result<Page<Recommendation>, ReadError> {
        principal.require(Permission::MassRead)?;
        let scope = scope(principal, &query.filter);
        let before = query.cursor.as_deref().map(|cursor| decode_cursor(scope, cursor)).transpose()?;
        let before = before.map(RecommendationId::from_uuid);
        let rows = self.recommendations.list(principal.tenant(), &query.filter, before, query.limit).await?;
        Ok(Page::from_lookahead(rows, query.limit, scope, |row| row.id.as_uuid()))
    }
}

fn scope(principal: &Principal, filter: &RecommendationFilter) -> CursorScope {
    let RecommendationFilter { valid, model, site_id, device_id, from, to } = filter;
    let valid = valid.map(|valid| if valid { "valid" } else { "flagged" });
    let times = [from, to].map(|time| time.map(|time| time.to_string()));
    let texts = [Some(principal.tenant().as_str()), valid, model.as_deref(), site_id.as_deref(), device_id.as_deref()];
    CursorScope::of("recommendations", texts.into_iter().chain(times.iter().map(Option::as_deref)))
}
