//! Bodies: decoded while they come, never more than a bound at once, and what broke them said in one line.

use std::io::{self, Write};
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use flate2::write::MultiGzDecoder;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body_util::BodyExt;
use tokio::sync::Semaphore;

use super::client::Deadline;
use super::fault;
use super::message::{BodyEnd, Fault, HttpError};

/// How many encoded bytes are decoded at once: gzip grows at most a thousandfold, so a piece stays below 2 MiB.
const BITE: usize = 2048;

/// How much of a redirect's own body is read to keep its connection.
const DRAIN: usize = 64 << 10;

/// How large a body is that needs a permit.
const LARGE: usize = 1 << 20;

/// How many bytes are kept of a body that is too large: enough to show what it was.
const BEGINNING: usize = 64 << 10;

/// The encoded body, from whichever client.
pub(super) enum Raw {
    /// Nothing will come.
    Nothing,
    /// From the pool.
    Pooled(Box<reqwest::Response>),
    /// From a connection of its own, which ends with the body.
    Own {
        incoming: hyper::body::Incoming,
        /// Held, not read: the connection is driven for as long as this lives.
        _task: super::timed::Task,
    },
}

/// A body, decoded.
pub(super) struct Body {
    raw: Raw,
    decoder: Option<Decoder>,
    /// Encoded bytes that came and are not decoded yet.
    waiting: Bytes,
    expected: Option<u64>,
    received: u64,
    last: Instant,
    deadline: Deadline,
    ended: bool,
}

enum Decoder {
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Unknown(String),
}

impl Body {
    /// Makes a body without content.
    pub(super) fn empty(deadline: Deadline) -> Self {
        Self {
            raw: Raw::Nothing,
            decoder: None,
            waiting: Bytes::new(),
            expected: None,
            received: 0,
            last: Instant::now(),
            deadline,
            ended: false,
        }
    }

    /// Begins to read a body. A bodiless answer (to HEAD, 204, 304) may still speak of an encoding and a length.
    pub(super) fn new(raw: Raw, headers: &HeaderMap, bodiless: bool, deadline: Deadline) -> Self {
        if bodiless {
            return Self::empty(deadline);
        }
        let text = |name| headers.get(name).and_then(|v: &http::HeaderValue| v.to_str().ok()).map(str::trim);
        let decoder = match text(CONTENT_ENCODING).map(str::to_ascii_lowercase).as_deref() {
            None | Some("" | "identity") => None,
            Some("gzip" | "x-gzip") => Some(Decoder::Gzip(Box::new(MultiGzDecoder::new(Vec::new())))),
            Some(other) => Some(Decoder::Unknown(other.to_owned())),
        };
        let expected = text(CONTENT_LENGTH).and_then(|n| n.parse().ok());
        Self { raw, decoder, expected, ..Self::empty(deadline) }
    }

    /// Returns the next decoded piece; nothing at the end.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes, HttpError>> {
        while !self.ended {
            let piece = match self.waiting.is_empty() {
                false => self.decode(),
                true => match self.receive().await {
                    Ok(Some(chunk)) => {
                        self.received += chunk.len() as u64;
                        self.last = Instant::now();
                        self.waiting = chunk;
                        // A server that is always ready with more would never let the deadline have its turn.
                        match self.deadline.is_over(self.last) {
                            false => continue,
                            true => Err(HttpError::new(Fault::Timeout, self.late())),
                        }
                    }
                    Ok(None) => {
                        self.ended = true;
                        self.finish()
                    }
                    Err(error) => Err(error),
                },
            };
            match piece {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Some(Ok(bytes)),
                Err(error) => {
                    self.ended = true;
                    self.raw = Raw::Nothing;
                    return Some(Err(error));
                }
            }
        }
        None
    }

    /// Reads the body to its end, or to `limit` decoded bytes; of a larger one only the beginning is kept. Whoever
    /// goes beyond [`LARGE`] needs one of the `large` permits, so that many bodies at once have a bound together.
    pub(super) async fn collect(&mut self, limit: usize, large: &Semaphore) -> (Bytes, BodyEnd) {
        let mut permit = None;
        let mut first = Bytes::new();
        let mut more = BytesMut::new();
        let mut end = BodyEnd::Complete;
        while let Some(next) = self.next().await {
            let mut piece = match next {
                Ok(piece) => piece,
                Err(error) => {
                    end = BodyEnd::Broken(error.message);
                    break;
                }
            };
            let left = limit - first.len().max(more.len());
            let too_large = piece.len() > left;
            piece.truncate(left);
            // One piece is kept as it came; only a second one makes a copy necessary.
            if first.is_empty() && more.is_empty() {
                first = piece;
            } else {
                if more.is_empty() {
                    more.extend_from_slice(&std::mem::take(&mut first));
                }
                more.extend_from_slice(&piece);
            }
            if too_large {
                self.raw = Raw::Nothing;
                let kept = if more.is_empty() { &first[..] } else { &more[..] };
                return (Bytes::copy_from_slice(&kept[..kept.len().min(BEGINNING)]), BodyEnd::TooLarge);
            }
            if more.len() > LARGE && permit.is_none() {
                permit = self.deadline.within(large.acquire()).await.and_then(Result::ok);
                if permit.is_none() {
                    end = BodyEnd::Broken(format!("{} and other large bodies were read at the same time", self.late()));
                    break;
                }
            }
        }
        (if more.is_empty() { first } else { more.freeze() }, end)
    }

    /// Reads a small body away, so that its connection can be used again.
    pub(super) async fn drain(&mut self) {
        let mut left = DRAIN;
        while let Ok(Some(chunk)) = self.receive().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                break;
            }
        }
        self.raw = Raw::Nothing;
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, HttpError> {
        let deadline = self.deadline;
        let outcome = deadline.within(self.raw.chunk()).await;
        match outcome {
            Some(Ok(chunk)) => Ok(chunk),
            Some(Err(error)) => Err(fault::of_body(&*error, self.received, self.expected)),
            None => Err(HttpError::new(Fault::Timeout, self.late())),
        }
    }

    /// Says what the body did when the time was up.
    fn late(&self) -> String {
        let count = fault::grouped(self.received);
        let silent = self.last.elapsed();
        match silent * 4 > self.deadline.given() {
            true => format!("the body stalled after {count} bytes, within {}", self.deadline.words()),
            false => format!("the body was still coming after {}: {count} bytes so far", self.deadline.words()),
        }
    }

    fn decode(&mut self) -> Result<Bytes, HttpError> {
        match &mut self.decoder {
            None => Ok(std::mem::take(&mut self.waiting)),
            Some(Decoder::Unknown(name)) => {
                let message = format!("the body is encoded with {name:?}, which is not understood here");
                Err(HttpError::new(Fault::Protocol, message))
            }
            Some(Decoder::Gzip(decoder)) => {
                let bite = self.waiting.len().min(BITE);
                let result = decoder.write(&self.waiting[..bite]);
                match result {
                    Ok(0) => Err(damaged(&io::Error::from(io::ErrorKind::WriteZero))),
                    Ok(taken) => {
                        self.waiting.advance(taken);
                        Ok(std::mem::take(decoder.get_mut()).into())
                    }
                    Err(error) => Err(damaged(&error)),
                }
            }
        }
    }

    fn finish(&mut self) -> Result<Bytes, HttpError> {
        match &mut self.decoder {
            Some(Decoder::Gzip(decoder)) if self.received > 0 => {
                decoder.try_finish().map_err(|error| damaged(&error))?;
                Ok(std::mem::take(decoder.get_mut()).into())
            }
            Some(Decoder::Gzip(_) | Decoder::Unknown(_)) | None => Ok(Bytes::new()),
        }
    }
}

impl Raw {
    async fn chunk(&mut self) -> Result<Option<Bytes>, Box<dyn std::error::Error + Send + Sync>> {
        match self {
            Raw::Nothing => Ok(None),
            Raw::Pooled(response) => Ok(response.chunk().await?),
            Raw::Own { incoming, .. } => loop {
                match incoming.frame().await.transpose()? {
                    None => return Ok(None),
                    Some(frame) => {
                        if let Ok(data) = frame.into_data() {
                            return Ok(Some(data));
                        }
                    }
                }
            },
        }
    }
}

fn damaged(error: &io::Error) -> HttpError {
    HttpError::new(Fault::Protocol, format!("the gzip encoding of the body is damaged or cut off: {error}"))
}
