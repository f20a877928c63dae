//! The fault proxy.

mod carry;
mod settings;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use self::carry::Link;
use self::settings::Settings;
use crate::listener::{Connections, Listener};
use crate::port::Port;
use crate::watched::Watched;
use crate::worker::{Calls, Worker};

pub use self::settings::Direction;

/// A TCP proxy on loopback that breaks connections as networks do.
///
/// It stands in front of an address and knows nothing of what it carries. What it does to the bytes can be changed at any
/// moment, for existing connections as well. It runs on a thread and a runtime of its own; dropping it closes everything.
///
/// ```
/// use std::time::Duration;
/// use spanwright_testing::{Direction, FaultProxy, Receiver};
///
/// let receiver = Receiver::spawn()?;
/// let proxy = FaultProxy::spawn(receiver.grpc_address())?;
/// // An exporter to `proxy.endpoint()` now sees what the network does:
/// proxy.set_delay(Direction::ToTarget, Duration::from_millis(50));
/// proxy.black_hole();
/// proxy.refuse()?;
/// proxy.reset()?;
/// proxy.forward()?; // all is well again
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct FaultProxy {
    // First, so that the thread has ended before the rest goes.
    worker: Worker<Command>,
    settings: watch::Sender<Settings>,
    counts: Arc<Watched<ProxyCounts>>,
    address: SocketAddr,
    target: SocketAddr,
}

impl FaultProxy {
    /// A proxy in front of `target`, on a free port of 127.0.0.1, that passes everything on.
    ///
    /// # Errors
    ///
    /// No port can be bound, or the thread cannot be started.
    pub fn spawn(target: SocketAddr) -> io::Result<Self> {
        let port = Port::reserve((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = port.address();
        let counts = Arc::<Watched<ProxyCounts>>::default();
        let (sender, settings) = watch::channel(Settings::default());
        let link = Link {
            target,
            settings,
            counts: Arc::clone(&counts),
        };
        let worker = Worker::spawn("fault-proxy", |calls| run(Listener::new(port), link, calls))?;
        worker.call(Command::Listen)?;
        Ok(Self {
            worker,
            settings: sender,
            counts,
            address,
            target,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a plain-text service behind it: `http://127.0.0.1:4317`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it stands in front of.
    #[must_use]
    pub fn target(&self) -> SocketAddr {
        self.target
    }

    /// Ends every fault: listens, and passes everything on at once.
    ///
    /// # Errors
    ///
    /// The port cannot be bound again, or the thread has ended.
    pub fn forward(&self) -> io::Result<()> {
        self.settings.send_replace(Settings::default());
        self.worker.call(Command::Listen)
    }

    /// Refuses new connections. Existing ones go on; [`reset`](Self::reset) ends them. The port stays reserved.
    ///
    /// # Errors
    ///
    /// The thread has ended.
    pub fn refuse(&self) -> io::Result<()> {
        self.worker.call(Command::Refuse)
    }

    /// Accepts connections, and from now on passes on nothing of what they carry, in both directions.
    ///
    /// It is what a lost route or a dead firewall looks like: no error, and no answer. What was on the way when it began waits as
    /// well; what is sent meanwhile fills the buffers between, and then blocks the sender. [`forward`](Self::forward) lets it all go on.
    pub fn black_hole(&self) {
        self.settings.send_modify(|settings| settings.black_hole = true);
    }

    /// Ends all connections with a TCP reset, and goes on listening if it listened. When this returns, it has happened.
    ///
    /// # Errors
    ///
    /// The thread has ended.
    pub fn reset(&self) -> io::Result<()> {
        self.worker.call(Command::Reset)
    }

    /// Every byte in this direction takes so much longer. It is latency, not bandwidth: many bytes can be on the way.
    pub fn set_delay(&self, direction: Direction, delay: Duration) {
        self.change(direction, |flow| flow.delay = delay);
    }

    /// At most so many bytes a second go in this direction on each connection; `None` for no limit.
    pub fn set_bandwidth(&self, direction: Direction, bytes_per_second: Option<NonZeroU64>) {
        self.change(direction, |flow| flow.bytes_per_second = bytes_per_second);
    }

    /// Each connection is reset as soon as it has carried so many bytes in this direction, counted from its beginning.
    ///
    /// An existing connection that has carried more already is reset with the next byte. Of the bytes before the cut the other side
    /// may have read fewer when the reset overtakes them, never more.
    pub fn cut_after(&self, direction: Direction, bytes: u64) {
        self.change(direction, |flow| flow.cut_after = Some(bytes));
    }

    fn change(&self, direction: Direction, change: impl FnOnce(&mut settings::Flow)) {
        self.settings
            .send_modify(|settings| change(settings.flow_mut(direction)));
    }

    /// What it carried so far.
    #[must_use]
    pub fn counts(&self) -> ProxyCounts {
        self.counts.get()
    }

    /// Blocks until the counts are as `reached` wants them; `false` if `timeout` came first.
    #[must_use]
    pub fn wait_until(&self, timeout: Duration, reached: impl FnMut(&ProxyCounts) -> bool) -> bool {
        self.counts.wait(timeout, reached)
    }

    /// Returns when the counts are as `reached` wants them. Runs in any runtime.
    pub async fn reached(&self, reached: impl FnMut(&ProxyCounts) -> bool) {
        self.counts.reached(reached).await;
    }
}

impl fmt::Debug for FaultProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultProxy")
            .field("address", &self.address)
            .field("target", &self.target)
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

/// What a [`FaultProxy`] carried so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ProxyCounts {
    /// Connections that were accepted.
    pub connections: u64,
    /// Those of them that are open now.
    pub open: u64,
    /// Those of them that were reset by [`FaultProxy::cut_after`].
    pub cuts: u64,
    /// Bytes passed on to clients.
    pub bytes_to_client: u64,
    /// Bytes passed on to the target.
    pub bytes_to_target: u64,
}

impl ProxyCounts {
    fn bytes_mut(&mut self, direction: Direction) -> &mut u64 {
        match direction {
            Direction::ToClient => &mut self.bytes_to_client,
            Direction::ToTarget => &mut self.bytes_to_target,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Command {
    Listen,
    Refuse,
    Reset,
}

/// Accepts connections and takes commands, until there is nobody left to send one.
async fn run(mut listener: Listener, link: Link, mut calls: Calls<Command>) {
    let mut connections = Connections::default();
    loop {
        tokio::select! {
            biased;
            call = calls.recv() => {
                let Some(call) = call else { return };
                let result = match call.command {
                    Command::Listen => listener.open(),
                    Command::Refuse => {
                        listener.close();
                        Ok(())
                    }
                    Command::Reset => {
                        connections.abort_all().await;
                        Ok(())
                    }
                };
                call.finish(result);
            }
            (client, _) = listener.accept() => {
                let link = link.clone();
                connections.spawn(client, |client, reset| link.carry(client, reset));
            }
            () = connections.reap() => {}
        }
    }
}
