//! Everything that can be read of a pipeline.

use std::sync::Arc;

use spanwright_batching::Stats;
use spanwright_core::Ledger;
use spanwright_spool::SpoolStats;

#[cfg(any(feature = "grpc", feature = "http"))]
use crate::endpoints::EndpointStats;

/// Where every span is, and how those are doing that it goes through.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PipelineStats {
    /// Where every span is, for each destination, at one moment: exported, rejected, lost, pending; and of the pending ones how many
    /// are parked in memory or spooled on disk.
    pub delivery: Stats,
    /// The endpoints of the OTLP exporter, in their order.
    #[cfg(any(feature = "grpc", feature = "http"))]
    #[cfg_attr(docsrs, doc(cfg(any(feature = "grpc", feature = "http"))))]
    pub endpoints: Vec<EndpointStats>,
    /// The spool of each destination, by its name. None without a spool.
    pub spools: Vec<(Arc<str>, SpoolStats)>,
}

impl PipelineStats {
    /// The ledger of the first destination.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.delivery.ledger()
    }
}
