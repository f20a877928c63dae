//! Settings of a sampler whose rules come from X-Ray.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use spanwright_core::{BuildError, Clock, NoopObserver, Observer, SystemClock};

use super::client::Client;
use super::errand::XRayErrand;
use super::rules::Rules;
use super::sampler::XRaySampler;
use super::service::{Service, kind};
use crate::remote::address::Address;
use crate::remote::running::{Running, check};
use crate::remote::schedule::Schedule;
use crate::remote::state::State;

/// Where the X-Ray daemon, and the Collector's `awsproxy`, listen.
const ENDPOINT: &str = "http://localhost:2000";
const ACCEPTED: &str = "http://host:port or host:port; without a path, without user information, and without TLS";

/// As often as X-Ray's clients ask.
const POLLING_INTERVAL: Duration = Duration::from_secs(300);
const TARGET_INTERVAL: Duration = Duration::from_secs(10);

/// As for Jaeger's. A server on the same host passes an answer on within a second.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Settings of an [`XRaySampler`].
pub struct XRaySamplerBuilder {
    service: Service,
    endpoint: Option<String>,
    polling_interval: Duration,
    target_interval: Duration,
    timeout: Duration,
    follows_parents: bool,
    records_adjusted_count: bool,
    observer: Arc<dyn Observer>,
}

impl XRaySamplerBuilder {
    pub(super) fn new() -> Self {
        Self {
            service: Service::default(),
            endpoint: None,
            polling_interval: POLLING_INTERVAL,
            target_interval: TARGET_INTERVAL,
            timeout: TIMEOUT,
            follows_parents: true,
            records_adjusted_count: false,
            observer: Arc::new(NoopObserver),
        }
    }

    /// What the resource has as `service.name`, for the rules' `ServiceName`. Needed.
    #[must_use]
    pub fn with_service_name(mut self, name: impl Into<String>) -> Self {
        self.service.name = name.into();
        self
    }

    /// What the resource has as `cloud.platform` (`aws_ecs`, `aws_lambda`, ..), for the rules' `ServiceType`. Default: not known, which
    /// fits only rules for any type; so does a platform that X-Ray has no type for.
    #[must_use]
    pub fn with_cloud_platform(mut self, platform: &str) -> Self {
        self.service.kind = kind(platform);
        self
    }

    /// What the resource has as `aws.ecs.container.arn` or, of a Lambda function, `cloud.resource_id`, for the rules' `ResourceARN`.
    /// Default: not known, which fits only rules for any resource.
    #[must_use]
    pub fn with_resource_arn(mut self, arn: impl Into<String>) -> Self {
        self.service.arn = Some(arn.into());
        self
    }

    /// Where the X-Ray daemon, or a Collector with `awsproxy`, is: `http://host:2000`, also without `http://`. Default: port 2000 of
    /// this host. In `OTEL_TRACES_SAMPLER_ARG`: `endpoint`.
    ///
    /// Requests are not signed, and there is no TLS: both is what the daemon is there for.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// The time between two questions for rules, which is spread by a tenth to both sides; 1 ms to a day. Default: 300 s, as in X-Ray's
    /// clients. They are asked for ahead of time when the server says that they have changed, and after a failure after a second, then
    /// two, up to this interval. In `OTEL_TRACES_SAMPLER_ARG`: `polling_interval`, in seconds.
    #[must_use]
    pub fn with_polling_interval(mut self, interval: Duration) -> Self {
        self.polling_interval = interval;
        self
    }

    /// The time between two reports of what was counted, each of which asks for quotas; 1 ms to a day. Default: 10 s, as in X-Ray's
    /// clients. A rule for which the server wants a longer one is left out meanwhile.
    #[must_use]
    pub fn with_target_interval(mut self, interval: Duration) -> Self {
        self.target_interval = interval;
        self
    }

    /// How long a request may take, from the name's look-up to the last byte; 1 ms to a day. Default: 10 s.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Whether spans with a parent follow it: `parentbased_xray`. Default: yes. If not, the rules decide for each span, which tears
    /// traces apart wherever rules differ, and counts every span against the reservoirs.
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

    /// Hears of rules that are applied, and of when there are none. Default: nobody.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Checks the settings, and starts the thread that asks. It asks for rules at once.
    ///
    /// # Errors
    ///
    /// Names the setting, its value, and what is accepted; or the system cannot start a thread.
    pub fn spawn(self) -> Result<XRaySampler, BuildError> {
        let durations = [
            ("polling_interval", self.polling_interval),
            ("target_interval", self.target_interval),
            ("timeout", self.timeout),
        ];
        check(&self.service.name, &durations)?;
        let given = self.endpoint.as_deref().unwrap_or(ENDPOINT);
        let (address, uri) = Address::parse(given, ACCEPTED)?;
        if uri.path() != "/" || uri.query().is_some() {
            return Err(Address::refused(given, ACCEPTED));
        }
        let state = State::new(
            Rules::none_yet(self.service),
            "none yet: 1 trace/s, and a share of 0.05 of the rest".to_owned(),
            self.follows_parents,
            self.records_adjusted_count,
            self.observer,
        );
        let state = Arc::new(state);
        let client = Client {
            address,
            client_id: Client::random_id(),
            timeout: self.timeout,
        };
        let schedule = |interval| Schedule::new(interval, SystemClock.now(), fastrand::u64(..));
        let (rules, targets) = (schedule(self.polling_interval), schedule(self.target_interval));
        let errand = XRayErrand::new(client, Arc::clone(&state), rules, targets);
        Ok(XRaySampler::new(Running::spawn(state, errand)?))
    }
}

impl fmt::Debug for XRaySamplerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XRaySamplerBuilder")
            .field("service", &self.service)
            .field("polling_interval", &self.polling_interval)
            .finish_non_exhaustive()
    }
}
