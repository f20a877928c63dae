//! OTLP over HTTP/1.1, with protobuf bodies.

mod client;

use spanwright_core::BuildError;

use self::client::HttpClient;
use crate::exporter::exporter;
use crate::{ExporterBuilder, Protocol};

exporter! {
    /// Delivers batches over HTTP/1.1. Clones share the pooled connections, and what they know of the receiver.
    ///
    /// Each request in flight has a connection of its own, kept for the next one; each connection resolves the endpoint's name anew.
    /// Redirects are not followed: credentials would go with them.
    ///
    /// # Cost
    ///
    /// A dozen small allocations per request. The bytes of the batch are not copied on the way to the HTTP library.
    /// Compression runs where the export is polled, on a thread that should not be the application's.
    HttpExporter over HttpClient
}

impl ExporterBuilder<HttpExporter> {
    /// Checks the settings, and makes the exporter.
    ///
    /// # Errors
    ///
    /// Names the setting, its value, and what is accepted.
    pub fn build(self) -> Result<HttpExporter, BuildError> {
        let delivery = self.deliver_over(Protocol::HttpProtobuf, b"http/1.1", HttpClient::new)?;
        Ok(HttpExporter { delivery })
    }
}
