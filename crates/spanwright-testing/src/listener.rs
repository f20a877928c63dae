//! A listener that can be closed and opened again, and the connections that came through it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::port::Port;
use crate::socket::{ResetSwitch, ResettableStream};

/// How long to wait after a failed `accept`. It fails when the process has no file descriptors left, and at once again.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(10);

/// A port that is listened on, or not.
#[derive(Debug)]
pub(crate) struct Listener {
    port: Port,
    tcp: Option<TcpListener>,
}

impl Listener {
    /// A listener that is closed.
    pub(crate) fn new(port: Port) -> Self {
        Self { port, tcp: None }
    }

    pub(crate) fn open(&mut self) -> io::Result<()> {
        if self.tcp.is_none() {
            self.tcp = Some(self.port.listen()?);
        }
        Ok(())
    }

    /// From now on connections are refused, also those that nobody has accepted yet.
    pub(crate) fn close(&mut self) {
        self.tcp = None;
    }

    /// The next connection; never returns while the listener is closed.
    pub(crate) async fn accept(&self) -> (TcpStream, SocketAddr) {
        let Some(tcp) = &self.tcp else {
            return std::future::pending().await;
        };
        loop {
            match tcp.accept().await {
                Ok((stream, peer)) => {
                    // Without it the kernel may hold back the end of a message for 40 ms. A socket that cannot be set is closed.
                    let _ = stream.set_nodelay(true);
                    return (stream, peer);
                }
                Err(_) => tokio::time::sleep(ACCEPT_BACKOFF).await,
            }
        }
    }
}

/// The tasks of connections, which can be aborted together.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    tasks: JoinSet<()>,
    /// Shared by the connections made since the last abort.
    reset: ResetSwitch,
}

impl Connections {
    /// Serves a connection on a task of its own. `serve` gets the stream, and the switch that makes only this one end with a reset.
    pub(crate) fn spawn<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        stream: TcpStream,
        serve: impl FnOnce(ResettableStream, ResetSwitch) -> F,
    ) {
        let own_reset = ResetSwitch::default();
        let stream = ResettableStream::new(stream, [self.reset.clone(), own_reset.clone()]);
        self.tasks.spawn(serve(stream, own_reset));
    }

    /// Ends every connection with a TCP reset. When this returns, it has happened.
    pub(crate) async fn abort_all(&mut self) {
        std::mem::take(&mut self.reset).turn_on();
        self.tasks.shutdown().await;
    }

    /// Forgets a connection that has ended, once there is one.
    pub(crate) async fn reap(&mut self) {
        if self.tasks.join_next().await.is_none() {
            std::future::pending().await
        }
    }
}
