//! What the engine recommends.

use actix_web::web;
use mass_domain::page::Limit;
use mass_domain::recommendation::Filter;
use mass_service::{DeliveryService, RecommendationQuery};
use paperclip::actix::api_v2_operation;

use super::mass::Target;
use super::problem::Problem;
use super::query::{Query, page_limit, short_text};
use super::reply::{Call, Reply};
use super::wire::delivery::{RecommendationList, RecommendationPage};

type Service = web::Data<DeliveryService>;

/// List a request's recommendations.
///
/// What the engine recommended on the request, newest first; empty until it has answered. One that breaks a guardrail is
/// shown with `valid: false` and the reasons.
#[api_v2_operation(operation_id = "listMassRequestRecommendations", tags("recommendations"))]
pub async fn of_request(
    call: Call,
    service: Service,
    target: web::Path<Target>,
    query: Query,
) -> Result<Reply<RecommendationList>, Problem> {
    query.finish()?;
    let found = service.recommendations(&call.principal, target.id()?).await?;
    Reply::ok(&RecommendationList { items: found.into_iter().map(Into::into).collect() })
}

/// List recommendations.
///
/// On whatever request of the caller's tenant, newest first, page by page.
#[api_v2_operation(operation_id = "listRecommendations", tags("recommendations"))]
pub async fn list(call: Call, service: Service, query: Query) -> Result<Reply<RecommendationPage>, Problem> {
    let query = recommendation_query(query)?;
    let page: RecommendationPage = service.list_recommendations(&call.principal, &query).await?.into();
    Ok(Reply::ok(&page)?.next(&call, page.next_cursor.as_deref()))
}

fn recommendation_query(mut query: Query) -> Result<RecommendationQuery, Problem> {
    let valid = |text: &str| text.parse().map_err(|_| "Either true or false.".to_owned());
    let filter = Filter {
        valid: query.take_with("valid", valid),
        model: query.take_with("model", short_text),
        site_id: query.take_with("site_id", short_text),
        device_id: query.take_with("device_id", short_text),
        from: query.take("from"),
        to: query.take("to"),
    };
    let limit = query.take_with("limit", page_limit).unwrap_or(Limit::DEFAULT);
    let cursor = query.take("cursor");
    query.finish()?;
    Ok(RecommendationQuery { filter, limit, cursor })
}
