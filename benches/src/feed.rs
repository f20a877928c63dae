//! Finished spans at a given pace: what is delivered, and what is lost.

use std::time::Duration;

use crate::command::Failure;
use crate::load::{Spans, paced};
use crate::pipelines::Pipeline;
use crate::sample::Sample;
use crate::settings::Settings;

const PATIENCE: Duration = Duration::from_secs(30);

/// Hands spans to the processor as the SDK does, but made beforehand: one thread then reaches rates that the SDK's tracer
/// would not let it reach.
pub(crate) fn run(settings: &Settings) -> Result<Sample, Failure> {
    let (processor, account) = Pipeline::start(settings)?.into_processor();
    let mut spans = Spans::new(1);
    let warm_up = paced(settings.rate, settings.warm_up, || processor.on_end(spans.next()));

    let before = account.exported();
    let pace = paced(settings.rate, settings.duration, || processor.on_end(spans.next()));
    let delivered = account.exported() - before;

    // What became of the spans is told by the account.
    let _ = processor.force_flush();
    let _ = processor.shutdown_with_timeout(PATIENCE);
    let sample = Sample::default()
        .with("delivered_meanwhile", delivered)
        .with_ns("elapsed_ns", pace.elapsed)
        .with("is_pace_kept", pace.is_kept);
    account.close(sample, warm_up.offered + pace.offered)
}
