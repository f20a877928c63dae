//! The runtime that a connection lives on.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use spanwright_core::ExportError;
use tokio::runtime::{Handle, Id};

use crate::classify::local;

/// A client, made on first use by the runtime that uses it.
///
/// A connection is driven by tasks of the runtime that opened it, and hangs when that runtime stops. So an exporter can be built
/// anywhere, also where there is no runtime, and one that moves to another runtime (as in a series of tests) connects anew.
/// It is at home in one runtime at a time: used by two in turn, it would connect for each request.
pub(crate) struct Home<T> {
    client: Mutex<Option<(Id, T)>>,
}

impl<T: Clone> Home<T> {
    pub(crate) fn new() -> Self {
        Self {
            client: Mutex::new(None),
        }
    }

    /// The client of the current runtime; `make` makes it, where there is none yet.
    pub(crate) fn client(&self, make: impl FnOnce() -> T) -> Result<T, ExportError> {
        let here = Handle::try_current().map_err(|_| local::no_runtime())?.id();
        let mut client = self.lock();
        if let Some((home, client)) = &*client
            && *home == here
        {
            return Ok(client.clone());
        }
        let (_, made) = client.insert((here, make()));
        Ok(made.clone())
    }

    /// Lets go of a client that does not work any more.
    #[cfg(feature = "grpc")]
    pub(crate) fn forget(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Id, T)>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for Home<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Home").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_runtime_gets_a_client_of_its_own_and_none_an_error() {
        let home = Home::new();
        let mut made = 0;
        let mut client = || {
            home.client(|| {
                made += 1;
                made
            })
        };
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(client().unwrap_err().error_type(), "no_runtime");
        let (first, second) = (runtime(), runtime());
        assert_eq!(first.block_on(async { (client().unwrap(), client().unwrap()) }), (1, 1));
        assert_eq!(second.block_on(async { client().unwrap() }), 2);
    }
}
