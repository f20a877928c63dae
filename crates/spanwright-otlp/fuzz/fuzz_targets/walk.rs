//! The walkers over encoded bytes take any bytes.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use spanwright_core::{Encode, EncodedBatch, Priority};
use spanwright_otlp::{SpanEncoder, count_spans, halve, split_by_trace};

fuzz_target!(|bytes: &[u8]| {
    let counted = count_spans(bytes);
    assert!(
        counted.is_none_or(|spans| spans <= bytes.len() / 2),
        "a span takes two bytes at least"
    );

    // In two runs, so that what is read lies across their border.
    let (first, second) = bytes.split_at(bytes.len() / 3);
    let segments = [first, second].map(Bytes::copy_from_slice);
    let batch = EncodedBatch::new(segments, counted.unwrap_or(2), Priority::Normal);
    let split = split_by_trace(&batch, 3, &mut |trace_id| usize::from(trace_id[0]));
    assert_eq!(split.is_some(), counted.is_some());
    for parts in [split, halve(&batch).map(Vec::from)].into_iter().flatten() {
        let spans = parts.iter().map(|part| count_spans(&part.to_bytes()).expect("a request"));
        assert_eq!(Some(spans.sum()), counted, "nothing is lost");
    }

    let encoder = SpanEncoder::builder().build();
    let mut rest = bytes;
    while !rest.is_empty() {
        let len = encoder.record_len(rest);
        assert!(
            0 < len && len <= rest.len(),
            "a walk goes on, and stays within the bytes"
        );
        rest = &rest[len..];
    }
});
