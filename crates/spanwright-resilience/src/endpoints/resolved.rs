//! The exporters to the addresses of a name.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use parking_lot::Mutex;
use spanwright_core::{BoxExporter, BuildError, ErrorKind, ExportError};
use tokio::runtime::{Handle, Id};
use tokio::time::{Sleep, sleep_until, timeout};

use super::discover::{Change, Discover};
use super::members::{MemberChange, Members, ResolveConfig, ResolveCounts};
use super::resolve::{Resolve, ResolveFuture, SystemResolver};

/// An exporter to each address that a name resolves to, resolved again and again: for receivers behind a headless service of
/// Kubernetes, which come and go, and which a single connection would never spread over.
///
/// Asked when a request is to be sent, so an idle program asks no name server. While a question is under way, requests go to the
/// addresses that are known; only the first answer is waited for. The exporters are named by their addresses. Each address is a
/// receiver: one that is reached by several (IPv4 and IPv6, say) counts as several.
///
/// ```no_run
/// use spanwright_core::BoxExporter;
/// use spanwright_resilience::{Balance, BreakerConfig, CircuitBreaker, CircuitBreakerLayer, Resolved};
/// # use spanwright_otlp::GrpcExporter;
/// use tower_layer::Layer;
///
/// let collectors = Resolved::new("collector-headless:4317", |address| {
///     let exporter = GrpcExporter::builder()
///         .with_endpoint("http://collector-headless:4317")
///         .with_address(address)
///         .build()?;
///     let breaker = CircuitBreaker::new(BreakerConfig::default())?;
///     Ok(BoxExporter::new(CircuitBreakerLayer::new(breaker).layer(exporter)))
/// })?;
/// let exporter = Balance::over(collectors);
/// # Ok::<_, spanwright_core::BuildError>(())
/// ```
pub struct Resolved {
    endpoint: Box<str>,
    config: ResolveConfig,
    resolver: Box<dyn Resolve>,
    make: Box<Make>,
    /// Made when it is first asked: the time is that of the runtime.
    members: Option<Members>,
    question: Option<ResolveFuture>,
    timer: Option<Pin<Box<Sleep>>>,
    /// The runtime that question and timer are of. Another may have taken its place.
    runtime: Option<Id>,
    changes: VecDeque<Change>,
    connection_failed: bool,
    last_error: Option<String>,
    watch: ResolvedWatch,
}

type Make = dyn FnMut(SocketAddr) -> Result<BoxExporter, BuildError> + Send;

/// Looks at a [`Resolved`] from outside, wherever that has gone.
#[derive(Clone, Debug, Default)]
pub struct ResolvedWatch {
    shared: Arc<Mutex<(Vec<SocketAddr>, ResolveCounts)>>,
}

impl ResolvedWatch {
    /// The addresses that are used, in ascending order.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.shared.lock().0.clone()
    }

    /// What came of the questions.
    #[must_use]
    pub fn counts(&self) -> ResolveCounts {
        self.shared.lock().1
    }
}

impl Resolved {
    /// The addresses of `endpoint`, which is `host:port`; `make` makes the exporter to each. An address that it makes none for is left
    /// out until the next answer.
    ///
    /// # Errors
    ///
    /// `endpoint` is not a host and a port.
    pub fn new(
        endpoint: impl Into<String>,
        make: impl FnMut(SocketAddr) -> Result<BoxExporter, BuildError> + Send + 'static,
    ) -> Result<Self, BuildError> {
        let endpoint = endpoint.into();
        if !is_host_and_port(&endpoint) {
            let accepted = "a host and a port without a scheme, for instance `collector:4317`";
            return Err(BuildError::new("endpoint", endpoint, accepted));
        }
        Ok(Self {
            endpoint: endpoint.into(),
            config: ResolveConfig::default(),
            resolver: Box::new(SystemResolver),
            make: Box::new(make),
            members: None,
            question: None,
            timer: None,
            runtime: None,
            changes: VecDeque::new(),
            connection_failed: false,
            last_error: None,
            watch: ResolvedWatch::default(),
        })
    }

    /// When the name is resolved again. Default: every 30 s, and within 5 s of a failed connection.
    ///
    /// # Errors
    ///
    /// A setting outside of its range.
    pub fn with_config(mut self, config: ResolveConfig) -> Result<Self, BuildError> {
        config.validate()?;
        self.config = config;
        Ok(self)
    }

    /// Who is asked. Default: the system.
    #[must_use]
    pub fn with_resolver(mut self, resolver: impl Resolve) -> Self {
        self.resolver = Box::new(resolver);
        self
    }

    /// To see what it does when it is out of sight.
    #[must_use]
    pub fn watch(&self) -> ResolvedWatch {
        self.watch.clone()
    }

    /// Makes sure that question and timer are of the current runtime: others would never end, or panic. Whether there is one.
    fn settle_in(&mut self) -> bool {
        let Ok(here) = Handle::try_current() else {
            self.last_error = Some("it must be run on a Tokio runtime with I/O and time enabled".to_owned());
            return false;
        };
        if self.runtime.replace(here.id()) != Some(here.id()) {
            self.timer = None;
            if self.question.is_some() {
                self.ask();
            }
        }
        true
    }

    fn ask(&mut self) {
        let (limit, question) = (self.config.timeout, self.resolver.resolve(&self.endpoint));
        self.question = Some(Box::pin(async move {
            let too_late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {limit:?}"));
            timeout(limit, question).await.map_err(too_late)?
        }));
    }

    /// Takes an answer in.
    fn learn(&mut self, now: Instant, answer: io::Result<Vec<SocketAddr>>) {
        let Some(members) = &mut self.members else {
            return;
        };
        // Whatever has failed, failed before this was known.
        self.connection_failed = false;
        self.last_error = match &answer {
            Ok(addresses) if addresses.is_empty() => Some("the answer has no address".to_owned()),
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        };
        let MemberChange { added, removed, .. } = match answer {
            Ok(addresses) => members.answered(now, addresses),
            Err(_) => members.failed(now),
        };
        for address in added {
            match (self.make)(address) {
                Ok(exporter) => self.changes.push_back(Change::Insert(name(address), exporter)),
                Err(error) => {
                    members.forget(address);
                    self.last_error = Some(error.to_string());
                }
            }
        }
        // Those that are new first, so that there is somebody at any moment.
        self.changes
            .extend(removed.into_iter().map(|address| Change::Remove(name(address))));
        *self.watch.shared.lock() = (members.current().collect(), members.counts());
    }
}

impl Discover for Resolved {
    fn poll_change(&mut self, cx: &mut Context<'_>) -> Poll<Change> {
        if !self.settle_in() {
            return Poll::Pending;
        }
        loop {
            if let Some(change) = self.changes.pop_front() {
                return Poll::Ready(change);
            }
            let now = tokio::time::Instant::now();
            if let Some(question) = &mut self.question {
                let Poll::Ready(answer) = question.as_mut().poll(cx) else {
                    return Poll::Pending;
                };
                self.question = None;
                self.learn(now.into_std(), answer);
                continue;
            }
            if self.members.is_none() {
                // Checked when it was set.
                self.members = Members::new(self.config, now.into_std()).ok();
            }
            let Some(members) = &mut self.members else {
                return Poll::Pending;
            };
            if std::mem::take(&mut self.connection_failed) {
                members.connection_failed(now.into_std());
            }
            let next = members.next_question();
            if next <= now.into_std() {
                members.asked(now.into_std());
                self.ask();
                self.timer = None;
                continue;
            }
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(next.into())));
            if timer.deadline() != next.into() {
                timer.as_mut().reset(next.into());
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn absence(&self) -> Option<ExportError> {
        if self.question.is_some() {
            return None;
        }
        let why = self.last_error.as_deref()?;
        let now = tokio::time::Instant::now().into_std();
        let next = self.members.as_ref().map(Members::next_question);
        let wait = next.map(|next| next.saturating_duration_since(now));
        let message = format!("no address of {}: {why}", self.endpoint);
        Some(ExportError::new(ErrorKind::Connect, "resolve", message).with_retry_after(wait))
    }

    fn connection_failed(&mut self) {
        self.connection_failed = true;
    }
}

fn name(address: SocketAddr) -> Arc<str> {
    address.to_string().into()
}

fn is_host_and_port(endpoint: &str) -> bool {
    let Some((host, port)) = endpoint.rsplit_once(':') else {
        return false;
    };
    let is_host = match host.strip_prefix('[') {
        Some(rest) => rest
            .strip_suffix(']')
            .is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok()),
        None => !host.is_empty() && !host.contains([':', '/', '@', '[', ']']) && !host.contains(char::is_whitespace),
    };
    is_host && port.bytes().all(|digit| digit.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

impl fmt::Debug for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolved")
            .field("endpoint", &self.endpoint)
            .field("config", &self.config)
            .field("watch", &self.watch)
            .finish_non_exhaustive()
    }
}
