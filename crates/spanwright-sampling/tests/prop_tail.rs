//! Whatever happens in whatever order: every decision is the one that a simple model makes of what was known, and memory is bounded.
#![allow(clippy::unwrap_used, reason = "the lint knows tests, and not what they call")]

mod tail_support;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use opentelemetry::TraceId;
use opentelemetry::trace::TraceState;
use proptest::prelude::*;
use spanwright_sampling::{
    OtelTraceState, Randomness, TailDecision, TailPolicy, TailSampler, TailSamplerBuilder, Threshold, Trigger,
};

use self::tail_support::{Queue, Released, Span, end, root, span, start};

const TRACES: u64 = 12;
const MAX_SPANS: usize = 6;
const MAX_AGE: Duration = Duration::from_secs(16);
const SLOW: Duration = Duration::from_secs(1);
const FRESH: u64 = 0x70_0000_0000_0000;

#[derive(Clone, Debug)]
enum Step {
    End {
        trace: u64,
        is_root: bool,
        is_error: bool,
        is_slow: bool,
        state: (bool, &'static str),
        len: usize,
    },
    Pass(u64),
    Drain(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let state = prop_oneof![
        4 => Just((false, "")),
        4 => Just((true, "ot=th:0")),
        1 => Just((true, "ot=th:8,a=1")),
        1 => Just((true, "")),
        1 => Just((true, "ot=?")),
        1 => Just((false, "a=1,ot=rv:c0000000000000")),
        1 => Just((true, "ot=th:4;rv:c0000000000000")),
    ];
    let rare = |weight| prop_oneof![weight => Just(false), 1 => Just(true)];
    let len = prop_oneof![4 => 40..400_usize, 1 => 400..5_000_usize];
    let span = (0..TRACES, rare(4), rare(6), any::<bool>(), state, len);
    prop_oneof![
        30 => span.prop_map(|(trace, is_root, is_error, is_slow, state, len)| Step::End {
            trace, is_root, is_error, is_slow, state, len,
        }),
        3 => (0..12_000_u64).prop_map(Step::Pass),
        1 => (0..20_usize).prop_map(Step::Drain),
    ]
}

fn policies() -> TailSamplerBuilder {
    TailSampler::builder()
        .with_policy(TailPolicy::errors())
        .with_policy(TailPolicy::slower_than(SLOW).with_ratio(0.5))
        .with_policy(TailPolicy::probability(0.25))
        .with_max_age(MAX_AGE)
        .with_max_spans_per_trace(MAX_SPANS as u32)
        .with_max_bytes_per_trace(8 * 1024)
        .with_max_traces(16)
        .with_kept_decisions(1_000)
        .with_dropped_decisions(1_000)
        .with_entropy(|| FRESH)
}

/// The least memory that these settings allow: what they take for good, and twice a trace of the largest size.
fn least_bytes(builder: &TailSamplerBuilder) -> usize {
    let error = builder.clone().with_max_bytes(0).build().unwrap_err().to_string();
    let numbers = error
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse().ok());
    numbers.max().unwrap()
}

/// A trace by the book.
#[derive(Clone, Debug, Default)]
struct Model {
    /// What is held.
    spans: Vec<Span>,
    since: Option<Instant>,
    decided: Option<Decided>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Decided {
    is_kept: bool,
    /// Of the tail; `None` if no weight can be told.
    threshold: Option<Threshold>,
}

fn ot_of(span: &Span) -> (Option<Threshold>, Randomness) {
    let state: TraceState = span.trace_state.parse().unwrap();
    let ot = state
        .get("ot")
        .and_then(|value| OtelTraceState::parse(value).ok())
        .unwrap_or_default();
    (ot.threshold, ot.randomness.unwrap_or(span.randomness()))
}

/// The head's threshold of a span, if it can be told.
fn head(span: &Span) -> Option<Threshold> {
    let (threshold, randomness) = ot_of(span);
    match span.is_sampled {
        false => Some(Threshold::ALWAYS),
        true => threshold.filter(|threshold| threshold.keeps(randomness)),
    }
}

fn decide(spans: &[Span]) -> Decided {
    // The root speaks for the trace, else whoever came first.
    let speaker = spans.iter().find(|span| span.is_root).unwrap_or(&spans[0]);
    let is_reliable = head(speaker).is_some();
    let randomness = if is_reliable {
        ot_of(speaker).1
    } else {
        Randomness::new(FRESH)
    };
    let p = if spans.iter().any(|span| span.is_error) {
        1.0
    } else if spans.iter().any(|span| span.is_root && span.duration >= SLOW) {
        0.5
    } else {
        0.25
    };
    let threshold = Threshold::from_probability(p).unwrap();
    Decided {
        is_kept: threshold.keeps(randomness),
        threshold: Some(threshold).filter(|_| is_reliable),
    }
}

fn expected_threshold(span: &Span, decided: Decided) -> Option<Threshold> {
    decided.threshold.zip(head(span)).map(|(tail, head)| tail.max(head))
}

struct Rig {
    sampler: TailSampler,
    queue: Queue,
    now: Instant,
    /// As the last poll had it.
    polled: Instant,
    models: HashMap<TraceId, Model>,
    spans: HashMap<u32, Span>,
    has_pressure: bool,
    max_bytes: u64,
    dropped: u64,
}

fn trace_id(number: u64) -> TraceId {
    // Spread over the range of the randomness.
    TraceId::from(u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

impl Rig {
    fn new(builder: TailSamplerBuilder, has_pressure: bool) -> Self {
        let mut rig = Self {
            sampler: builder.build().unwrap(),
            queue: Queue::new(),
            now: start(),
            polled: start(),
            models: HashMap::new(),
            spans: HashMap::new(),
            has_pressure,
            max_bytes: 0,
            dropped: 0,
        };
        rig.max_bytes = rig.sampler.stats().max_bytes;
        rig.polled = rig.now;
        rig.sampler.poll(rig.now, &mut rig.queue);
        rig
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::End {
                trace,
                is_root,
                is_error,
                is_slow,
                state: (is_sampled, state),
                len,
            } => {
                let id = trace_id(trace);
                let number = self.spans.len() as u32;
                let span = Span {
                    is_error,
                    is_sampled,
                    trace_state: state.to_owned(),
                    len,
                    duration: if is_slow { SLOW } else { Duration::ZERO },
                    ..if is_root { root(id, number) } else { span(id, number) }
                };
                end(&self.sampler, &span, &mut self.queue);
                self.spans.insert(number, span.clone());
                let model = self.models.entry(id).or_default();
                model.since.get_or_insert(self.polled);
                model.spans.push(span);
                self.look(Some(id));
            }
            Step::Pass(millis) => {
                self.now += Duration::from_millis(millis);
                self.polled = self.now;
                self.sampler.poll(self.now, &mut self.queue);
                self.look(None);
                let (now, models) = (self.now, &self.models);
                let is_old = |model: &&Model| model.since.is_some_and(|since| now - since >= MAX_AGE);
                assert!(
                    models.values().filter(is_old).all(|model| model.decided.is_some()),
                    "one is too old"
                );
            }
            Step::Drain(room) => {
                self.queue.room = room;
                let is_done = self.sampler.drain(&mut self.queue);
                assert_eq!(is_done, self.sampler.held().items == 0);
                self.queue.room = usize::MAX;
                self.look(None);
            }
        }
    }

    /// Everything that came out belongs to a decision that the model makes too, and everything else is held.
    fn look(&mut self, ended: Option<TraceId>) {
        let stats = self.sampler.stats();
        assert!(
            stats.bytes <= stats.max_bytes,
            "{} of {} bytes",
            stats.bytes,
            stats.max_bytes
        );
        let released = self.queue.take();
        let ids: Vec<_> = self.models.keys().copied().collect();
        for id in ids {
            let model = self.models.get_mut(&id).unwrap();
            if model.spans.is_empty() {
                continue;
            }
            let decision = self.sampler.decision(id).expect("a trace is held or decided about");
            if let TailDecision::Held { spans } = decision {
                assert_eq!(spans as usize, model.spans.len());
                assert!(!model.spans.iter().any(|span| span.is_root), "its root has ended");
                assert!(spans as usize <= MAX_SPANS);
                continue;
            }
            let is_due = model.decided.is_some() || model.spans.iter().any(|span| span.is_root);
            if self.has_pressure || is_due || ended.is_none() {
                // Somebody else's end, or time, may make a trace go only where there is too little room.
            } else {
                let bytes: usize = model.spans.iter().map(|span| span.len + 8).sum();
                assert!(
                    ended == Some(id) && (model.spans.len() > MAX_SPANS || bytes > 8 * 1024),
                    "nothing made it due: {model:?}"
                );
            }
            let decided = *model.decided.get_or_insert_with(|| decide(&model.spans));
            assert_eq!(
                matches!(decision, TailDecision::Kept { .. }),
                decided.is_kept,
                "{model:?}"
            );
            let out: Vec<&Released> = released
                .iter()
                .filter(|record| self.spans[&record.number].trace == id)
                .collect();
            if decided.is_kept {
                let numbers: Vec<_> = out.iter().map(|record| record.number).collect();
                let expected: Vec<_> = model.spans.iter().map(|span| span.number).collect();
                assert_eq!(numbers, expected, "whole, in order");
                for record in out {
                    let span = &self.spans[&record.number];
                    assert_eq!(record.threshold(), expected_threshold(span, decided), "{span:?}");
                    assert_eq!(record.len, span.len.max(7 + span.trace_state.len()));
                }
            } else {
                assert_eq!(out.len(), 0);
                self.dropped += model.spans.len() as u64;
            }
            model.spans.clear();
        }
        let held: usize = self.models.values().map(|model| model.spans.len()).sum();
        assert_eq!(self.sampler.held().items, held as u64);
        assert_eq!(self.queue.discarded, self.dropped);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_decision_is_that_of_the_model(steps in prop::collection::vec(step(), 1..150)) {
        let mut rig = Rig::new(policies(), true);
        steps.iter().for_each(|step| rig.step(step));
    }

    #[test]
    fn with_room_nothing_goes_before_its_time(steps in prop::collection::vec(step(), 1..150)) {
        let mut rig = Rig::new(policies().with_max_traces(1_000), false);
        steps.iter().filter(|step| !matches!(step, Step::Drain(_))).for_each(|step| rig.step(step));
        prop_assert_eq!(rig.sampler.stats().by_trigger(Trigger::Memory).kept, 0);
        prop_assert_eq!(rig.sampler.stats().by_trigger(Trigger::Memory).dropped, 0);
    }

    #[test]
    fn without_room_memory_is_bounded_and_decisions_are_real(
        steps in prop::collection::vec(step(), 1..150),
        more in 0..8_000_usize,
    ) {
        let builder = policies().with_max_traces(1_000);
        let max_bytes = least_bytes(&builder) + more;
        let mut rig = Rig::new(builder.with_max_bytes(max_bytes), true);
        steps.iter().for_each(|step| rig.step(step));
    }
}
