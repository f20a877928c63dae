//! Asking a receiver how it is.
//!
//! # Source
//!
//! [gRPC, health checking](https://github.com/grpc/grpc/blob/master/doc/health-checking.md).

use std::pin::pin;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use spanwright_core::ExportError;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tonic::Code;

use super::channel::GrpcChannel;
use crate::answer;
use crate::body::Frames;
use crate::classify::local;
use crate::delivery::Delivery;
use crate::suppressed::Suppressed;

/// The method of `grpc/health/v1/health.proto`.
const CHECK: &str = "/grpc.health.v1.Health/Check";

/// The tag of the only field of a `HealthCheckRequest`: number 1, a string.
const SERVICE_TAG: u8 = 1 << 3 | 2;

/// Asks a gRPC receiver for its health, over the connection of the exporter that it comes from.
///
/// Most receivers have nobody to answer: the stock Collector does not serve this protocol. That is [`Health::Unknown`], and says
/// nothing against the receiver. So a check is for people and status pages; whether to send is better learned by sending.
///
/// ```no_run
/// # async fn check() -> Result<(), Box<dyn std::error::Error>> {
/// use spanwright_otlp::{GrpcExporter, Health};
///
/// let exporter = GrpcExporter::builder().build()?;
/// if exporter.health_checker().check().await? == Health::NotServing {
///     eprintln!("{} is not serving", exporter.endpoint());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ConnectionHealthChecker {
    delivery: Arc<Delivery<GrpcChannel>>,
    service: String,
}

/// What a receiver says of itself.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Health {
    /// It is connected, and says that it takes no requests.
    NotServing,
    /// It is connected, and says that it takes requests.
    Serving,
    /// It is connected, and says nothing: it does not serve the protocol, or does not know the service.
    Unknown,
}

impl ConnectionHealthChecker {
    pub(super) fn new(delivery: Arc<Delivery<GrpcChannel>>) -> Self {
        Self {
            delivery,
            service: String::new(),
        }
    }

    /// The service to ask for. Default: the empty name, which means the receiver as a whole.
    #[must_use]
    pub fn with_service(mut self, service: impl Into<String>) -> Self {
        self.service = service.into();
        self
    }

    /// Asks once, within the exporter's timeout.
    ///
    /// # Errors
    ///
    /// There is no connection ([`ErrorKind::Connect`](spanwright_core::ErrorKind::Connect)), no answer in time, or one that is
    /// neither a health nor "there is no such thing".
    pub async fn check(&self) -> Result<Health, ExportError> {
        Suppressed(pin!(self.ask())).await
    }

    async fn ask(&self) -> Result<Health, ExportError> {
        Handle::try_current().map_err(|_| local::no_runtime())?;
        let timeout = self.delivery.timeout;
        let deadline = Instant::now() + timeout;
        let body = Frames::grpc_message(&[self.request()], false);
        let asked = self.delivery.wire.unary(CHECK, body, None, deadline);
        let answer = match tokio::time::timeout_at(deadline, asked).await {
            Ok(answer) => answer?,
            Err(_) => return Err(local::timeout(timeout)),
        };
        if matches!(answer.code, Code::Unimplemented | Code::NotFound) {
            return Ok(Health::Unknown);
        }
        answer.status()?;
        Ok(match answer.message().map(answer::health_status) {
            Some(Ok(1)) => Health::Serving,
            Some(Ok(2)) => Health::NotServing,
            _ => Health::Unknown,
        })
    }

    /// A `HealthCheckRequest`. Field 1 with an empty string would be the default, which proto3 leaves out.
    fn request(&self) -> Bytes {
        let mut request = BytesMut::new();
        if !self.service.is_empty() {
            request.put_u8(SERVICE_TAG);
            let mut len = self.service.len();
            while len >= 0x80 {
                request.put_u8((len & 0x7f) as u8 | 0x80);
                len >>= 7;
            }
            request.put_u8(len as u8);
            request.put_slice(self.service.as_bytes());
        }
        request.freeze()
    }
}
