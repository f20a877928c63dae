//! One run: a service, its load, a pipeline, a receiver; from the first request to the last span.

use std::pin::pin;
use std::time::Duration;

use spanwright_testing::{Mode, Receiver, Reply};
use tokio::runtime::Runtime;
use tokio::time::{Instant, interval};

use crate::account::Account;
use crate::args::{Args, Kind, Protocol};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::load::{Load, Summary};
use crate::measure::{Cost, Meter, PerRequest, ThreadClock};
use crate::pipelines::{self, Closing, Discard, Pipeline, Target};
use crate::progress::{Progress, Reading};
use crate::service::Service;

/// What became of a run.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) kind: Kind,
    pub(crate) target: Target,
    pub(crate) account: Account,
    /// What the pipeline said of its own shutdown.
    pub(crate) complaint: Option<String>,
    pub(crate) load: Summary,
    /// Requests that the service counted.
    pub(crate) served: u64,
    /// What the receiver counted, where it is ours.
    pub(crate) received: Option<Received>,
    pub(crate) cost: Option<Cost>,
}

/// What the receiver in this process counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    pub(crate) spans: u64,
    /// Of the requests, as they were sent.
    pub(crate) bytes: u64,
}

/// Runs loads one after the other.
#[derive(Debug)]
pub(crate) struct Runner<'a> {
    pub(crate) args: &'a Args,
    pub(crate) runtime: Runtime,
    pub(crate) interrupt: Interrupt,
}

/// How often the CPU clock is read. Every second time there is a line of progress.
const TICK: Duration = Duration::from_millis(500);
const TICKS_PER_LINE: u32 = 2;

/// As long as the SDK's own default.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// The calibration begins when all connections are there and the caches are warm, ..
const WARM_UP: Duration = Duration::from_millis(500);
/// .. and is short, for somebody is waiting.
const CALIBRATION: Duration = Duration::from_secs(2);

impl Runner<'_> {
    /// What a request of this load costs when its spans are dropped where they end.
    pub(crate) fn calibrate(&self) -> Result<Option<PerRequest>, Failure> {
        let mut meter = Meter::new(ThreadClock::default());
        let discard = Discard::start();
        self.drive("calibration", &discard, WARM_UP + CALIBRATION, WARM_UP, &mut meter)?;
        Ok(meter.per_request())
    }

    /// The run itself.
    pub(crate) fn run(&self, kind: Kind, baseline: Option<PerRequest>) -> Result<Outcome, Failure> {
        let clock = ThreadClock::default();
        let receiver = match self.args.endpoint {
            None => Some(receiver(clock.clone())?),
            Some(_) => None,
        };
        let target = self.target(receiver.as_ref());
        let pipeline = {
            let _in_runtime = self.runtime.enter();
            pipelines::start(kind, &target)?
        };
        let mut meter = Meter::new(clock);
        let name = kind.to_string();
        let driven = self.drive(&name, &*pipeline, self.args.duration, Duration::ZERO, &mut meter);
        // Also after a load that failed: what it made is delivered.
        let Closing { account, complaint } = pipeline.shutdown(SHUTDOWN_TIMEOUT);
        let (load, served) = driven?;
        // What was left to deliver belongs to the cost as well.
        meter.sample(load.answered);
        let cost = baseline
            .zip(meter.per_request())
            .and_then(|(baseline, run)| Cost::of(run, baseline, load.answered, account.exported));
        let received = receiver.map(|receiver| {
            let counts = receiver.counts();
            Received {
                spans: counts.accepted_spans,
                bytes: counts.compressed_bytes,
            }
        });
        Ok(Outcome {
            kind,
            target,
            account,
            complaint,
            load,
            served,
            received,
            cost,
        })
    }

    fn target(&self, receiver: Option<&Receiver>) -> Target {
        let protocol = self.args.protocol;
        let embedded = receiver.map(|receiver| match protocol {
            Protocol::Grpc => receiver.grpc_endpoint(),
            Protocol::Http => receiver.http_endpoint(),
        });
        Target {
            endpoint: embedded.or_else(|| self.args.endpoint.clone()).unwrap_or_default(),
            protocol,
            compression: self.args.compression,
        }
    }

    /// Loads a service whose spans go to `pipeline`. When this returns, all of them have ended.
    fn drive(
        &self,
        name: &str,
        pipeline: &dyn Pipeline,
        duration: Duration,
        warm_up: Duration,
        meter: &mut Meter,
    ) -> Result<(Summary, u64), Failure> {
        let mut progress = Progress::new(name);
        let driven = self.runtime.block_on(async {
            let service = Service::spawn(pipeline.tracer()).await?;
            let load = Load::new(service.address(), self.args.rate);
            let tally = load.tally();
            let mut running = pin!(load.run(duration, self.interrupt.clone().happened()));
            let (start, mut ticks, mut clock) = (Instant::now(), 0, interval(TICK));
            let load = loop {
                tokio::select! {
                    load = &mut running => break load?,
                    _ = clock.tick() => {
                        let (elapsed, requests) = (start.elapsed(), tally.answered());
                        if elapsed < warm_up {
                            meter.restart();
                        }
                        meter.sample(requests);
                        if ticks > 0 && ticks % TICKS_PER_LINE == 0 {
                            progress.show(Reading { elapsed, requests, snapshot: pipeline.snapshot() });
                        }
                        ticks += 1;
                    }
                }
            };
            Ok((load, service.shutdown().await?))
        });
        progress.finish();
        driven
    }
}

impl Outcome {
    /// Whether every span that ended has arrived, by the pipeline's word and, where it is ours, by the receiver's.
    pub(crate) fn is_complete(&self) -> bool {
        self.account.is_complete() && self.is_received()
    }

    /// Whether the receiver has what the pipeline says it exported. It may have more: a request whose answer got lost is sent again.
    pub(crate) fn is_received(&self) -> bool {
        self.received
            .is_none_or(|received| received.spans >= self.account.exported)
    }
}

fn receiver(clock: ThreadClock) -> Result<Receiver, Failure> {
    let receiver = Receiver::builder().with_mode(Mode::Count).spawn()?;
    // Its thread's clock can only be read there, and this runs there, with each request.
    receiver.set_responder(move |_| {
        clock.report();
        Reply::ok()
    });
    Ok(receiver)
}
