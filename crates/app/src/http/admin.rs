//! Administration: tenants, users, sessions, API keys, quotas, settings, retention, deliveries to the engine.

pub mod api_keys;
pub mod deliveries;
pub mod quotas;
pub mod retention;
pub mod sessions;
pub mod settings;
pub mod tenants;
pub mod usage;
pub mod users;

use actix_web::web;
use mass_admin_service::{AdminService, ListQuery, ReadError};
use mass_domain::page::Limit;
use schemars::{Schema, json_schema};

use super::operations::Tag;
use super::path::no_such_object;
use super::problem::{Problem, ProblemKind, problem_from};
use super::query::{Query, foreign_cursor, page_limit};

type Service = web::Data<AdminService>;

const TAG: Tag = Tag {
    name: "admin",
    description: "Tenants, users, sessions, API keys, quotas, settings, retention, legal holds and deliveries.",
};

/// Reads which page a list shows, once the query's other parameters have been taken.
fn list_query(mut query: Query) -> Result<ListQuery, Problem> {
    let limit = query.take_with("limit", page_limit).unwrap_or(Limit::DEFAULT);
    let cursor = query.take("cursor");
    query.finish()?;
    Ok(ListQuery { limit, cursor })
}

fn bound_key() -> Problem {
    Problem::new(ProblemKind::BoundKey).detail(
        "The calling key is bound to addresses or expires, and a user would not be: it creates no users and no tenants, \
         gives no roles and enables nobody. Use a key without bounds, or log in.",
    )
}

fn email_taken() -> Problem {
    Problem::new(ProblemKind::EmailTaken).detail("An address is one user's, over all tenants.")
}

problem_from! {
    ReadError: Forbidden, Store;
        ReadError::ForeignCursor(error) => foreign_cursor(error.to_string()),
        ReadError::NotFound => no_such_object(),
}

/// The schema of a list of names.
fn names(names: &[&str]) -> Schema {
    json_schema!({"type": "array", "items": {"type": "string", "enum": names}, "minItems": 1})
}
