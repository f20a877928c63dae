//! What the test's thread and the receiver's thread share.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use super::record::{Answer, Counts, ReceivedRequest};
use super::reply::Reply;
use super::settings::{Mode, Settings};
use super::walk::SpanIdentity;
use crate::watched::Watched;

/// Chooses the reply to a request.
pub(super) type Responder = Box<dyn FnMut(&ReceivedRequest) -> Reply + Send>;

#[derive(Default)]
pub(super) struct Shared {
    pub(super) counts: Watched<Counts>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    requests: Vec<ReceivedRequest>,
    script: VecDeque<Reply>,
    default: Reply,
    responder: Option<Responder>,
    settings: Settings,
    /// What was taken, where spans are told apart.
    taken: HashSet<SpanIdentity>,
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Self {
        let shared = Self::default();
        shared.state.lock().settings = settings;
        shared
    }

    pub(super) fn requests(&self) -> Vec<ReceivedRequest> {
        self.state.lock().requests.clone()
    }

    pub(super) fn settings(&self) -> Settings {
        self.state.lock().settings.clone()
    }

    pub(super) fn change_settings(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.state.lock().settings);
    }

    pub(super) fn extend_script(&self, replies: impl IntoIterator<Item = Reply>) {
        // The iterator is the caller's and may use the receiver, so it runs before the lock.
        let replies: Vec<_> = replies.into_iter().collect();
        self.state.lock().script.extend(replies);
    }

    pub(super) fn script_len(&self) -> usize {
        self.state.lock().script.len()
    }

    pub(super) fn set_default(&self, reply: Reply) {
        let mut state = self.state.lock();
        state.default = reply;
        state.responder = None;
    }

    pub(super) fn set_responder(&self, responder: Responder) {
        self.state.lock().responder = Some(responder);
    }

    /// Takes these spans, and says how many had been taken before.
    fn take(&self, identities: &[SpanIdentity]) -> u64 {
        let taken = &mut self.state.lock().taken;
        let repeated = identities.iter().filter(|identity| !taken.insert(**identity));
        repeated.count() as u64
    }

    /// The next reply: of the script, else of the responder, else the default.
    fn choose(&self, request: &ReceivedRequest) -> Reply {
        let mut state = self.state.lock();
        if let Some(reply) = state.script.pop_front() {
            return reply;
        }
        let Some(mut responder) = state.responder.take() else {
            return state.default.clone();
        };
        // The responder is the caller's and may ask the receiver for its counts, so it runs without the lock. All requests are
        // handled on one thread, so nobody misses it meanwhile.
        drop(state);
        let reply = responder(request);
        self.state.lock().responder.get_or_insert(responder);
        reply
    }
}

/// A request from its first byte to its answer. Dropped without an answer, it was cancelled.
pub(super) struct Flight {
    shared: Arc<Shared>,
    progress: Progress,
}

enum Progress {
    Arriving,
    Recorded {
        index: Option<usize>,
        span_count: u64,
        identities: Vec<SpanIdentity>,
    },
    Answered,
}

impl Flight {
    pub(super) fn start(shared: &Arc<Shared>) -> Self {
        shared.counts.change(|counts| {
            counts.in_flight += 1;
            counts.max_in_flight = counts.max_in_flight.max(counts.in_flight);
        });
        Self {
            shared: Arc::clone(shared),
            progress: Progress::Arriving,
        }
    }

    /// The request is here; says what to answer.
    pub(super) fn arrived(&mut self, request: ReceivedRequest) -> Reply {
        let reply = self.shared.choose(&request);
        self.record(request);
        reply
    }

    /// The request is here and cannot be taken.
    pub(super) fn refused(&mut self, request: ReceivedRequest, answer: Answer) {
        self.record(request);
        self.answered(answer);
    }

    pub(super) fn answered(&mut self, answer: Answer) {
        let progress = std::mem::replace(&mut self.progress, Progress::Answered);
        if let Progress::Recorded { index: Some(index), .. } = progress
            && let Some(request) = self.shared.state.lock().requests.get_mut(index)
        {
            request.answer = answer;
        }
        let repeated = match (&progress, answer) {
            (Progress::Recorded { identities, .. }, Answer::Accepted { .. }) => self.shared.take(identities),
            _ => 0,
        };
        // Counted last: who waited for the count finds the rest done.
        self.shared.counts.change(|counts| {
            counts.in_flight -= u64::from(!matches!(progress, Progress::Answered));
            let Progress::Recorded { span_count, .. } = progress else {
                return;
            };
            counts.answered += 1;
            if let Answer::Accepted { rejected } = answer {
                let rejected = rejected.min(span_count);
                counts.rejected_spans += rejected;
                counts.accepted_spans += span_count - rejected;
                counts.repeated_spans += repeated;
            }
        });
    }

    fn record(&mut self, mut request: ReceivedRequest) {
        let identities = std::mem::take(&mut request.identities);
        let span_count = request.span_count;
        let (compressed, decoded) = (request.compressed_len as u64, request.decoded_len as u64);
        let mut state = self.shared.state.lock();
        let index = matches!(state.settings.mode, Mode::Keep).then(|| {
            state.requests.push(request);
            state.requests.len() - 1
        });
        drop(state);
        self.progress = Progress::Recorded {
            index,
            span_count,
            identities,
        };
        self.shared.counts.change(|counts| {
            counts.requests += 1;
            counts.spans += span_count;
            counts.compressed_bytes += compressed;
            counts.decoded_bytes += decoded;
        });
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !matches!(self.progress, Progress::Answered) {
            self.answered(Answer::Cancelled);
        }
    }
}
