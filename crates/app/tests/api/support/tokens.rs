//! Valid and forged access tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// The signing key of the tested servers.
pub(crate) const SECRET_KEY: &str = "the signing key of the tests, of which nobody makes a secret";

/// Decodes the header and claims of a token.
pub(crate) fn decode(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| {
        let bytes = URL_SAFE_NO_PAD.decode(part).unwrap();
        serde_json::from_slice(&bytes).unwrap_or_default()
    });
    (parts.next().unwrap(), parts.next().unwrap())
}

/// A token to be signed; initially equal to the server's own.
#[derive(Clone)]
pub(crate) struct Forgery {
    header: Header,
    claims: Value,
    secret: &'static str,
}

impl Forgery {
    /// Decodes a valid token.
    pub(crate) fn of(token: &str) -> Self {
        let (header, claims) = decode(token);
        Self { header: serde_json::from_value(header).unwrap(), claims, secret: SECRET_KEY }
    }

    pub(crate) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims[name] = value.into();
        self
    }

    pub(crate) fn without_claim(mut self, name: &str) -> Self {
        self.claims.as_object_mut().unwrap().remove(name).unwrap();
        self
    }

    /// Sets a lifetime that begins and ends these numbers of seconds from now.
    pub(crate) fn lives(self, from: i64, to: i64) -> Self {
        let now = Utc::now().timestamp();
        self.claim("iat", now + from).claim("nbf", now + from).claim("exp", now + to)
    }

    pub(crate) fn key_id(mut self, id: Option<&str>) -> Self {
        self.header.kid = id.map(str::to_owned);
        self
    }

    pub(crate) fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.header.alg = algorithm;
        self
    }

    pub(crate) fn secret(self, secret: &'static str) -> Self {
        Self { secret, ..self }
    }

    pub(crate) fn sign(&self) -> String {
        let key = EncodingKey::from_secret(self.secret.as_bytes());
        jsonwebtoken::encode(&self.header, &self.claims, &key).unwrap()
    }

    /// Signs the token with another header, always with HMAC-SHA-256.
    pub(crate) fn sign_under(&self, changes: &Value) -> String {
        let mut header = serde_json::to_value(&self.header).unwrap();
        header.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(&header), encode(&self.claims));
        let key = EncodingKey::from_secret(self.secret.as_bytes());
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
        format!("{message}.{signature}")
    }

    /// Encodes the token with `alg: none` and without a signature.
    pub(crate) fn unsigned(&self) -> String {
        let header = json!({"alg": "none", "typ": self.header.typ, "kid": self.header.kid});
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", encode(&header), encode(&self.claims))
    }
}
