//! Proactive negotiation of media types and content codings (RFC 9110, section 12.5).

use actix_web::http::header::{self, AcceptEncoding, Encoding, HeaderMap};

/// Returns how much the client wants an answer of this media type, 0 for not at all: the most specific range that fits
/// decides. Without the header, every type is as good.
pub(super) fn media_type(headers: &HeaderMap, answer: &str) -> f32 {
    let group = answer.split_once('/').map(|(group, _)| group);
    let specificity = |range: &str| match range {
        range if range == answer => Some(2),
        range if group.is_some() && range.strip_suffix("/*") == group => Some(1),
        "*/*" => Some(0),
        _ => None,
    };
    weight(headers, specificity).unwrap_or_else(|sent| if sent { 0.0 } else { 1.0 })
}

/// Returns the content coding that the client wants most of these; `identity` if it wants none of them.
pub(super) fn coding(headers: &HeaderMap, supported: &[Encoding]) -> Encoding {
    let sent = header::from_comma_delimited(headers.get_all(header::ACCEPT_ENCODING)).unwrap_or_default();
    AcceptEncoding(sent).negotiate(supported.iter()).unwrap_or_else(Encoding::identity)
}

/// Returns the weight of the most specific range that fits, or else whether the header was sent.
fn weight(headers: &HeaderMap, specificity: impl Fn(&str) -> Option<u8>) -> Result<f32, bool> {
    let mut best: Option<(u8, f32)> = None;
    let mut sent = false;
    for value in headers.get_all(header::ACCEPT) {
        sent = true;
        for range in value.to_str().unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let range = parts.next().unwrap_or_default().to_ascii_lowercase();
            let Some(specificity) = specificity(&range) else { continue };
            let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            let weight = weight.map_or(1.0, |q| q.parse().unwrap_or(0.0));
            if best.is_none_or(|(known, _)| specificity > known) {
                best = Some((specificity, weight));
            }
        }
    }
    best.map(|(_, weight)| weight).ok_or(sent)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        headers
    }

    #[test]
    fn the_most_specific_range_decides_whether_json_is_accepted() {
        let accepts = |value: &str| media_type(&headers(header::ACCEPT, value), "application/json") > 0.0;
        assert!(media_type(&HeaderMap::new(), "application/json") > 0.0);
        for good in ["*/*", "application/json", "text/html, application/*;q=0.1", "application/json; charset=utf-8"] {
            assert!(accepts(good), "{good}");
        }
        for bad in ["text/html", "application/json;q=0, */*", "application/xml", "", "application/*; q=0, */*"] {
            assert!(!accepts(bad), "{bad}");
        }
    }

    #[test]
    fn of_two_media_types_the_one_with_the_greater_weight_is_wanted() {
        let wants_csv = |value: &str| {
            let headers = headers(header::ACCEPT, value);
            media_type(&headers, "text/csv") > media_type(&headers, "application/x-ndjson")
        };
        assert!(wants_csv("text/csv") && wants_csv("application/x-ndjson;q=0.5, text/csv"));
        assert!(!wants_csv("*/*") && !wants_csv("application/x-ndjson, text/csv;q=0.9"));
    }

    #[test]
    fn a_coding_is_used_only_if_it_is_named() {
        let supported = [Encoding::zstd(), Encoding::gzip(), Encoding::identity()];
        let wanted = |value: &str| coding(&headers(header::ACCEPT_ENCODING, value), &supported);
        assert_eq!(coding(&HeaderMap::new(), &supported), Encoding::identity());
        assert_eq!(wanted("gzip"), Encoding::gzip());
        assert_eq!(wanted("gzip;q=0.5, zstd, identity;q=0"), Encoding::zstd());
        assert_eq!(wanted("gzip;q=0.5, zstd;q=0, identity;q=0"), Encoding::gzip());
        assert_eq!(wanted("identity;q=0"), Encoding::identity());
        assert_eq!(wanted("*"), Encoding::identity());
    }
}
