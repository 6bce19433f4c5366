//! The schemas of the parts of projects, whose types are the domain's.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

pub(super) fn terms_example() -> Value {
    json!({
        "name": "Fans of hall 2", "site_id": "tampa-1", "weather_device": "weather-1", "boundary": "hvac",
        "design": {
            "kind": "pre_post",
            "baseline": {"from": "2025-01-01T05:00:00Z", "until": "2026-01-01T05:00:00Z"},
            "reporting": {"from": "2026-02-01T05:00:00Z", "until": "2027-02-01T05:00:00Z"},
        },
        "zone": "America/New_York", "price": {"per_kwh": 0.11, "currency": "USD"}, "co2e_kg_per_kwh": 0.38,
        "assumptions": ["The IT load is measured at the PDUs."], "modes": [],
    })
}

fn changes() -> Value {
    let actor = json!({"kind": "user", "id": "0199d3a0-0000-7000-8000-000000000003"});
    json!({
        "created_at": "2026-11-24T18:00:00.123456Z", "created_by": actor,
        "updated_at": "2026-11-24T18:00:00.123456Z", "updated_by": actor,
    })
}

fn merged(mut value: Value, more: &Value) -> Value {
    if let (Some(members), Some(more)) = (value.as_object_mut(), more.as_object()) {
        members.extend(more.clone());
    }
    value
}

pub(super) fn project_example() -> Value {
    let project = json!({
        "id": "0199d3a0-0000-7000-8000-000000000001", "version": 1, "seed": 4_503_599_627_370_495_u64,
        "utc_offset_seconds": -18_000, "terms": terms_example(), "adjustments": [], "schedule": null, "confirmations": [],
    });
    merged(project, &changes())
}

pub(super) fn page_example() -> Value {
    let summary = json!({
        "id": "0199d3a0-0000-7000-8000-000000000001", "version": 1, "name": "Fans of hall 2", "site_id": "tampa-1",
    });
    json!({"items": [merged(summary, &changes())], "next_cursor": null})
}

fn object(properties: Value, required: &[&str], description: &str) -> Value {
    json!({
        "type": "object", "description": description, "properties": properties, "required": required,
        "additionalProperties": false,
    })
}

fn instant(description: &str) -> Value {
    json!({"type": "string", "format": "date-time", "description": description})
}

fn a_period(description: &str) -> Value {
    let properties = json!({"from": instant("The begin."), "until": instant("The end, which is no part of it.")});
    object(properties, &["from", "until"], description)
}

fn name(description: &str) -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 200, "description": description})
}

fn day() -> Value {
    json!({"type": "string", "format": "date", "description": "The day, in the zone's standard time."})
}

fn schema(value: Value) -> Schema {
    value.try_into().unwrap_or_default()
}

pub(super) fn boundary(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": ["hvac", "facility_less_it"]})
}

pub(super) fn period(_: &mut SchemaGenerator) -> Schema {
    schema(a_period("A span of time."))
}

pub(super) fn design(_: &mut SchemaGenerator) -> Schema {
    let kind = |name: &str| json!({"type": "string", "const": name, "description": "The kind of the design."});
    let baseline = a_period("The period without the retrofit, of full hours, at most 1096 days.");
    let reporting = a_period("The period with it, which does not overlap the baseline.");
    let pre_post = object(
        json!({"kind": kind("pre_post"), "baseline": baseline, "reporting": reporting}),
        &["kind", "baseline", "reporting"],
        "A period without the retrofit predicts what one with it would have used.",
    );
    let pairs = json!({"type": "integer", "minimum": 3, "maximum": 91, "description": "The number of pairs of days."});
    let washout = json!({"type": "boolean", "description": "Whether the three hours after each switch are left out."});
    let crossover = object(
        json!({"kind": kind("crossover"), "first_day": day(), "pairs": pairs, "washout": washout}),
        &["kind", "first_day", "pairs", "washout"],
        "Days with and without the retrofit, drawn at random, in pairs.",
    );
    schema(json!({"oneOf": [pre_post, crossover]}))
}

pub(super) fn price(_: &mut SchemaGenerator) -> Schema {
    let per_kwh = json!({"type": "number", "minimum": 0, "maximum": 1e6, "description": "In `currency` per kWh."});
    let currency = json!({"type": "string", "pattern": "^[A-Z]{3}$", "description": "Three letters of ISO 4217."});
    let metric = json!({
        "type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$",
        "description": "The metric, such as `energy_price_usd_per_kwh`.",
    });
    let device = name("The device that reports it. Without one, the site's own reports do.");
    let series = object(
        json!({"metric": metric, "device_id": device}),
        &["metric"],
        "The series whose hourly means are prices, in `currency` per kWh.",
    );
    let properties = json!({"per_kwh": per_kwh, "series": series, "currency": currency});
    let description = "The price of energy: the same in every hour (`per_kwh`), or that of each hour (`series`).";
    let mut price = object(properties, &["currency"], description);
    price["type"] = json!(["object", "null"]);
    // The currency and one of the others.
    (price["minProperties"], price["maxProperties"]) = (json!(2), json!(2));
    schema(price)
}

pub(super) fn modes(_: &mut SchemaGenerator) -> Schema {
    let periods = json!({
        "type": "array", "maxItems": 200, "description": "The periods in which it is active.",
        "items": a_period("A period in which it is active."),
    });
    let mode = object(json!({"name": name("Its name."), "periods": periods}), &["name", "periods"], "A mode.");
    schema(json!({"type": "array", "maxItems": 8, "items": mode}))
}

fn recorder() -> Value {
    let kind = json!({"type": "string", "description": "`user`, `api_key` or `system`."});
    let id = json!({"type": ["string", "null"], "format": "uuid", "description": "The id of the user or API key."});
    object(json!({"kind": kind, "id": id}), &["kind", "id"], "The account or key that recorded it.")
}

pub(super) fn adjustments(_: &mut SchemaGenerator) -> Schema {
    let adjustment = object(
        json!({
            "author": name("The person who is responsible for it."),
            "reason": {"type": "string", "description": "The event."},
            "period": a_period("Its time."),
            "kwh": {"type": "number", "description": "The energy that the baseline would have used more, in kWh."},
            "recorded_by": recorder(),
            "recorded_at": instant("When it was recorded."),
        }),
        &["author", "reason", "period", "kwh", "recorded_by", "recorded_at"],
        "A non-routine adjustment.",
    );
    schema(json!({"type": "array", "items": adjustment}))
}

pub(super) fn schedule(_: &mut SchemaGenerator) -> Schema {
    let scheduled = object(
        json!({
            "day": day(),
            "pair": {"type": "integer", "minimum": 0, "description": "The pair it belongs to, from 0."},
            "on": {"type": "boolean", "description": "Whether the retrofit is planned to be on."},
        }),
        &["day", "pair", "on"],
        "A day.",
    );
    let mut schedule = object(
        json!({
            "seed": {"type": "integer", "minimum": 0, "description": "The seed that it was drawn with, below 2⁵³."},
            "drawn_at": instant("When it was drawn."),
            "days": {"type": "array", "items": scheduled, "description": "The days, in their order."},
        }),
        &["seed", "drawn_at", "days"],
        "A schedule.",
    );
    schedule["type"] = json!(["object", "null"]);
    schema(schedule)
}

fn confirmation() -> Value {
    object(
        json!({
            "day": day(),
            "plan": {
                "type": "string", "enum": ["applied", "not_applied", "partly"],
                "description": "Whether the plan was followed.",
            },
            "share": {"type": "number", "description": "With `partly`: the share of the day for which the retrofit was on."},
            "reason": {"type": ["string", "null"], "description": "Why the plan was not followed."},
            "author": name("The person who confirmed it."),
            "recorded_by": recorder(),
            "recorded_at": instant("When it was recorded."),
        }),
        &["day", "plan", "reason", "author", "recorded_by", "recorded_at"],
        "The confirmation of a day.",
    )
}

pub(super) fn confirmations(_: &mut SchemaGenerator) -> Schema {
    schema(json!({"type": "array", "items": confirmation()}))
}

pub(super) fn confirmation_or_null(_: &mut SchemaGenerator) -> Schema {
    let mut confirmation = confirmation();
    confirmation["type"] = json!(["object", "null"]);
    schema(confirmation)
}
