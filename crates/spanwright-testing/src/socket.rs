//! A TCP stream that can end with a reset.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpSocket, TcpStream};

/// Decides how the streams that it was given to end. Clones are the same switch.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResetSwitch(Arc<AtomicBool>);

impl ResetSwitch {
    /// From now on the streams end with a reset when they are dropped.
    pub(crate) fn turn_on(&self) {
        // Relaxed: read on the thread that wrote it.
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A stream whose end depends on switches: with none of them on it closes as usual.
///
/// Whoever serves a connection owns the stream and drops it; so the decision has to be in the stream itself.
#[derive(Debug)]
pub(crate) struct ResettableStream {
    stream: TcpStream,
    switches: [ResetSwitch; 2],
}

impl ResettableStream {
    pub(crate) fn new(stream: TcpStream, switches: [ResetSwitch; 2]) -> Self {
        Self { stream, switches }
    }

    /// Another stream with the same switches, to `address`. If connecting is given up on the way, it ends with a reset.
    pub(crate) async fn connect_another(&self, address: SocketAddr) -> io::Result<Self> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // The other side may have accepted before we are told that we are connected; there is no `Self` yet to decide how it ends.
        socket.set_zero_linger()?;
        let stream = socket.connect(address).await?;
        #[expect(deprecated, reason = "a linger time blocks the thread that closes; none does not")]
        stream.set_linger(None)?;
        stream.set_nodelay(true)?;
        Ok(Self::new(stream, self.switches.clone()))
    }

    /// Both ways of the stream, which stays whole: what becomes of it is decided when `self` is dropped, not the halves.
    pub(crate) fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        self.stream.split()
    }
}

impl Drop for ResettableStream {
    fn drop(&mut self) {
        if self.switches.iter().any(ResetSwitch::is_on) {
            // With a linger time of zero the kernel sends RST in place of FIN. A stream that cannot be set is already closed.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for ResettableStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for ResettableStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
