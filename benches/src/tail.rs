//! What it costs to hold traces until they have ended.

use std::time::Duration;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::{SpanData, SpanProcessor};

use crate::command::Failure;
use crate::load::Spans;
use crate::measure::thread_cpu;
use crate::pipelines::Pipeline;
use crate::sample::Sample;
use crate::settings::Settings;

/// A request with nine things done for it.
const SPANS: usize = 10;
/// Traces between two looks at the clock.
const TRACES: usize = 16;
/// Batches that are not timed, until buffers have grown.
const WARM_UP: usize = 64;
const PATIENCE: Duration = Duration::from_secs(30);

/// One thread ends the spans of traces, the root last, with a trace held or not. Of ours only: nobody else has a tail.
pub(crate) fn run(settings: &Settings) -> Result<Sample, Failure> {
    let (processor, account) = Pipeline::start(settings)?.into_processor();
    let mut traces = Traces {
        spans: Spans::new(1),
        next: 1,
    };
    let mut cpu = Duration::ZERO;
    for batch in 0..WARM_UP + settings.batches {
        let mut spans = traces.batch();
        let took = end_batch(&*processor, &mut spans);
        if batch >= WARM_UP {
            cpu += took;
        }
        // A queue that is full says nothing of what it costs to hold.
        if batch % 64 == 63 {
            let _ = processor.force_flush();
        }
    }
    let _ = processor.shutdown_with_timeout(PATIENCE);
    let sample = Sample::default()
        .with_ns("cpu_ns", cpu)
        .with("measured", settings.batches * TRACES * SPANS);
    account.close(sample, ((settings.batches + WARM_UP) * TRACES * SPANS) as u64)
}

/// A function of its own, so that a profiler can be told to count this and nothing else.
#[inline(never)]
fn end_batch(processor: &dyn SpanProcessor, batch: &mut Vec<SpanData>) -> Duration {
    let start = thread_cpu();
    for span in batch.drain(..) {
        processor.on_end(span);
    }
    thread_cpu() - start
}

struct Traces {
    spans: Spans,
    next: u64,
}

impl Traces {
    fn batch(&mut self) -> Vec<SpanData> {
        let mut batch = Vec::with_capacity(TRACES * SPANS);
        for _ in 0..TRACES {
            let id =
                TraceId::from(u128::from(self.next.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 64 | u128::from(self.next));
            self.next += 1;
            for number in 1..=SPANS {
                let mut span = self.spans.next();
                let span_id = SpanId::from(number as u64);
                let is_root = number == SPANS;
                span.span_context = SpanContext::new(id, span_id, TraceFlags::SAMPLED, false, TraceState::NONE);
                span.parent_span_id = if is_root {
                    SpanId::INVALID
                } else {
                    SpanId::from(SPANS as u64)
                };
                span.parent_span_is_remote = false;
                batch.push(span);
            }
        }
        batch
    }
}
