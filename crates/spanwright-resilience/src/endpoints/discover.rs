//! A set of exporters that changes.

use std::sync::Arc;
use std::task::{Context, Poll};

use spanwright_core::{BoxExporter, ExportError};

/// Says which exporters there are, as they come and go.
///
/// [`Balance`](crate::Balance) and [`TraceHash`](crate::TraceHash) ask it whenever they are asked whether they are ready. The one here is
/// [`Resolved`](crate::Resolved); others may watch whatever tells them.
pub trait Discover: Send + 'static {
    /// The next change. `Pending`: there is none now, and whoever asked is woken when there is.
    fn poll_change(&mut self, cx: &mut Context<'_>) -> Poll<Change>;

    /// Why there is no exporter at all, once that is known; `None` while it is being found out.
    fn absence(&self) -> Option<ExportError>;

    /// A connection to one of the exporters could not be made, or broke: what is known may be out of date.
    fn connection_failed(&mut self) {}
}

/// An exporter came or went.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing else that an exporter can do")]
pub enum Change {
    /// This one is there, under this name; in place of one of the same name.
    Insert(Arc<str>, BoxExporter),
    /// The one of this name is not to be used any more. What is under way to it is finished.
    Remove(Arc<str>),
}
