//! Shutdown at the end of a scope.

use std::time::Duration;

use spanwright_batching::FlushError;

use crate::notice;
use crate::pipeline::Pipeline;

/// Shuts a pipeline down when it is dropped, within a deadline. From [`Pipeline::guard`].
///
/// Hold it in `main`, so that the last spans leave however `main` ends. It blocks the thread that drops it, but needs no
/// runtime, and does no harm in one. Whoever wants the report calls [`Pipeline::shutdown`] before; the guard then has nothing to
/// do. Here there is nobody to give it to: if anything did not arrive, a warning says so.
///
/// ```no_run
/// # #[cfg(feature = "grpc")]
/// fn main() -> Result<(), spanwright_pipeline::BuildError> {
///     let pipeline = spanwright_pipeline::Pipeline::builder().build()?;
///     let _guard = pipeline.install_global().guard();
///     // the service
///     Ok(())
/// }
/// # #[cfg(not(feature = "grpc"))]
/// # fn main() {}
/// ```
#[derive(Debug)]
#[must_use = "the pipeline is shut down when the guard is dropped, which is now"]
pub struct PipelineGuard {
    pipeline: Pipeline,
    timeout: Duration,
}

impl PipelineGuard {
    /// The SDK's own deadline for a shutdown. Half of what Kubernetes leaves a pod to end is 15 s: there is room for the rest.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

    pub(crate) fn new(pipeline: Pipeline) -> Self {
        Self {
            pipeline,
            timeout: Self::DEFAULT_TIMEOUT,
        }
    }

    /// How long dropping the guard may take. Default 5 s. What cannot be delivered by then is lost as `shutdown_timeout`.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl Drop for PipelineGuard {
    fn drop(&mut self) {
        match self.pipeline.shutdown(self.timeout) {
            Err(FlushError::AlreadyShutdown) => {}
            Ok(report) if report.is_complete() => {}
            Ok(report) => notice::warn(format_args!("not everything arrived before the shutdown: {report}")),
            Err(error) => notice::warn(format_args!("the pipeline was not shut down: {error}")),
        }
    }
}
