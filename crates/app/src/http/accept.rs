//! Proactive negotiation: how much a client wants a media type or a content coding (RFC 9110, section 12.5).

use actix_web::http::header::{self, HeaderMap};

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
    weight(headers, &header::ACCEPT, specificity).unwrap_or_else(|sent| if sent { 0.0 } else { 1.0 })
}

/// Returns how much the client wants a content coding, 0 for not at all. What it does not name is not wanted, except
/// `identity`, which is then wanted less than what it names.
pub(super) fn coding(headers: &HeaderMap, name: &str) -> f32 {
    let specificity = |range: &str| match range {
        range if range == name => Some(1),
        "*" if name == "identity" => Some(0),
        _ => None,
    };
    let unnamed = if name == "identity" { f32::MIN_POSITIVE } else { 0.0 };
    weight(headers, &header::ACCEPT_ENCODING, specificity).unwrap_or(unnamed)
}

/// Returns the weight of the most specific range that fits, or else whether the header was sent.
fn weight(
    headers: &HeaderMap,
    name: &header::HeaderName,
    specificity: impl Fn(&str) -> Option<u8>,
) -> Result<f32, bool> {
    let mut best: Option<(u8, f32)> = None;
    let mut sent = false;
    for value in headers.get_all(name) {
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
        let weights = |value: &str| {
            let headers = headers(header::ACCEPT_ENCODING, value);
            ["gzip", "zstd", "identity"].map(|name| coding(&headers, name))
        };
        assert_eq!(["gzip", "zstd"].map(|name| coding(&HeaderMap::new(), name)), [0.0, 0.0]);
        let [gzip, zstd, identity] = weights("gzip");
        assert!(gzip > identity && identity > zstd);
        let [gzip, zstd, identity] = weights("gzip;q=0.5, zstd, identity;q=0");
        assert!(zstd > gzip && gzip > identity && identity == 0.0);
        assert_eq!(weights("*"), [0.0, 0.0, 1.0]);
    }
}
