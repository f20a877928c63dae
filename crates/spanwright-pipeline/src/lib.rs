//! Assembly of a whole tracing pipeline: builder, environment variables, one deadline for shutdown.
