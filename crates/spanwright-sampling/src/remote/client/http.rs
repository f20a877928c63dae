//! Over HTTP/1.1.

use ::http::{Method, Request, header};
use bytes::BytesMut;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{USER_AGENT, check_head, cut_off, driven, read, refused};
use crate::remote::endpoint::Endpoint;
use crate::remote::error::RemoteError;

pub(super) async fn ask(stream: TcpStream, endpoint: &Endpoint) -> Result<BytesMut, RemoteError> {
    let request = Request::builder()
        .method(Method::GET)
        .uri(&endpoint.path_and_query)
        .header(header::HOST, &endpoint.authority)
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::CONNECTION, "close")
        .body(Empty::<bytes::Bytes>::new())
        .map_err(|error| refused(error.to_string()))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| cut_off(&error))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|error| cut_off(&error))?;
        check_head(&response, "application/json")?;
        let (body, _) = read(response).await?;
        Ok(body)
    };
    driven(exchange, connection).await
}
