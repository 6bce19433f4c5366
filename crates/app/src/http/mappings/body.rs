//! The body of a mapping profile: its type and size, its syntax, its mistakes.

use actix_web::dev::Payload;
use actix_web::web::{BytesMut, block};
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;
use mass_domain::json::{self, Value};
use mass_domain::mappings::ProfileFormat;
use mass_domain::validation::{Stage, Violation};
use mass_mapping::{MAX_PROFILE_BYTES, ProfileError};
use mass_service::{CheckedProfile, ProfileText};

use crate::http::body::{NOT_AN_OBJECT, broken, receive_as, sentence, violation};
use crate::http::problem::{Problem, ProblemKind};

/// A profile whose text has been received.
pub(super) struct ProfileBody(ProfileText);

impl FromRequest for ProfileBody {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let too_large = format!("A mapping profile has at most {MAX_PROFILE_BYTES} bytes.");
        let types = "application/json, application/toml";
        let body = receive_as(req, payload, types, MAX_PROFILE_BYTES, too_large);
        Box::pin(async move {
            let (media_type, body) = body.await?;
            let format = if media_type == "application/toml" { ProfileFormat::Toml } else { ProfileFormat::Json };
            read(format, &body).map(Self)
        })
    }
}

fn read(format: ProfileFormat, body: &BytesMut) -> Result<ProfileText, Problem> {
    if format == ProfileFormat::Json {
        // Read strictly first: serde would keep the last of two equal keys, or take an array for an object.
        let document = json::parse(body)?;
        if !matches!(document, Value::Object(_)) {
            return Err(violation(String::new(), "type", NOT_AN_OBJECT));
        }
    }
    let text = std::str::from_utf8(body);
    let text = text.map_err(|_| Problem::new(ProblemKind::BadRequest).detail("The profile is not UTF-8."))?;
    if text.contains('\0') {
        return Err(violation(String::new(), "nul", "A profile must not contain the character U+0000."));
    }
    Ok(ProfileText { format, text: text.to_owned() })
}

impl ProfileBody {
    /// Checks the profile, on a thread that may be kept busy.
    ///
    /// # Errors
    /// A [`Problem`] that names every mistake.
    pub(super) async fn check(self) -> Result<CheckedProfile, Problem> {
        let checked = block(move || CheckedProfile::new(self.0)).await.map_err(|_| Problem::after_logging())?;
        checked.map_err(|errors| broken(errors.iter().map(mistake).collect()))
    }
}

fn mistake(error: &ProfileError) -> Violation {
    // The place in the text is that of the pointer.
    let detail = error.detail.split(" at line ").next().unwrap_or_default();
    Violation {
        stage: Stage::Structural,
        pointer: error.pointer.clone(),
        code: "shape".to_owned(),
        detail: sentence(detail),
        expected: None,
        actual: None,
    }
}
