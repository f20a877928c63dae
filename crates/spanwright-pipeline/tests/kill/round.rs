//! The life of one process, and what is left of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use spanwright_core::{Clock, SystemClock};
use spanwright_spool::{DiskFs, export};
use spanwright_testing::{ReceivedRequest, Receiver, Reply};

use crate::child::{NUMBER, Process, TICK, Tick};

/// How the receiver is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Behaviour {
    /// Answers nothing.
    Hangs,
    /// Answers so many requests, each after this time, and then no more.
    HangsAfter(usize, Duration),
    /// Answers each request after this time.
    Slow(Duration),
}

/// A process that ended spans until it was killed.
pub(crate) struct Round {
    /// The number of its first span.
    pub(crate) first: u64,
    /// What it said last.
    pub(crate) last: Tick,
    /// How many of its spans had ended a tenth of a second before the kill, or earlier: these must not be lost.
    pub(crate) due: u64,
    /// For how long it stood still, in all. The system owes it that time on top of its promise.
    pub(crate) stall: Duration,
    pub(crate) killed_at: Instant,
    /// What the receiver got, and how long each answer took.
    pub(crate) requests: Vec<ReceivedRequest>,
    pub(crate) latency: Duration,
    /// The numbers of the spans that are on disk after its end.
    pub(crate) on_disk: BTreeSet<u64>,
}

/// How old a span may be that is lost.
const PROMISE: Duration = Duration::from_millis(100);

impl Behaviour {
    pub(crate) fn draw(random: &mut fastrand::Rng) -> Self {
        let latency = Duration::from_millis(random.u64(1..60));
        match random.u8(0..4) {
            0 => Self::Hangs,
            1 => Self::HangsAfter(random.usize(1..8), latency),
            _ => Self::Slow(latency),
        }
    }

    fn set(self, receiver: &Receiver) -> Duration {
        match self {
            Self::Hangs => {
                receiver.set_default(Reply::hang());
                Duration::ZERO
            }
            Self::HangsAfter(requests, latency) => {
                receiver.script(std::iter::repeat_n(Reply::ok().after(latency), requests));
                receiver.set_default(Reply::hang());
                latency
            }
            Self::Slow(latency) => {
                receiver.set_default(Reply::ok().after(latency));
                latency
            }
        }
    }
}

impl Round {
    /// Lets a process work on the directory for as long as `moment` says, kills it, and looks at what is there.
    pub(crate) fn run(directory: &Path, first: u64, behaviour: Behaviour, moment: Duration) -> Self {
        let receiver = Receiver::spawn().unwrap();
        let latency = behaviour.set(&receiver);
        let mut process = Process::spawn(directory, &receiver.grpc_endpoint(), first);
        let mut ticks = vec![process.hear().expect("a child that works")];
        let until = SystemClock.now() + moment;
        while SystemClock.now() < until {
            ticks.push(process.hear().expect("a child that does not end by itself"));
        }
        let (killed_at, time) = (SystemClock.now(), SystemClock.system_time());
        process.kill();
        ticks.extend(std::iter::from_fn(|| process.hear()));
        let last = *ticks.last().expect("one at least");
        let stall = withheld(&ticks, time);
        let is_due = |tick: &&Tick| tick.at + PROMISE + stall <= time;
        Self {
            first,
            last,
            due: ticks.iter().rfind(is_due).map_or(0, |tick| tick.ended),
            stall,
            killed_at,
            requests: receiver.requests(),
            latency,
            on_disk: on_disk(&directory.join("otlp")),
        }
    }
}

/// What the process and its parent had to wait beyond its ticks.
fn withheld(ticks: &[Tick], end: SystemTime) -> Duration {
    let nexts = ticks.iter().skip(1).map(|tick| tick.at).chain([end]);
    let gap = |(tick, next): (&Tick, SystemTime)| next.duration_since(tick.at).unwrap_or_default();
    let gaps = ticks.iter().zip(nexts).map(gap);
    gaps.map(|gap| gap.saturating_sub(TICK)).sum()
}

/// Every number in the requests that wait there.
fn on_disk(directory: &Path) -> BTreeSet<u64> {
    let mut bytes = Vec::new();
    export(&DiskFs, directory, &mut bytes).unwrap();
    let (mut rest, mut found) = (&bytes[..], BTreeSet::new());
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let (request, tail) = tail.split_at(u32::from_be_bytes(*length) as usize);
        rest = tail;
        let request = ExportTraceServiceRequest::decode(request).unwrap();
        let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        for span in scopes.flat_map(|scope| &scope.spans) {
            assert!(found.insert(number(span)), "{} is there twice", number(span));
        }
    }
    found
}

pub(crate) fn number(span: &Span) -> u64 {
    let attribute = span.attributes.iter().find(|attribute| attribute.key == NUMBER);
    let value = attribute.and_then(|attribute| attribute.value.as_ref()?.value.as_ref());
    match value {
        Some(Value::IntValue(number)) => *number as u64,
        other => panic!("a span of somebody else: {other:?}"),
    }
}
