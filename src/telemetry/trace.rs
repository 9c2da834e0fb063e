//! Which trace a request belongs to (W3C Trace Context).
//!
//! A caller who traces says so in `traceparent`; what it says becomes numbers here, or a new trace
//! is begun. Nothing of it goes to Twilio: a caller's header reaches no upstream.

use std::fmt;

use http::HeaderMap;

/// The header that names a caller's trace.
const TRACEPARENT: &str = "traceparent";

/// A request's place in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    trace: u128,
    span: u64,
    parent: Option<u64>,
    sampled: bool,
}

impl Trace {
    /// Goes on with the caller's trace, or begins one that nobody asked to keep.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut random = [0; 24];
        // Without randomness the numbers would be zero, which is no trace; and nothing depends on it.
        let _ = aws_lc_rs::rand::fill(&mut random);
        let (trace, span) = random.split_at(16);
        let own = Self {
            trace: trace.try_into().map_or(1, u128::from_be_bytes).max(1),
            span: span.try_into().map_or(1, u64::from_be_bytes).max(1),
            parent: None,
            sampled: false,
        };
        let mut said = headers.get_all(TRACEPARENT).iter();
        let one = match (said.next(), said.next()) {
            (Some(one), None) => one.to_str().ok().and_then(read),
            _ => None,
        };
        match one {
            Some((trace, parent, sampled)) => Self { trace, parent: Some(parent), sampled, ..own },
            None => own,
        }
    }

    /// The trace's number.
    #[must_use]
    pub fn id(&self) -> u128 {
        self.trace
    }

    /// The number of the request itself.
    #[must_use]
    pub fn span(&self) -> u64 {
        self.span
    }

    /// The caller's span that asked, if it said so.
    #[must_use]
    pub fn parent(&self) -> Option<u64> {
        self.parent
    }

    /// True if the caller keeps its trace.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.sampled
    }
}

/// As `traceparent` and `traceresponse` write it.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        write!(f, "00-{:032x}-{:016x}-{flags:02x}", self.trace, self.span)
    }
}

/// TRUST: four groups of lower-case hex digits of their lengths, of which trace and span are not
/// zero. Later versions may have more after them.
fn read(text: &str) -> Option<(u128, u64, bool)> {
    let mut groups = text.split('-');
    let mut group = |length: usize| {
        let digits = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        groups.next().filter(|group| group.len() == length && group.bytes().all(digits))
    };
    let (version, trace, span, flags) = (group(2)?, group(32)?, group(16)?, group(2)?);
    if version == "ff" || version == "00" && groups.next().is_some() {
        return None;
    }
    let trace = u128::from_str_radix(trace, 16).ok().filter(|trace| *trace != 0)?;
    let span = u64::from_str_radix(span, 16).ok().filter(|span| *span != 0)?;
    let flags = u8::from_str_radix(flags, 16).ok()?;
    Some((trace, span, flags & 1 == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn of(values: &[&str]) -> Trace {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TRACEPARENT, value.parse().unwrap());
        }
        Trace::of(&headers)
    }

    #[test]
    fn a_callers_trace_goes_on() {
        let trace = of(&[GOOD]);
        assert_eq!(trace.id(), 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
        assert_eq!(trace.parent(), Some(0xb7ad_6b71_6920_3331));
        assert!(trace.is_sampled());
        assert_ne!(Some(trace.span()), trace.parent());
        let said = trace.to_string();
        assert_eq!(said.len(), GOOD.len());
        assert!(said.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && said.ends_with("-01"));
        let later = format!("{}-what-comes-later", GOOD.replacen("00", "cc", 1));
        assert_eq!(of(&[&later]).id(), trace.id());
    }

    #[test]
    fn what_is_no_trace_begins_a_new_one() {
        let zero_trace = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
        let zero_span = "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01";
        let odd = [
            "",
            "00",
            zero_trace,
            zero_span,
            &GOOD.to_uppercase(),
            &GOOD.replacen("00", "ff", 1),
            GOOD.strip_suffix('1').unwrap(),
            &format!("{GOOD}-more"),
            &GOOD.replace('a', "g"),
            &GOOD.replace('-', " "),
        ];
        for odd in odd {
            let trace = of(&[odd]);
            assert_eq!((trace.parent(), trace.is_sampled()), (None, false), "{odd}");
            assert_ne!(trace.id(), of(&[odd]).id());
        }
        assert_eq!(of(&[GOOD, GOOD]).parent(), None, "two of them are none");
    }
}
