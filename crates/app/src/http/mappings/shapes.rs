//! The shapes of mapping profiles in bodies and answers.

use std::borrow::Cow;

use mass_domain::page;
use mass_mapping::Profile;
use mass_service as service;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::actor::ActorModel;

/// A mapping profile in JSON.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct MappingProfile(Profile);

impl JsonSchema for MappingProfile {
    fn schema_name() -> Cow<'static, str> {
        "MappingProfile".into()
    }

    /// One schema without references: the names of its parts say nothing outside of it.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        });
        let mut schema = settings.into_generator().into_root_schema_for::<Profile>();
        schema.remove("title");
        schema.insert("examples".to_owned(), json!([example()]));
        schema
    }
}

fn example() -> Value {
    json!({
        "contract": "device/2.0",
        "read": {"format": "json", "records": ["/metrics"]},
        "time": {"from": "/timestamp", "format": "epoch_s"},
        "members": {
            "device.id": {"template": "rack-{/tags/rack}"},
            "metrics.power_kw": {"from": "/fields/power_watts", "unit": "w->kw"},
        },
    })
}

/// Describes a profile in TOML.
pub(super) fn profile_in_toml(_: &mut SchemaGenerator) -> Value {
    json!({"schema": {
        "type": "string", "description": "A mapping profile in TOML, with the members of `MappingProfile`.",
        "examples": ["contract = \"simple/1.0\"\n\n[members]\n\"pue\" = \"PUE\"\n"],
    }})
}

/// A mapping profile without its text.
#[derive(Serialize, JsonSchema)]
#[schemars(example = summary_example())]
pub(super) struct MappingSummary {
    /// Its name.
    pub(super) name: String,
    /// `sha256:` and the SHA-256 of its text: its version, which the audit events of records name.
    pub(super) digest: String,
    /// The format of its text.
    #[schemars(extend("enum" = ["toml", "json"]))]
    pub(super) format: &'static str,
    /// The contract of the documents that it makes.
    pub(super) contract: String,
    /// When it was created.
    #[schemars(extend("format" = "date-time"))]
    pub(super) created_at: String,
    /// The creator.
    pub(super) created_by: ActorModel,
    /// When it was changed last.
    #[schemars(extend("format" = "date-time"))]
    pub(super) updated_at: String,
    /// The author of the last change.
    pub(super) updated_by: ActorModel,
}

fn summary_example() -> Value {
    json!({
        "name": "telegraf", "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "format": "toml", "contract": "device/2.0", "created_at": "2026-11-24T18:00:00.123456Z",
        "created_by": {"kind": "user", "id": "0199d3a0-0000-7000-8000-000000000001"},
        "updated_at": "2026-11-24T18:00:00.123456Z",
        "updated_by": {"kind": "user", "id": "0199d3a0-0000-7000-8000-000000000001"},
    })
}

impl From<service::MappingSummary> for MappingSummary {
    fn from(mapping: service::MappingSummary) -> Self {
        Self {
            name: mapping.name.to_string(),
            digest: mapping.digest.to_string(),
            format: mapping.format.as_str(),
            contract: mapping.contract.to_string(),
            created_at: mapping.created_at.to_string(),
            created_by: mapping.created_by.into(),
            updated_at: mapping.updated_at.to_string(),
            updated_by: mapping.updated_by.into(),
        }
    }
}

/// A stored mapping profile.
#[derive(Serialize, JsonSchema)]
#[schemars(extend("examples" = [mapping_example()]))]
pub(super) struct Mapping {
    /// All but its text.
    #[serde(flatten)]
    pub(super) summary: MappingSummary,
    /// The profile; null if this version of MASS does not read its text any more.
    pub(super) profile: Option<MappingProfile>,
    /// Its text as it was sent, of which `digest` is the SHA-256.
    pub(super) text: String,
}

fn mapping_example() -> Value {
    let mut mapping = summary_example();
    mapping["profile"] = json!({"contract": "simple/1.0", "members": {"pue": "PUE"}});
    mapping["text"] = json!("contract = \"simple/1.0\"\n\n[members]\n\"pue\" = \"PUE\"\n");
    mapping
}

impl From<service::Mapping> for Mapping {
    fn from(mapping: service::Mapping) -> Self {
        let service::Mapping { summary, text } = mapping;
        let profile = text.profile().ok().map(MappingProfile);
        Self { summary: summary.into(), profile, text: text.text }
    }
}

/// A page of mapping profiles, by name.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"items": [summary_example()], "next_cursor": null}))]
pub(super) struct MappingPage {
    /// The profiles.
    pub(super) items: Vec<MappingSummary>,
    /// To be sent as `cursor` for the page that follows; null on the last one.
    pub(super) next_cursor: Option<String>,
}

impl From<page::Page<service::MappingSummary>> for MappingPage {
    fn from(page: page::Page<service::MappingSummary>) -> Self {
        Self { items: page.items.into_iter().map(Into::into).collect(), next_cursor: page.next_cursor }
    }
}
