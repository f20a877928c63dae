//! One run: a service, its load, a pipeline, a receiver; from the first request to the last span.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use spanwright_testing::{Mode, Receiver, Reply};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, interval_at, sleep};

use crate::account::Account;
use crate::args::{Args, Kind, Protocol};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::load::{Load, Summary};
use crate::measure::{Cost, EndMeter, OtherThreads};
use crate::pipelines::{self, Closing, Discard, Pipeline, Target};
use crate::progress::{Progress, Reading};
use crate::sampling::Kept;
use crate::service::Service;

/// What became of a run.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) kind: Kind,
    pub(crate) target: Target,
    pub(crate) account: Account,
    /// What the pipeline said of its own shutdown.
    pub(crate) complaint: Option<String>,
    /// Why an export failed last.
    pub(crate) trouble: Option<String>,
    /// Traces kept and dropped.
    pub(crate) kept: Kept,
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
    args: &'a Args,
    runtime: Runtime,
    interrupt: Interrupt,
    others: OtherThreads,
}

/// The requests before do not count for the calibration: they pay for what is only done once.
const WARM_UP: Duration = Duration::from_millis(500);
/// Short, for somebody is waiting.
const CALIBRATION: Duration = Duration::from_secs(2);

const LINE: Duration = Duration::from_secs(1);

/// As long as the SDK's own default.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

impl<'a> Runner<'a> {
    /// With a runtime for the services, and their load.
    pub(crate) fn new(args: &'a Args) -> io::Result<Self> {
        let others = OtherThreads::default();
        let parking = others.clone();
        let runtime = Builder::new_multi_thread()
            .enable_all()
            .on_thread_park(move || parking.report())
            .build()?;
        let interrupt = Interrupt::listen(&runtime);
        Ok(Self {
            args,
            runtime,
            interrupt,
            others,
        })
    }

    /// What the end of a span takes when there is no pipeline, in nanoseconds.
    pub(crate) fn calibrate(&self) -> Result<Option<f64>, Failure> {
        let ends = Arc::new(EndMeter::default());
        self.drive(
            "calibration: the same load, its spans dropped where they end",
            &Discard::start(),
            WARM_UP + CALIBRATION,
            WARM_UP,
            &ends,
        )?;
        Ok(ends.mean())
    }

    /// The run itself. Its cost is known if the `baseline` is.
    pub(crate) fn run(&self, kind: Kind, baseline: Option<f64>) -> Result<Outcome, Failure> {
        let receiver = match self.args.endpoint {
            None => Some(receiver(self.others.clone())?),
            Some(_) => None,
        };
        let target = self.target(receiver.as_ref());
        let pipeline = pipelines::start(kind, &target, self.args.sampling)?;
        let (ends, before) = (Arc::new(EndMeter::default()), self.others.rest());
        let name = kind.to_string();
        let driven = self.drive(&name, &*pipeline, self.args.duration, Duration::ZERO, &ends);
        // Also after a load that failed: what it made is delivered.
        let Closing {
            account,
            complaint,
            trouble,
            kept,
        } = pipeline.shutdown(SHUTDOWN_TIMEOUT);
        let after = self.others.rest();
        let (load, served) = driven?;
        let cost = || {
            let used = after?.saturating_sub(before?);
            Cost::of(used, ends.mean()?, baseline?, account.ended, account.exported)
        };
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
            cost: cost(),
            account,
            complaint,
            trouble,
            kept,
            load,
            served,
            received,
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
        title: &str,
        pipeline: &dyn Pipeline,
        duration: Duration,
        warm_up: Duration,
        ends: &Arc<EndMeter>,
    ) -> Result<(Summary, u64), Failure> {
        let mut progress = Progress::begin(title);
        let driven = self.runtime.block_on(async {
            let service = Service::spawn(pipeline.tracer(), Arc::clone(ends)).await?;
            let load = Load::new(service.address(), self.args.rate);
            let tally = load.tally();
            let start = Instant::now();
            let mut running = pin!(load.run(duration, self.interrupt.clone().happened()));
            let mut warm = pin!(sleep(warm_up));
            let mut is_warm = false;
            let mut line = interval_at(start + LINE, LINE);
            let load = loop {
                tokio::select! {
                    load = &mut running => break load?,
                    () = &mut warm, if !is_warm => {
                        is_warm = true;
                        ends.restart();
                    }
                    _ = line.tick() => progress.show(Reading {
                        elapsed: start.elapsed(),
                        requests: tally.answered(),
                        snapshot: pipeline.snapshot(),
                    }),
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

/// Its thread is not the pipeline's.
fn receiver(others: OtherThreads) -> io::Result<Receiver> {
    let receiver = Receiver::builder().with_mode(Mode::Count).spawn()?;
    // This runs on that thread, with each request.
    receiver.set_responder(move |_| {
        others.report();
        Reply::ok()
    });
    Ok(receiver)
}
