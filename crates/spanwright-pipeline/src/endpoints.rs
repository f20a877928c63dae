//! The receivers, and what stands in front of each.
//!
//! ```text
//! processor: deadline, parking and sending again ─► one of several ─► breaker ─► concurrency limit ─► transport
//!                                                          │
//!                                                          └─► breaker ─► concurrency limit ─► transport
//! ```
//!
//! The breaker and the limit are in front of each endpoint and not of all of them: what they learn is of that endpoint.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use spanwright_core::{BoxExporter, BuildError, Exporter};
use spanwright_otlp::split_by_trace;
use spanwright_resilience::{
    AdaptiveConcurrency, Aimd, Balance, BreakerConfig, BreakerCounts, BreakerState, CircuitBreaker,
    CircuitBreakerLayer, Concurrency, ConcurrencyLimitLayer, Failover, FixedLimit, Gradient, Resolved, ResolvedWatch,
    TraceHash,
};
use tower_layer::Layer as _;

/// Which of several endpoints gets a request.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum EndpointStrategy {
    /// Any that takes requests; of two that are drawn by chance, the less loaded.
    Balance,
    /// The first one that is there, in their order, and an earlier one again as soon as it is back. The default.
    #[default]
    Failover,
    /// Each trace to one of them, the same for all who have the same endpoints, as long as that is there: for collectors that sample
    /// by tail. Requests are split by trace.
    TraceHash,
}

/// How many requests may be under way to one endpoint: up to
/// [`max_concurrent_exports`](spanwright_batching::BatchConfig::with_max_concurrent_exports), and below that
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ConcurrencyLimit {
    /// as many as do not make round trips longer: [`AdaptiveConcurrency`]. The default.
    #[default]
    Adaptive,
    /// one more after each success and a tenth fewer after a failure: [`Aimd`].
    Aimd,
    /// as many as always.
    Fixed,
    /// as many as the ratio of short and long round trips says: [`Gradient`].
    Gradient,
}

/// How an endpoint is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndpointStats {
    /// Its URL.
    pub endpoint: Arc<str>,
    /// Its address, where that was found by resolving the URL's name.
    pub address: Option<SocketAddr>,
    /// Whether its breaker lets requests through.
    pub breaker: BreakerState,
    /// What the breaker has done so far.
    pub breaker_counts: BreakerCounts,
    /// How many requests may be under way now.
    pub concurrency_limit: usize,
    /// How many are, with the one that is about to be.
    pub requests_in_flight: usize,
}

/// What is set of all of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct EndpointSettings {
    pub(crate) strategy: EndpointStrategy,
    pub(crate) breaker: BreakerConfig,
    pub(crate) limit: ConcurrencyLimit,
}

/// What a pipeline knows of its endpoints.
#[derive(Clone, Debug, Default)]
pub(crate) struct Endpoints {
    /// All that there ever were, where they come and go.
    endpoints: Arc<Mutex<Vec<Endpoint>>>,
    /// Which of them there are.
    watch: Option<ResolvedWatch>,
}

/// One of them.
#[derive(Clone)]
pub(crate) struct Endpoint {
    url: Arc<str>,
    address: Option<SocketAddr>,
    breaker: CircuitBreaker,
    concurrency: Concurrency,
}

/// Where a limit that adapts begins: what a burst needs, and few enough for a receiver that is slow.
const FIRST_LIMIT: usize = 16;

impl EndpointSettings {
    /// Puts in front of an exporter what belongs there.
    pub(crate) fn stack(
        &self,
        url: &str,
        address: Option<SocketAddr>,
        exporter: impl Exporter,
        max_concurrent: usize,
    ) -> Result<(Endpoint, BoxExporter), BuildError> {
        let endpoint = Endpoint {
            url: Arc::from(url),
            address,
            breaker: CircuitBreaker::new(self.breaker.clone())?,
            concurrency: self.limit.concurrency(max_concurrent)?,
        };
        let exporter = ConcurrencyLimitLayer::new(endpoint.concurrency.clone()).layer(exporter);
        let exporter = CircuitBreakerLayer::new(endpoint.breaker.clone()).layer(exporter);
        Ok((endpoint, BoxExporter::new(exporter)))
    }

    /// One exporter of them all.
    pub(crate) fn join(&self, stacks: Vec<(Endpoint, BoxExporter)>) -> Result<(Endpoints, BoxExporter), BuildError> {
        let endpoints = stacks.iter().map(|(endpoint, _)| endpoint.clone()).collect();
        let mut exporters: Vec<_> = stacks
            .into_iter()
            .map(|(endpoint, exporter)| (endpoint.url, exporter))
            .collect();
        let exporter = match (exporters.len(), self.strategy) {
            (1, _) => exporters.remove(0).1,
            (_, EndpointStrategy::Failover) => BoxExporter::new(Failover::new(exporters)?),
            (_, EndpointStrategy::Balance) => BoxExporter::new(Balance::new(exporters)?),
            (_, EndpointStrategy::TraceHash) => BoxExporter::new(TraceHash::new(exporters, split_by_trace)?),
        };
        let endpoints = Endpoints {
            endpoints: Arc::new(Mutex::new(endpoints)),
            watch: None,
        };
        Ok((endpoints, exporter))
    }

    /// One exporter of those to all addresses of an endpoint's name; `make` makes each.
    pub(crate) fn resolve(
        &self,
        endpoint: &Endpoint,
        make: impl Fn(SocketAddr) -> Result<(Endpoint, BoxExporter), BuildError> + Send + 'static,
    ) -> Result<(Endpoints, BoxExporter), BuildError> {
        let endpoints = Arc::<Mutex<Vec<Endpoint>>>::default();
        let known = Arc::clone(&endpoints);
        let addresses = Resolved::new(host_and_port(&endpoint.url), move |address| {
            let (endpoint, exporter) = make(address)?;
            let mut known = lock(&known);
            known.retain(|known| known.address != Some(address));
            known.push(endpoint);
            Ok(exporter)
        })?;
        let watch = Some(addresses.watch());
        let exporter = match self.strategy {
            EndpointStrategy::TraceHash => BoxExporter::new(TraceHash::over(addresses, split_by_trace)),
            EndpointStrategy::Balance | EndpointStrategy::Failover => BoxExporter::new(Balance::over(addresses)),
        };
        Ok((Endpoints { endpoints, watch }, exporter))
    }
}

/// Of an exporter's URL, which has a scheme and a host.
fn host_and_port(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let authority = rest.split('/').next().unwrap_or_default();
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
    match (has_port, scheme) {
        (true, _) => authority.to_owned(),
        (false, "https") => format!("{authority}:443"),
        (false, _) => format!("{authority}:80"),
    }
}

fn lock(endpoints: &Mutex<Vec<Endpoint>>) -> MutexGuard<'_, Vec<Endpoint>> {
    endpoints.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ConcurrencyLimit {
    fn concurrency(self, max: usize) -> Result<Concurrency, BuildError> {
        Ok(match self {
            Self::Adaptive => Concurrency::new(AdaptiveConcurrency::new(max)?.starting_at(FIRST_LIMIT)),
            Self::Aimd => Concurrency::new(Aimd::new(max)?),
            Self::Fixed => Concurrency::new(FixedLimit::new(max)?),
            Self::Gradient => Concurrency::new(Gradient::new(max)?),
        })
    }
}

impl Endpoints {
    pub(crate) fn stats(&self) -> Vec<EndpointStats> {
        let addresses = self.watch.as_ref().map(ResolvedWatch::addresses);
        let is_there = |endpoint: &&Endpoint| match (&addresses, endpoint.address) {
            (Some(addresses), Some(address)) => addresses.contains(&address),
            _ => true,
        };
        lock(&self.endpoints)
            .iter()
            .filter(is_there)
            .map(Endpoint::stats)
            .collect()
    }

    /// Somebody waits for so long: the breakers let probes through that were to come later.
    pub(crate) fn hurry(&self, waits: Duration) {
        let endpoints = lock(&self.endpoints);
        endpoints.iter().for_each(|endpoint| endpoint.breaker.hurry(waits));
    }
}

impl Endpoint {
    fn stats(&self) -> EndpointStats {
        EndpointStats {
            endpoint: Arc::clone(&self.url),
            address: self.address,
            breaker: self.breaker.state(),
            breaker_counts: self.breaker.counts(),
            concurrency_limit: self.concurrency.limit(),
            requests_in_flight: self.concurrency.in_flight(),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stats().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_resolved_with_the_port_of_its_url_or_of_its_scheme() {
        for (url, expected) in [
            ("http://collector:4317/", "collector:4317"),
            ("https://collector/v1/traces", "collector:443"),
            ("http://[::1]/", "[::1]:80"),
            ("http://[::1]:4317/", "[::1]:4317"),
        ] {
            assert_eq!(host_and_port(url), expected);
        }
    }
}
