//! What compression costs, and what it saves.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Counts what compression does. Clones share the counters, so that one analyzer can sum up several exporters.
///
/// Each exporter has one: [`GrpcExporter::compression`](crate::GrpcExporter::compression) reads it.
///
/// # Cost
///
/// One lock per compressed batch.
#[derive(Clone, Debug, Default)]
pub struct CompressionAnalyzer {
    stats: Arc<Mutex<CompressionStats>>,
}

/// What a [`CompressionAnalyzer`] has counted, at one moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct CompressionStats {
    /// The batches compressed. One that is sent five times is compressed once.
    pub batches: u64,
    /// Their bytes before.
    pub bytes_before: u64,
    /// Their bytes after.
    pub bytes_after: u64,
    /// The time that it took.
    pub time_spent: Duration,
}

impl CompressionAnalyzer {
    /// An analyzer that has counted nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What was counted so far; the figures belong together.
    #[must_use]
    pub fn stats(&self) -> CompressionStats {
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a batch, and gives its own figures.
    pub(crate) fn record(&self, before: usize, after: usize, elapsed: Duration) -> CompressionStats {
        let batch = CompressionStats {
            batches: 1,
            bytes_before: before as u64,
            bytes_after: after as u64,
            time_spent: elapsed,
        };
        let mut stats = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        stats.batches += batch.batches;
        stats.bytes_before += batch.bytes_before;
        stats.bytes_after += batch.bytes_after;
        stats.time_spent += batch.time_spent;
        batch
    }
}

impl CompressionStats {
    /// Bytes before to bytes after: 4.0 means a quarter is sent. `None` before the first batch.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "a ratio of more than 2^53 bytes has digits enough"
    )]
    pub fn ratio(&self) -> Option<f64> {
        (self.bytes_after > 0).then(|| self.bytes_before as f64 / self.bytes_after as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_count_together() {
        let analyzer = CompressionAnalyzer::new();
        assert_eq!(analyzer.stats().ratio(), None);
        analyzer.record(900, 200, Duration::from_millis(2));
        analyzer.clone().record(100, 50, Duration::from_millis(1));
        let stats = analyzer.stats();
        assert_eq!((stats.batches, stats.time_spent), (2, Duration::from_millis(3)));
        assert_eq!(stats.ratio(), Some(4.0));
    }
}
