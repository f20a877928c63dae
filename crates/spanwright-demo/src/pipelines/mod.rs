//! What stands between the service's spans and the receiver: one of three.

mod discard;
mod ours;
mod stock;
mod trouble;

use std::path::PathBuf;
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracer;
use spanwright_core::{Env, Pressure};
use spanwright_pipeline::BatchConfig;

use crate::account::Account;
use crate::choices::{Compression, Kind, Protocol, Sampling};
use crate::endpoint::Endpoint;
use crate::failure::Failure;
use crate::sampling::{Kept, Sampler};

pub(crate) use self::discard::Discard;

/// A running pipeline.
pub(crate) trait Pipeline: Send + Sync {
    /// The tracer of the service.
    fn tracer(&self) -> SdkTracer;

    /// How it is now.
    fn snapshot(&self) -> Snapshot;

    /// Delivers what is there, within `timeout`, and closes. Blocks the calling thread.
    fn shutdown(&self, timeout: Duration) -> Closing;
}

/// How a pipeline is at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) account: Account,
    /// Spans that wait for a request; where the pipeline tells.
    pub(crate) queue: Option<u64>,
    /// Requests under way.
    pub(crate) in_flight: u64,
    /// Whether the receiver answered the last one; where the pipeline tells.
    pub(crate) answers: Option<bool>,
    /// Where the pipeline has such.
    pub(crate) endpoints: Vec<Endpoint>,
    /// Traces kept and dropped.
    pub(crate) kept: Kept,
}

/// How a pipeline ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Closing {
    pub(crate) account: Account,
    /// What its own shutdown complained of.
    pub(crate) complaint: Option<String>,
    /// Why an export failed last, if one did.
    pub(crate) trouble: Option<String>,
    /// Why the disk took nothing at the end, if it did not.
    pub(crate) disk_trouble: Option<String>,
    /// Where the pipeline has such.
    pub(crate) endpoints: Vec<Endpoint>,
    /// Traces kept and dropped.
    pub(crate) kept: Kept,
}

/// Where a pipeline delivers to.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) endpoint: String,
    pub(crate) protocol: Protocol,
    pub(crate) compression: Compression,
    /// For a pipeline that can keep on disk what it cannot deliver.
    pub(crate) spool: Option<PathBuf>,
}

/// Starts one, with threads of its own, for the spans that this sampler keeps.
pub(crate) fn start(kind: Kind, target: &Target, sampling: Sampling) -> Result<Box<dyn Pipeline>, Failure> {
    let pressure = Pressure::new();
    let sampler = Sampler::start(sampling, pressure.clone())?;
    Ok(match kind {
        Kind::Spanwright => Box::new(ours::Ours::start(target, sampler, pressure)?),
        Kind::Stock => Box::new(stock::Stock::start(target, sampler)?),
    })
}

/// The instrumentation scope of the service's spans.
const SCOPE: &str = "shop";
const SERVICE_NAME: &str = "spanwright-demo";

/// What ours has when nothing else is set, for the other as well: neither has more room.
fn batch_config() -> BatchConfig {
    BatchConfig::for_available_memory().with_env(&Env::process())
}

fn resource() -> Resource {
    Resource::builder().with_service_name(SERVICE_NAME).build()
}
