//! The receiver.

mod body;
mod builder;
mod connection;
mod decode;
mod exchange;
mod grpc;
mod http;
mod record;
mod reply;
mod server;
mod settings;
mod state;
mod status;
mod walk;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::Span;
use spanwright_core::ContentEncoding;

use self::server::Command;
use self::state::Shared;
use crate::worker::Worker;

pub use self::builder::ReceiverBuilder;
pub use self::record::{Answer, Counts, Protocol, ReceivedRequest};
pub use self::reply::Reply;
pub use self::settings::{Dialect, Health, Mode};

/// OTLP's own limit of a request.
const DEFAULT_MAX_REQUEST_BYTES: usize = 64 << 20;
const DEFAULT_HTTP_PATH: &str = "/v1/traces";
const DEFAULT_WINDOW_BYTES: u32 = 4 << 20;

/// An OTLP trace receiver on real sockets that answers as a test tells it.
///
/// It takes gRPC on one port, and protobuf over HTTP/1.1 and HTTP/2 on another, on a thread and a runtime of its own: a test
/// that blocks, and one without any runtime, can use it as well. Dropping it closes everything.
///
/// What it is sent it checks as a real one does: encoding, size, framing, protobuf. Only what passes gets to the script; the
/// replies of [`script`](Self::script) are used one for each request in the order of arrival, then the default reply.
///
/// # The two numbers of spans
///
/// [`Counts::spans`] are those that were seen, each time that they were sent. [`Counts::accepted_spans`] are those that the receiver
/// took, by its own word: an answer of success, without those rejected in it. A request that was refused, reset or given up by
/// the client adds nothing there. A request that was sent again because its answer got lost was taken twice: in
/// [`Mode::Distinct`], [`Counts::repeated_spans`] says how many of them had been taken before.
///
/// # Waiting
///
/// [`wait_for_spans`](Self::wait_for_spans) and its siblings block the thread; a client that runs on a current-thread runtime of
/// the same thread stands still meanwhile. Such a test waits with [`reached`](Self::reached).
///
/// A tokio clock that a test has paused jumps ahead when the runtime has nothing to do, and waiting for a socket is nothing to
/// do: a timeout then fires before this receiver, on another thread and in real time, could answer.
pub struct Receiver {
    // First, so that the thread has ended before the rest goes.
    worker: Worker<Command>,
    shared: Arc<Shared>,
    scheme: &'static str,
    grpc_address: SocketAddr,
    http_address: SocketAddr,
}

impl Receiver {
    /// The settings of a receiver.
    pub fn builder() -> ReceiverBuilder {
        ReceiverBuilder::new()
    }

    /// A receiver with the default settings.
    ///
    /// # Errors
    ///
    /// As [`ReceiverBuilder::spawn`].
    pub fn spawn() -> io::Result<Self> {
        Self::builder().spawn()
    }

    /// The URL for gRPC, without a path: `http://127.0.0.1:4317`, or `https` with TLS.
    #[must_use]
    pub fn grpc_endpoint(&self) -> String {
        format!("{}://{}", self.scheme, self.grpc_address)
    }

    /// The URL for HTTP, without a path.
    #[must_use]
    pub fn http_endpoint(&self) -> String {
        format!("{}://{}", self.scheme, self.http_address)
    }

    /// Where gRPC is served.
    #[must_use]
    pub fn grpc_address(&self) -> SocketAddr {
        self.grpc_address
    }

    /// Where HTTP is served.
    #[must_use]
    pub fn http_address(&self) -> SocketAddr {
        self.http_address
    }

    /// Adds replies to the script, each for one request.
    pub fn script(&self, replies: impl IntoIterator<Item = Reply>) {
        self.shared.extend_script(replies);
    }

    /// How many replies of the script have not been used.
    #[must_use]
    pub fn script_len(&self) -> usize {
        self.shared.script_len()
    }

    /// The reply to every request for which the script has none. [`Reply::ok`] at the start.
    pub fn set_default(&self, reply: Reply) {
        self.shared.set_default(reply);
    }

    /// Computes the reply to every request for which the script has none.
    ///
    /// `responder` runs on the receiver's thread. It may ask the receiver for what it counted, but not have it stop or resume
    /// listening, which needs that thread.
    pub fn set_responder(&self, responder: impl FnMut(&ReceivedRequest) -> Reply + Send + 'static) {
        self.shared.set_responder(Box::new(responder));
    }

    /// How long every answer takes from now on.
    pub fn set_latency(&self, latency: Duration) {
        self.shared.change_settings(|settings| settings.latency = latency);
    }

    /// What a health check is answered from now on.
    pub fn set_health(&self, health: Health) {
        self.shared.change_settings(|settings| settings.health = health);
    }

    /// Which compressions are understood from now on.
    pub fn set_accepted_encodings(&self, encodings: impl Into<Arc<[ContentEncoding]>>) {
        let encodings = encodings.into();
        self.shared
            .change_settings(|settings| settings.accepted_encodings = encodings);
    }

    /// The largest message from now on, in bytes.
    pub fn set_max_request_bytes(&self, max_bytes: usize) {
        self.shared
            .change_settings(|settings| settings.max_request_bytes = max_bytes);
    }

    /// What arrived so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.counts.get()
    }

    /// The spans that were taken; see [`Counts::accepted_spans`].
    #[must_use]
    pub fn accepted_spans(&self) -> u64 {
        self.counts().accepted_spans
    }

    /// The spans that were seen; see [`Counts::spans`].
    #[must_use]
    pub fn span_count(&self) -> u64 {
        self.counts().spans
    }

    /// The most requests that ever were in flight at once.
    #[must_use]
    pub fn max_in_flight(&self) -> u64 {
        self.counts().max_in_flight
    }

    /// The requests so far, in the order of arrival, refused ones among them. Empty but in [`Mode::Keep`].
    #[must_use]
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.shared.requests()
    }

    /// The spans of the requests that were taken, in the order of arrival. Empty but in [`Mode::Keep`].
    ///
    /// A partial success does not tell which spans were rejected, so all spans of such a request are here.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        let requests = self.requests();
        let taken = requests
            .iter()
            .filter(|request| matches!(request.answer, Answer::Accepted { .. }));
        taken.flat_map(ReceivedRequest::spans).cloned().collect()
    }

    /// Blocks until so many spans were taken; `false` if `timeout` came first.
    #[must_use]
    pub fn wait_for_spans(&self, accepted_spans: u64, timeout: Duration) -> bool {
        self.wait_until(timeout, |counts| counts.accepted_spans >= accepted_spans)
    }

    /// Blocks until so many requests have arrived, answered or not; `false` if `timeout` came first.
    #[must_use]
    pub fn wait_for_requests(&self, requests: u64, timeout: Duration) -> bool {
        self.wait_until(timeout, |counts| counts.requests >= requests)
    }

    /// Blocks until the counts are as `reached` wants them; `false` if `timeout` came first.
    #[must_use]
    pub fn wait_until(&self, timeout: Duration, reached: impl FnMut(&Counts) -> bool) -> bool {
        self.shared.counts.wait(timeout, reached)
    }

    /// Returns when the counts are as `reached` wants them. Runs in any runtime.
    pub async fn reached(&self, reached: impl FnMut(&Counts) -> bool) {
        self.shared.counts.reached(reached).await;
    }

    /// An outage begins: connections are refused, existing ones are aborted. When this returns, it has happened.
    ///
    /// The ports stay reserved, so that nobody else can take them meanwhile.
    ///
    /// # Errors
    ///
    /// The receiver's thread has ended.
    pub fn stop_listening(&self) -> io::Result<()> {
        self.worker.call(Command::StopListening)
    }

    /// The outage ends: both ports are listened on again.
    ///
    /// # Errors
    ///
    /// A port cannot be bound again, or the receiver's thread has ended.
    pub fn resume_listening(&self) -> io::Result<()> {
        self.worker.call(Command::Listen)
    }

    /// Aborts all connections with a TCP reset, and goes on listening.
    ///
    /// # Errors
    ///
    /// The receiver's thread has ended.
    pub fn abort_connections(&self) -> io::Result<()> {
        self.worker.call(Command::AbortConnections)
    }

    /// Ends all connections gracefully: HTTP/2 clients get GOAWAY, requests on the way are still answered. It is how servers and
    /// load balancers limit the age of a connection.
    ///
    /// # Errors
    ///
    /// The receiver's thread has ended.
    pub fn go_away(&self) -> io::Result<()> {
        self.worker.call(Command::GoAway)
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("grpc", &self.grpc_endpoint())
            .field("http", &self.http_endpoint())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
