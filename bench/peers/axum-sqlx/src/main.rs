//! What MASS is compared with: the least that axum and sqlx need to do the same.
//!
//! `GET /v1/mass-requests/{id}` verifies a token of MASS (HS256), reads the request from MASS's own table by its primary
//! key, and answers what MASS answers. `POST /insert` takes JSON and inserts it into pgbench's table, without a token,
//! a contract or an audit trail. It knows nothing of sessions, permissions, rate limits or conditional requests.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use clap::Parser;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::net::TcpListener;
use uuid::Uuid;

/// As many as MASS has.
const CONNECTIONS: u32 = 10;

const SELECT: &str = "SELECT tenant_id, id, contract, status, outcome, created_at, updated_at, created_by_kind,
    created_by_id, correlation_id, idempotency_key, site_id, device_id, observed_at, fingerprint, document, warnings,
    corrects, corrected_by FROM mass_requests WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL";

const INSERT: &str = "INSERT INTO bench (user_id, schema_version, correlation_id, idempotency_key, payload)
    VALUES (1, '1.0', $1, $1, $2::text::json)";

#[derive(Parser)]
struct Settings {
    /// The database of MASS.
    #[arg(long)]
    database_url: String,
    /// The database with pgbench's table.
    #[arg(long)]
    insert_url: String,
    /// The file of the secret that MASS signs its tokens with.
    #[arg(long)]
    secret_key: PathBuf,
}

struct Peer {
    requests: PgPool,
    inserts: PgPool,
    key: DecodingKey,
    validation: Validation,
}

#[derive(Deserialize)]
struct Claims {
    tid: String,
}

#[derive(sqlx::FromRow)]
struct Row {
    tenant_id: String,
    id: Uuid,
    contract: String,
    status: String,
    outcome: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    created_by_kind: String,
    created_by_id: Option<Uuid>,
    correlation_id: Option<String>,
    idempotency_key: Option<String>,
    site_id: Option<String>,
    device_id: Option<String>,
    observed_at: Option<DateTime<Utc>>,
    fingerprint: Vec<u8>,
    document: String,
    warnings: String,
    corrects: Option<Uuid>,
    corrected_by: Option<Uuid>,
}

#[derive(Serialize)]
struct Creator {
    kind: String,
    id: Option<Uuid>,
}

#[derive(Serialize)]
struct MassRequest {
    id: Uuid,
    tenant_id: String,
    contract: String,
    status: String,
    outcome: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    created_by: Creator,
    correlation_id: Option<String>,
    idempotency_key: Option<String>,
    site_id: Option<String>,
    device_id: Option<String>,
    observed_at: Option<DateTime<Utc>>,
    fingerprint: String,
    document: Box<RawValue>,
    warnings: Box<RawValue>,
    corrects: Option<Uuid>,
    corrected_by: Option<Uuid>,
}

impl TryFrom<Row> for MassRequest {
    type Error = serde_json::Error;

    fn try_from(row: Row) -> Result<Self, serde_json::Error> {
        let hex: String = row.fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self {
            id: row.id,
            tenant_id: row.tenant_id,
            contract: row.contract,
            status: row.status,
            outcome: row.outcome,
            created_at: row.created_at,
            updated_at: row.updated_at,
            created_by: Creator { kind: row.created_by_kind, id: row.created_by_id },
            correlation_id: row.correlation_id,
            idempotency_key: row.idempotency_key,
            site_id: row.site_id,
            device_id: row.device_id,
            observed_at: row.observed_at,
            fingerprint: format!("sha256:{hex}"),
            document: RawValue::from_string(row.document)?,
            warnings: RawValue::from_string(row.warnings)?,
            corrects: row.corrects,
            corrected_by: row.corrected_by,
        })
    }
}

fn fault(_: impl std::error::Error) -> StatusCode {
    StatusCode::INTERNAL_SERVER_ERROR
}

async fn read(
    State(peer): State<Arc<Peer>>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Result<Json<MassRequest>, StatusCode> {
    let credentials = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let token = credentials.ok_or(StatusCode::UNAUTHORIZED)?;
    let token = jsonwebtoken::decode::<Claims>(token, &peer.key, &peer.validation);
    let claims = token.map_err(|_| StatusCode::UNAUTHORIZED)?.claims;
    let row = sqlx::query_as::<_, Row>(SELECT).bind(claims.tid).bind(id).fetch_optional(&peer.requests).await;
    let row = row.map_err(fault)?.ok_or(StatusCode::NOT_FOUND)?;
    Ok(Json(row.try_into().map_err(fault)?))
}

async fn insert(State(peer): State<Arc<Peer>>, Json(payload): Json<Box<RawValue>>) -> Result<StatusCode, StatusCode> {
    let key = Uuid::now_v7().to_string();
    let inserted = sqlx::query(INSERT).bind(key).bind(payload.get()).execute(&peer.inserts).await;
    inserted.map_err(fault)?;
    Ok(StatusCode::CREATED)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = Settings::parse();
    let secret = std::fs::read_to_string(&settings.secret_key).context("the secret")?;
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_aud = false;
    // Without a ping before each use, which MASS does without as well.
    let pool = || PgPoolOptions::new().max_connections(CONNECTIONS).test_before_acquire(false);
    let peer = Peer {
        requests: pool().connect(&settings.database_url).await?,
        inserts: pool().connect(&settings.insert_url).await?,
        key: DecodingKey::from_secret(secret.trim_end().as_bytes()),
        validation,
    };
    let router = Router::new()
        .route("/v1/mass-requests/{id}", get(read))
        .route("/insert", post(insert))
        .with_state(Arc::new(peer));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, router).await?)
}
