//! Spanwright's own.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::trace::SdkTracer;
use spanwright_core::{BuildError, Observer, Pressure};
use spanwright_pipeline::{Compression, Protocol};

use super::trouble::Trouble;
use super::{Closing, Pipeline, SCOPE, SERVICE_NAME, Snapshot, Target};
use crate::account::Account;
use crate::args;
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
                args::Protocol::Grpc => Protocol::Grpc,
                args::Protocol::Http => Protocol::HttpProtobuf,
            })
            .with_compression(match target.compression {
                args::Compression::None => Compression::None,
                args::Compression::Gzip => Compression::Gzip,
                args::Compression::Zstd => Compression::Zstd,
            })
            .with_observer(Arc::clone(&trouble) as Arc<dyn Observer>)
            .with_sampler(head)
            .with_pressure(pressure);
        let builder = match tail {
            Some(tail) => builder.with_tail(tail),
            None => builder,
        };
        let pipeline = builder.build().map_err(|error| as_flag(&error))?;
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
        let stats = self.pipeline.stats().delivery;
        let parked: u64 = stats.destinations.iter().map(|destination| destination.parked).sum();
        let in_flight = stats
            .destinations
            .iter()
            .map(|destination| destination.requests_in_flight);
        Snapshot {
            account: Account::from(stats.ledger()),
            queue: Some(stats.queue_size as u64 + parked),
            in_flight: in_flight.sum::<usize>() as u64,
            kept: self.watch.kept(),
        }
    }

    fn shutdown(&self, timeout: Duration) -> Closing {
        let complaint = self.pipeline.shutdown(timeout).err().map(|error| error.to_string());
        // The report of a shutdown covers what ended before it; the ledger has everything.
        let account = Account::from(self.pipeline.stats().ledger());
        let trouble = self.trouble.last();
        Closing {
            account,
            complaint,
            trouble,
            kept: self.watch.kept(),
        }
    }
}

/// The fields that are set here have the names of the flags that they come from.
fn as_flag(error: &BuildError) -> BuildError {
    let flag = format!("--{}", error.field());
    BuildError::new(flag, error.value(), error.accepted().to_owned())
}
