//! One connection through the proxy.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::ProxyCounts;
use super::settings::{Direction, Settings};
use crate::socket::{ResetSwitch, ResettableStream};
use crate::watched::Watched;

/// The most that one read takes.
const READ_BYTES: usize = 16 << 10;
/// The reads that may be on the way in one direction: 4 MiB, so that a delay does not become a limit of bandwidth.
const READS_ON_THE_WAY: usize = 256;
/// How much of a limited bandwidth is passed on at once.
const SLICE: Duration = Duration::from_millis(5);

/// Where the bytes go, and what is done to them.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) target: SocketAddr,
    pub(super) settings: watch::Receiver<Settings>,
    pub(super) counts: Arc<Watched<ProxyCounts>>,
}

impl Link {
    /// Carries `client`'s bytes to the target and back, until one side ends or the connection is cut.
    pub(super) async fn carry(mut self, mut client: ResettableStream, reset: ResetSwitch) {
        let _open = Open::count(&self.counts);
        self.out_of_the_hole().await;
        let Ok(mut target) = client.connect_another(self.target).await else {
            // The client has its connection already, so that a reset is the nearest to a refusal.
            return reset.turn_on();
        };
        let (from_client, to_client) = client.split();
        let (from_target, to_target) = target.split();
        let carried = tokio::try_join!(
            self.clone().pump(Direction::ToTarget, from_client, to_target),
            self.pump(Direction::ToClient, from_target, to_client),
        );
        if carried.is_err() {
            reset.turn_on();
        }
    }

    /// Carries one direction. Reading goes on while what was read waits for its time, so that a delay is not a limit.
    async fn pump(
        self,
        direction: Direction,
        from: impl AsyncRead + Unpin,
        to: impl AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let (queue, queued) = mpsc::channel(READS_ON_THE_WAY);
        tokio::try_join!(fill(from, queue), self.drain(direction, queued, to)).map(|_| ())
    }

    async fn drain(
        mut self,
        direction: Direction,
        mut queued: mpsc::Receiver<(Instant, Bytes)>,
        mut to: impl AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let mut carried = 0;
        let mut free_at = Instant::now();
        while let Some((read_at, mut chunk)) = queued.recv().await {
            while !chunk.is_empty() {
                self.due(direction, read_at, free_at).await;
                let flow = self.settings.borrow().flow(direction);
                let left = flow.cut_after.map_or(u64::MAX, |limit| limit.saturating_sub(carried));
                let at_once = flow.bytes_per_second.map_or(u64::MAX, |rate| slice_bytes(rate.get()));
                let len = left.min(at_once).min(chunk.len() as u64);
                to.write_all(&chunk[..len as usize]).await?;
                chunk.advance(len as usize);
                carried += len;
                self.counts.change(|counts| *counts.bytes_mut(direction) += len);
                if len == left {
                    to.flush().await?;
                    self.counts.change(|counts| counts.cuts += 1);
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                if let Some(rate) = flow.bytes_per_second {
                    let took = Duration::from_secs_f64(len as f64 / rate.get() as f64);
                    free_at = free_at.max(Instant::now()) + took;
                }
            }
        }
        to.shutdown().await
    }

    /// Waits until what was read at `read_at` may go on: after the delay, when the line is free, and not into a black hole.
    async fn due(&mut self, direction: Direction, read_at: Instant, free_at: Instant) {
        loop {
            self.out_of_the_hole().await;
            let flow = self.settings.borrow_and_update().flow(direction);
            let free_at = flow.bytes_per_second.map_or(read_at, |_| free_at);
            let due = free_at.max(read_at + flow.delay);
            if due <= Instant::now() {
                return;
            }
            tokio::select! {
                () = sleep_until(due) => return,
                () = changed(&mut self.settings) => {}
            }
        }
    }

    async fn out_of_the_hole(&mut self) {
        if self.settings.wait_for(|settings| !settings.black_hole).await.is_err() {
            // The proxy is gone, and this task with it in a moment.
            std::future::pending().await
        }
    }
}

async fn fill(mut from: impl AsyncRead + Unpin, queue: mpsc::Sender<(Instant, Bytes)>) -> io::Result<()> {
    loop {
        let mut buffer = BytesMut::with_capacity(READ_BYTES);
        let len = from.read_buf(&mut buffer).await?;
        if len == 0 || queue.send((Instant::now(), buffer.freeze())).await.is_err() {
            return Ok(());
        }
    }
}

fn slice_bytes(bytes_per_second: u64) -> u64 {
    let slice = u128::from(bytes_per_second) * SLICE.as_nanos() / Duration::from_secs(1).as_nanos();
    u64::try_from(slice).unwrap_or(u64::MAX).max(1)
}

async fn changed(settings: &mut watch::Receiver<Settings>) {
    if settings.changed().await.is_err() {
        std::future::pending().await
    }
}

/// Counts a connection as open until it is dropped.
struct Open(Arc<Watched<ProxyCounts>>);

impl Open {
    fn count(counts: &Arc<Watched<ProxyCounts>>) -> Self {
        counts.change(|counts| {
            counts.connections += 1;
            counts.open += 1;
        });
        Self(Arc::clone(counts))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.change(|counts| counts.open -= 1);
    }
}
