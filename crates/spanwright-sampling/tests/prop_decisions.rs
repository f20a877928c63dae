//! Whatever comes, no decision loses what is not its own, and none says what is not so.

mod support;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceState};
use opentelemetry::{KeyValue, TraceId};
use proptest::prelude::*;
use spanwright_sampling::{
    AlwaysOff, AlwaysOn, Annotating, AnyOf, ComposableSampler, CompositeSampler, ParentThreshold, Precision,
    Probability,
};

use self::support::{decide, laws};

/// Of pieces that make values, and of anything.
fn value() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "th:[0-9a-f]{1,14}",
        4 => "rv:[0-9a-f]{14}",
        4 => "[a-z][a-z0-9]{0,3}:[A-Za-z0-9._-]{0,20}",
        1 => "(th|rv):[0-9a-gA-F]{0,16}",
        1 => "[ -~]{0,6}",
        1 => "x:y{230,256}",
    ];
    let pieces = proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.join(";"));
    prop_oneof![9 => pieces, 1 => any::<String>()]
}

fn trace_state() -> impl Strategy<Value = TraceState> {
    let own = value().prop_map(|value| ("ot".to_owned(), value));
    let other = ("[a-z][a-z0-9]{0,4}", "[ -+.-<>-~]{0,8}");
    let member = prop_oneof![1 => own, 3 => other];
    proptest::collection::vec(member, 0..34).prop_map(|members| TraceState::from_key_value(members).unwrap_or_default())
}

fn parent() -> impl Strategy<Value = SpanContext> {
    let ids = (any::<u128>(), prop_oneof![1 => Just(0), 9 => any::<u64>()]);
    (ids, any::<u8>(), any::<bool>(), trace_state()).prop_map(|((trace, span), flags, is_remote, state)| {
        let ids = (TraceId::from(trace), SpanId::from(span));
        SpanContext::new(ids.0, ids.1, TraceFlags::new(flags), is_remote, state)
    })
}

fn composable() -> impl Strategy<Value = Box<dyn ComposableSampler>> {
    let boxed = |sampler| -> Box<dyn ComposableSampler> { sampler };
    let probability = (0.0..=1.0, 1..=14_u8).prop_map(|(ratio, digits)| {
        let sampler = Probability::new(ratio).expect("a ratio");
        Box::new(sampler.with_precision(Precision::new(digits).expect("digits"))) as Box<dyn ComposableSampler>
    });
    let leaf = prop_oneof![
        1 => Just(()).prop_map(move |()| boxed(Box::new(AlwaysOn))),
        1 => Just(()).prop_map(move |()| boxed(Box::new(AlwaysOff))),
        4 => probability,
    ];
    leaf.prop_recursive(3, 8, 2, move |inner| {
        prop_oneof![
            inner
                .clone()
                .prop_map(move |root| boxed(Box::new(ParentThreshold::new(root)))),
            inner
                .clone()
                .prop_map(move |inner| boxed(Box::new(Annotating::new(inner, [KeyValue::new("a", 1)])))),
            proptest::collection::vec(inner, 0..3).prop_map(move |inner| boxed(Box::new(AnyOf::new(inner)))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn values_are_read_by_the_grammar(value in value()) {
        laws::assert_reads_by_the_grammar(&value);
    }

    #[test]
    fn every_decision_is_lawful(
        composable in composable(),
        settings in any::<[bool; 3]>(),
        parent in proptest::option::of(parent()),
        randomness in any::<u64>(),
    ) {
        let sampler = CompositeSampler::new(composable)
            .with_trust_parent_threshold(settings[0])
            .with_adjusted_count(settings[1])
            .with_explicit_randomness(settings[2]);
        let trace_id = parent.as_ref().map(SpanContext::trace_id);
        let trace_id = trace_id.unwrap_or(TraceId::from(u128::from(randomness) | 1 << 64));
        let decision = decide(&sampler, parent.as_ref(), trace_id);
        laws::assert_lawful(parent.as_ref(), trace_id, &decision);
        let stats = sampler.stats();
        prop_assert_eq!(stats.kept() + stats.dropped(), 1);
    }
}
