//! Shapes of logging in and registering.

use garde::Validate;
use mass_auth::{LoggedIn, PublicKey};
use mass_domain::second_factor::SecondFactor;
use mass_domain::users::Email;
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;

use crate::http::passwords::{password, secret};
use crate::http::text::Text;

/// Credentials of a user.
#[derive(Deserialize, JsonSchema, Validate)]
#[schemars(rename = "LoginCredentials")]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"email": "admin@mass.local", "password": "correct horse battery staple"}))]
pub struct Login {
    /// The user's e-mail address; letter case does not matter.
    #[garde(length(chars, min = 1, max = 254))]
    #[schemars(length(min = 1, max = 254))]
    pub email: String,
    /// The user's password.
    #[garde(custom(some_password))]
    #[serde(deserialize_with = "secret")]
    #[schemars(with = "String", length(min = 1, max = 256), extend("format" = "password", "writeOnly" = true))]
    pub password: SecretString,
    /// Of a user with a second factor: the code that its device shows, or a recovery code.
    #[garde(custom(code_length))]
    #[serde(default, deserialize_with = "some_secret")]
    #[schemars(with = "String", length(min = 6, max = 64), extend("writeOnly" = true))]
    pub code: Option<SecretString>,
    /// `cookie` for a page of this server: the refresh token is not in the answer, but in a cookie that no script can read.
    #[garde(skip)]
    #[serde(default, deserialize_with = "remember")]
    #[schemars(with = "Remember")]
    pub remember: Option<Remember>,
}

/// Where a session's refresh token is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Remember {
    /// In a cookie.
    Cookie,
}

/// Reads a member that may be absent, but not null.
fn remember<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Remember>, D::Error> {
    Remember::deserialize(deserializer).map(Some)
}

/// A refresh token, or the word that it is in the cookie.
#[derive(Deserialize, JsonSchema, Validate)]
#[schemars(rename = "TokenRefresh")]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"refresh_token": "mrt_B2RlZmF1bHQ0p6Z2x0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}))]
#[schemars(extend("oneOf" = [{"required": ["refresh_token"]}, {"required": ["remember"]}]))]
pub struct Refresh {
    /// `refresh_token` of the last answer to a login or a refresh.
    #[garde(custom(refresh_token_length))]
    #[serde(default, deserialize_with = "some_secret")]
    #[schemars(with = "String", length(min = 1, max = 1024), extend("writeOnly" = true))]
    pub refresh_token: Option<SecretString>,
    /// `cookie` if the token is in the cookie of a log-in with the same member.
    #[garde(custom(one_of_both(&self.refresh_token)))]
    #[serde(default, deserialize_with = "remember")]
    #[schemars(with = "Remember")]
    pub remember: Option<Remember>,
}

/// Reads a secret that may be absent, but not null.
fn some_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    secret(deserializer).map(Some)
}

fn code_length(code: &Option<SecretString>, (): &()) -> garde::Result {
    match code.as_ref().map(|code| code.expose_secret().chars().count()) {
        None | Some(6..=64) => Ok(()),
        Some(_) => Err(garde::Error::new("a code has 6 to 64 characters")),
    }
}

fn refresh_token_length(token: &Option<SecretString>, (): &()) -> garde::Result {
    match token.as_ref().map(|token| token.expose_secret().len()) {
        None | Some(1..=1024) => Ok(()),
        Some(_) => Err(garde::Error::new("a refresh token has 1 to 1024 characters")),
    }
}

fn one_of_both(token: &Option<SecretString>) -> impl FnOnce(&Option<Remember>, &()) -> garde::Result {
    let is_sent = token.is_some();
    move |remember, ()| {
        if is_sent == remember.is_some() {
            return Err(garde::Error::new("expected either refresh_token or remember"));
        }
        Ok(())
    }
}

/// A change of the caller's own password.
#[derive(Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({
    "current_password": "correct horse battery staple", "new_password": "seven kestrels over the harbour",
}))]
pub struct PasswordChange {
    /// The present password.
    #[garde(custom(some_password))]
    #[serde(deserialize_with = "secret")]
    #[schemars(with = "String", length(min = 1, max = 256), extend("format" = "password", "writeOnly" = true))]
    pub current_password: SecretString,
    /// The password to be: 15 to 256 characters, of any kind, that are more than common passwords strung together and
    /// more than the user's own address.
    #[garde(skip)]
    #[serde(deserialize_with = "secret")]
    #[schemars(with = "String", length(min = 15, max = 256), extend("format" = "password", "writeOnly" = true))]
    pub new_password: SecretString,
}

/// The maximum length is not checked here: it applies to normalisation form C, and clients may send another form. A longer one
/// is wrong like any other.
fn some_password(password: &SecretString, (): &()) -> garde::Result {
    if password.expose_secret().is_empty() {
        return Err(garde::Error::new("a password has at least 1 character"));
    }
    Ok(())
}

/// A bearer token.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TokenPair")]
#[schemars(example = json!({
    "access_token": "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl",
    "refresh_token": "mrt_B2RlZmF1bHQ0p6Z2x0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "token_type": "Bearer", "expires_in": 900,
}))]
pub struct Token {
    /// To be sent as `Authorization: Bearer …`.
    pub access_token: String,
    /// Buys the next pair of tokens at `POST /v1/auth/refresh`, once. Always there, but for a session whose refresh token is
    /// in a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// Always `Bearer` (RFC 6750).
    pub token_type: &'static str,
    /// For how many seconds it is good.
    pub expires_in: u64,
}

impl Token {
    /// Tells of the tokens of a session, without the one that its cookie has.
    pub fn of(logged_in: &LoggedIn, remember: Option<Remember>) -> Self {
        let refresh_token = logged_in.refresh_token.expose_secret();
        Self {
            access_token: logged_in.access_token.expose_secret().to_owned(),
            refresh_token: remember.is_none().then(|| refresh_token.to_owned()),
            token_type: "Bearer",
            expires_in: logged_in.expires_in_seconds,
        }
    }
}

/// The keys with which access tokens can be verified (RFC 7517, section 5).
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"keys": [{
    "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "0123456789abcdef",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}]}))]
pub struct JsonWebKeySet {
    /// The present key and, during a rotation, the one before; none where tokens are signed with a secret.
    pub keys: Vec<JsonWebKey>,
}

/// A public Ed25519 key (RFC 8037, section 2).
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "0123456789abcdef",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}))]
pub struct JsonWebKey {
    /// Always `OKP`.
    pub kty: &'static str,
    /// Always `Ed25519`.
    pub crv: &'static str,
    /// Always `sig`.
    #[serde(rename = "use")]
    pub usage: &'static str,
    /// Always `EdDSA`.
    pub alg: &'static str,
    /// The `kid` of its tokens.
    pub kid: String,
    /// The key in base64url.
    pub x: String,
}

impl From<PublicKey> for JsonWebKey {
    fn from(PublicKey { id, x }: PublicKey) -> Self {
        Self { kty: "OKP", crv: "Ed25519", usage: "sig", alg: "EdDSA", kid: id, x }
    }
}

/// The caller, its roles and its permissions.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "id": "0199d3a0-0000-7000-8000-000000000001", "kind": "user", "email": "admin@mass.local", "tenant_id": "default",
    "roles": ["operator"], "permissions": ["mass:read", "mass:write", "analytics:read", "deliveries:manage"],
    "second_factor": {"required": false, "enrolled": false, "fresh_until": null},
}))]
pub struct Caller {
    /// The user's or API key's id.
    #[schemars(extend("format" = "uuid"))]
    pub id: Option<String>,
    /// `user` or `api_key`.
    pub kind: &'static str,
    /// A user's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The tenant that the caller belongs to.
    pub tenant_id: String,
    /// A user's roles.
    pub roles: Vec<&'static str>,
    /// All that the caller may do: nothing while a second factor has to be enrolled.
    pub permissions: Vec<&'static str>,
    /// A user's second factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_factor: Option<CallersFactor>,
}

/// The second factor of the user who calls.
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub struct CallersFactor {
    /// True if the tenant demands one of the user.
    required: bool,
    /// True if the user has one.
    enrolled: bool,
    /// Until when its last proof in this session is fresh, or was.
    #[schemars(extend("format" = "date-time"))]
    fresh_until: Option<String>,
}

impl CallersFactor {
    pub(super) fn of(factor: SecondFactor) -> Self {
        Self {
            required: factor.is_demanded,
            enrolled: factor.is_enrolled,
            fresh_until: factor.fresh_until().map(|until| until.to_string()),
        }
    }
}

/// The proof that whoever enrols a second factor knows the password.
#[derive(Deserialize, JsonSchema, Validate)]
#[schemars(rename = "SecondFactorBegin")]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"password": "correct horse battery staple"}))]
pub struct FactorBegin {
    /// The caller's password.
    #[garde(custom(some_password))]
    #[serde(deserialize_with = "secret")]
    #[schemars(with = "String", length(min = 1, max = 256), extend("format" = "password", "writeOnly" = true))]
    pub password: SecretString,
}

/// The seed of a second factor, for an authenticator app.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SecondFactorSeed")]
#[schemars(example = json!({
    "secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
    "uri": "otpauth://totp/MASS:ana%40example.test?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=MASS",
}))]
pub struct FactorSeed {
    /// The seed in base32, to be typed in: TOTP (RFC 6238) with SHA-1, six digits and 30 seconds.
    pub secret: String,
    /// The same as a URI, for a QR code.
    pub uri: String,
}

/// A code of a second factor.
#[derive(Deserialize, JsonSchema, Validate)]
#[schemars(rename = "SecondFactorCode")]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"code": "287082"}))]
pub struct FactorCode {
    /// The code that the device shows, or a recovery code where one is taken. Spaces and hyphens do not matter.
    #[garde(custom(some_code))]
    #[serde(deserialize_with = "secret")]
    #[schemars(with = "String", length(min = 6, max = 64), extend("writeOnly" = true))]
    pub code: SecretString,
}

fn some_code(code: &SecretString, (): &()) -> garde::Result {
    code_length(&Some(code.clone()), &())
}

/// Recovery codes, shown this once. Each is good once, in the place of a device's code.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RecoveryCodes")]
#[schemars(example = json!({"recovery_codes": ["abcd-efgh-ijkl-mnop", "qrst-uvwx-yz23-4567"]}))]
pub struct RecoveryCodes {
    /// The codes.
    pub recovery_codes: Vec<String>,
}

/// The state of the caller's second factor.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SecondFactor")]
#[schemars(example = json!({
    "required": true, "enrolled": true, "fresh_until": "2026-11-24T18:15:00.123456Z", "recovery_codes": 9,
}))]
pub struct FactorState {
    /// True if the tenant demands one of the caller.
    pub required: bool,
    /// True if the caller has one.
    pub enrolled: bool,
    /// Until when its last proof in this session is fresh; null if it is not.
    #[schemars(extend("format" = "date-time"))]
    pub fresh_until: Option<String>,
    /// How many recovery codes are unused.
    pub recovery_codes: u32,
}

/// The body of a registration.
#[derive(Deserialize, JsonSchema, Validate)]
#[schemars(rename = "UserRegistration")]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"email": "ana@example.test", "password": "correct horse battery staple"}))]
pub struct Registration {
    /// The address to log in with.
    #[schemars(with = "String", length(max = 254))]
    pub email: Text<Email>,
    /// The password to log in with.
    #[serde(deserialize_with = "secret")]
    #[schemars(schema_with = "password")]
    pub password: SecretString,
}
