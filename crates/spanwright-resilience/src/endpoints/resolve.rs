//! From a name to addresses.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

/// Looks a name up.
pub trait Resolve: Send + 'static {
    /// The addresses of `endpoint`, which is `host:port`. None, and an error, both mean that there is no answer now.
    ///
    /// It is asked within a tokio runtime, one question at a time, and given up after [`ResolveConfig::timeout`](crate::ResolveConfig).
    fn resolve(&mut self, endpoint: &str) -> ResolveFuture;
}

/// The answer to come.
pub type ResolveFuture = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// The system's resolver, with its files, its search list and its name servers.
///
/// # Cost
///
/// A thread of tokio's blocking pool, for as long as the system takes; also where the answer is not waited for any more.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&mut self, endpoint: &str) -> ResolveFuture {
        let endpoint = endpoint.to_owned();
        Box::pin(async move { Ok(tokio::net::lookup_host(endpoint).await?.collect()) })
    }
}
