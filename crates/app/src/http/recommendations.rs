//! The engine's recommendations.

use actix_web::web;
use mass_domain::access::Permission;
use mass_domain::ids::MassRequestId;
use mass_domain::page::{self, Limit};
use mass_domain::recommendation::{self as advice, RecommendationFilter};
use mass_service::{DeliveryService, RecommendationQuery};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::delivery;
use super::operations::{Access, Operation, Parameter, Produces, model};
use super::parameters::{self, CURSOR, LIMIT};
use super::path::{InPath, PathId};
use super::problem::{Problem, ProblemKind};
use super::query::{Query, page_limit, short_text};
use super::reply::{Call, Reply};

type Service = web::Data<DeliveryService>;

const FILTERS: &[Parameter] = &[
    Parameter::new(
        "valid",
        "Those that keep to every guardrail (`true`), or those that do not (`false`).",
        || json!({"type": "boolean"}),
    ),
    Parameter::new("model", "Those of the model with this name.", parameters::short_text),
    Parameter::new("site_id", "Those on this site.", parameters::short_text),
    Parameter::new("device_id", "Those on this device.", parameters::short_text),
    Parameter::new("from", "Stored at or after this instant.", parameters::instant),
    Parameter::new("to", "Stored before this instant.", parameters::instant),
    LIMIT,
    CURSOR,
];

/// The operations.
pub const OPERATIONS: &[Operation] = &[OF_REQUEST, LIST];

const OF_REQUEST: Operation = Operation {
    id: "listMassRequestRecommendations",
    summary: "List a request's recommendations.",
    description: "What the engine recommended on the request, newest first; empty until it has answered. One that \
        breaks a guardrail is shown with `valid: false` and the reasons.",
    tag: Some(delivery::TAG),
    in_path: &[MassRequestId::PARAMETER],
    produces: Produces::Json(model::<RecommendationList>),
    answers: &[(200, "The recommendations.")],
    problems: &[ProblemKind::NotFound, ProblemKind::Gone],
    ..Operation::get("/v1/mass-requests/{id}/recommendations", Access::Needs(Permission::MassRead), || {
        web::to(of_request)
    })
};

async fn of_request(
    call: Call,
    service: Service,
    id: PathId<MassRequestId>,
    query: Query,
) -> Result<Reply<RecommendationList>, Problem> {
    query.finish()?;
    let found = service.recommendations(&call.principal, id.read()?).await?;
    Reply::ok(&RecommendationList { items: found.into_iter().map(Into::into).collect() })
}

const LIST: Operation = Operation {
    id: "listRecommendations",
    summary: "List recommendations.",
    description: "On whatever request of the caller's tenant, newest first, page by page.",
    tag: Some(delivery::TAG),
    query: FILTERS,
    produces: Produces::Json(model::<RecommendationPage>),
    answers: &[(200, "A page of recommendations.")],
    ..Operation::get("/v1/recommendations", Access::Needs(Permission::MassRead), || web::to(list))
};

async fn list(call: Call, service: Service, query: Query) -> Result<Reply<RecommendationPage>, Problem> {
    let query = recommendation_query(query)?;
    let page: RecommendationPage = service.list_recommendations(&call.principal, &query).await?.into();
    Ok(Reply::ok(&page)?.next(&call, page.next_cursor.as_deref()))
}

fn recommendation_query(mut query: Query) -> Result<RecommendationQuery, Problem> {
    let valid = |text: &str| text.parse().map_err(|_| "Either true or false.".to_owned());
    let filter = RecommendationFilter {
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

/// A page of recommendations, newest first.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"items": [recommendation_example()], "next_cursor": null}))]
pub struct RecommendationPage {
    /// The recommendations.
    pub items: Vec<Recommendation>,
    /// To be sent as `cursor`, with the same filters, for the page that follows; null on the last one.
    pub next_cursor: Option<String>,
}

/// The recommendations on a request, newest first.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"items": [recommendation_example()]}))]
pub struct RecommendationList {
    /// The recommendations.
    pub items: Vec<Recommendation>,
}

/// A recommendation of the engine, with MASS's judgement. MASS never executes it.
#[derive(Serialize, JsonSchema)]
#[schemars(example = recommendation_example())]
pub struct Recommendation {
    /// Its id.
    #[schemars(extend("format" = "uuid"))]
    pub id: String,
    /// The request that was judged.
    #[schemars(extend("format" = "uuid"))]
    pub request_id: String,
    /// The delivery by which the engine was asked.
    #[schemars(extend("format" = "uuid"))]
    pub delivery_id: String,
    /// The contract of the request.
    pub contract: String,
    /// The site that the request tells of.
    pub site_id: Option<String>,
    /// The device that the request tells of.
    pub device_id: Option<String>,
    /// When it was stored.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    /// True if it keeps to every guardrail. A recommendation that does not is shown, but must not be followed.
    pub valid: bool,
    /// Why it is not valid.
    pub flags: Vec<Flag>,
    /// Latency of the engine, in milliseconds.
    pub latency_ms: i64,
    /// Service level objective for that latency, in milliseconds (`service_level_objective_ms`); null if the request has none.
    pub slo_ms: Option<i64>,
    /// True if the latency met the objective; null if the request has none.
    pub slo_met: Option<bool>,
    /// The engine's name for this answer.
    #[schemars(extend("format" = "uuid"))]
    pub decision_id: String,
    /// The engine that answered.
    pub model: Model,
    /// The fingerprint of the document that was judged.
    pub input_fingerprint: String,
    /// The engine's confidence, from 0 to 1.
    pub confidence: f64,
    /// The risk of following it, from 0 to 1.
    pub risk_score: f64,
    /// The expected change over a day. Savings are positive.
    pub estimated_impact_24h: Impact,
    /// Actions, in their order.
    pub actions: Vec<SuggestedAction>,
    /// The site's figures afterwards, if they can be told.
    pub expected_impact: Option<Expectation>,
    /// Why.
    pub explanation: Explanation,
    /// Constraints that the engine claims to have kept.
    pub guardrails: Guardrails,
}

/// Why a recommendation is not valid.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RecommendationFlag")]
pub struct Flag {
    /// For programs: docs/engine.md lists the codes.
    pub code: String,
    /// The place in the recommendation (JSON Pointer).
    pub pointer: String,
    /// A sentence for people.
    pub detail: String,
}

/// The engine that answered, and its policy.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EngineModel")]
pub struct Model {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The policy that it follows.
    pub policy: String,
}

/// The expected change over a day.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EstimatedImpact")]
pub struct Impact {
    /// Energy saved, in kWh.
    pub energy_kwh: f64,
    /// Its cost, in `currency`.
    pub cost: f64,
    /// The currency of the cost (ISO 4217).
    pub currency: String,
    /// The PUE's change: less is better.
    pub pue_delta: f64,
    /// Greenhouse gases avoided, in kg of CO2 equivalent.
    pub co2e_kg: f64,
}

/// Something to do. An action without figures has null for them.
#[derive(Serialize, JsonSchema)]
pub struct SuggestedAction {
    /// The action.
    #[serde(rename = "type")]
    pub kind: String,
    /// To what: the site or device, a slash, and the signal.
    pub target: String,
    /// The present value.
    pub current: Option<f64>,
    /// The value to try.
    pub suggested: Option<f64>,
    /// Their difference.
    pub delta: Option<f64>,
    /// The unit of all three.
    pub units: Option<String>,
}

/// The site's figures after the actions.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ExpectedImpact")]
pub struct Expectation {
    /// The power usage effectiveness.
    pub pue: Option<f64>,
    /// The power of the whole facility, in kW.
    pub facility_power_kw: Option<f64>,
}

/// Why something is recommended.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RecommendationExplanation")]
pub struct Explanation {
    /// For people.
    pub narrative: String,
    /// For programs.
    pub reason_codes: Vec<String>,
}

/// Constraints that the engine claims to have kept.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RecommendationGuardrails")]
pub struct Guardrails {
    /// The answer was made to be read.
    pub shadow_read_only_enforced: bool,
    /// Nothing is controlled by it.
    pub no_control_actions_enforced: bool,
}

fn recommendation_example() -> Value {
    json!({
        "id": "0199d3a0-0000-7000-8000-000000000005", "request_id": "0199d3a0-0000-7000-8000-000000000002",
        "delivery_id": "0199d3a0-0000-7000-8000-000000000002", "contract": "enterprise/1.1", "site_id": "tampa-1",
        "device_id": null, "created_at": "2026-11-24T18:00:00.223456Z", "valid": true, "flags": [], "latency_ms": 12,
        "slo_ms": 2000, "slo_met": true, "decision_id": "1bf55342-4b7c-8b8b-ad25-f5ad6c942848",
        "model": {"name": "mass-reference", "version": "0.1.0", "policy": "ashrae-setpoint-steps/1"},
        "input_fingerprint": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "confidence": 0.8, "risk_score": 0.32,
        "estimated_impact_24h":
            {"energy_kwh": 143.605, "cost": 15.8, "currency": "USD", "pue_delta": -0.0075, "co2e_kg": 57.442},
        "actions": [{
            "type": "raise_cooling_setpoint", "target": "tampa-1/cooling_setpoint_c", "current": 22.0, "suggested": 23.0,
            "delta": 1.0, "units": "celsius",
        }],
        "expected_impact": {"pue": 1.3925, "facility_power_kw": 1114.016},
        "explanation": {"narrative": "The PUE is above its target.", "reason_codes": ["PUE_ABOVE_TARGET", "STEP_UP"]},
        "guardrails": {"shadow_read_only_enforced": true, "no_control_actions_enforced": true},
    })
}

impl From<page::Page<advice::Recommendation>> for RecommendationPage {
    fn from(page: page::Page<advice::Recommendation>) -> Self {
        Self { items: page.items.into_iter().map(Into::into).collect(), next_cursor: page.next_cursor }
    }
}

impl From<advice::Recommendation> for Recommendation {
    fn from(stored: advice::Recommendation) -> Self {
        let (valid, slo_met) = (stored.is_valid(), stored.slo_met());
        let advice = stored.advice;
        let impact = advice.estimated_impact_24h;
        Self {
            id: stored.id.to_string(),
            request_id: stored.request_id.to_string(),
            delivery_id: stored.delivery_id.to_string(),
            contract: stored.contract.to_string(),
            site_id: stored.site_id,
            device_id: stored.device_id,
            created_at: stored.created_at.to_string(),
            valid,
            flags: stored.flags.into_iter().map(Into::into).collect(),
            latency_ms: stored.latency_ms,
            slo_ms: stored.slo_ms,
            slo_met,
            decision_id: advice.decision_id.to_string(),
            model: Model { name: advice.model.name, version: advice.model.version, policy: advice.model.policy },
            input_fingerprint: advice.input_fingerprint.to_string(),
            confidence: advice.confidence,
            risk_score: advice.risk_score,
            estimated_impact_24h: Impact {
                energy_kwh: impact.energy_kwh,
                cost: impact.cost,
                currency: impact.currency,
                pue_delta: impact.pue_delta,
                co2e_kg: impact.co2e_kg,
            },
            actions: advice.actions.into_iter().map(Into::into).collect(),
            expected_impact: advice
                .expected_impact
                .map(|it| Expectation { pue: it.pue, facility_power_kw: it.facility_power_kw }),
            explanation: Explanation {
                narrative: advice.explanation.narrative,
                reason_codes: advice.explanation.reason_codes,
            },
            guardrails: Guardrails {
                shadow_read_only_enforced: advice.guardrails.shadow_read_only_enforced,
                no_control_actions_enforced: advice.guardrails.no_control_actions_enforced,
            },
        }
    }
}

impl From<advice::Flag> for Flag {
    fn from(advice::Flag { code, pointer, detail }: advice::Flag) -> Self {
        Self { code, pointer, detail }
    }
}

impl From<advice::Action> for SuggestedAction {
    fn from(action: advice::Action) -> Self {
        let advice::Action { kind, target, current, suggested, delta, units } = action;
        Self { kind, target, current, suggested, delta, units }
    }
}
