//! CPU time of the whole process for spans that an application makes at a given pace.

use std::time::Duration;

use crate::command::Failure;
use crate::load::{Application, paced};
use crate::measure::process_cpu;
use crate::pipelines::Pipeline;
use crate::sample::Sample;
use crate::settings::Settings;

const PATIENCE: Duration = Duration::from_secs(30);

/// Measures from a moment when nothing is under way to the next such moment, so that all work for the spans in between counts,
/// and nothing else: the connection is made, and buffers have grown.
pub(crate) fn run(settings: &Settings) -> Result<Sample, Failure> {
    let (provider, account) = Pipeline::start(settings)?.into_provider();
    let mut application = Application::new(provider);
    paced(settings.rate, settings.warm_up, || application.handle_request());
    application.flush();

    let before = (process_cpu(), account.exported());
    let pace = paced(settings.rate, settings.duration, || application.handle_request());
    application.flush();
    let after = (process_cpu(), account.exported());

    application.shutdown(PATIENCE);
    let sample = Sample::default()
        .with_ns("cpu_ns", after.0 - before.0)
        .with("measured_offered", pace.offered)
        .with("measured_exported", after.1 - before.1)
        .with("is_pace_kept", pace.is_kept);
    account.close(sample, application.made())
}
