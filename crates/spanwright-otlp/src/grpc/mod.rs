//! OTLP over gRPC.

mod channel;
mod health;

use http::HeaderValue;
use spanwright_core::{BuildError, Receipt};
use tokio::time::Instant;
use tonic::Code;

pub use self::health::{ConnectionHealthChecker, Health};

use self::channel::{Answer, GrpcChannel};
use crate::answer;
use crate::body::Frames;
use crate::classify::{EncodingVerdict, grpc};
use crate::delivery::{Failure, Message, Wire};
use crate::exporter::exporter;
use crate::{ExporterBuilder, Protocol};

/// The method of `opentelemetry/proto/collector/trace/v1/trace_service.proto`.
const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

exporter! {
    /// Delivers batches over gRPC. Clones share the connection, and what they know of the receiver.
    ///
    /// The connection is made by the first request, kept alive by pings, and made anew by the next request after it broke; each resolves
    /// the endpoint's name anew.
    /// Requests run side by side on it; how many is for the layer above to limit.
    ///
    /// # Cost
    ///
    /// A dozen small allocations per request. The bytes of the batch are not copied on the way to the HTTP/2 library.
    /// Compression runs where the export is polled, on a thread that should not be the application's.
    GrpcExporter over GrpcChannel
}

impl GrpcExporter {
    /// Asks this exporter's receiver for its health, over this exporter's connection.
    #[must_use]
    pub fn health_checker(&self) -> ConnectionHealthChecker {
        ConnectionHealthChecker::new(self.delivery.clone())
    }
}

impl ExporterBuilder<GrpcExporter> {
    /// Checks the settings, and makes the exporter.
    ///
    /// # Errors
    ///
    /// Names the setting, its value, and what is accepted.
    pub fn build(self) -> Result<GrpcExporter, BuildError> {
        let delivery = self.deliver_over(Protocol::Grpc, b"h2", GrpcChannel::new)?;
        Ok(GrpcExporter { delivery })
    }
}

impl Wire for GrpcChannel {
    async fn send(&self, message: Message, deadline: Instant) -> Result<Receipt, Failure> {
        let encoding = message.encoding();
        let is_compressed = message.is_compressed();
        let body = Frames::grpc_message(message.segments(), is_compressed);
        let header = is_compressed.then(|| HeaderValue::from_static(encoding.as_str()));
        let answer = self.unary(EXPORT, body, header, deadline).await?;
        let verdict = encoding_verdict(encoding, &answer);
        answer.status().map_err(|error| Failure {
            error,
            encoding: verdict,
        })?;
        // The status says that it was taken. What cannot be read beside that is a remark.
        Ok(match answer.message().map(answer::export_response) {
            Some(Ok(receipt)) => receipt,
            Some(Err(answer::Malformed)) | None => Receipt::partial(0, "the answer could not be read"),
        })
    }
}

fn encoding_verdict(sent: spanwright_core::ContentEncoding, answer: &Answer) -> EncodingVerdict {
    if answer.code == Code::Ok {
        return EncodingVerdict::Unrelated;
    }
    grpc::encoding_verdict(sent, answer.code, &answer.text, answer.accepted_encodings())
}
