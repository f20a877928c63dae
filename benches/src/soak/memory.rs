//! A short outage without a disk: ours and the stock pipeline.

use std::time::Duration;

use opentelemetry_sdk::trace::SdkTracerProvider;
use spanwright_testing::{Mode, Receiver};

use super::progress::Progress;
use super::settings::Settings;
use crate::command::Failure;
use crate::load::{Application, paced};
use crate::pipelines;
use crate::sample::Sample;
use crate::settings::{Settings as Sides, Side};

/// How long what is there may take to be delivered.
const PATIENCE: Duration = Duration::from_secs(60);

/// Both with the settings that they have by themselves.
pub(super) fn run(settings: &Settings) -> Result<Sample, Failure> {
    let receiver = Receiver::builder().with_mode(Mode::Count).spawn()?;
    let progress = Progress::start();
    // Whatever the provider needs to live is kept beside it.
    let (mut application, shutdown) = start(settings.side, receiver.grpc_endpoint())?;
    let mut is_pace_kept = true;
    let mut load = |phase: &str, duration: Duration| {
        progress.say(phase);
        is_pace_kept &= paced(settings.rate, duration, || application.handle_request()).is_kept;
    };
    load("before", settings.before);
    receiver.stop_listening()?;
    load("outage", settings.outage);
    receiver.resume_listening()?;
    load("after", settings.drain);
    let made = application.made();
    shutdown()?;
    let arrived = receiver.accepted_spans();
    Ok(Sample::default()
        .with("made", made)
        .with("arrived", arrived)
        .with("lost", made.saturating_sub(arrived))
        .with("is_pace_kept", is_pace_kept))
}

type Shutdown = Box<dyn FnOnce() -> Result<(), Failure>>;

fn start(side: Side, endpoint: String) -> Result<(Application, Shutdown), Failure> {
    match side {
        Side::Ours => {
            let builder = spanwright_pipeline::Pipeline::builder().without_env();
            let pipeline = builder.with_endpoint(endpoint).with_service_name("checkout").build()?;
            let application = Application::new(pipeline.provider().clone());
            let shutdown = move || {
                pipeline.shutdown(PATIENCE)?;
                Ok(pipeline.stats().ledger().check()?)
            };
            Ok((application, Box::new(shutdown)))
        }
        side => {
            let sides = Sides {
                side,
                endpoint: Some(endpoint),
                ..Sides::default()
            };
            let (provider, account) = pipelines::Pipeline::start(&sides)?.into_provider();
            let application = Application::new(provider.clone());
            let shutdown = move || {
                // What became of the spans the receiver says.
                let _ = SdkTracerProvider::shutdown_with_timeout(&provider, PATIENCE);
                drop(account);
                Ok(())
            };
            Ok((application, Box::new(shutdown)))
        }
    }
}
