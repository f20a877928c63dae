//! No decision loses what is not its own, and none says of a span what is not so.
#![no_main]

#[path = "../../tests/support/laws.rs"]
#[allow(dead_code, reason = "the other target uses the rest")]
mod laws;

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceFlags, TraceState};
use opentelemetry::{KeyValue, TraceId};
use spanwright_sampling::{
    AlwaysOff, AlwaysOn, Annotating, AnyOf, ComposableSampler, CompositeSampler, ParentThreshold, Precision, Probability,
    Sampler, StartingSpan,
};

fuzz_target!(|bytes: &[u8]| {
    // What the input does not say is as it is left.
    let _ = check(&mut Unstructured::new(bytes));
});

fn check(input: &mut Unstructured<'_>) -> Result<()> {
    let sampler = CompositeSampler::new(composable(input, 3)?)
        .with_trust_parent_threshold(input.arbitrary()?)
        .with_adjusted_count(input.arbitrary()?)
        .with_explicit_randomness(input.arbitrary()?);
    let trace_id = TraceId::from(input.arbitrary::<u128>()?);
    let parent = if input.arbitrary()? { Some(parent(input, trace_id)?) } else { None };
    let span = StartingSpan::new(parent.as_ref(), trace_id, "GET /", &SpanKind::Server);
    sampler.explain(&span);
    let decision = sampler.sample(&span);
    laws::assert_lawful(parent.as_ref(), trace_id, &decision);
    let stats = sampler.stats();
    assert_eq!(stats.kept() + stats.dropped(), 1, "a question was counted");
    Ok(())
}

fn composable(input: &mut Unstructured<'_>, depth: u8) -> Result<Box<dyn ComposableSampler>> {
    let kinds = if depth == 0 { 2 } else { 5 };
    Ok(match input.int_in_range(0..=kinds)? {
        0 => Box::new(AlwaysOn),
        1 => Box::new(AlwaysOff),
        2 => {
            let ratio = input.arbitrary::<f64>()?.abs().min(1.0);
            let precision = Precision::new(input.int_in_range(1..=14)?).unwrap_or(Precision::FULL);
            match Probability::new(ratio) {
                Ok(sampler) => Box::new(sampler.with_precision(precision)),
                Err(_) => Box::new(AlwaysOff),
            }
        }
        3 => Box::new(ParentThreshold::new(composable(input, depth - 1)?)),
        4 => Box::new(Annotating::new(composable(input, depth - 1)?, [KeyValue::new("a", i64::from(depth))])),
        _ => {
            let samplers = [composable(input, depth - 1)?, composable(input, depth - 1)?];
            Box::new(AnyOf::new(samplers))
        }
    })
}

fn parent(input: &mut Unstructured<'_>, trace_id: TraceId) -> Result<SpanContext> {
    let span_id = SpanId::from(u64::from(input.arbitrary::<u8>()?));
    let (flags, is_remote) = (TraceFlags::new(input.arbitrary()?), input.arbitrary()?);
    let mut members = Vec::new();
    for _ in 0..input.int_in_range(0..=33)? {
        members.push(member(input)?);
    }
    // What is no trace state is none, as in a header.
    let state = TraceState::from_key_value(members).unwrap_or(TraceState::NONE);
    Ok(SpanContext::new(trace_id, span_id, flags, is_remote, state))
}

/// Of few keys, so that they meet, and of pieces that make values.
fn member(input: &mut Unstructured<'_>) -> Result<(&'static str, String)> {
    let key = *input.choose(&["ot", "a", "b", "ot@c", "o", "ott"])?;
    let mut value = String::new();
    while value.len() < 300 && input.arbitrary()? {
        match input.int_in_range(0..=5)? {
            0 => value.push_str(input.choose(&["th:", "rv:", "x:", "y1:"])?),
            1 => value.push(';'),
            2 => value.push_str(&format!("{:x}", input.arbitrary::<u64>()?)),
            3 => value.push_str(&format!("{:014x}", input.arbitrary::<u64>()? >> 8)),
            4 => value.push_str(input.arbitrary()?),
            _ => value.push_str(&"y".repeat(usize::from(input.arbitrary::<u8>()?))),
        }
    }
    Ok((key, value))
}
