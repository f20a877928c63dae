//! Spanwright's own.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::trace::SdkTracer;
use spanwright_core::{BuildError, Observer, Pressure};
use spanwright_pipeline::{BreakerState, Compression, PipelineStats, Protocol};

use super::trouble::Trouble;
use super::{Closing, Pipeline, SCOPE, SERVICE_NAME, Snapshot, Target};
use crate::account::Account;
use crate::choices;
use crate::endpoint::Endpoint;
use crate::sampling::{Sampler, Watch};

#[derive(Debug)]
pub(super) struct Ours {
    pipeline: spanwright_pipeline::Pipeline,
    trouble: Arc<Trouble>,
    watch: Watch,
}

impl Ours {
    pub(super) fn start(target: &Target, sampler: Sampler, pressure: Pressure) -> Result<Self, BuildError> {
        let Sampler { head, tail, watch } = sampler;
        let trouble = Arc::new(Trouble::default());
        let builder = spanwright_pipeline::Pipeline::builder()
            .with_service_name(SERVICE_NAME)
            .with_endpoint(&target.endpoint)
            .with_protocol(match target.protocol {
                choices::Protocol::Grpc => Protocol::Grpc,
                choices::Protocol::Http => Protocol::HttpProtobuf,
            })
            .with_compression(match target.compression {
                choices::Compression::None => Compression::None,
                choices::Compression::Gzip => Compression::Gzip,
                choices::Compression::Zstd => Compression::Zstd,
            })
            .with_observer(Arc::clone(&trouble) as Arc<dyn Observer>)
            .with_sampler(head)
            .with_pressure(pressure);
        let builder = match tail {
            Some(tail) => builder.with_tail(tail),
            None => builder,
        };
        let builder = match &target.spool {
            Some(directory) => builder.with_spool(directory),
            None => builder,
        };
        let pipeline = builder.build().map_err(as_flag)?;
        Ok(Self {
            pipeline,
            trouble,
            watch,
        })
    }
}

impl Pipeline for Ours {
    fn tracer(&self) -> SdkTracer {
        self.pipeline.tracer(SCOPE)
    }

    fn snapshot(&self) -> Snapshot {
        let stats = self.pipeline.stats();
        let destinations = &stats.delivery.destinations;
        let in_flight = destinations.iter().map(|destination| destination.requests_in_flight);
        Snapshot {
            account: account(&stats),
            queue: Some(stats.delivery.queue_size as u64),
            in_flight: in_flight.sum::<usize>() as u64,
            answers: destinations.first().map(|destination| destination.is_reachable),
            endpoints: endpoints(&stats),
            kept: self.watch.kept(),
        }
    }

    fn shutdown(&self, timeout: Duration) -> Closing {
        let complaint = self.pipeline.shutdown(timeout).err().map(|error| error.to_string());
        // The report of a shutdown covers what ended before it; the ledger has everything.
        let stats = self.pipeline.stats();
        Closing {
            account: account(&stats),
            complaint,
            trouble: self.trouble.last(),
            disk_trouble: self.trouble.of_disk(),
            endpoints: endpoints(&stats),
            kept: self.watch.kept(),
        }
    }
}

/// There is one destination.
fn account(stats: &PipelineStats) -> Account {
    let mut account = Account::from(stats.ledger());
    if let Some(destination) = stats.delivery.destinations.first() {
        account.parked = destination.parked + destination.waiting;
        account.spooled = destination.spooled;
        account.replayed = destination.replayed;
    }
    account
}

fn endpoints(stats: &PipelineStats) -> Vec<Endpoint> {
    let endpoints = stats.endpoints.iter().map(|endpoint| Endpoint {
        url: endpoint.endpoint.to_string(),
        breaker: match endpoint.breaker {
            BreakerState::Closed => "closed",
            BreakerState::HalfOpen => "half open",
            BreakerState::Open => "open",
        },
        opened: endpoint.breaker_counts.opened,
        limit: endpoint.concurrency_limit as u64,
    });
    endpoints.collect()
}

/// A field that is set here, under the name of the flag that it comes from.
fn as_flag(error: BuildError) -> BuildError {
    let flag = match error.field() {
        "directory" => "--spool".to_owned(),
        field => format!("--{field}"),
    };
    let renamed = BuildError::new(flag, error.value(), error.accepted().to_owned());
    match error.source() {
        Some(source) => renamed.with_source(source.to_string()),
        None => renamed,
    }
}
