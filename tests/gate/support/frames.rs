//! HTTP/2 written by hand (RFC 9113, RFC 7541), for requests that no client library would send.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::Client;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// What came back on the stream.
#[derive(Debug, Default)]
pub struct Framed {
    /// True if there was a response head.
    pub answered: bool,
    pub body: String,
    /// The error code of a reset stream or a closed connection.
    pub error: Option<u32>,
}

impl Client {
    /// Sends one request as these header fields, and this body if it is not empty.
    pub async fn framed(&self, fields: &[(&[u8], &[u8])], body: &[u8]) -> Framed {
        let mut tls = self.connect(&["h2"]).await;
        let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        sent.extend(frame(SETTINGS, 0, 0, &[]));
        let block: Vec<u8> = fields.iter().flat_map(|(name, value)| field(name, value)).collect();
        let ending = if body.is_empty() { END_STREAM } else { 0 };
        sent.extend(frame(HEADERS, END_HEADERS | ending, 1, &block));
        if !body.is_empty() {
            sent.extend(frame(DATA, END_STREAM, 1, body));
        }
        tls.write_all(&sent).await.unwrap();
        tls.flush().await.unwrap();
        let mut told = Framed::default();
        loop {
            let mut head = [0; 9];
            if tls.read_exact(&mut head).await.is_err() {
                return told;
            }
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            tls.read_exact(&mut payload).await.unwrap();
            let code = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
            match head[3] {
                HEADERS => told.answered = true,
                DATA => told.body.push_str(&String::from_utf8_lossy(&payload)),
                RST_STREAM => told.error = Some(code(0)),
                GOAWAY => told.error = Some(code(4)),
                _ => {}
            }
            let ended = matches!(head[3], HEADERS | DATA) && head[4] & END_STREAM != 0;
            // No window is opened, so a recording would not come to its end.
            if ended || told.error.is_some() || told.body.len() > 4096 {
                return told;
            }
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A literal field that is not indexed, with a new name, without Huffman's code.
fn field(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&[0], &integer(name.len())[..], name, &integer(value.len()), value].concat()
}

/// RFC 7541, 5.1, with a prefix of seven bits.
fn integer(n: usize) -> Vec<u8> {
    let Some(mut rest) = n.checked_sub(127) else { return vec![u8::try_from(n).unwrap()] };
    let mut bytes = vec![127];
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}
