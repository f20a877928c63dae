//! The receiver's thread: two listeners and their connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::watch;

use super::connection::Service;
use super::record::Protocol;
use crate::listener::{Connections, Listener};
use crate::port::Port;
use crate::worker::Calls;

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
    connections: Connections,
    go_away: watch::Sender<()>,
}

impl Server {
    pub(super) fn new(service: Arc<Service>, grpc: Port, http: Port) -> Self {
        Self {
            service,
            grpc: Listener::new(grpc),
            http: Listener::new(http),
            connections: Connections::default(),
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
                () = self.connections.reap() => {}
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
                self.grpc.close();
                self.http.close();
                self.connections.abort_all().await;
            }
            Command::AbortConnections => self.connections.abort_all().await,
            Command::GoAway => self.go_away.send_replace(()),
        }
        Ok(())
    }

    fn connected(&mut self, protocol: Protocol, (stream, peer): (TcpStream, SocketAddr)) {
        let service = Arc::clone(&self.service);
        service.shared.counts.change(|counts| counts.connections += 1);
        let go_away = self.go_away.subscribe();
        self.connections.spawn(stream, |stream, reset| {
            service.serve(protocol, stream, peer, reset, go_away)
        });
    }
}
