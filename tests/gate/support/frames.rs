//! HTTP/2 written by hand (RFC 9113, RFC 7541), for requests that no client library would send.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::client::Client;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;
pub const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// What a client says first, with settings of its own.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame that came back.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The error code of a GOAWAY or RST_STREAM.
    pub fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

/// A connection on which frames are written by hand.
pub struct Frames(pub TlsStream<TcpStream>);

impl Frames {
    /// Connects and says hello.
    pub async fn connect(client: &Client) -> Self {
        let mut frames = Self(client.connect(&["h2"]).await);
        frames.send(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await.unwrap();
        frames
    }

    /// Writes; an error if the gate has closed.
    pub async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes).await?;
        self.0.flush().await
    }

    /// The next frame; none if the gate has closed.
    pub async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes(head[5..9].try_into().unwrap());
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// Reads until a frame is this; none if the gate has closed before.
    pub async fn until(&mut self, is: impl Fn(&Frame) -> bool) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if is(&frame) {
                return Some(frame);
            }
        }
    }

    /// True if the gate answers a ping.
    pub async fn lives(&mut self) -> bool {
        self.send(&frame(PING, 0, 0, b"are u up")).await.is_ok()
            && self.until(|frame| frame.kind == PING && frame.flags & ACK != 0).await.is_some()
    }
}

/// A request's head that ends the stream.
pub fn request(stream: u32, fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(fields))
}

/// A header block.
pub fn block(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| field(name, value)).collect()
}

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
        let mut sent = Vec::new();
        let block = block(fields);
        let ending = if body.is_empty() { END_STREAM } else { 0 };
        sent.extend(frame(HEADERS, END_HEADERS | ending, 1, &block));
        if !body.is_empty() {
            sent.extend(frame(DATA, END_STREAM, 1, body));
        }
        let mut frames = Frames::connect(self).await;
        frames.send(&sent).await.unwrap();
        let mut told = Framed::default();
        while let Some(frame) = frames.next().await {
            match frame.kind {
                HEADERS => told.answered = true,
                DATA => told.body.push_str(&String::from_utf8_lossy(&frame.payload)),
                RST_STREAM | GOAWAY => told.error = Some(frame.code()),
                _ => {}
            }
            let ended = matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0;
            // No window is opened, so a recording would not come to its end.
            if ended || told.error.is_some() || told.body.len() > 4096 {
                break;
            }
        }
        told
    }
}

/// A frame's bytes.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
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
