//! Whatever a request is cut into is together what it was.

use std::collections::BTreeMap;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use spanwright_core::{Encode, EncodedBatch, Priority};
use spanwright_otlp::{SpanEncoder, count_spans, halve, split_by_trace};

proptest! {
    #[test]
    fn the_parts_are_together_the_whole_and_no_trace_is_in_two(
        request in request(),
        cuts in vec(any::<prop::sample::Index>(), 0..8),
        parts in 1..6_usize,
    ) {
        let whole = batch(&request, &cuts);
        let split = split_by_trace(&whole, parts, &mut |id| usize::from(id[0]) % parts).expect("a request");
        prop_assert_eq!(split.len(), parts);
        let mut together = Vec::new();
        for (index, part) in split.iter().enumerate() {
            let decoded = decode(part);
            prop_assert!(decoded.iter().all(|item| usize::from(trace_of(&item.span)) % parts == index));
            prop_assert_eq!(part.item_count(), decoded.len());
            prop_assert_eq!(part.is_empty(), decoded.is_empty());
            prop_assert_eq!(part.priority(), Priority::High);
            together.extend(decoded);
        }
        prop_assert_eq!(sorted(together), sorted(decode(&whole)));
    }

    #[test]
    fn halves_are_the_first_spans_and_the_others(request in request(), cuts in vec(any::<prop::sample::Index>(), 0..8)) {
        let whole = batch(&request, &cuts);
        let halves = halve(&whole);
        prop_assert_eq!(halves.is_some(), whole.item_count() >= 2);
        let Some([first, second]) = halves else { return Ok(()) };
        prop_assert_eq!(first.item_count(), whole.item_count() / 2);
        let together: Vec<_> = decode(&first).into_iter().chain(decode(&second)).collect();
        prop_assert_eq!(together, decode(&whole), "in their order");
    }

    #[test]
    fn parts_put_one_behind_the_other_are_a_request(request in request(), parts in 1..6_usize) {
        let whole = batch(&request, &[]);
        let split = split_by_trace(&whole, parts, &mut |id| usize::from(id[0])).expect("a request");
        let segments: Vec<Bytes> = split.iter().flat_map(|part| part.segments().to_vec()).collect();
        let together = EncodedBatch::new(segments, whole.item_count(), Priority::High);
        prop_assert_eq!(sorted(decode(&together)), sorted(decode(&whole)));
        prop_assert!(split_by_trace(&together, parts, &mut |_| 0).is_some());
    }

    #[test]
    fn any_bytes_may_be_given(
        bytes in vec(any::<u8>(), 0..200),
        cuts in vec(any::<prop::sample::Index>(), 0..4),
        items in 0..4_usize,
    ) {
        cut_up(&segments(&bytes, &cuts), items)?;
    }

    #[test]
    fn a_damaged_request_may_be_given(
        request in request(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cuts in vec(any::<prop::sample::Index>(), 0..4),
        end in any::<prop::sample::Index>(),
    ) {
        let mut bytes = request.encode_to_vec();
        prop_assume!(!bytes.is_empty());
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        for bytes in [&bytes[..], &bytes[..end.index(bytes.len())]] {
            let items = count_spans(bytes).unwrap_or(3);
            cut_up(&segments(bytes, &cuts), items)?;
        }
    }
}

/// What can be cut up holds as many spans as it says, and so do its parts.
fn cut_up(segments: &[Bytes], items: usize) -> Result<(), TestCaseError> {
    let whole = EncodedBatch::new(segments, items, Priority::Normal);
    let counted = count_spans(&whole.to_bytes());
    let split = split_by_trace(&whole, 3, &mut |id| usize::from(id[0]));
    prop_assert_eq!(split.is_some(), counted == Some(items));
    let halves = halve(&whole).map(Vec::from);
    for parts in [split, halves].into_iter().flatten() {
        let counts: Vec<_> = parts.iter().map(|part| count_spans(&part.to_bytes())).collect();
        prop_assert_eq!(
            &counts,
            &parts.iter().map(|part| Some(part.item_count())).collect::<Vec<_>>()
        );
        prop_assert_eq!(counts.iter().flatten().sum::<usize>(), items);
    }
    Ok(())
}

/// A span with all that is said of it.
#[derive(Clone, Debug, PartialEq)]
struct Item {
    resource: Option<Resource>,
    resource_url: String,
    scope: Option<InstrumentationScope>,
    scope_url: String,
    span: Span,
}

fn decode(batch: &EncodedBatch) -> Vec<Item> {
    let request = ExportTraceServiceRequest::decode(batch.to_bytes()).expect("a request");
    let mut items = Vec::new();
    for resource_spans in request.resource_spans {
        for scope_spans in resource_spans.scope_spans {
            items.extend(scope_spans.spans.into_iter().map(|span| Item {
                resource: resource_spans.resource.clone(),
                resource_url: resource_spans.schema_url.clone(),
                scope: scope_spans.scope.clone(),
                scope_url: scope_spans.schema_url.clone(),
                span,
            }));
        }
    }
    items
}

fn sorted(items: Vec<Item>) -> Vec<String> {
    let mut texts: Vec<_> = items.iter().map(|item| format!("{item:?}")).collect();
    texts.sort();
    texts
}

fn trace_of(span: &Span) -> u8 {
    if span.trace_id.len() == 16 { span.trace_id[0] } else { 0 }
}

fn batch(request: &ExportTraceServiceRequest, cuts: &[prop::sample::Index]) -> EncodedBatch {
    let spans = request
        .resource_spans
        .iter()
        .flat_map(|resource| &resource.scope_spans)
        .map(|scope| scope.spans.len())
        .sum();
    EncodedBatch::new(segments(&request.encode_to_vec(), cuts), spans, Priority::High)
}

/// The bytes in runs: what is cut may be anywhere, also in the middle of a number.
fn segments(bytes: &[u8], cuts: &[prop::sample::Index]) -> Vec<Bytes> {
    let whole = Bytes::copy_from_slice(bytes);
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|ends| whole.slice(ends[0]..ends[1])).collect()
}

fn request() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let span = (
        0..5_u8,
        prop_oneof![9 => Just(16_usize), 1 => 0..20_usize],
        0..300_usize,
    )
        .prop_map(|(trace, id_len, name_len)| Span {
            trace_id: vec![trace; id_len],
            span_id: vec![7; 8],
            name: "n".repeat(name_len),
            ..Span::default()
        });
    let scope = (text(), text(), vec(span, 0..8)).prop_map(|(name, schema_url, spans)| ScopeSpans {
        scope: Some(InstrumentationScope {
            name,
            ..InstrumentationScope::default()
        }),
        spans,
        schema_url,
    });
    let resource = (text(), text(), vec(scope, 0..4)).prop_map(|(service, schema_url, scope_spans)| ResourceSpans {
        resource: Some(Resource {
            attributes: vec![KeyValue {
                key: "service.name".to_owned(),
                value: Some(AnyValue {
                    value: Some(Value::StringValue(service)),
                }),
                ..KeyValue::default()
            }],
            ..Resource::default()
        }),
        scope_spans,
        schema_url,
    });
    vec(resource, 0..4).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z]{1,8}"]
}

/// A delimited field.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let len = u8::try_from(content.len()).expect("short");
    [&[number << 3 | 2, len], content].concat()
}

#[test]
fn what_is_unknown_goes_with_every_part_and_the_order_of_fields_does_not_matter() {
    let span = |trace: u8| {
        // Fields before and behind the trace id.
        let content = [field(5, b"name"), field(1, &[trace; 16]), field(3, b"x")].concat();
        field(2, &content)
    };
    let scope = [
        span(0),
        field(1, &field(1, b"scope")),
        span(1),
        field(9, b"of the scope"),
    ]
    .concat();
    let resource = [field(2, &scope), field(1, b""), field(8, b"of the resource")].concat();
    let message = [field(1, &resource), field(7, b"of the request")].concat();
    let whole = EncodedBatch::new([Bytes::from(message)], 2, Priority::Normal);
    let parts = split_by_trace(&whole, 2, &mut |id| id[0].into()).expect("a request");
    for (trace, part) in (0..).zip(&parts) {
        let bytes = part.to_bytes();
        let has = |text: &[u8]| bytes.windows(text.len()).filter(|window| *window == text).count() == 1;
        assert!(has(b"of the scope") && has(b"of the resource") && has(b"of the request") && has(b"scope\x4a"));
        let items = decode(part);
        assert_eq!((items.len(), &items[0].span.trace_id), (1, &vec![trace; 16]));
        assert_eq!(items[0].scope.as_ref().map(|scope| &*scope.name), Some("scope"));
    }
}

#[test]
fn no_span_is_copied_and_neighbours_stay_together() {
    let spans: BTreeMap<u8, Vec<u8>> = (0..4)
        .map(|trace| {
            (
                trace,
                field(2, &[field(1, &[trace; 16]), field(5, &[b'n'; 90])].concat()),
            )
        })
        .collect();
    let run: Bytes = [0, 0, 1, 1, 1, 0]
        .iter()
        .flat_map(|trace| spans[trace].clone())
        .collect::<Vec<_>>()
        .into();
    let encoder = SpanEncoder::builder().build();
    let (mut head, mut header) = (Vec::new(), Vec::new());
    encoder.open_scope(spanwright_core::ScopeId::new(0), run.len(), &mut header);
    encoder.open_request(header.len() + run.len(), &mut head);
    let whole = EncodedBatch::new([head.into(), header.into(), run.clone()], 6, Priority::Normal);
    let parts = split_by_trace(&whole, 2, &mut |id| id[0].into()).expect("a request");
    let lies_in_the_run = |piece: &&Bytes| run.as_ptr_range().contains(&piece.as_ptr());
    let pieces = |part: &EncodedBatch| -> Vec<usize> {
        part.segments().iter().filter(lies_in_the_run).map(Bytes::len).collect()
    };
    let one = spans[&0].len();
    assert_eq!(
        [pieces(&parts[0]), pieces(&parts[1])],
        [vec![2 * one, one], vec![3 * one]]
    );

    let all_in_one = split_by_trace(&whole, 2, &mut |_| 1).expect("a request");
    assert!(all_in_one[0].is_empty());
    let pointers = |batch: &EncodedBatch| batch.segments().iter().map(|it| it.as_ptr()).collect::<Vec<_>>();
    assert_eq!(pointers(&all_in_one[1]), pointers(&whole), "the batch itself");
    assert_eq!(
        encoder.halve(&whole).expect("six").map(|half| half.item_count()),
        [3, 3]
    );
}

#[test]
fn what_is_not_what_it_says_is_not_cut() {
    let message = |items| {
        let span = field(2, &field(1, &[1; 16]));
        let request = field(1, &field(2, &[span.clone(), span].concat()));
        EncodedBatch::new([Bytes::from(request)], items, Priority::Normal)
    };
    let split = |batch: &EncodedBatch, parts| split_by_trace(batch, parts, &mut |_| 7).map(|parts| parts.len());
    assert_eq!(split(&message(2), 3), Some(3), "beyond the last is the last");
    assert_eq!(split(&message(2), 0), None);
    assert_eq!((split(&message(1), 3), split(&message(3), 3)), (None, None));
    assert!(halve(&message(2)).is_some() && halve(&message(3)).is_none() && halve(&message(1)).is_none());
}
