//! Over HTTP/1.1.

use ::http::{Method, Request, header, request};
use bytes::{Bytes, BytesMut};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{USER_AGENT, check_head, cut_off, driven, read, refused};
use crate::remote::address::Address;
use crate::remote::error::RemoteError;

const JSON: &str = "application/json";

/// `GET {path_and_query}`, for JSON.
pub(in crate::remote) async fn get(
    stream: TcpStream,
    address: &Address,
    path_and_query: &str,
) -> Result<BytesMut, RemoteError> {
    let request = request(Method::GET, address, path_and_query);
    exchange(stream, request, Bytes::new()).await
}

/// `POST {path}` of JSON, for JSON.
pub(in crate::remote) async fn post(
    stream: TcpStream,
    address: &Address,
    path: &str,
    body: Bytes,
) -> Result<BytesMut, RemoteError> {
    let request = request(Method::POST, address, path).header(header::CONTENT_TYPE, JSON);
    exchange(stream, request, body).await
}

fn request(method: Method, address: &Address, path_and_query: &str) -> request::Builder {
    Request::builder()
        .method(method)
        .uri(path_and_query)
        .header(header::HOST, &address.authority)
        .header(header::ACCEPT, JSON)
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::CONNECTION, "close")
}

async fn exchange(stream: TcpStream, request: request::Builder, body: Bytes) -> Result<BytesMut, RemoteError> {
    let request = request
        .body(Full::new(body))
        .map_err(|error| refused(error.to_string()))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| cut_off(&error))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|error| cut_off(&error))?;
        check_head(&response, JSON)?;
        let (body, _) = read(response).await?;
        Ok(body)
    };
    driven(exchange, connection).await
}
