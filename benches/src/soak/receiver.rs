//! A receiver that takes its time, and then has half of its hands: what the limit of concurrent requests does.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::Value;
use spanwright_core::{Clock, SystemClock};
use spanwright_pipeline::{BatchConfig, Pipeline};
use spanwright_testing::{Mode, Receiver, Reply};

use super::progress::Progress;
use super::served::Served;
use super::settings::Settings;
use crate::command::Failure;
use crate::load::{Application, Rhythm, paced};
use crate::pipelines;
use crate::sample::Sample;
use crate::settings::{Settings as Sides, Side};

/// What is left of the queue is of no interest.
const PATIENCE: Duration = Duration::from_secs(2);

/// More spans are made than the receiver takes, so that it is the limit that decides. Every tenth of a second it is looked at.
pub(super) fn run(settings: &Settings) -> Result<Sample, Failure> {
    let receiver = Receiver::builder().with_mode(Mode::Count).spawn()?;
    let served = Served::new(settings.capacity, settings.service_time, SystemClock.now());
    let served = Arc::new(Mutex::new(served));
    let hands = Arc::clone(&served);
    receiver.set_responder(move |request| {
        let mut served = hands.lock().unwrap_or_else(PoisonError::into_inner);
        Reply::ok().after(served.serve(request.arrived))
    });
    let Side::Ours = settings.side else {
        return stock(settings, &receiver);
    };
    let pipeline = Pipeline::builder()
        .without_env()
        .with_endpoint(receiver.grpc_endpoint())
        .with_batch_config(BatchConfig::default().with_max_export_batch_size(settings.max_export_batch_size))
        .build()?;
    let load = {
        let mut application = Application::new(pipeline.provider().clone());
        let (rate, duration) = (settings.rate, settings.before + settings.outage);
        thread::spawn(move || paced(rate, duration, || application.handle_request()).is_kept)
    };
    let mut progress = Progress::start();
    let mut rhythm = Rhythm::start(10, 1);
    let mut watch = |duration: Duration, phase: &str| {
        let end = progress.elapsed() + duration;
        let (mut limits, mut accepted) = (Vec::new(), Vec::new());
        while progress.elapsed() < end {
            rhythm.wait();
            let limit = pipeline.stats().endpoints[0].concurrency_limit;
            limits.push(Value::from(limit));
            accepted.push(receiver.accepted_spans());
            progress.tell(|| format!("{phase}: limit {limit}, in flight {}", receiver.counts().in_flight));
        }
        (limits, per_second(&accepted))
    };
    let (limits_whole, per_second_whole) = watch(settings.before, "whole");
    served.lock().unwrap_or_else(PoisonError::into_inner).halve();
    let (limits_half, per_second_half) = watch(settings.outage, "half");
    let is_pace_kept = load.join().map_err(|_| "the load panicked")?;
    pipeline.shutdown(PATIENCE)?;
    pipeline.stats().ledger().check()?;
    Ok(Sample::default()
        .with("limits_whole", limits_whole)
        .with("limits_half", limits_half)
        .with("per_second_whole", per_second_whole)
        .with("per_second_half", per_second_half)
        .with("is_pace_kept", is_pace_kept))
}

/// The same load, whole capacity only.
fn stock(settings: &Settings, receiver: &Receiver) -> Result<Sample, Failure> {
    let sides = Sides {
        side: Side::Stock,
        endpoint: Some(receiver.grpc_endpoint()),
        max_export_batch_size: settings.max_export_batch_size,
        ..Sides::default()
    };
    let (provider, account) = pipelines::Pipeline::start(&sides)?.into_provider();
    let mut application = Application::new(provider.clone());
    let (mut accepted, mut progress) = (Vec::new(), Progress::start());
    while progress.elapsed() < settings.before {
        paced(settings.rate, Duration::from_millis(100), || {
            application.handle_request()
        });
        accepted.push(receiver.accepted_spans());
        progress.tell(|| format!("stock: {} spans", receiver.accepted_spans()));
    }
    let _ = SdkTracerProvider::shutdown_with_timeout(&provider, PATIENCE);
    drop(account);
    Ok(Sample::default().with("per_second_whole", per_second(&accepted)))
}

/// Spans a second in the last half of the time, of counts a tenth of a second apart.
fn per_second(accepted: &[u64]) -> f64 {
    let last = &accepted[accepted.len() / 2..];
    match last {
        [first, .., end] => (end - first) as f64 / (last.len() - 1) as f64 * 10.0,
        _ => 0.0,
    }
}
