//! A relay between our program and a receiver that keeps what our program sent.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

/// A port that passes everything on.
#[derive(Debug)]
pub(super) struct Tap {
    address: SocketAddr,
    finished: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Connection>>,
}

#[derive(Debug)]
struct Connection {
    sent: Arc<Mutex<Vec<u8>>>,
    thread: JoinHandle<()>,
}

impl Tap {
    /// Listens on a free port of the loopback interface, and passes each connection on to `target`.
    pub(super) fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let finished = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&finished);
        let thread = thread::spawn(move || {
            let mut connections = Vec::new();
            for client in listener.incoming().map_while(Result::ok) {
                // Pairs with the store of `finish`, whose own connection wakes this loop.
                if seen.load(Ordering::Acquire) {
                    break;
                }
                let sent = Arc::default();
                let kept = Arc::clone(&sent);
                connections.push(Connection {
                    sent,
                    thread: thread::spawn(move || {
                        // A broken connection is for the two ends to deal with.
                        let _ = relay(client, target, &kept);
                    }),
                });
            }
            connections
        });
        Ok(Self {
            address,
            finished,
            thread,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was sent, one stream of bytes for each connection in their order. To be called when the sender has ended: waits
    /// for its connections to close.
    pub(super) fn finish(self) -> Vec<Vec<u8>> {
        self.finished.store(true, Ordering::Release);
        // The loop wakes up on this connection. Where none is possible it has ended already.
        let _ = TcpStream::connect(self.address);
        let connections = self.thread.join().unwrap_or_default();
        connections
            .into_iter()
            .map(|connection| {
                let _ = connection.thread.join();
                std::mem::take(&mut *connection.sent.lock().unwrap_or_else(PoisonError::into_inner))
            })
            .collect()
    }
}

/// Passes bytes in both directions until the client closes.
fn relay(mut client: TcpStream, target: SocketAddr, sent: &Mutex<Vec<u8>>) -> io::Result<()> {
    let mut server = TcpStream::connect(target)?;
    let (mut answers, mut back) = (server.try_clone()?, client.try_clone()?);
    let answering = thread::spawn(move || io::copy(&mut answers, &mut back));
    let mut buffer = [0; 16 * 1024];
    let result = loop {
        match client.read(&mut buffer) {
            Ok(0) => break Ok(()),
            Ok(count) => {
                sent.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend_from_slice(&buffer[..count]);
                if let Err(error) = server.write_all(&buffer[..count]) {
                    break Err(error);
                }
            }
            Err(error) => break Err(error),
        }
    };
    // Both ends are told, whichever closed first; the copying thread ends with its socket.
    let _ = server.shutdown(Shutdown::Both);
    let _ = client.shutdown(Shutdown::Both);
    let _ = answering.join();
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_are_passed_on_and_what_was_sent_is_kept() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let tap = Tap::start(server.local_addr().expect("is bound")).expect("a free port");
        for (question, answer) in [(b"ping", b"pong"), (b"more", b"enough".first_chunk().expect("four"))] {
            let mut client = TcpStream::connect(tap.address()).expect("the tap listens");
            let (mut accepted, _) = server.accept().expect("the tap connects");
            let mut read = [0; 4];
            client.write_all(question).expect("is open");
            accepted.read_exact(&mut read).expect("is passed on");
            assert_eq!(&read, question);
            accepted.write_all(answer).expect("is open");
            client.read_exact(&mut read).expect("is passed back");
            assert_eq!(&read, answer);
        }
        assert_eq!(tap.finish(), [b"ping".to_vec(), b"more".to_vec()]);
    }

    #[test]
    fn a_receiver_that_is_not_there_closes_the_connection() {
        let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .expect("a port");
        let tap = Tap::start(gone).expect("a free port");
        let mut client = TcpStream::connect(tap.address()).expect("the tap listens");
        assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)));
        assert_eq!(tap.finish(), [Vec::<u8>::new()]);
    }
}
