//! One run: a service, its load, a pipeline, a receiver; from the first request to the last span.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, interval, interval_at, sleep, sleep_until};

use crate::account::{Account, Verdict};
use crate::args::Args;
use crate::choices::Kind;
use crate::endpoint::Endpoint;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::load::{Load, Summary};
use crate::measure::{Cost, EndMeter, OtherThreads};
use crate::outage::Outage;
use crate::pipelines::{self, Closing, Discard, Pipeline, Target};
use crate::progress::{Progress, Reading, Style};
use crate::receiver::{Embedded, Received};
use crate::sampling::Kept;
use crate::service::Service;

/// What became of a run.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) kind: Kind,
    pub(crate) target: Target,
    pub(crate) account: Account,
    /// The most spans that were seen waiting during the load.
    pub(crate) most: Most,
    pub(crate) endpoints: Vec<Endpoint>,
    /// What the pipeline said of its own shutdown.
    pub(crate) complaint: Option<String>,
    /// Why an export failed last.
    pub(crate) trouble: Option<String>,
    /// Why the disk took nothing at the end, if it did not.
    pub(crate) disk_trouble: Option<String>,
    /// Traces kept and dropped.
    pub(crate) kept: Kept,
    pub(crate) load: Summary,
    /// Requests that the service counted.
    pub(crate) served: u64,
    /// What the receiver counted, where it is ours.
    pub(crate) received: Option<Received>,
    pub(crate) cost: Option<Cost>,
}

/// The most spans that were seen in two places, looked at now and then.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Most {
    pub(crate) parked: u64,
    pub(crate) spooled: u64,
}

/// What a load was and did.
struct Driven {
    load: Summary,
    /// Requests that the service counted.
    served: u64,
    most: Most,
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
/// How often it is looked at how much waits.
const LOOK: Duration = Duration::from_millis(50);

const CALIBRATION_TITLE: &str = "calibration: the same load, its spans dropped where they end";

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
            Progress::begin(CALIBRATION_TITLE, Style::Line),
            &Discard::start(),
            WARM_UP + CALIBRATION,
            WARM_UP,
            &ends,
            None,
        )?;
        Ok(ends.mean())
    }

    /// The run itself. Its cost is known if the `baseline` is.
    pub(crate) fn run(&self, kind: Kind, baseline: Option<f64>) -> Result<Outcome, Failure> {
        let receiver = match self.args.endpoint {
            None => Some(Embedded::spawn(self.others.clone(), self.args.has_proof())?),
            Some(_) => None,
        };
        let target = self.target(kind, receiver.as_ref());
        let pipeline = pipelines::start(kind, &target, self.args.sampling)?;
        let (ends, before) = (Arc::new(EndMeter::default()), self.others.rest());
        let progress = Progress::begin(&self.title(kind), self.style());
        let driven = self.drive(
            progress,
            &*pipeline,
            self.args.duration,
            Duration::ZERO,
            &ends,
            receiver.as_ref(),
        );
        // Also after a load that failed: what it made is delivered.
        let Closing {
            account,
            complaint,
            trouble,
            disk_trouble,
            endpoints,
            kept,
        } = pipeline.shutdown(SHUTDOWN_TIMEOUT);
        let after = self.others.rest();
        let Driven { load, served, most } = driven?;
        let cost = || {
            let used = after?.saturating_sub(before?);
            Cost::of(used, ends.mean()?, baseline?, account.ended, account.exported)
        };
        let received = receiver.as_ref().map(Embedded::received);
        Ok(Outcome {
            kind,
            target,
            cost: cost(),
            account,
            most,
            endpoints,
            complaint,
            trouble,
            disk_trouble,
            kept,
            load,
            served,
            received,
        })
    }

    fn title(&self, kind: Kind) -> String {
        match &self.args.outage {
            Some(outage) => format!("{kind}: {}", outage.described(self.args.duration)),
            None => kind.to_string(),
        }
    }

    /// Rows where more is to be seen than fits into a line.
    fn style(&self) -> Style {
        if self.args.has_proof() {
            Style::Rows
        } else {
            Style::Line
        }
    }

    fn target(&self, kind: Kind, receiver: Option<&Embedded>) -> Target {
        let protocol = self.args.protocol;
        let embedded = receiver.map(|receiver| receiver.endpoint(protocol));
        Target {
            endpoint: embedded.or_else(|| self.args.endpoint.clone()).unwrap_or_default(),
            protocol,
            compression: self.args.compression,
            spool: self.args.spool.clone().filter(|_| kind == Kind::Spanwright),
        }
    }

    /// Loads a service whose spans go to `pipeline`, and takes its `receiver` away for as long as was asked for. When this returns,
    /// all spans have ended.
    fn drive(
        &self,
        mut progress: Progress,
        pipeline: &dyn Pipeline,
        duration: Duration,
        warm_up: Duration,
        ends: &Arc<EndMeter>,
        receiver: Option<&Embedded>,
    ) -> Result<Driven, Failure> {
        let driven = self.runtime.block_on(async {
            let service = Service::spawn(pipeline.tracer(), Arc::clone(ends)).await?;
            let load = Load::new(service.address(), self.args.rate);
            let tally = load.tally();
            let start = Instant::now();
            let mut running = pin!(load.run(duration, self.interrupt.clone().happened()));
            let mut outage = pin!(play(self.args.outage, receiver, start, duration));
            let mut has_outage = true;
            let mut warm = pin!(sleep(warm_up));
            let mut is_warm = false;
            let (mut line, mut look) = (interval_at(start + LINE, LINE), interval(LOOK));
            let mut most = Most::default();
            let load = loop {
                tokio::select! {
                    load = &mut running => break load?,
                    played = &mut outage, if has_outage => {
                        has_outage = false;
                        played?;
                    }
                    () = &mut warm, if !is_warm => {
                        is_warm = true;
                        ends.restart();
                    }
                    _ = look.tick(), if self.args.has_proof() => most.see(&pipeline.snapshot().account),
                    _ = line.tick() => progress.show(Reading {
                        elapsed: start.elapsed(),
                        requests: tally.answered(),
                        receiver: receiver.map(Embedded::presence),
                        snapshot: pipeline.snapshot(),
                    }),
                }
            };
            most.see(&pipeline.snapshot().account);
            let served = service.shutdown().await?;
            Ok(Driven { load, served, most })
        });
        progress.finish();
        driven
    }
}

/// Takes the receiver away and brings it back, if it comes back before the end of the load. After a load that is ended early it does
/// not.
async fn play(
    outage: Option<Outage>,
    receiver: Option<&Embedded>,
    start: Instant,
    duration: Duration,
) -> io::Result<()> {
    let (Some(outage), Some(receiver)) = (outage, receiver) else {
        return Ok(());
    };
    sleep_until(start + outage.start).await;
    receiver.leave(outage.kind)?;
    if !outage.is_last(duration) {
        sleep_until(start + outage.end).await;
        receiver.come_back()?;
    }
    Ok(())
}

impl Most {
    fn see(&mut self, account: &Account) {
        self.parked = self.parked.max(account.parked);
        self.spooled = self.spooled.max(account.spooled);
    }
}

impl Outcome {
    /// What became of all spans that ended, by the pipeline's word and, where it is ours, by the receiver's.
    pub(crate) fn verdict(&self) -> Verdict {
        if self.is_received() {
            self.account.verdict()
        } else {
            Verdict::Missing
        }
    }

    /// Whether the receiver has what the pipeline says it exported. It may have more: a request whose answer got lost is sent again,
    /// or, where the receiver tells spans apart, never settled.
    pub(crate) fn is_received(&self) -> bool {
        self.received
            .is_none_or(|received| received.spans >= self.account.exported)
    }
}
