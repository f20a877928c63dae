//! The other side of an X-Ray sampler.

pub(crate) mod server;
