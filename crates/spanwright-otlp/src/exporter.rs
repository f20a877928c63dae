//! What the two exporters have in common.

/// An exporter over a wire. The two differ in nothing else, and a generic type would only hide their names.
macro_rules! exporter {
    ($(#[$attribute:meta])* $name:ident over $wire:ty) => {
        $(#[$attribute])*
        #[derive(Clone, Debug)]
        pub struct $name {
            delivery: std::sync::Arc<$crate::delivery::Delivery<$wire>>,
        }

        impl $name {
            /// Starts a builder.
            pub fn builder() -> $crate::ExporterBuilder<Self> {
                $crate::ExporterBuilder::new()
            }

            /// Where requests go, without what may be a secret.
            #[must_use]
            pub fn endpoint(&self) -> &str {
                &self.delivery.endpoint
            }

            /// What compression did so far, in this exporter, its clones, and those that share its
            /// [analyzer](crate::ExporterBuilder::with_compression_analyzer).
            #[must_use]
            pub fn compression(&self) -> $crate::CompressionStats {
                self.delivery.analyzer.stats()
            }
        }

        impl tower_service::Service<spanwright_core::EncodedBatch> for $name {
            type Response = spanwright_core::Receipt;
            type Error = spanwright_core::ExportError;
            type Future = $crate::ExportFuture;

            /// Always ready: the connection is made as part of the request, within its timeout.
            fn poll_ready(
                &mut self,
                _: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Result<(), spanwright_core::ExportError>> {
                std::task::Poll::Ready(Ok(()))
            }

            fn call(&mut self, batch: spanwright_core::EncodedBatch) -> $crate::ExportFuture {
                self.delivery.start(batch)
            }
        }
    };
}

pub(crate) use exporter;
