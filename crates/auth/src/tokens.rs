//! Access tokens: signed JWTs that identify a session for some minutes (RFC 7519, RFC 9068, RFC 8725).

use std::fmt;
use std::str::FromStr;

use anyhow::Context as _;
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use mass_domain::ids::{SessionId, UserId};
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::confirmations::ConfirmationKey;
use crate::fingerprint::fingerprint;
use crate::sealing::SealingKey;
use crate::{ed25519, uuid_v7};

const ISSUER: &str = "mass";
const AUDIENCE: &str = "mass-api";
/// The type that separates access tokens from other JWTs (RFC 9068, section 2.1).
const TYPE: &str = "at+jwt";
/// The tolerated difference between the clocks of two instances.
const LEEWAY_SECONDS: i64 = 5;
/// The maximum length of a token that is parsed; MASS's tokens are far shorter.
const MAX_BYTES: usize = 4096;

/// The signature algorithm of access tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TokenAlgorithm {
    /// HMAC-SHA-256 with the secret itself: everybody who can verify can also sign.
    #[default]
    Hs256,
    /// Ed25519 with a key derived from the secret: anybody can verify with the public key (RFC 8037).
    EdDsa,
}

/// The text does not name a supported signature algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected HS256 or EdDSA")]
pub struct UnknownTokenAlgorithm;

impl TokenAlgorithm {
    /// Returns its name in a token's header (RFC 7518, section 3.1; RFC 8037, section 3.1).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl fmt::Display for TokenAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TokenAlgorithm {
    type Err = UnknownTokenAlgorithm;

    fn from_str(text: &str) -> Result<Self, UnknownTokenAlgorithm> {
        [Self::Hs256, Self::EdDsa].into_iter().find(|known| known.as_str() == text).ok_or(UnknownTokenAlgorithm)
    }
}

/// A key of one algorithm.
#[derive(Clone)]
struct Key {
    id: String,
    algorithm: Algorithm,
    signs: EncodingKey,
    verifies: DecodingKey,
}

impl Key {
    fn header(&self) -> Header {
        Header { typ: Some(TYPE.to_owned()), kid: Some(self.id.clone()), ..Header::new(self.algorithm) }
    }

    fn validation(&self) -> Validation {
        let mut validation = Validation::new(self.algorithm);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "nbf", "exp"]);
        // jsonwebtoken would use the system's clock; `Claims::judge_times` uses the caller's.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation
    }
}

/// The public half of an Ed25519 key, with which others can verify tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// The `kid` of its tokens.
    pub id: String,
    /// The key in base64url: the parameter `x` of its JWK (RFC 8037, section 2).
    pub x: String,
}

/// A secret that signs access tokens: directly with HMAC-SHA-256, or through the Ed25519 key derived from it. Another key
/// derived from it signs confirmation tokens.
#[derive(Clone)]
pub struct SigningKey {
    hs256: Key,
    eddsa: Key,
    public: PublicKey,
    confirmations: ConfirmationKey,
    sealing: SealingKey,
}

/// The reasons for which a secret cannot be a signing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSigningKey {
    /// Too short for the algorithm.
    #[error("expected a signing key of at least {} bytes", SigningKey::MIN_BYTES)]
    TooShort,
    /// The cryptographic library cannot derive the other keys from it.
    #[error("no keys can be derived from the secret")]
    Underivable,
}

impl SigningKey {
    /// The minimum length in bytes: that of an HS256 signature (RFC 7518, section 3.2).
    pub const MIN_BYTES: usize = 32;

    /// Takes the bytes of a text as a key.
    ///
    /// # Errors
    /// [`InvalidSigningKey`], above all below [`MIN_BYTES`](Self::MIN_BYTES).
    pub fn parse(text: &SecretString) -> Result<Self, InvalidSigningKey> {
        let secret = text.expose_secret().as_bytes();
        if secret.len() < Self::MIN_BYTES {
            return Err(InvalidSigningKey::TooShort);
        }
        let pair = ed25519::derive(secret).map_err(|_| InvalidSigningKey::Underivable)?;
        let document = pair.to_pkcs8v1().map_err(|_| InvalidSigningKey::Underivable)?;
        let public = pair.public_key().as_ref();
        let hs256 = Key {
            id: fingerprint("mass access token key", secret),
            algorithm: Algorithm::HS256,
            signs: EncodingKey::from_secret(secret),
            verifies: DecodingKey::from_secret(secret),
        };
        let eddsa = Key {
            id: fingerprint("mass access token ed25519 key", public),
            algorithm: Algorithm::EdDSA,
            signs: EncodingKey::from_ed_der(document.as_ref()),
            verifies: DecodingKey::from_ed_der(public),
        };
        let public = PublicKey { id: eddsa.id.clone(), x: URL_SAFE_NO_PAD.encode(public) };
        let confirmations = ConfirmationKey::derive(secret).map_err(|_| InvalidSigningKey::Underivable)?;
        let sealing = SealingKey::derive(secret).map_err(|_| InvalidSigningKey::Underivable)?;
        Ok(Self { hs256, eddsa, public, confirmations, sealing })
    }

    const fn key(&self, algorithm: TokenAlgorithm) -> &Key {
        match algorithm {
            TokenAlgorithm::Hs256 => &self.hs256,
            TokenAlgorithm::EdDsa => &self.eddsa,
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("hs256", &self.hs256.id).field("eddsa", &self.eddsa.id).finish()
    }
}

/// The signing keys in use.
#[derive(Debug, Clone)]
pub struct SigningKeys {
    /// The key that signs and verifies.
    pub current: SigningKey,
    /// The key before a rotation, which only verifies.
    pub previous: Option<SigningKey>,
}

impl SigningKeys {
    fn all(&self) -> impl Iterator<Item = &SigningKey> {
        std::iter::once(&self.current).chain(&self.previous)
    }

    /// Finds a key by its id, for either algorithm, so that tokens stay valid after a change of algorithm.
    fn find(&self, id: &str) -> Option<&Key> {
        self.all().flat_map(|key| [&key.hs256, &key.eddsa]).find(|key| key.id == id)
    }
}

/// The lifetime of access tokens: 1 minute to 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenLifetime {
    minutes: u16,
}

/// The number of minutes is out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a lifetime of 1 to 1440 minutes")]
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
    /// 15 minutes.
    fn default() -> Self {
        Self { minutes: 15 }
    }
}

/// The identity that a valid token carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSubject {
    /// The user who logged in.
    pub user_id: UserId,
    /// The user's tenant.
    pub tenant_id: TenantId,
    /// The session that the log-in opened.
    pub session_id: SessionId,
}

/// The reasons for which an access token is refused, for the log. Clients learn only that the token is invalid or has
/// expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusedToken {
    /// The token is longer than any that MASS issues.
    #[error("too long")]
    TooLong,
    /// The header cannot be parsed as a JWT's, or names an unknown algorithm; `none` is one.
    #[error("malformed, or of an unknown algorithm")]
    Malformed,
    /// The `kid` is missing or names no key in use.
    #[error("signed with an unknown key")]
    UnknownKey,
    /// The header has another algorithm or type, or parameters that MASS does not set, such as `jku`, `jwk` and `crit`.
    #[error("its header was not written by MASS")]
    ForeignHeader,
    /// The signature is wrong.
    #[error("its signature is wrong")]
    WrongSignature,
    /// A claim is missing, malformed, or for another issuer or audience.
    #[error("its claims were not written by MASS")]
    ForeignClaims,
    /// The token is issued in the future, or only valid then.
    #[error("not valid yet")]
    NotYetValid,
    /// The token has expired.
    #[error("expired")]
    Expired,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    tid: String,
    sid: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: String,
}

impl Claims {
    /// Checks the times of a token against `now`, in seconds since 1970.
    fn judge_times(&self, now: i64) -> Result<(), RefusedToken> {
        // RFC 7519, section 4.1.4: valid before `exp`, not at it.
        if now >= self.exp.saturating_add(LEEWAY_SECONDS) {
            return Err(RefusedToken::Expired);
        }
        if self.nbf.max(self.iat) > now.saturating_add(LEEWAY_SECONDS) {
            return Err(RefusedToken::NotYetValid);
        }
        Ok(())
    }

    fn subject(&self) -> Option<TokenSubject> {
        let ours = self.iss == ISSUER && self.aud == AUDIENCE && Uuid::try_parse(&self.jti).is_ok();
        let (user_id, tenant_id) = (self.sub.parse().ok()?, self.tid.parse().ok()?);
        let session_id = self.sid.parse().ok()?;
        ours.then_some(TokenSubject { user_id, tenant_id, session_id })
    }
}

/// Issues and verifies access tokens.
pub struct AccessTokens {
    keys: SigningKeys,
    algorithm: TokenAlgorithm,
    lifetime: TokenLifetime,
}

impl AccessTokens {
    /// Creates the service: new tokens are signed with the current key by this algorithm and have this lifetime.
    #[must_use]
    pub const fn new(keys: SigningKeys, algorithm: TokenAlgorithm, lifetime: TokenLifetime) -> Self {
        Self { keys, algorithm, lifetime }
    }

    /// Returns the public keys for verifiers. There are none for [`TokenAlgorithm::Hs256`], whose key is secret.
    #[must_use]
    pub fn public_keys(&self) -> Vec<PublicKey> {
        match self.algorithm {
            TokenAlgorithm::Hs256 => Vec::new(),
            TokenAlgorithm::EdDsa => self.keys.all().map(|key| key.public.clone()).collect(),
        }
    }

    /// Returns the key that signs confirmation tokens.
    pub(crate) const fn confirmation_key(&self) -> &ConfirmationKey {
        &self.keys.current.confirmations
    }

    /// Returns the keys that verify confirmation tokens.
    pub(crate) fn confirmation_keys(&self) -> impl Iterator<Item = &ConfirmationKey> {
        self.keys.all().map(|key| &key.confirmations)
    }

    /// Returns the key that encrypts seeds of second factors.
    pub(crate) const fn sealing_key(&self) -> &SealingKey {
        &self.keys.current.sealing
    }

    /// Returns the keys that decrypt seeds of second factors.
    pub(crate) fn sealing_keys(&self) -> impl Iterator<Item = &SealingKey> {
        self.keys.all().map(|key| &key.sealing)
    }

    /// Returns the lifetime of new tokens.
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
            sid: subject.session_id.to_string(),
            iat,
            nbf: iat,
            exp: iat + i64::from(self.lifetime.seconds()),
            jti: uuid_v7(now).to_string(),
        };
        let key = self.keys.current.key(self.algorithm);
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
        // All parameters are compared, so that the header controls only the choice of the key.
        if header != key.header() {
            return Err(RefusedToken::ForeignHeader);
        }
        let decoded = jsonwebtoken::decode::<Claims>(token, &key.verifies, &key.validation());
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

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use serde_json::{Value, json};
    use sha2::{Sha256, Sha384, Sha512};

    use super::*;

    const SECRET: &str = "current-current-current-current-";
    const NOW: i64 = 1_800_000_000;

    fn key(secret: &str) -> SigningKey {
        SigningKey::parse(&SecretString::from(secret)).unwrap()
    }

    fn tokens(current: &str, previous: Option<&str>) -> AccessTokens {
        let keys = SigningKeys { current: key(current), previous: previous.map(key) };
        AccessTokens::new(keys, TokenAlgorithm::Hs256, TokenLifetime::default())
    }

    fn eddsa(current: &str, previous: Option<&str>) -> AccessTokens {
        AccessTokens { algorithm: TokenAlgorithm::EdDsa, ..tokens(current, previous) }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_micros(seconds * 1_000_000).unwrap()
    }

    fn subject() -> TokenSubject {
        let user_id = "0199d3a0-0000-7000-8000-000000000001".parse().unwrap();
        let session_id = "0199d3a0-0000-7000-8000-000000000003".parse().unwrap();
        TokenSubject { user_id, tenant_id: TenantId::parse("default").unwrap(), session_id }
    }

    fn issue(tokens: &AccessTokens) -> String {
        tokens.issue(&subject(), at(NOW)).unwrap().expose_secret().to_owned()
    }

    fn part(token: &str, index: usize) -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap()).unwrap()
    }

    fn good_header() -> Value {
        json!({"typ": "at+jwt", "alg": "HS256", "kid": key(SECRET).hs256.id})
    }

    fn good_claims() -> Value {
        json!({
            "iss": "mass", "aud": "mass-api", "sub": "0199d3a0-0000-7000-8000-000000000001", "tid": "default",
            "sid": "0199d3a0-0000-7000-8000-000000000003", "iat": NOW, "nbf": NOW, "exp": NOW + 900,
            "jti": "0199d3a0-0000-7000-8000-000000000002",
        })
    }

    /// Returns `base` with some members set, or removed where the new value is null.
    fn with(mut base: Value, changes: Value) -> Value {
        let members = base.as_object_mut().unwrap();
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                members.remove(name);
            } else {
                members.insert(name.clone(), value.clone());
            }
        }
        base
    }

    fn encoded(part: &Value) -> String {
        URL_SAFE_NO_PAD.encode(part.to_string())
    }

    fn signed(message: String, secret: &str) -> String {
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(&message);
        let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
        format!("{message}.{signature}")
    }

    /// Builds a token without jsonwebtoken, always signed with HS256 regardless of its header.
    fn forged(header: &Value, claims: &Value) -> String {
        signed(format!("{}.{}", encoded(header), encoded(claims)), SECRET)
    }

    fn judged(token: &str) -> Result<TokenSubject, RefusedToken> {
        tokens(SECRET, None).verify(token, at(NOW))
    }

    #[test]
    fn a_key_has_32_bytes_and_is_not_printed() {
        let short = SecretString::from("x".repeat(31));
        assert_eq!(SigningKey::parse(&short).err(), Some(InvalidSigningKey::TooShort));
        assert_eq!(InvalidSigningKey::TooShort.to_string(), "expected a signing key of at least 32 bytes");
        assert!(!format!("{:?}", tokens(SECRET, Some(SECRET)).keys).contains("current-"));
    }

    #[test]
    fn a_lifetime_is_1_to_1440_minutes() {
        assert_eq!(TokenLifetime::from_minutes(0), Err(InvalidLifetime));
        assert_eq!(TokenLifetime::from_minutes(1441), Err(InvalidLifetime));
        assert_eq!(TokenLifetime::from_minutes(1440).map(TokenLifetime::seconds), Ok(86_400));
    }

    #[test]
    fn issued_tokens_have_the_claims_of_rfc_9068() {
        let token = issue(&tokens(SECRET, None));
        assert_eq!(part(&token, 0), good_header());
        let mut claims = part(&token, 1);
        let id: Uuid = claims["jti"].as_str().unwrap().parse().unwrap();
        assert_eq!(id.get_version_num(), 7);
        claims["jti"] = good_claims()["jti"].clone();
        assert_eq!(claims, good_claims());
        assert_eq!(judged(&token), Ok(subject()));
    }

    #[test]
    fn forged_tokens_are_valid_before_they_are_changed() {
        assert_eq!(judged(&forged(&good_header(), &good_claims())), Ok(subject()));
    }

    #[test]
    fn the_previous_key_still_verifies_and_older_ones_do_not() {
        let old = issue(&tokens(SECRET, None));
        let next = "next-next-next-next-next-next-next";
        assert_eq!(tokens(next, Some(SECRET)).verify(&old, at(NOW)), Ok(subject()));
        assert_eq!(tokens(next, None).verify(&old, at(NOW)), Err(RefusedToken::UnknownKey));
        let new = issue(&tokens(next, Some(SECRET)));
        assert_eq!(part(&new, 0)["kid"], key(next).hs256.id);
        // The id of one key does not select another.
        let mixed = signed(format!("{}.{}", encoded(&good_header()), encoded(&good_claims())), next);
        assert_eq!(tokens(next, Some(SECRET)).verify(&mixed, at(NOW)), Err(RefusedToken::WrongSignature));
    }

    #[test]
    fn tokens_stay_valid_after_a_change_of_algorithm_or_key() {
        let (before, after) = (issue(&tokens(SECRET, None)), issue(&eddsa(SECRET, None)));
        assert_eq!(part(&after, 0), json!({"typ": "at+jwt", "alg": "EdDSA", "kid": key(SECRET).eddsa.id}));
        assert_eq!(part(&before, 1)["sid"], part(&after, 1)["sid"]);
        let next = "next-next-next-next-next-next-next";
        for token in [before, after] {
            for tokens in
                [tokens(SECRET, None), eddsa(SECRET, None), tokens(next, Some(SECRET)), eddsa(next, Some(SECRET))]
            {
                assert_eq!(tokens.verify(&token, at(NOW)), Ok(subject()), "{token}");
            }
            assert_eq!(eddsa(next, None).verify(&token, at(NOW)), Err(RefusedToken::UnknownKey));
        }
    }

    #[test]
    fn a_key_of_one_algorithm_verifies_no_other() {
        let header = with(good_header(), json!({"kid": key(SECRET).eddsa.id}));
        for (algorithm, expected) in [("HS256", RefusedToken::ForeignHeader), ("EdDSA", RefusedToken::WrongSignature)] {
            let message = with(header.clone(), json!({"alg": algorithm}));
            let message = format!("{}.{}", encoded(&message), encoded(&good_claims()));
            for secret in [SECRET, &key(SECRET).public.x] {
                assert_eq!(eddsa(SECRET, None).verify(&signed(message.clone(), secret), at(NOW)), Err(expected));
            }
        }
    }

    #[test]
    fn public_keys_are_listed_only_for_eddsa() {
        assert_eq!(tokens(SECRET, Some(SECRET)).public_keys(), []);
        let keys = eddsa(SECRET, Some("next-next-next-next-next-next-next")).public_keys();
        assert_eq!(keys.len(), 2);
        let token = issue(&eddsa(SECRET, None));
        assert_eq!(part(&token, 0)["kid"], keys[0].id);
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[AUDIENCE]);
        validation.validate_exp = false;
        let verifies = DecodingKey::from_ed_components(&keys[0].x).unwrap();
        assert!(jsonwebtoken::decode::<Value>(&token, &verifies, &validation).is_ok());
        let another = DecodingKey::from_ed_components(&keys[1].x).unwrap();
        assert!(jsonwebtoken::decode::<Value>(&token, &another, &validation).is_err());
    }

    #[test]
    fn algorithms_are_parsed_by_name() {
        for algorithm in [TokenAlgorithm::Hs256, TokenAlgorithm::EdDsa] {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
        }
        for bad in ["", "none", "hs256", "HS512", "Ed25519"] {
            assert_eq!(bad.parse::<TokenAlgorithm>(), Err(UnknownTokenAlgorithm), "{bad}");
        }
    }

    #[test]
    fn tokens_are_valid_from_issue_to_expiry_with_five_seconds_leeway() {
        let tokens = tokens(SECRET, None);
        let token = issue(&tokens);
        let judge = |offset| tokens.verify(&token, at(NOW + offset));
        assert_eq!(judge(-6), Err(RefusedToken::NotYetValid));
        assert_eq!(judge(-5), Ok(subject()));
        assert_eq!(judge(904), Ok(subject()));
        assert_eq!(judge(905), Err(RefusedToken::Expired));
    }

    #[test]
    fn each_time_claim_is_checked_on_its_own() {
        for (changes, expected) in [
            (json!({"nbf": NOW + 6}), RefusedToken::NotYetValid),
            (json!({"iat": NOW + 6}), RefusedToken::NotYetValid),
            (json!({"iat": i64::MAX}), RefusedToken::NotYetValid),
            (json!({"exp": NOW - 5}), RefusedToken::Expired),
            (json!({"exp": 0}), RefusedToken::Expired),
            (json!({"exp": -1}), RefusedToken::ForeignClaims),
            (json!({"exp": u64::MAX}), RefusedToken::ForeignClaims),
        ] {
            assert_eq!(
                judged(&forged(&good_header(), &with(good_claims(), changes.clone()))),
                Err(expected),
                "{changes}"
            );
        }
        assert_eq!(judged(&forged(&good_header(), &with(good_claims(), json!({"exp": i64::MAX})))), Ok(subject()));
    }

    #[test]
    fn tokens_with_missing_or_foreign_claims_are_refused() {
        for name in ["iss", "aud", "sub", "tid", "sid", "iat", "nbf", "exp", "jti"] {
            for value in [json!(null), json!("?"), json!(true), json!(1.5), json!([good_claims()[name]])] {
                let token = forged(&good_header(), &with(good_claims(), json!({ name: value })));
                assert_eq!(judged(&token), Err(RefusedToken::ForeignClaims), "{name}: {value}");
            }
        }
        for claims in [json!([]), json!(null), json!("claims")] {
            assert_eq!(judged(&forged(&good_header(), &claims)), Err(RefusedToken::ForeignClaims), "{claims}");
        }
    }

    #[test]
    fn claims_of_later_versions_are_ignored() {
        let claims = with(good_claims(), json!({"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}));
        assert_eq!(judged(&forged(&good_header(), &claims)), Ok(subject()));
    }

    #[test]
    fn the_header_only_selects_the_key() {
        let jwk = json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode("evil-evil-evil-evil-evil-evil-evil")});
        for (changes, expected) in [
            (json!({"alg": "none"}), RefusedToken::Malformed),
            (json!({"alg": "None"}), RefusedToken::Malformed),
            (json!({"alg": ""}), RefusedToken::Malformed),
            (json!({"alg": null}), RefusedToken::Malformed),
            (json!({"alg": "HS384"}), RefusedToken::ForeignHeader),
            (json!({"alg": "HS512"}), RefusedToken::ForeignHeader),
            (json!({"alg": "RS256"}), RefusedToken::ForeignHeader),
            (json!({"alg": "ES256"}), RefusedToken::ForeignHeader),
            (json!({"alg": "EdDSA"}), RefusedToken::ForeignHeader),
            (json!({"kid": null}), RefusedToken::UnknownKey),
            (json!({"kid": ""}), RefusedToken::UnknownKey),
            (json!({"kid": "../../dev/null"}), RefusedToken::UnknownKey),
            (json!({"kid": 1}), RefusedToken::Malformed),
            (json!({"typ": null}), RefusedToken::ForeignHeader),
            (json!({"typ": "JWT"}), RefusedToken::ForeignHeader),
            (json!({"typ": "rt+jwt"}), RefusedToken::ForeignHeader),
            (json!({"jku": "https://evil.test/jwks.json"}), RefusedToken::ForeignHeader),
            (json!({"jwk": jwk}), RefusedToken::ForeignHeader),
            (json!({"x5u": "https://evil.test/chain.pem"}), RefusedToken::ForeignHeader),
            (json!({"crit": ["exp"]}), RefusedToken::ForeignHeader),
            (json!({"b64": false}), RefusedToken::ForeignHeader),
            (json!({"zip": "DEF"}), RefusedToken::ForeignHeader),
        ] {
            let token = forged(&with(good_header(), changes.clone()), &good_claims());
            assert_eq!(judged(&token), Err(expected), "{changes}");
        }
    }

    #[test]
    fn a_signature_of_the_same_secret_by_another_algorithm_is_refused() {
        let sign_as = |algorithm: &str| {
            let header = with(good_header(), json!({ "alg": algorithm }));
            let message = format!("{}.{}", encoded(&header), encoded(&good_claims()));
            let signature = if algorithm == "HS384" {
                let mac = Hmac::<Sha384>::new_from_slice(SECRET.as_bytes()).unwrap();
                mac.chain_update(&message).finalize().into_bytes().to_vec()
            } else {
                let mac = Hmac::<Sha512>::new_from_slice(SECRET.as_bytes()).unwrap();
                mac.chain_update(&message).finalize().into_bytes().to_vec()
            };
            format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
        };
        assert_eq!(judged(&sign_as("HS384")), Err(RefusedToken::ForeignHeader));
        assert_eq!(judged(&sign_as("HS512")), Err(RefusedToken::ForeignHeader));
    }

    #[test]
    fn changed_truncated_or_unsigned_tokens_are_refused() {
        let token = issue(&tokens(SECRET, None));
        let (message, signature) = token.rsplit_once('.').unwrap();
        let other = with(good_claims(), json!({"sub": "0199d3a0-0000-7000-8000-000000000009"}));
        let header = message.split_once('.').unwrap().0;
        for bad in [
            format!("{header}.{}.{signature}", encoded(&other)),
            format!("{message}."),
            format!("{message}.{}", &signature[..signature.len() - 1]),
            format!("{token}A"),
            format!("{token}="),
            format!("{token} "),
        ] {
            assert_eq!(judged(&bad), Err(RefusedToken::WrongSignature), "{bad}");
        }
        for end in 0..message.len() {
            assert!(judged(&token[..end]).is_err(), "{end}");
        }
        assert!(judged(&format!("{token}.{token}")).is_err());
    }

    #[test]
    fn malformed_tokens_are_refused() {
        for bad in ["", ".", "..", "...", "a.b.c", "é.é.é", "e30.e30.", "bnVsbA.bnVsbA.bnVsbA", "\0.\0.\0"] {
            assert_eq!(judged(bad), Err(RefusedToken::Malformed), "{bad:?}");
        }
        let deep = URL_SAFE_NO_PAD.encode("[".repeat(2000));
        assert_eq!(judged(&format!("{deep}.e30.")), Err(RefusedToken::Malformed));
        assert_eq!(judged(&"a".repeat(MAX_BYTES + 1)), Err(RefusedToken::TooLong));
    }

    #[test]
    fn tokens_with_the_longest_names_fit() {
        let tenant_id = TenantId::parse(&"a".repeat(63)).unwrap();
        let long = TokenSubject { tenant_id, ..subject() };
        let token = tokens(SECRET, None).issue(&long, at(NOW)).unwrap();
        assert!(token.expose_secret().len() < 1000);
        assert_eq!(judged(token.expose_secret()), Ok(long));
    }
}
