//! One question about one service.

use std::time::Duration;

use super::answer;
use super::endpoint::{Endpoint, JaegerProtocol};
use super::grpc;
use super::strategy::Strategy;
use crate::remote::client::{http, within};
use crate::remote::error::RemoteError;

/// Asks one server about one service.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) endpoint: Endpoint,
    pub(super) service_name: String,
    /// For all of it: name, connection, answer.
    pub(super) timeout: Duration,
}

impl Client {
    /// Asks once.
    pub(super) async fn fetch(&self) -> Result<Strategy, RemoteError> {
        let Endpoint {
            protocol,
            address,
            path_and_query,
        } = &self.endpoint;
        let ask = async |stream| match protocol {
            JaegerProtocol::Grpc => {
                let message = grpc::ask(stream, &self.endpoint, &self.service_name).await?;
                Ok(answer::protobuf(&message)?)
            }
            JaegerProtocol::Http => Ok(answer::json(&http::get(stream, address, path_and_query).await?)?),
        };
        within(self.timeout, address, ask).await
    }
}
