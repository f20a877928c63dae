//! From finished spans to the bytes of a request, and nothing else.

use std::hint::black_box;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::trace::SpanData;
use prost::Message;
use spanwright_core::{Encode, ScopeId};
use spanwright_otlp::{SpanEncoder, SpanScratch};

use crate::command::Failure;
use crate::load::Spans;
use crate::measure::thread_cpu;
use crate::pipelines::resource;
use crate::sample::Sample;
use crate::settings::{Settings, Side};

/// Spans of a request: the specification's default.
const BATCH: usize = 512;

/// Requests that are not timed, until buffers have grown.
const WARM_UP: usize = 4;

/// How long it takes.
pub(crate) fn time(settings: &Settings) -> Result<Sample, Failure> {
    let mut cpu = Duration::ZERO;
    let bytes = each_batch(settings, |encode| {
        let start = thread_cpu();
        let bytes = encode_batch(encode);
        cpu += thread_cpu() - start;
        bytes
    })?;
    Ok(sample(settings, bytes).with_ns("cpu_ns", cpu))
}

/// How often it asks for memory. Under [`CountingAllocator`](spanwright_testing::CountingAllocator) only.
pub(crate) fn allocations(settings: &Settings) -> Result<Sample, Failure> {
    let mut count = 0;
    let bytes = each_batch(settings, |encode| {
        let mut bytes = 0;
        count += spanwright_testing::allocations(|| bytes = encode()).count;
        bytes
    })?;
    Ok(sample(settings, bytes).with("allocations", count))
}

/// A function of its own, so that a profiler can be told to count this and nothing else.
#[inline(never)]
fn encode_batch(encode: &mut dyn FnMut() -> usize) -> usize {
    encode()
}

fn sample(settings: &Settings, bytes: usize) -> Sample {
    Sample::default()
        .with("measured", settings.batches * BATCH)
        .with("bytes", bytes)
}

/// Calls `around` with the encoding of each batch, and adds up the bytes that it says.
///
/// Both sides get the spans by value, and drop them: the official transform takes them apart, and `on_end` of ours drops
/// them too.
fn each_batch(
    settings: &Settings,
    mut around: impl FnMut(&mut dyn FnMut() -> usize) -> usize,
) -> Result<usize, Failure> {
    let mut encode: Box<dyn FnMut(Vec<SpanData>) -> usize> = match settings.side {
        Side::Ours => {
            let mut ours = Ours::new();
            Box::new(move |spans| ours.encode(spans))
        }
        Side::Stock => {
            let resource = ResourceAttributesWithSchema::from(&resource());
            Box::new(move |spans| encode_official(spans, &resource))
        }
        Side::Noop => Box::new(|spans| {
            drop(spans);
            0
        }),
    };
    let mut spans = Spans::new(1);
    let mut bytes = 0;
    for round in 0..WARM_UP + settings.batches {
        let mut batch = Some((0..BATCH).map(|_| spans.next()).collect::<Vec<_>>());
        let mut encode = || batch.take().map_or(0, &mut encode);
        if round < WARM_UP {
            encode();
        } else {
            bytes += around(&mut encode);
        }
    }
    Ok(bytes)
}

struct Ours {
    encoder: SpanEncoder,
    scratch: SpanScratch,
    records: Vec<u8>,
    scope_header: Vec<u8>,
    request_header: Vec<u8>,
}

impl Ours {
    fn new() -> Self {
        Self {
            encoder: SpanEncoder::new(&resource()),
            scratch: SpanScratch::default(),
            records: Vec::new(),
            scope_header: Vec::new(),
            request_header: Vec::new(),
        }
    }

    /// Into buffers that are used again, as the processor does. The parts of a request are sent as they lie.
    fn encode(&mut self, spans: Vec<SpanData>) -> usize {
        let Self {
            encoder,
            scratch,
            records,
            scope_header,
            request_header,
        } = self;
        for buffer in [&mut *records, scope_header, request_header] {
            buffer.clear();
        }
        // All spans of the figures are of one scope.
        let mut scope = ScopeId::default();
        for span in spans {
            scope = encoder.encode(&span, scratch, records);
        }
        encoder.open_scope(scope, records.len(), scope_header);
        encoder.open_request(scope_header.len() + records.len(), request_header);
        black_box(request_header.len() + scope_header.len() + records.len())
    }
}

fn encode_official(spans: Vec<SpanData>, resource: &ResourceAttributesWithSchema) -> usize {
    let request = ExportTraceServiceRequest {
        resource_spans: group_spans_by_resource_and_scope(spans, resource),
    };
    black_box(request.encode_to_vec()).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_write_the_same_number_of_bytes() {
        let spans: Vec<_> = {
            let mut spans = Spans::new(1);
            (0..BATCH).map(|_| spans.next()).collect()
        };
        let official = encode_official(spans.clone(), &ResourceAttributesWithSchema::from(&resource()));
        assert_eq!(Ours::new().encode(spans), official);
    }
}
