//! The walkers over encoded bytes take any bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spanwright_core::Encode;
use spanwright_otlp::{SpanEncoder, count_spans};

fuzz_target!(|bytes: &[u8]| {
    let counted = count_spans(bytes);
    assert!(
        counted.is_none_or(|spans| spans <= bytes.len() / 2),
        "a span takes two bytes at least"
    );

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
