//! A TCP port that stays ours while nobody listens on it.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// How many connections wait for `accept`. Outages in tests bring many at once.
const BACKLOG: u32 = 1024;

/// A reserved local address.
///
/// A receiver that is down must refuse connections, and come back under the same address. A closed listener would give
/// the port back to the system, and a test that runs beside us could get it. A socket that is bound and never listens keeps
/// it: the kernel refuses connections to it, and chooses the port neither for who binds to any port nor for who connects.
#[derive(Debug)]
pub(crate) struct Port {
    address: SocketAddr,
    reserved: Option<TcpSocket>,
}

impl Port {
    /// Reserves `address`; port 0 lets the system choose.
    pub(crate) fn reserve(address: SocketAddr) -> io::Result<Self> {
        let socket = bound(address)?;
        Ok(Self {
            address: socket.local_addr()?,
            reserved: Some(socket),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens. Needs a tokio runtime; closing the listener makes the port refuse again.
    pub(crate) fn listen(&mut self) -> io::Result<TcpListener> {
        match bound(self.address).and_then(|socket| socket.listen(BACKLOG)) {
            Ok(listener) => Ok(listener),
            // Systems other than Linux do not allow a second socket beside the reserving one, so that one has to go.
            Err(_) if self.reserved.take().is_some() => bound(self.address)?.listen(BACKLOG),
            Err(error) => Err(error),
        }
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}
