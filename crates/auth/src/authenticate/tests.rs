use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use mass_domain::access::{Actor, Permission, Role};
use mass_domain::api_keys::ApiKey;
use mass_domain::ids::{ApiKeyId, SessionId, UserId};
use mass_domain::tenancy::TenantId;
use mass_domain::time::Clock;
use mass_domain::users::{Email, User};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::*;
use crate::double::{Double, Stored, settle};
use crate::{
    AccessTokens, AuthStores, Capacity, Cost, Extent, Passwords, RefusedConfirmation, SigningKey, SigningKeys,
    StoredKey, TokenAlgorithm, TokenLifetime,
};

/// A clock that the test sets.
struct ManualClock(Mutex<Timestamp>);

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

struct Scene {
    auth: AuthService,
    double: Arc<Double>,
    clock: Arc<ManualClock>,
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_micros(seconds * 1_000_000).unwrap()
}

fn tenant() -> TenantId {
    TenantId::parse("default").unwrap()
}

fn subject() -> TokenSubject {
    let (user_id, session_id) = (UserId::from_uuid(Uuid::from_u128(1)), SessionId::from_uuid(Uuid::from_u128(2)));
    TokenSubject { user_id, tenant_id: tenant(), session_id }
}

/// A session that ends at 100 seconds.
fn session() -> (Session, User) {
    let TokenSubject { user_id, tenant_id, session_id } = subject();
    let user = User {
        id: user_id,
        tenant_id: tenant_id.clone(),
        email: Email::parse("ana@example.test").unwrap(),
        roles: BTreeSet::from([Role::Viewer]),
        disabled_at: None,
        deleted_at: None,
        second_factor_at: None,
        created_at: at(0),
    };
    let (created_at, expires_at) = (at(0), at(100));
    (Session { id: session_id, tenant_id, user_id, created_at, expires_at, revoked_at: None, factor_at: None }, user)
}

fn key_token() -> KeyToken {
    KeyToken::from_random(&[7; KeyToken::RANDOM_BYTES])
}

fn stored_key() -> StoredKey {
    let key = ApiKey {
        id: ApiKeyId::from_uuid(Uuid::from_u128(3)),
        tenant_id: tenant(),
        prefix: key_token().prefix().clone(),
        name: "gateway".parse().unwrap(),
        permissions: BTreeSet::from([Permission::MassWrite]),
        addresses: BTreeSet::from(["192.0.2.0/24".parse().unwrap()]),
        expires_at: Some(at(500)),
        last_used_at: None,
        created_at: at(0),
        created_by: Actor::System,
        revoked_at: None,
    };
    StoredKey { key, secret: key_token().digest() }
}

impl Scene {
    fn new() -> Self {
        let stored = Stored { session: Some(session()), key: Some(stored_key()), ..Stored::default() };
        let (double, clock) = (Double::new(stored), Arc::new(ManualClock(Mutex::new(at(0)))));
        let secret = SecretString::from("current-current-current-current-");
        let keys = SigningKeys { current: SigningKey::parse(&secret).unwrap(), previous: None };
        let stores = AuthStores {
            users: double.clone(),
            sessions: double.clone(),
            attempts: double.clone(),
            api_keys: double.clone(),
            factors: double.clone(),
        };
        let passwords = Passwords::new(Cost::default(), None, Capacity::default());
        let tokens = AccessTokens::new(keys, TokenAlgorithm::Hs256, TokenLifetime::default());
        Self { auth: AuthService::new(stores, passwords, tokens, clock.clone()), double, clock }
    }

    fn set_clock(&self, seconds: i64) {
        *self.clock.0.lock().unwrap() = at(seconds);
    }

    async fn call(&self) -> Result<Principal, RefusedCredential> {
        self.call_as(&subject()).await
    }

    async fn call_as(&self, subject: &TokenSubject) -> Result<Principal, RefusedCredential> {
        let token = self.auth.tokens.issue(subject, self.clock.now()).unwrap();
        refusal(self.auth.authenticate(token.expose_secret(), None).await)
    }

    async fn call_by_key(&self) -> Result<Principal, RefusedCredential> {
        self.call_by_key_from("192.0.2.1").await
    }

    async fn call_by_key_from(&self, address: &str) -> Result<Principal, RefusedCredential> {
        self.present(&key_token(), address).await
    }

    async fn present(&self, token: &KeyToken, address: &str) -> Result<Principal, RefusedCredential> {
        refusal(self.auth.authenticate(&token.expose(), Some(address.parse().unwrap())).await)
    }

    async fn marks(&self) -> usize {
        settle().await;
        self.double.marks.load(Ordering::SeqCst)
    }
}

fn refusal(result: Result<Principal, AuthenticateError>) -> Result<Principal, RefusedCredential> {
    result.map_err(|error| match error {
        AuthenticateError::Refused(refused) => refused,
        error @ (AuthenticateError::Suspended(_) | AuthenticateError::Store(_)) => panic!("{error:?}"),
    })
}

fn change_session(scene: &Scene, change: impl FnOnce(&mut Session, &mut User)) {
    scene.double.change(|stored| {
        let (session, user) = stored.session.as_mut().unwrap();
        change(session, user);
    });
}

fn change_key(scene: &Scene, change: impl FnOnce(&mut ApiKey)) {
    scene.double.change(|stored| change(&mut stored.key.as_mut().unwrap().key));
}

#[tokio::test]
async fn cached_principals_are_not_looked_up_again() {
    let scene = Scene::new();
    for call in 0..10 {
        assert_eq!(scene.call().await, Ok(session().1.into_principal(subject().session_id).unwrap()));
        assert_eq!(scene.double.asked(), (call, 1));
    }
    for call in 9..19 {
        assert_eq!(scene.call_by_key().await, Ok(stored_key().key.into_principal()));
        assert_eq!(scene.double.asked(), (call, 2));
    }
}

#[tokio::test]
async fn no_credential_of_a_suspended_tenant_is_good_until_it_is_resumed() {
    let scene = Scene::new();
    let token = scene.auth.tokens.issue(&subject(), scene.clock.now()).unwrap();
    let address = Some("192.0.2.1".parse().unwrap());
    let (session, key) = (token.expose_secret().to_owned(), key_token().expose());
    for is_suspended in [false, true, true, false] {
        scene.double.change(|stored| stored.is_suspended = is_suspended);
        for token in [&session, &key] {
            let authenticated = scene.auth.authenticate(token, address).await;
            let is_refused = matches!(authenticated, Err(AuthenticateError::Suspended(_)));
            assert_eq!((authenticated.is_ok(), is_refused), (!is_suspended, is_suspended));
            let cached = scene.auth.cached_principal(token, address).unwrap();
            assert_eq!(cached.is_some(), !is_suspended, "nothing is remembered of a suspended tenant");
        }
    }
    // A credential that is no good does not learn of it.
    scene.double.change(|stored| stored.is_suspended = true);
    change_key(&scene, |key| key.revoked_at = Some(at(1)));
    assert_eq!(scene.call_by_key().await.unwrap_err().code(), "key_revoked");
}

#[tokio::test]
async fn changes_of_credentials_apply_to_the_next_request() {
    let scene = Scene::new();
    scene.call().await.unwrap();
    change_session(&scene, |_, user| user.roles = BTreeSet::from([Role::Auditor]));
    assert_eq!(scene.call().await.unwrap().require(Permission::AuditRead), Ok(()));
    change_session(&scene, |session, _| session.revoked_at = Some(at(1)));
    assert_eq!(scene.call().await, Err(RefusedCredential::NoSession));
    change_session(&scene, |session, user| (session.revoked_at, user.disabled_at) = (None, Some(at(1))));
    assert_eq!(scene.call().await, Err(RefusedCredential::NoSession));

    scene.call_by_key().await.unwrap();
    change_key(&scene, |key| key.permissions = BTreeSet::from([Permission::MassRead]));
    assert_eq!(scene.call_by_key().await.unwrap().require(Permission::MassRead), Ok(()));
    change_key(&scene, |key| key.revoked_at = Some(at(1)));
    assert_eq!(scene.call_by_key().await.unwrap_err().code(), "key_revoked");
}

#[tokio::test]
async fn refusals_are_not_cached() {
    let scene = Scene::new();
    scene.double.change(|stored| (stored.session, stored.key) = (None, None));
    for _ in 0..3 {
        assert_eq!(scene.call().await, Err(RefusedCredential::NoSession));
        assert_eq!(scene.call_by_key().await, Err(RefusedApiKey::Unknown.into()));
    }
    assert_eq!(scene.double.asked(), (0, 6));
    // No credential has changed, so that the version stays the same.
    scene.double.stored().session = Some(session());
    scene.double.stored().key = Some(stored_key());
    scene.call().await.unwrap();
    scene.call_by_key().await.unwrap();
}

#[tokio::test]
async fn cached_sessions_expire_unless_refreshed() {
    let scene = Scene::new();
    scene.call().await.unwrap();
    scene.set_clock(99);
    scene.call().await.unwrap();
    scene.set_clock(100);
    assert_eq!(scene.call().await, Err(RefusedCredential::NoSession));
    scene.set_clock(0);
    scene.call().await.unwrap();
    // A refresh does not change the version.
    scene.double.stored().session.as_mut().unwrap().0.expires_at = at(200);
    scene.set_clock(150);
    scene.call().await.unwrap();
    scene.set_clock(200);
    assert_eq!(scene.call().await, Err(RefusedCredential::NoSession));
}

#[tokio::test]
async fn a_session_authenticates_no_other_user_or_tenant() {
    let scene = Scene::new();
    scene.call().await.unwrap();
    let another = TokenSubject { user_id: UserId::from_uuid(Uuid::from_u128(9)), ..subject() };
    assert_eq!(scene.call_as(&another).await, Err(RefusedCredential::NoSession));
    let foreign = TokenSubject { tenant_id: TenantId::parse("other").unwrap(), ..subject() };
    assert_eq!(scene.call_as(&foreign).await, Err(RefusedCredential::NoSession));
}

#[tokio::test]
async fn tokens_are_verified_even_for_cached_sessions() {
    let scene = Scene::new();
    let token = scene.auth.tokens.issue(&subject(), at(0)).unwrap();
    scene.auth.authenticate(token.expose_secret(), None).await.unwrap();
    let forged = &token.expose_secret()[..token.expose_secret().len() - 4];
    let refused = refusal(scene.auth.authenticate(forged, None).await).unwrap_err();
    assert!(matches!(refused, RefusedCredential::Token(_)), "{refused}");
    change_session(&scene, |session, _| session.expires_at = at(10_000));
    scene.set_clock(1_000);
    let refused = refusal(scene.auth.authenticate(token.expose_secret(), None).await);
    assert_eq!(refused, Err(RefusedCredential::Token(RefusedToken::Expired)));
}

#[tokio::test]
async fn cached_keys_still_check_expiry_secret_and_address() {
    let scene = Scene::new();
    scene.call_by_key().await.unwrap();
    assert_eq!(scene.call_by_key_from("198.51.100.1").await.unwrap_err().code(), "key_from_foreign_address");
    let guessed = KeyToken::parse(&format!("mass_{}_{}", key_token().prefix(), "0".repeat(32))).unwrap();
    assert_eq!(scene.present(&guessed, "192.0.2.1").await, Err(RefusedApiKey::WrongSecret.into()));
    scene.call_by_key().await.unwrap();
    scene.set_clock(500);
    assert_eq!(scene.call_by_key().await.unwrap_err().code(), "key_expired");
}

#[tokio::test]
async fn key_uses_are_recorded_once_a_minute_in_the_background() {
    let scene = Scene::new();
    scene.call_by_key().await.unwrap();
    assert_eq!(scene.double.marks.load(Ordering::SeqCst), 0, "the mark is made beside the request");
    for _ in 0..20 {
        scene.call_by_key().await.unwrap();
        // The second look-up still finds the older date.
        scene.double.change(|_| ());
    }
    assert_eq!(scene.marks().await, 1);
    scene.set_clock(59);
    scene.call_by_key().await.unwrap();
    assert_eq!(scene.marks().await, 1);
    scene.set_clock(60);
    scene.call_by_key().await.unwrap();
    scene.call_by_key_from("198.51.100.1").await.unwrap_err();
    assert_eq!(scene.marks().await, 2);
    scene.set_clock(200);
    change_key(&scene, |key| key.last_used_at = Some(at(190)));
    scene.call_by_key().await.unwrap();
    assert_eq!(scene.marks().await, 2, "another server has marked it");
}

#[tokio::test]
async fn refuses_callers_if_the_credentials_version_cannot_be_read() {
    let scene = Scene::new();
    scene.call().await.unwrap();
    scene.double.stored().is_broken = true;
    let token = scene.auth.tokens.issue(&subject(), at(0)).unwrap();
    let refused = scene.auth.authenticate(token.expose_secret(), None).await;
    assert!(matches!(refused, Err(AuthenticateError::Store(PortError::Unavailable(_)))));
}

#[tokio::test]
async fn a_confirmation_is_for_one_caller_and_one_action_within_an_hour() {
    let scene = Scene::new();
    let (principal, other) = (scene.call().await.unwrap(), Principal::system(tenant()));
    let extent = Extent { count: 7, log_size: 42 };
    let token = scene.auth.issue_confirmation(&principal, "delete all", extent);
    assert_eq!(token.expires_at, at(3600));
    let verify = |principal, action, token: &str| scene.auth.verify_confirmation(principal, action, token);
    assert_eq!(verify(&principal, "delete all", &token.text), Ok(extent));
    for (principal, action, text) in [
        (&other, "delete all", token.text.as_str()),
        (&principal, "delete some", &token.text),
        (&principal, "delete all", &token.text[1..]),
        (&principal, "delete all", &token.text[..token.text.len() - 1]),
        (&principal, "delete all", ""),
        (&principal, "delete all", "?"),
    ] {
        assert_eq!(verify(principal, action, text), Err(RefusedConfirmation::Foreign), "{action} {text}");
    }
    scene.set_clock(3599);
    assert_eq!(verify(&principal, "delete all", &token.text), Ok(extent));
    scene.set_clock(3600);
    assert_eq!(verify(&principal, "delete all", &token.text), Err(RefusedConfirmation::Expired));
}
