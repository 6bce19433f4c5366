//! W3C Trace Context, version 00, and the request id: what ties log lines, problems and audit events together.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use uuid::Uuid;

/// The target of the spans that are exported. They are told by it from what is logged, and cost next to nothing unless
/// somebody collects them.
pub const SPANS: &str = "mass::spans";

/// A `traceparent` of version 00 (W3C Trace Context, section 3.2): lower-case hexadecimal, ids not all zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace_id: u128,
    parent_id: u64,
    flags: u8,
}

/// The text is not a `traceparent` of version 00.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a W3C traceparent of version 00: 00-<32 hex digits>-<16 hex digits>-<2 hex digits>, ids not all zero")]
pub struct InvalidTraceParent;

impl TraceParent {
    /// Puts one together; `None` if either id is zero.
    #[must_use]
    pub const fn new(trace_id: u128, parent_id: u64, flags: u8) -> Option<Self> {
        if trace_id == 0 || parent_id == 0 { None } else { Some(Self { trace_id, parent_id, flags }) }
    }

    /// The same trace, seen from another span of it.
    #[must_use]
    pub const fn child(self, span_id: u64) -> Option<Self> {
        Self::new(self.trace_id, span_id, self.flags)
    }

    /// The same span with these flags.
    #[must_use]
    pub const fn flagged(self, flags: u8) -> Self {
        Self { flags, ..self }
    }

    /// The trace's id, the span's id and the flags, as numbers.
    #[must_use]
    pub const fn parts(&self) -> (u128, u64, u8) {
        (self.trace_id, self.parent_id, self.flags)
    }

    /// The trace's id as 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// The span's id as 16 hexadecimal digits.
    #[must_use]
    pub fn span_id(&self) -> String {
        format!("{:016x}", self.parent_id)
    }
}

impl FromStr for TraceParent {
    type Err = InvalidTraceParent;

    fn from_str(text: &str) -> Result<Self, InvalidTraceParent> {
        let lower_hex = |part: &str, len: usize| {
            part.len() == len && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let mut parts = text.split('-');
        let (Some("00"), Some(trace), Some(parent), Some(flags), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidTraceParent);
        };
        if !lower_hex(trace, 32) || !lower_hex(parent, 16) || !lower_hex(flags, 2) {
            return Err(InvalidTraceParent);
        }
        let trace_id = u128::from_str_radix(trace, 16).map_err(|_| InvalidTraceParent)?;
        let parent_id = u64::from_str_radix(parent, 16).map_err(|_| InvalidTraceParent)?;
        let flags = u8::from_str_radix(flags, 16).map_err(|_| InvalidTraceParent)?;
        Self::new(trace_id, parent_id, flags).ok_or(InvalidTraceParent)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.parent_id, self.flags)
    }
}

/// A request's id: 1–128 characters of `[A-Za-z0-9._-]`, the client's own (`X-Request-Id`) or made by the server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestId(Box<str>);

/// The text cannot be a request id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a request id has 1 to 128 characters of A-Z, a-z, 0-9, dot, underscore and hyphen")]
pub struct InvalidRequestId;

impl RequestId {
    /// Parses a request id.
    ///
    /// # Errors
    /// [`InvalidRequestId`] when the text is empty, too long or has another character.
    pub fn parse(text: &str) -> Result<Self, InvalidRequestId> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if (1..=128).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidRequestId)
        }
    }

    /// The request id of something that has a UUID.
    #[must_use]
    pub fn of(id: Uuid) -> Self {
        Self(id.to_string().into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a call came from; kept with every audit event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The HTTP request, or the run of a local command.
    pub request_id: RequestId,
    /// The server's own span in the caller's trace.
    pub trace: Option<TraceParent>,
    /// The client's address; a local command has none.
    pub address: Option<IpAddr>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_back_and_every_deviation_refused() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parsed: TraceParent = good.parse().unwrap();
        assert_eq!(parsed.to_string(), good);
        assert_eq!(parsed.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(parsed.span_id(), "00f067aa0ba902b7");
        assert_eq!(parsed.child(0xab).unwrap().to_string(), good.replace("00f067aa0ba902b7", "00000000000000ab"));
        for bad in [
            "",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(bad.parse::<TraceParent>(), Err(InvalidTraceParent), "{bad}");
        }
    }

    #[test]
    fn a_request_id_carries_nothing_that_could_break_a_log_line() {
        assert!(RequestId::parse("a.B_c-1").is_ok());
        for bad in ["", "a b", "a\n", "é", &"a".repeat(129)] {
            assert_eq!(RequestId::parse(bad), Err(InvalidRequestId), "{bad:?}");
        }
    }
}
