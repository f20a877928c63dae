//! The receiver's thread: two listeners and their connections.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::connection::Service;
use super::record::Protocol;
use crate::port::Port;
use crate::socket::ResetSwitch;
use crate::worker::Calls;

/// How long to wait after a failed `accept`. It fails when the process has no file descriptors left, and at once again.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug)]
pub(super) enum Command {
    /// Listen on both ports.
    Listen,
    /// Close the listeners, abort all connections.
    StopListening,
    /// Abort all connections.
    AbortConnections,
    /// End all connections gracefully.
    GoAway,
}

pub(super) struct Server {
    service: Arc<Service>,
    grpc: Listener,
    http: Listener,
    connections: JoinSet<()>,
    /// Shared by the connections made since the last abort.
    reset: ResetSwitch,
    go_away: watch::Sender<()>,
}

impl Server {
    pub(super) fn new(service: Arc<Service>, grpc: Port, http: Port) -> Self {
        Self {
            service,
            grpc: Listener::new(grpc),
            http: Listener::new(http),
            connections: JoinSet::new(),
            reset: ResetSwitch::default(),
            go_away: watch::Sender::new(()),
        }
    }

    /// Accepts connections and takes commands, until there is nobody left to send one.
    pub(super) async fn run(mut self, mut calls: Calls<Command>) {
        loop {
            tokio::select! {
                biased;
                call = calls.recv() => match call {
                    Some(call) => {
                        let result = self.obey(call.command).await;
                        call.finish(result);
                    }
                    None => return,
                },
                stream = self.grpc.accept() => self.connected(Protocol::Grpc, stream),
                stream = self.http.accept() => self.connected(Protocol::Http, stream),
                Some(_) = self.connections.join_next() => {}
            }
        }
    }

    async fn obey(&mut self, command: Command) -> io::Result<()> {
        match command {
            Command::Listen => {
                self.grpc.open()?;
                self.http.open()?;
            }
            Command::StopListening => {
                self.grpc.tcp = None;
                self.http.tcp = None;
                self.abort_connections().await;
            }
            Command::AbortConnections => self.abort_connections().await,
            Command::GoAway => self.go_away.send_replace(()),
        }
        Ok(())
    }

    async fn abort_connections(&mut self) {
        std::mem::take(&mut self.reset).turn_on();
        self.connections.shutdown().await;
    }

    fn connected(&mut self, protocol: Protocol, (stream, peer): (TcpStream, std::net::SocketAddr)) {
        let service = Arc::clone(&self.service);
        service.shared.count(|counts| counts.connections += 1);
        let (reset, go_away) = (self.reset.clone(), self.go_away.subscribe());
        self.connections
            .spawn(service.serve(protocol, stream, peer, reset, go_away));
    }
}

struct Listener {
    port: Port,
    tcp: Option<TcpListener>,
}

impl Listener {
    fn new(port: Port) -> Self {
        Self { port, tcp: None }
    }

    fn open(&mut self) -> io::Result<()> {
        if self.tcp.is_none() {
            self.tcp = Some(self.port.listen()?);
        }
        Ok(())
    }

    /// The next connection; never returns while the listener is closed.
    async fn accept(&self) -> (TcpStream, std::net::SocketAddr) {
        let Some(tcp) = &self.tcp else {
            return std::future::pending().await;
        };
        loop {
            match tcp.accept().await {
                Ok(connection) => return connection,
                Err(_) => tokio::time::sleep(ACCEPT_BACKOFF).await,
            }
        }
    }
}
