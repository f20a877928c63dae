//! What was decided about a trace, and how its spans say so.

use spanwright_core::RewriteTraceState;

use crate::probability::{Randomness, Threshold};
use crate::trace_state::{self, OtelTraceState};

/// A decision in eight bytes: kept or not, at which threshold of the tail, by which policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Verdict(u64);

const KEPT: u64 = 1 << 63;
const RELIABLE: u64 = 1 << 62;
const POLICY_SHIFT: u32 = 56;
const POLICY_MASK: u64 = 0x3f;
const NO_POLICY: u8 = 0x3f;
const THRESHOLD_MASK: u64 = (1 << POLICY_SHIFT) - 1;

impl Verdict {
    pub(super) const DROPPED: Self = Self((NO_POLICY as u64) << POLICY_SHIFT);

    /// Keeps. `threshold` is `None` where nobody knows what a kept span stands for.
    pub(super) fn kept(threshold: Option<Threshold>, policy: Option<u8>) -> Self {
        let reliable = if threshold.is_some() { RELIABLE } else { 0 };
        Self(KEPT | reliable | threshold.unwrap_or_default().bits() | policy_bits(policy))
    }

    /// Drops. `policy` would have kept it with more luck.
    pub(super) fn dropped(policy: Option<u8>) -> Self {
        Self(policy_bits(policy))
    }

    pub(super) fn is_kept(self) -> bool {
        self.0 & KEPT != 0
    }

    /// The tail's own threshold, if it kept and a weight can be told.
    pub(super) fn threshold(self) -> Option<Threshold> {
        let threshold = Threshold::from_bits(self.0 & THRESHOLD_MASK);
        threshold.filter(|_| self.0 & RELIABLE != 0)
    }

    pub(super) fn policy(self) -> Option<u8> {
        let policy = (self.0 >> POLICY_SHIFT & POLICY_MASK) as u8;
        (policy != NO_POLICY).then_some(policy)
    }
}

fn policy_bits(policy: Option<u8>) -> u64 {
    (u64::from(policy.unwrap_or(NO_POLICY)) & POLICY_MASK) << POLICY_SHIFT
}

impl Default for Verdict {
    fn default() -> Self {
        Self::DROPPED
    }
}

/// How spans came through the head, as far as their trace's decision depends on it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Head {
    /// What the tail's threshold is held against.
    pub(super) randomness: Randomness,
    /// Whether it is known how many spans each stands for. If not, the randomness is fresh.
    pub(super) is_reliable: bool,
}

/// Which threshold a span came through the head with.
///
/// A head that records everything has selected nothing. One that samples has selected by the `th` that it wrote, and what it recorded
/// without sampling it has not selected at all. A sampled span without a `th` (or with one that its randomness contradicts) was
/// selected by somebody who does not say how: `None`.
pub(super) fn head_threshold(
    ot: OtelTraceState<'_>,
    randomness: Randomness,
    is_sampled: bool,
    head_records_all: bool,
) -> Option<Threshold> {
    if head_records_all || !is_sampled {
        return Some(Threshold::ALWAYS);
    }
    ot.threshold.filter(|threshold| threshold.keeps(randomness))
}

/// Writes a decision into the trace states of a trace's spans: `th` is the higher one of the head's and the tail's.
///
/// The spans of a trace have nearly always the same trace state; it is worked out once for all that follow each other.
#[derive(Debug)]
pub(super) struct Rewriter {
    of_trace_id: Randomness,
    threshold: Option<Threshold>,
    head_records_all: bool,
    /// The last trace state that came, and whether its span was sampled.
    last: Option<bool>,
    old: String,
    new: String,
    pub(super) aborted: u64,
}

/// What a rewriter has room for from the beginning, so that it does not grow with the first long threshold in its shard.
const USUAL: usize = 256;

/// The most characters that a rewriter keeps room for: what the header may have at least (W3C Trace Context), and our member.
const MAX_KEPT: usize = 1024;

impl Rewriter {
    /// What each of them may keep, for those who count.
    pub(super) const BYTES: usize = size_of::<Self>() + 2 * MAX_KEPT;

    pub(super) fn new() -> Self {
        Self {
            of_trace_id: Randomness::default(),
            threshold: None,
            head_records_all: false,
            last: None,
            old: String::with_capacity(USUAL),
            new: String::with_capacity(USUAL),
            aborted: 0,
        }
    }

    /// For the spans of another trace.
    pub(super) fn start(&mut self, of_trace_id: Randomness, verdict: Verdict, head_records_all: bool) {
        self.of_trace_id = of_trace_id;
        self.threshold = verdict.threshold();
        self.head_records_all = head_records_all;
        self.last = None;
        self.aborted = 0;
        for text in [&mut self.old, &mut self.new] {
            text.clear();
            if text.capacity() > MAX_KEPT {
                *text = String::with_capacity(USUAL);
            }
        }
    }

    fn threshold_of(&self, ot: OtelTraceState<'_>, is_sampled: bool) -> Option<Threshold> {
        let randomness = ot.randomness.unwrap_or(self.of_trace_id);
        let head = head_threshold(ot, randomness, is_sampled, self.head_records_all)?;
        self.threshold.map(|tail| tail.max(head))
    }
}

impl RewriteTraceState for Rewriter {
    fn rewrite<'a>(&'a mut self, trace_state: &'a str, is_sampled: bool) -> &'a str {
        if self.last != Some(is_sampled) || self.old != trace_state {
            self.old.clear();
            self.old.push_str(trace_state);
            self.last = Some(is_sampled);
            let (ot, _) = trace_state::read_header(trace_state);
            let threshold = self.threshold_of(ot, is_sampled);
            if !trace_state::write_header(trace_state, ot.with_threshold(threshold), &mut self.new) {
                self.aborted += 1;
                // Without the threshold it is not longer than it came.
                trace_state::write_header(trace_state, ot.with_threshold(None), &mut self.new);
            }
        }
        &self.new
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TraceState;
    use proptest::prelude::*;

    use super::*;
    use crate::trace_state::{KEY, Written};

    /// Members as they may come, with ours in any place, twice, malformed, or too long.
    fn trace_state() -> impl Strategy<Value = TraceState> {
        let ours = prop_oneof![
            Just("th:c".to_owned()),
            Just("th:0;rv:01234567890123".to_owned()),
            Just("x:y;th:8".to_owned()),
            Just("what is this".to_owned()),
            (240..257_usize).prop_map(|len| format!("x:{}", "y".repeat(len - 2))),
        ];
        let member = prop_oneof![
            1 => ours.prop_map(|value| (KEY.to_owned(), value)),
            4 => ("[a-z][a-z0-9]{0,5}", "[ -+--<>-~]{0,12}"),
        ];
        let members = prop::collection::vec(member, 0..40);
        members.prop_map(|members| TraceState::from_key_value(members).expect("valid members"))
    }

    proptest! {
        #[test]
        fn in_the_headers_form_the_same_is_written_as_in_the_apis(
            state in trace_state(),
            threshold in prop::option::of(0..1_u64 << 56),
        ) {
            let threshold = threshold.and_then(Threshold::from_bits);
            let header = state.header();
            let (ot, form) = trace_state::read(&state);
            prop_assert_eq!(trace_state::read_header(&header), (ot, form));
            let ot = ot.with_threshold(threshold);
            let mut out = "before".to_owned();
            let is_written = trace_state::write_header(&header, ot, &mut out);
            match trace_state::write(Some(&state), ot) {
                Written::Whole(expected) | Written::Displacing(expected) => {
                    prop_assert_eq!(out, expected.header());
                    prop_assert!(is_written);
                }
                Written::TooLong => prop_assert!(!is_written && out.is_empty()),
            }
        }

        #[test]
        fn a_decision_fits_in_its_eight_bytes(threshold in 0..1_u64 << 56, policy in prop::option::of(0..32_u8)) {
            let threshold = Threshold::from_bits(threshold);
            for threshold in [threshold, None] {
                let verdict = Verdict::kept(threshold, policy);
                prop_assert_eq!((verdict.is_kept(), verdict.threshold(), verdict.policy()), (true, threshold, policy));
            }
            let verdict = Verdict::dropped(policy);
            prop_assert_eq!((verdict.is_kept(), verdict.threshold(), verdict.policy()), (false, None, policy));
        }
    }
}
