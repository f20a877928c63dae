//! The load: real requests over real connections, as many in each second as were asked for.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderValue, USER_AGENT};
use http::{Request, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::dice::Dice;
use crate::failure::Failure;

/// Requests at a given rate over connections that are kept.
///
/// Open-loop: a request is due when its time has come, whether or not earlier ones have been answered. What is due and has no
/// connection yet waits for one, so that a pause is caught up with; what waits at the end is not sent.
#[derive(Debug)]
pub(crate) struct Load {
    address: SocketAddr,
    rate: u32,
    tally: Arc<Tally>,
}

/// What was answered so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    answered: AtomicU64,
    failed: AtomicU64,
}

/// The load in figures.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Summary {
    /// Requests whose time came.
    pub(crate) due: u64,
    /// Responses read to their end.
    pub(crate) answered: u64,
    /// Those of them with a status of 500 and more.
    pub(crate) failed: u64,
    /// How long requests were sent. The last responses come a little later.
    pub(crate) duration: Duration,
}

/// How precisely requests are spread over a second.
const TICK: Duration = Duration::from_millis(1);

/// So many requests per second for each connection ..
const RATE_OF_A_CONNECTION: u32 = 50;
/// .. and so many connections at least and at most: enough for the slow requests, few enough for any limit of open files.
const CONNECTIONS: (u32, u32) = (16, 128);

/// Articles that are asked for.
const ARTICLES: u64 = 5_000;

impl Load {
    pub(crate) fn new(address: SocketAddr, rate: u32) -> Self {
        Self {
            address,
            rate,
            tally: Arc::default(),
        }
    }

    /// Shows what was answered, also while it runs.
    pub(crate) fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.tally)
    }

    /// Sends requests for this long, or until `stop` is done, and waits for their responses.
    pub(crate) async fn run(self, duration: Duration, stop: impl Future<Output = ()>) -> Result<Summary, Failure> {
        let due = Arc::new(Semaphore::new(0));
        let dice = Arc::new(Dice::new(42));
        let mut connections = JoinSet::new();
        for _ in 0..(self.rate / RATE_OF_A_CONNECTION).clamp(CONNECTIONS.0, CONNECTIONS.1) {
            let connection = Connection::open(self.address, self.tally()).await?;
            connections.spawn(connection.serve(Arc::clone(&due), Arc::clone(&dice)));
        }
        let start = Instant::now();
        let mut issued = 0;
        tokio::select! {
            () = pace(&due, self.rate, duration, &mut issued) => {}
            () = stop => {}
            // Connections end when the load does, so this one has failed.
            Some(ended) = connections.join_next() => ended??,
        }
        let duration = start.elapsed().min(duration);
        due.close();
        while let Some(ended) = connections.join_next().await {
            ended??;
        }
        Ok(Summary {
            due: issued,
            answered: self.tally.answered(),
            failed: self.tally.failed(),
            duration,
        })
    }
}

impl Tally {
    /// Responses so far.
    pub(crate) fn answered(&self) -> u64 {
        // Relaxed, here and below: figures for people, and read for good after the tasks have ended.
        self.answered.load(Ordering::Relaxed)
    }

    fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    fn count(&self, is_failure: bool) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.failed.fetch_add(u64::from(is_failure), Ordering::Relaxed);
    }
}

/// Lets requests go when their time has come.
async fn pace(due: &Semaphore, rate: u32, duration: Duration, issued: &mut u64) {
    let start = Instant::now();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let elapsed = start.elapsed().min(duration);
        let wanted = due_after(elapsed, rate);
        due.add_permits((wanted - *issued) as usize);
        *issued = wanted;
        // After the last ones too: an idle connection takes what is due before it hears of the end.
        tick.tick().await;
        if elapsed == duration {
            return;
        }
    }
}

/// How many requests are due after so long.
fn due_after(elapsed: Duration, rate: u32) -> u64 {
    (elapsed.as_nanos() * u128::from(rate) / 1_000_000_000) as u64
}

/// One connection, with one request at a time.
struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    host: HeaderValue,
    tally: Arc<Tally>,
}

impl Connection {
    async fn open(address: SocketAddr, tally: Arc<Tally>) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Its errors come out at the sender too.
        tokio::spawn(connection);
        let host = HeaderValue::from_str(&address.to_string())?;
        Ok(Self { sender, host, tally })
    }

    /// Sends a request whenever one is due, until none will be.
    async fn serve(mut self, due: Arc<Semaphore>, dice: Arc<Dice>) -> Result<(), Failure> {
        while let Ok(permit) = due.acquire().await {
            permit.forget();
            self.request(target(&dice)?).await?;
        }
        Ok(())
    }

    async fn request(&mut self, target: Uri) -> Result<(), Failure> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = target;
        request.headers_mut().insert(HOST, self.host.clone());
        request
            .headers_mut()
            .insert(USER_AGENT, HeaderValue::from_static("spanwright-demo"));
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let is_failure = response.status().is_server_error();
        if !is_failure && !response.status().is_success() {
            let message = format!("the service answered {}, which it never does", response.status());
            return Err(io::Error::other(message).into());
        }
        // Read to the end, or the connection could not be used again.
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            frame?;
        }
        self.tally.count(is_failure);
        Ok(())
    }
}

/// Where people go in a shop.
fn target(dice: &Dice) -> Result<Uri, Failure> {
    let roll = dice.roll();
    Ok(if roll < 0.2 {
        Uri::from_static("/checkout")
    } else if roll < 0.5 {
        Uri::from_static("/recommend")
    } else {
        format!("/catalog/{}", dice.favourite(ARTICLES)).parse()?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_is_due_at_its_time_whatever_became_of_the_others() {
        let due = Semaphore::new(0);
        let mut issued = 0;
        pace(&due, 3_000, Duration::from_millis(2_500), &mut issued).await;
        assert_eq!((issued, due.available_permits()), (7_500, 7_500));
    }

    #[test]
    fn nothing_is_lost_to_rounding() {
        assert_eq!(due_after(Duration::from_secs(86_400), 1_000_000), 86_400_000_000);
        assert_eq!(due_after(Duration::from_micros(999), 1_000), 0);
        assert_eq!(due_after(Duration::from_millis(1), 1_000), 1);
    }
}
