//! What the operations listener says.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;

use super::client::Client;
use super::world::World;

/// Status, media type and text.
pub async fn ask(address: SocketAddr, path: &str, accept: &str) -> (u16, String, String) {
    let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(tcp)).await.unwrap();
    tokio::spawn(connection);
    let request = Client::get(path).header("accept", accept).body(Empty::<Bytes>::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status().as_u16();
    let of_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    let text = response.into_body().collect().await.unwrap().to_bytes();
    (status, of_type, String::from_utf8(text.to_vec()).unwrap())
}

impl World {
    /// What `/metrics` or `/readyz` say.
    pub async fn operations(&self, path: &str) -> (u16, String) {
        let address = self.running().server().operations().unwrap();
        let (status, _, text) = ask(address, path, "*/*").await;
        (status, text)
    }

    /// The value of a sample; its labels as they are written. 0 if there is none yet.
    pub async fn metric(&self, sample: &str) -> f64 {
        let (_, text) = self.operations("/metrics").await;
        value(&text, sample)
    }
}

/// The value of a sample in a text. 0 if there is none.
pub fn value(text: &str, sample: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}
