//! Files in the binary, answered in the coding that the browser wants.

use std::io::Write;
use std::sync::LazyLock;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, Encoding, VARY};
use actix_web::web::{Bytes, block};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::accept;
use super::problem::Problem;

/// The level of Zstandard: higher ones save little more of files of this size.
const ZSTD_LEVEL: i32 = 17;

/// A compressed form, made at the first request for it.
type Lazy = LazyLock<Bytes, Box<dyn FnOnce() -> Bytes + Send>>;

/// A file in the binary, shared by all answers.
pub(super) struct Asset {
    media_type: &'static str,
    plain: Bytes,
    gzip: Lazy,
    zstd: Lazy,
}

/// How a file may be used: its policy, and how long browsers may keep it.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    /// The content security policy.
    pub policy: &'static str,
    /// `Cache-Control`.
    pub keeping: &'static str,
}

impl Terms {
    /// Writes the headers that tell of them.
    pub(super) fn head(self, response: &mut HttpResponseBuilder) {
        response.insert_header((CONTENT_SECURITY_POLICY, self.policy)).insert_header((CACHE_CONTROL, self.keeping));
    }
}

impl Asset {
    pub(super) fn new(media_type: &'static str, plain: impl Into<Bytes>) -> Self {
        let plain = plain.into();
        let (first, second) = (plain.clone(), plain.clone());
        Self {
            media_type,
            plain,
            gzip: LazyLock::new(Box::new(move || gzip(&first))),
            zstd: LazyLock::new(Box::new(move || zstd(&second))),
        }
    }

    /// Answers with the file.
    ///
    /// # Errors
    /// A [`Problem`] if the server stops meanwhile.
    pub(super) async fn answer(&'static self, req: &HttpRequest, terms: Terms) -> Result<HttpResponse, Problem> {
        let mut response = HttpResponse::Ok();
        terms.head(&mut response);
        response.content_type(self.media_type).insert_header((VARY, "Accept-Encoding"));
        let coding = accept::coding(req.headers(), &[Encoding::zstd(), Encoding::gzip(), Encoding::identity()]);
        let (name, form) = match coding {
            coding if coding == Encoding::zstd() => ("zstd", &self.zstd),
            coding if coding == Encoding::gzip() => ("gzip", &self.gzip),
            _ => return Ok(response.body(self.plain.clone())),
        };
        // The first time it takes a while.
        let body = block(|| LazyLock::force(form).clone()).await.map_err(|error| Problem::internal(&error.into()))?;
        Ok(response.insert_header((CONTENT_ENCODING, name)).body(body))
    }
}

/// Returns the bytes in gzip, or as they are should that fail.
fn gzip(plain: &Bytes) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let compressed = encoder.write_all(plain).and_then(|()| encoder.finish());
    compressed.map_or_else(|_| plain.clone(), Bytes::from)
}

/// Returns the bytes in Zstandard, or as they are should that fail.
fn zstd(plain: &Bytes) -> Bytes {
    zstd::encode_all(&plain[..], ZSTD_LEVEL).map_or_else(|_| plain.clone(), Bytes::from)
}
