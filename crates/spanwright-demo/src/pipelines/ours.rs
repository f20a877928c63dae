//! Spanwright's own.

use std::time::Duration;

use opentelemetry_sdk::trace::SdkTracer;
use spanwright_core::BuildError;
use spanwright_pipeline::{Compression, Protocol};

use super::{Closing, Pipeline, SCOPE, SERVICE_NAME, Snapshot, Target};
use crate::account::Account;
use crate::args;

#[derive(Debug)]
pub(super) struct Ours(spanwright_pipeline::Pipeline);

impl Ours {
    pub(super) fn start(target: &Target) -> Result<Self, BuildError> {
        spanwright_pipeline::Pipeline::builder()
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
            .build()
            .map(Self)
            .map_err(|error| as_flag(&error))
    }
}

impl Pipeline for Ours {
    fn tracer(&self) -> SdkTracer {
        self.0.tracer(SCOPE)
    }

    fn snapshot(&self) -> Snapshot {
        let stats = self.0.stats();
        let in_flight = stats
            .destinations
            .iter()
            .map(|destination| destination.requests_in_flight);
        Snapshot {
            account: Account::from(stats.ledger()),
            queue: Some(stats.queue_size as u64),
            in_flight: in_flight.sum::<usize>() as u64,
        }
    }

    fn shutdown(&self, timeout: Duration) -> Closing {
        let complaint = self.0.shutdown(timeout).err().map(|error| error.to_string());
        // The report of a shutdown covers what ended before it; the ledger has everything.
        let account = Account::from(self.0.stats().ledger());
        Closing { account, complaint }
    }
}

/// The fields that are set here have the names of the flags that they come from.
fn as_flag(error: &BuildError) -> BuildError {
    let flag = format!("--{}", error.field());
    BuildError::new(flag, error.value(), error.accepted().to_owned())
}
