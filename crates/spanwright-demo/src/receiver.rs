//! The receiver in this process, which can be taken away.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use spanwright_testing::{Mode, Receiver, Reply};

use crate::choices::{OutageKind, Protocol};
use crate::measure::OtherThreads;

/// A receiver on real sockets of this machine, on a thread of its own, which is not the pipeline's.
#[derive(Debug)]
pub(crate) struct Embedded {
    receiver: Receiver,
    /// What it does instead of taking requests.
    outage: Arc<Mutex<Option<OutageKind>>>,
    tells_apart: bool,
}

/// What it counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    /// Spans that it took: each once, where it tells them apart, and else as often as it took them.
    pub(crate) spans: u64,
    /// Those that it took once more, because an answer got lost. `None` where it does not tell them apart.
    pub(crate) again: Option<u64>,
    /// Of the requests, as they were sent, refused ones too.
    pub(crate) bytes: u64,
    /// Spans that were sent, in all of these.
    pub(crate) sent: u64,
}

const RESOURCE_EXHAUSTED: i32 = 8;
/// When a receiver that is exhausted wants to be asked again. HTTP can tell whole seconds only.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Embedded {
    /// Starts to listen. If it `tells_apart` the spans that it takes, it keeps the ids of all.
    pub(crate) fn spawn(others: OtherThreads, tells_apart: bool) -> io::Result<Self> {
        let mode = if tells_apart { Mode::Distinct } else { Mode::Count };
        let receiver = Receiver::builder().with_mode(mode).spawn()?;
        let outage = Arc::<Mutex<Option<OutageKind>>>::default();
        let current = Arc::clone(&outage);
        // This runs on the receiver's thread, with each request.
        receiver.set_responder(move |_| {
            others.report();
            match *current.lock() {
                None => Reply::ok(),
                Some(OutageKind::Exhausted) => {
                    Reply::grpc_status(RESOURCE_EXHAUSTED, "too many spans").with_retry_after(RETRY_AFTER)
                }
                Some(OutageKind::Hang) => Reply::hang(),
                // Connections are refused, so this one came before.
                Some(OutageKind::Refuse) => Reply::abort(),
            }
        });
        Ok(Self {
            receiver,
            outage,
            tells_apart,
        })
    }

    pub(crate) fn endpoint(&self, protocol: Protocol) -> String {
        match protocol {
            Protocol::Grpc => self.receiver.grpc_endpoint(),
            Protocol::Http => self.receiver.http_endpoint(),
        }
    }

    /// From now on it is away.
    pub(crate) fn leave(&self, kind: OutageKind) -> io::Result<()> {
        *self.outage.lock() = Some(kind);
        match kind {
            OutageKind::Refuse => self.receiver.stop_listening(),
            OutageKind::Exhausted | OutageKind::Hang => Ok(()),
        }
    }

    /// From now on it takes requests again. One that hung has been started anew, as it usually takes: its connections are reset.
    pub(crate) fn come_back(&self) -> io::Result<()> {
        // Taken first: the receiver's thread, which is called below, asks for it with each request.
        let was = self.outage.lock().take();
        match was {
            Some(OutageKind::Hang) => self.receiver.abort_connections(),
            Some(OutageKind::Refuse) => self.receiver.resume_listening(),
            Some(OutageKind::Exhausted) | None => Ok(()),
        }
    }

    /// What it does, in a word.
    pub(crate) fn presence(&self) -> &'static str {
        match *self.outage.lock() {
            None => "there",
            Some(OutageKind::Exhausted) => "exhausted",
            Some(OutageKind::Hang) => "hangs",
            Some(OutageKind::Refuse) => "refuses",
        }
    }

    pub(crate) fn received(&self) -> Received {
        let counts = self.receiver.counts();
        Received {
            spans: counts.accepted_spans - counts.repeated_spans,
            again: self.tells_apart.then_some(counts.repeated_spans),
            bytes: counts.compressed_bytes,
            sent: counts.spans,
        }
    }
}
