//! The refresh token of a browser's session in a cookie that no script can read, and that goes to one operation alone.
//!
//! Another site cannot use it: the cookie is `SameSite=Strict`, and the operation demands the server's own origin and a header
//! that pages of other origins may not send.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::web;
use mass_auth::Session;
use secrecy::{ExposeSecret, SecretString};

use crate::http::client::TrustedProxies;
use crate::http::problem::{Problem, ProblemKind};
use crate::http::public::PublicUrl;

/// The header of a page that keeps its session in a cookie. Any value will do: what counts is that it needs a preflight.
pub(super) const SESSION_HEADER: HeaderName = HeaderName::from_static("x-mass-session");

/// The operation that takes the cookie.
pub(super) const REFRESH_PATH: &str = "/v1/auth/refresh";

/// The name over TLS. Browsers take the prefix `__Host-` with the path `/` alone; this one guards the same but for the path.
const SECURE_NAME: &str = "__Secure-mass-session";
/// The name without TLS, where browsers take no cookie with a prefix.
const PLAIN_NAME: &str = "mass-session";

/// How a browser reaches the server.
struct Reached {
    is_tls: bool,
    base: String,
}

fn reached(req: &HttpRequest) -> Reached {
    let public = req.app_data::<web::Data<PublicUrl>>();
    let peer = req.peer_addr().map(|address| address.ip());
    let behind_tls =
        req.app_data::<web::Data<TrustedProxies>>().is_some_and(|proxies| proxies.is_tls(peer, req.headers()));
    Reached {
        is_tls: behind_tls || public.is_some_and(|public| is_secure_page(req.headers(), public)),
        base: public.map_or_else(String::new, |public| public.path().to_owned()),
    }
}

/// Returns whether the request comes from a page at the public address, and that has TLS.
fn is_secure_page(headers: &HeaderMap, public: &PublicUrl) -> bool {
    let origin = origin(headers).filter(|origin| origin.starts_with("https://"));
    origin.is_some() && origin == public.origin().as_deref()
}

/// Writes the cookie with the session's refresh token, for as long as the session lasts without a refresh.
pub(super) fn keep(req: &HttpRequest, token: &SecretString) -> String {
    write(&reached(req), token.expose_secret(), Session::IDLE_SECONDS)
}

/// Writes a cookie that removes it.
pub(super) fn forget(req: &HttpRequest) -> String {
    write(&reached(req), "", 0)
}

fn write(Reached { is_tls, base }: &Reached, value: &str, seconds: i64) -> String {
    let (name, secure) = if *is_tls { (SECURE_NAME, "; Secure") } else { (PLAIN_NAME, "") };
    format!("{name}={value}; Path={base}{REFRESH_PATH}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

/// Returns whether the request is a page's that keeps its session in a cookie.
pub(super) fn is_kept(req: &HttpRequest) -> bool {
    req.headers().contains_key(&SESSION_HEADER)
}

/// Reads the refresh token of the cookie, if there is one.
///
/// # Errors
/// 403 if the request does not come from a page of this server.
pub(super) fn read(req: &HttpRequest) -> Result<Option<SecretString>, Problem> {
    if !is_kept(req) {
        return Err(foreign("The cookie is taken together with the header X-Mass-Session alone."));
    }
    if !is_own_page(req) {
        return Err(foreign("The cookie is taken from pages of this server alone: Origin names another one, or none."));
    }
    let name = if reached(req).is_tls { SECURE_NAME } else { PLAIN_NAME };
    Ok(find(req.headers(), name))
}

fn foreign(detail: &str) -> Problem {
    Problem::new(ProblemKind::ForeignOrigin).detail(detail)
}

fn is_own_page(req: &HttpRequest) -> bool {
    let Some(origin) = origin(req.headers()) else { return false };
    let public = req.app_data::<web::Data<PublicUrl>>().and_then(|public| public.origin());
    if public.as_deref() == Some(origin) {
        return true;
    }
    let host = req.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let named = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    named.is_some() && named == host
}

fn origin(headers: &HeaderMap) -> Option<&str> {
    let mut sent = headers.get_all(header::ORIGIN);
    let origin = sent.next()?.to_str().ok()?;
    sent.next().is_none().then_some(origin)
}

/// Finds a cookie by its name (RFC 6265, section 5.4).
fn find(headers: &HeaderMap, name: &str) -> Option<SecretString> {
    let lines = headers.get_all(header::COOKIE).filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, value)| *found == name && !value.is_empty()).map(|(_, value)| value.to_owned().into())
}
