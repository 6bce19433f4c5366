//! Access tokens: signed statements of who logged in, good for minutes (RFC 7519, RFC 9068, RFC 8725).

use std::fmt;

use anyhow::Context as _;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use mass_domain::ids::UserId;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::fingerprint::fingerprint;
use crate::uuid_v7;

const ISSUER: &str = "mass";
const AUDIENCE: &str = "mass-api";
/// Sets access tokens apart from every other kind of JWT (RFC 9068, section 2.1).
const TYPE: &str = "at+jwt";
/// How far the clocks of two instances may differ.
const LEEWAY_SECONDS: i64 = 5;
/// No token of MASS comes near; what is longer is not looked at.
const MAX_BYTES: usize = 4096;

/// A secret that signs access tokens with HMAC-SHA-256.
#[derive(Clone)]
pub struct SigningKey {
    id: String,
    signs: EncodingKey,
    verifies: DecodingKey,
}

/// The secret is too short for the algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signing key has at least {} bytes", SigningKey::MIN_BYTES)]
pub struct ShortSigningKey;

impl SigningKey {
    /// The fewest bytes: as many as HS256 puts out (RFC 7518, section 3.2).
    pub const MIN_BYTES: usize = 32;

    /// Takes the bytes of a text as a key.
    ///
    /// # Errors
    /// [`ShortSigningKey`] below [`MIN_BYTES`](Self::MIN_BYTES).
    pub fn parse(text: &SecretString) -> Result<Self, ShortSigningKey> {
        let secret = text.expose_secret().as_bytes();
        if secret.len() < Self::MIN_BYTES {
            return Err(ShortSigningKey);
        }
        Ok(Self {
            id: fingerprint("mass access token key", secret),
            signs: EncodingKey::from_secret(secret),
            verifies: DecodingKey::from_secret(secret),
        })
    }

    /// The `kid` of its tokens.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    fn header(&self) -> Header {
        Header { typ: Some(TYPE.to_owned()), kid: Some(self.id.clone()), ..Header::new(Algorithm::HS256) }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.id).finish()
    }
}

/// The keys in use.
#[derive(Debug, Clone)]
pub struct SigningKeys {
    /// Signs, and verifies.
    pub current: SigningKey,
    /// Verifies what it signed before a rotation.
    pub previous: Option<SigningKey>,
}

impl SigningKeys {
    fn find(&self, id: &str) -> Option<&SigningKey> {
        std::iter::once(&self.current).chain(&self.previous).find(|key| key.id == id)
    }
}

/// For how long an access token is good: 1 minute to 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenLifetime {
    minutes: u16,
}

/// The number is no lifetime of access tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("access tokens last 1 to 1440 minutes")]
pub struct InvalidLifetime;

impl TokenLifetime {
    /// Takes a number of minutes.
    ///
    /// # Errors
    /// [`InvalidLifetime`] outside 1 to 1440.
    pub const fn from_minutes(minutes: u16) -> Result<Self, InvalidLifetime> {
        match minutes {
            1..=1440 => Ok(Self { minutes }),
            _ => Err(InvalidLifetime),
        }
    }

    /// The lifetime in seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.minutes as u32 * 60
    }
}

impl Default for TokenLifetime {
    /// A quarter of an hour.
    fn default() -> Self {
        Self { minutes: 15 }
    }
}

/// What a good token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSubject {
    /// Who logged in.
    pub user_id: UserId,
    /// The tenant of that user.
    pub tenant_id: TenantId,
}

/// Why a token is refused. For the log: a client learns no more than that the token is invalid or has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusedToken {
    /// Longer than any token of MASS.
    #[error("too long")]
    TooLong,
    /// Not a JWT whose header can be read; an unknown algorithm, `none` included, is one.
    #[error("malformed, or of an unknown algorithm")]
    Malformed,
    /// Its `kid` is absent or names no key in use.
    #[error("signed with an unknown key")]
    UnknownKey,
    /// Another algorithm or type, or header parameters that MASS does not set, such as `jku`, `jwk` and `crit`.
    #[error("a header that MASS did not write")]
    ForeignHeader,
    /// The signature does not fit.
    #[error("a wrong signature")]
    WrongSignature,
    /// A claim is absent, of the wrong form, or made for somebody else.
    #[error("claims that MASS did not write")]
    ForeignClaims,
    /// Issued, or valid only, in the future.
    #[error("not valid yet")]
    NotYetValid,
    /// Its time is over.
    #[error("expired")]
    Expired,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    tid: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: String,
}

impl Claims {
    /// Judges the times of a token, in seconds since 1970.
    fn judge_times(&self, now: i64) -> Result<(), RefusedToken> {
        // RFC 7519, section 4.1.4: good before `exp`, not at it.
        if now >= self.exp.saturating_add(LEEWAY_SECONDS) {
            return Err(RefusedToken::Expired);
        }
        if self.nbf.max(self.iat) > now.saturating_add(LEEWAY_SECONDS) {
            return Err(RefusedToken::NotYetValid);
        }
        Ok(())
    }

    fn subject(&self) -> Option<TokenSubject> {
        let ours = self.iss == ISSUER && self.aud == AUDIENCE;
        let (user_id, tenant_id) = (self.sub.parse().ok()?, self.tid.parse().ok()?);
        ours.then_some(TokenSubject { user_id, tenant_id })
    }
}

/// Issues and verifies access tokens.
pub struct AccessTokens {
    keys: SigningKeys,
    lifetime: TokenLifetime,
    validation: Validation,
}

impl AccessTokens {
    /// Tokens signed with the current key that last so long.
    #[must_use]
    pub fn new(keys: SigningKeys, lifetime: TokenLifetime) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "nbf", "exp"]);
        // These would be judged by the system's clock: `Claims::judge_times` does it by the caller's.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Self { keys, lifetime, validation }
    }

    /// For how long tokens are good.
    #[must_use]
    pub const fn lifetime(&self) -> TokenLifetime {
        self.lifetime
    }

    /// Issues a token.
    ///
    /// # Errors
    /// Only if the cryptographic library fails.
    pub fn issue(&self, subject: &TokenSubject, now: Timestamp) -> anyhow::Result<SecretString> {
        let iat = unix_seconds(now);
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: subject.user_id.to_string(),
            tid: subject.tenant_id.to_string(),
            iat,
            nbf: iat,
            exp: iat + i64::from(self.lifetime.seconds()),
            jti: uuid_v7(now).to_string(),
        };
        let key = &self.keys.current;
        let token = jsonwebtoken::encode(&key.header(), &claims, &key.signs).context("signing an access token")?;
        Ok(token.into())
    }

    /// Verifies a token as of `now`.
    ///
    /// # Errors
    /// [`RefusedToken`].
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<TokenSubject, RefusedToken> {
        if token.len() > MAX_BYTES {
            return Err(RefusedToken::TooLong);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| RefusedToken::Malformed)?;
        let key = header.kid.as_deref().and_then(|id| self.keys.find(id)).ok_or(RefusedToken::UnknownKey)?;
        // Every parameter is compared, so the header can steer nothing but the choice of the key.
        if header != key.header() {
            return Err(RefusedToken::ForeignHeader);
        }
        let decoded = jsonwebtoken::decode::<Claims>(token, &key.verifies, &self.validation);
        let claims = decoded.map_err(|error| refusal(error.kind()))?.claims;
        let subject = claims.subject().ok_or(RefusedToken::ForeignClaims)?;
        claims.judge_times(unix_seconds(now))?;
        Ok(subject)
    }
}

fn refusal(error: &ErrorKind) -> RefusedToken {
    if matches!(error, ErrorKind::InvalidSignature | ErrorKind::Base64(_)) {
        RefusedToken::WrongSignature
    } else {
        RefusedToken::ForeignClaims
    }
}

const fn unix_seconds(at: Timestamp) -> i64 {
    at.unix_micros().div_euclid(1_000_000)
}
