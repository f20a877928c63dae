//! Resident memory while the receiver is away.

use std::net::TcpListener;
use std::time::Duration;

use crate::command::Failure;
use crate::load::{Application, paced};
use crate::measure::{Resident, ResidentWatch};
use crate::pipelines::Pipeline;
use crate::sample::Sample;
use crate::settings::Settings;

/// Nothing will be delivered any more.
const PATIENCE: Duration = Duration::from_secs(1);

/// The start is before there is a pipeline: all that it needs counts.
pub(crate) fn run(settings: &Settings) -> Result<Sample, Failure> {
    let start = Resident::read()?;
    let watch = ResidentWatch::start()?;
    let settings = Settings {
        endpoint: Some(nobody_listens()?),
        ..settings.clone()
    };
    let (provider, account) = Pipeline::start(&settings)?.into_provider();
    let mut application = Application::new(provider);
    let pace = paced(settings.rate, settings.duration, || application.handle_request());
    let seen = watch.finish();
    let end = Resident::read()?;
    let held = account.pending();
    application.shutdown(PATIENCE);
    let sample = Sample::default()
        .with("start_bytes", start.now_bytes)
        .with("end_bytes", end.now_bytes)
        .with("peak_bytes", end.peak_bytes.max(seen))
        .with("held_spans", held)
        .with("is_pace_kept", pace.is_kept);
    account.close(sample, application.made())
}

/// An address that was free a moment ago: connections to it are refused.
fn nobody_listens() -> Result<String, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    Ok(format!("http://{}", listener.local_addr()?))
}
