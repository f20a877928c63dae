//! Settings of a sampler whose strategy comes from a server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use spanwright_core::{BuildError, Clock, NoopObserver, Observer, SystemClock};

use super::active::Active;
use super::client::Client;
use super::endpoint::{Endpoint, JaegerProtocol};
use super::errand::JaegerErrand;
use super::sampler::JaegerRemoteSampler;
use crate::composable::{ComposableSampler, Probability};
use crate::remote::running::{Running, check};
use crate::remote::schedule::Schedule;
use crate::remote::state::State;

/// As often as Jaeger's clients ask: its servers compute a strategy once a minute.
const POLLING_INTERVAL: Duration = Duration::from_secs(60);

/// Jaeger's clients wait as long. A server on the same host answers in a millisecond.
const TIMEOUT: Duration = Duration::from_secs(10);

/// As in Jaeger's clients: enough to see that a service is there, too little to do harm.
const INITIAL_RATIO: f64 = 0.001;

/// Settings of a [`JaegerRemoteSampler`].
pub struct JaegerRemoteSamplerBuilder {
    service_name: String,
    endpoint: Option<String>,
    protocol: Option<JaegerProtocol>,
    polling_interval: Duration,
    timeout: Duration,
    initial: Initial,
    follows_parents: bool,
    records_adjusted_count: bool,
    observer: Arc<dyn Observer>,
}

enum Initial {
    Ratio(f64),
    Sampler(Arc<dyn ComposableSampler>),
}

impl JaegerRemoteSamplerBuilder {
    pub(super) fn new() -> Self {
        Self {
            service_name: String::new(),
            endpoint: None,
            protocol: None,
            polling_interval: POLLING_INTERVAL,
            timeout: TIMEOUT,
            initial: Initial::Ratio(INITIAL_RATIO),
            follows_parents: true,
            records_adjusted_count: false,
            observer: Arc::new(NoopObserver),
        }
    }

    /// The service whose strategy is asked for: what the resource has as `service.name`. Needed.
    #[must_use]
    pub fn with_service_name(mut self, name: impl Into<String>) -> Self {
        self.service_name = name.into();
        self
    }

    /// Where the server is: `http://host:5778/sampling` over HTTP, `http://host:14250` over gRPC, both also without `http://`.
    /// Default: port 14250 of this host, as in the specification; port 5778 where the protocol is HTTP. Over HTTP an endpoint without
    /// a path gets `/sampling`. In `OTEL_TRACES_SAMPLER_ARG`: `endpoint`.
    ///
    /// There is no TLS: it is meant for an agent or a collector beside the service.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// How the server is asked. Default: over HTTP where the endpoint has a path or port 5778, else over gRPC, as in the
    /// specification.
    #[must_use]
    pub fn with_protocol(mut self, protocol: JaegerProtocol) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// The time between two polls, which is spread by a tenth to both sides; 1 ms to a day. Default: a minute, because Jaeger computes
    /// strategies once a minute. After a failure it is asked again after a second, then two, up to this interval. In
    /// `OTEL_TRACES_SAMPLER_ARG`: `pollingIntervalMs`.
    #[must_use]
    pub fn with_polling_interval(mut self, interval: Duration) -> Self {
        self.polling_interval = interval;
        self
    }

    /// How long a poll may take, from the name's look-up to the last byte; 1 ms to a day. Default: 10 s.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The share of all traces that is sampled until the first strategy comes, 0 to 1. Default: 0.001, as in Jaeger's clients. In
    /// `OTEL_TRACES_SAMPLER_ARG`: `initialSamplingRate`.
    #[must_use]
    pub fn with_initial_ratio(mut self, ratio: f64) -> Self {
        self.initial = Initial::Ratio(ratio);
        self
    }

    /// What decides until the first strategy comes, instead of a share.
    #[must_use]
    pub fn with_initial_sampler(mut self, sampler: impl ComposableSampler) -> Self {
        self.initial = Initial::Sampler(Arc::new(sampler));
        self
    }

    /// Whether spans with a parent follow it: `parentbased_jaeger_remote`. Default: yes. If not, the strategy decides for each span,
    /// which tears traces apart wherever operations differ; a limit of traces per second keeps them whole all the same.
    #[must_use]
    pub fn with_parent_based(mut self, follows_parents: bool) -> Self {
        self.follows_parents = follows_parents;
        self
    }

    /// Whether a sampled span gets the number of spans that it stands for as an attribute. Default: no; it is in the trace state.
    #[must_use]
    pub fn with_adjusted_count(mut self, records: bool) -> Self {
        self.records_adjusted_count = records;
        self
    }

    /// Hears of strategies that are applied, and of when there are none. Default: nobody.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Checks the settings, and starts the thread that asks. It asks at once.
    ///
    /// # Errors
    ///
    /// Names the setting, its value, and what is accepted; or the system cannot start a thread.
    pub fn spawn(self) -> Result<JaegerRemoteSampler, BuildError> {
        let durations = [("polling_interval", self.polling_interval), ("timeout", self.timeout)];
        check(&self.service_name, &durations)?;
        let endpoint = Endpoint::resolve(self.endpoint.as_deref(), self.protocol, &self.service_name)?;
        let initial = match self.initial {
            Initial::Ratio(ratio) => {
                BuildError::check_range("initial_ratio", ratio, 0.0..=1.0)?;
                Arc::new(Probability::new(ratio)?)
            }
            Initial::Sampler(sampler) => sampler,
        };
        let words = format!("none yet: {}", initial.description());
        let state = State::new(
            Active::Initial(initial),
            words,
            self.follows_parents,
            self.records_adjusted_count,
            self.observer,
        );
        let state = Arc::new(state);
        let errand = JaegerErrand {
            client: Client {
                endpoint,
                service_name: self.service_name,
                timeout: self.timeout,
            },
            schedule: Schedule::new(self.polling_interval, SystemClock.now(), fastrand::u64(..)),
            state: Arc::clone(&state),
        };
        Ok(JaegerRemoteSampler::new(Running::spawn(state, errand)?))
    }
}

impl fmt::Debug for JaegerRemoteSamplerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JaegerRemoteSamplerBuilder")
            .field("service_name", &self.service_name)
            .field("protocol", &self.protocol)
            .field("polling_interval", &self.polling_interval)
            .finish_non_exhaustive()
    }
}
