//! One write for many frames.
//!
//! HTTP/2 frames have at most 16 KiB unless the receiver allows more, which the common ones do not, and the HTTP/2 library writes
//! and flushes each by itself: a request of 190 KB is a dozen system calls. Gathered it is one or two, for a copy that costs a
//! fraction of what they do (bench `end_to_end/grpc/10attrs/100k`).

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use tower_service::Service;

use super::Connector;
use crate::suppressed::Suppressed;

/// What is gathered before the writer below has to be waited for: a request of common size.
const CAPACITY: usize = 256 * 1024;

/// Makes connections whose writes are [`Gathered`].
#[derive(Clone, Debug)]
pub(crate) struct Gathering(pub(crate) Connector);

impl Service<Uri> for Gathering {
    type Response = Gathered<<Connector as Service<Uri>>::Response>;
    type Error = <Connector as Service<Uri>>::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async move {
            let (gathered, flusher) = gather(connecting.await?);
            // Detached: it ends with its connection, or with the runtime.
            drop(tokio::spawn(Suppressed(flusher)));
            Ok(gathered)
        })
    }
}

/// A connection whose writes go to a buffer. A task of its own empties the buffer: it runs when the task that wrote has
/// nothing more to write and yields. To flush means to leave it to that task.
#[derive(Debug)]
pub(crate) struct Gathered<S> {
    shared: Shared<S>,
}

/// The task that empties the buffer.
#[derive(Debug)]
struct Flusher<S> {
    shared: Shared<S>,
}

type Shared<S> = Arc<Mutex<State<S>>>;

#[derive(Debug)]
struct State<S> {
    io: S,
    buffer: Vec<u8>,
    /// How much of the buffer is written.
    written: usize,
    /// The flusher, where it has nothing to do.
    flusher: Option<Waker>,
    /// The connection, where it waits for room or for the end.
    waiting: Option<Waker>,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Open,
    /// Everything is to be written, and then the end.
    Closing,
    Closed,
    /// The connection was dropped: nobody waits for anything.
    Abandoned,
    Failed(io::ErrorKind),
}

fn gather<S: Write + Unpin>(io: S) -> (Gathered<S>, Flusher<S>) {
    let state = State {
        io,
        buffer: Vec::new(),
        written: 0,
        flusher: None,
        waiting: None,
        phase: Phase::Open,
    };
    let shared = Arc::new(Mutex::new(state));
    (
        Gathered {
            shared: Arc::clone(&shared),
        },
        Flusher { shared },
    )
}

fn lock<S>(shared: &Shared<S>) -> MutexGuard<'_, State<S>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S> State<S> {
    fn wake_flusher(&mut self) {
        if let Some(flusher) = self.flusher.take() {
            flusher.wake();
        }
    }

    fn wake_waiting(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
    }

    /// How much may be added now; waits for room where there is none.
    fn poll_room(&mut self, cx: &Context<'_>) -> Poll<io::Result<usize>> {
        match self.phase {
            Phase::Open => {}
            Phase::Failed(kind) => return Poll::Ready(Err(kind.into())),
            Phase::Closing | Phase::Closed | Phase::Abandoned => {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
        }
        match CAPACITY - self.buffer.len() {
            0 => {
                self.waiting = Some(cx.waker().clone());
                Poll::Pending
            }
            room => Poll::Ready(Ok(room)),
        }
    }
}

impl<S: Write + Unpin> Write for Gathered<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = lock(&self.shared);
        let mut room = std::task::ready!(state.poll_room(cx))?;
        let mut taken = 0;
        for slice in slices {
            let part = &slice[..slice.len().min(room)];
            state.buffer.extend_from_slice(part);
            room -= part.len();
            taken += part.len();
        }
        state.wake_flusher();
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match lock(&self.shared).phase {
            Phase::Failed(kind) => Poll::Ready(Err(kind.into())),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = lock(&self.shared);
        match state.phase {
            Phase::Open => state.phase = Phase::Closing,
            Phase::Closing | Phase::Abandoned => {}
            Phase::Closed => return Poll::Ready(Ok(())),
            Phase::Failed(kind) => return Poll::Ready(Err(kind.into())),
        }
        state.waiting = Some(cx.waker().clone());
        state.wake_flusher();
        Poll::Pending
    }
}

impl<S: Read + Unpin> Read for Gathered<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, cursor: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut lock(&self.shared).io).poll_read(cx, cursor)
    }
}

impl<S> Drop for Gathered<S> {
    fn drop(&mut self) {
        let mut state = lock(&self.shared);
        if matches!(state.phase, Phase::Open | Phase::Closing) {
            state.phase = Phase::Abandoned;
        }
        state.wake_flusher();
    }
}

impl<S: Write + Unpin> Future for Flusher<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.shared);
        let ended = match state.poll_empty(cx) {
            Poll::Ready(Ok(is_end)) => is_end,
            Poll::Ready(Err(error)) => {
                state.phase = Phase::Failed(error.kind());
                state.buffer = Vec::new();
                true
            }
            // The socket wakes us. What comes meanwhile is written with the rest.
            Poll::Pending => {
                return if matches!(state.phase, Phase::Abandoned) {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                };
            }
        };
        state.wake_waiting();
        if ended {
            return Poll::Ready(());
        }
        state.flusher = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<S: Write + Unpin> State<S> {
    /// Writes everything, and the end if that is asked for. Answers whether it was the end.
    fn poll_empty(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while self.written < self.buffer.len() {
            let written = std::task::ready!(Pin::new(&mut self.io).poll_write(cx, &self.buffer[self.written..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
        }
        self.buffer.clear();
        self.written = 0;
        std::task::ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        match self.phase {
            Phase::Closing => {
                std::task::ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
                self.phase = Phase::Closed;
                Poll::Ready(Ok(true))
            }
            Phase::Abandoned => Poll::Ready(Ok(true)),
            _ => Poll::Ready(Ok(false)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sink that takes so many bytes a call, and then none until it is given more.
    #[derive(Debug, Default)]
    struct Sink {
        bytes: Vec<u8>,
        writes: usize,
        room: usize,
        is_closed: bool,
        fails: bool,
    }

    impl Write for Sink {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            if self.fails {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            let taken = bytes.len().min(self.room);
            if taken == 0 {
                return Poll::Pending;
            }
            self.room -= taken;
            self.writes += 1;
            self.bytes.extend_from_slice(&bytes[..taken]);
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.is_closed = true;
            Poll::Ready(Ok(()))
        }
    }

    struct Rig {
        gathered: Gathered<Sink>,
        flusher: Flusher<Sink>,
    }

    impl Rig {
        fn new(room: usize) -> Self {
            let (gathered, flusher) = gather(Sink {
                room,
                ..Sink::default()
            });
            Self { gathered, flusher }
        }

        fn write(&mut self, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let mut cx = Context::from_waker(Waker::noop());
            let written = Pin::new(&mut self.gathered).poll_write(&mut cx, bytes);
            assert!(Pin::new(&mut self.gathered).poll_flush(&mut cx).is_ready());
            written
        }

        fn flush(&mut self) -> Poll<()> {
            Pin::new(&mut self.flusher).poll(&mut Context::from_waker(Waker::noop()))
        }

        fn sink<R>(&self, look: impl FnOnce(&mut Sink) -> R) -> R {
            look(&mut lock(&self.flusher.shared).io)
        }
    }

    fn taken(written: Poll<io::Result<usize>>) -> usize {
        match written {
            Poll::Ready(Ok(taken)) => taken,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn many_writes_and_flushes_are_one_write_below() {
        let mut rig = Rig::new(1 << 20);
        for frame in [&b"one "[..], b"two ", b"three"] {
            assert_eq!(taken(rig.write(frame)), frame.len());
        }
        assert!(rig.flush().is_pending());
        rig.sink(|sink| assert_eq!((&sink.bytes[..], sink.writes), (&b"one two three"[..], 1)));
    }

    #[test]
    fn a_full_buffer_waits_and_loses_nothing() {
        let mut rig = Rig::new(10);
        let bytes: Vec<u8> = (0..CAPACITY + 100).map(|n| n as u8).collect();
        let first = taken(rig.write(&bytes));
        assert_eq!(first, CAPACITY);
        assert!(rig.write(&bytes[first..]).is_pending());
        assert!(rig.flush().is_pending());
        assert!(
            rig.write(&bytes[first..]).is_pending(),
            "no room before all of it is written"
        );
        rig.sink(|sink| sink.room = usize::MAX);
        assert!(rig.flush().is_pending());
        assert_eq!(taken(rig.write(&bytes[first..])), 100);
        assert!(rig.flush().is_pending());
        rig.sink(|sink| assert!(sink.bytes == bytes));
    }

    #[test]
    fn the_end_comes_after_everything() {
        let mut rig = Rig::new(2);
        taken(rig.write(b"last words"));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut rig.gathered).poll_shutdown(&mut cx).is_pending());
        assert!(rig.flush().is_pending());
        assert!(!rig.sink(|sink| sink.is_closed));
        rig.sink(|sink| sink.room = usize::MAX);
        assert!(rig.flush().is_ready());
        assert!(Pin::new(&mut rig.gathered).poll_shutdown(&mut cx).is_ready());
        rig.sink(|sink| assert_eq!((&sink.bytes[..], sink.is_closed), (&b"last words"[..], true)));
    }

    #[test]
    fn an_error_is_told_to_whoever_writes_next() {
        let mut rig = Rig::new(2);
        taken(rig.write(b"x"));
        rig.sink(|sink| sink.fails = true);
        assert!(rig.flush().is_ready());
        match rig.write(b"y") {
            Poll::Ready(Err(error)) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_flusher_ends_with_its_connection() {
        let Rig { gathered, mut flusher } = Rig::new(0);
        drop(gathered);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut flusher).poll(&mut cx).is_ready());
    }
}
