//! Bytes of a log as they were meant: gzip and zstd unpacked, UTF-16 turned into UTF-8, all by the first bytes.
//!
//! Unpacking runs on a thread of its own, so that one processor unpacks while another scans.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// How much is unpacked at once.
const BLOCK: usize = 256 << 10;

/// Opens a stream by its first bytes.
///
/// # Errors
/// When the first bytes cannot be read or are no valid header.
pub fn open(mut raw: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let mut head = Vec::with_capacity(4);
    raw.by_ref().take(4).read_to_end(&mut head)?;
    Ok(match head.as_slice() {
        [0x1f, 0x8b, ..] => {
            let packed = BufReader::with_capacity(BLOCK, io::Cursor::new(head).chain(raw));
            text(Box::new(Unpacked::new(Box::new(flate2::bufread::MultiGzDecoder::new(packed)))?))?
        }
        [0x28, 0xb5, 0x2f, 0xfd] => {
            let packed = BufReader::with_capacity(BLOCK, io::Cursor::new(head).chain(raw));
            text(Box::new(Unpacked::new(Box::new(Zstd { packed: Some(packed), frame: None }))?))?
        }
        _ => by_mark(head, raw),
    })
}

/// Looks for the mark of UTF-16 behind the unpacking too.
fn text(mut unpacked: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let mut head = Vec::with_capacity(4);
    unpacked.by_ref().take(4).read_to_end(&mut head)?;
    Ok(by_mark(head, unpacked))
}

fn by_mark(head: Vec<u8>, rest: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
    let little = match head.as_slice() {
        [0xff, 0xfe, ..] => true,
        [0xfe, 0xff, ..] => false,
        _ => return Box::new(io::Cursor::new(head).chain(rest)),
    };
    let units = io::Cursor::new(head[2..].to_vec()).chain(rest);
    Box::new(Utf16 { inner: BufReader::with_capacity(BLOCK, units), little, high: None, out: Vec::new(), at: 0 })
}

/// Takes what another thread unpacks.
struct Unpacked {
    blocks: Receiver<io::Result<Vec<u8>>>,
    block: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Unpacked {
    fn new(source: Box<dyn Read + Send>) -> io::Result<Self> {
        let (sender, blocks) = sync_channel(4);
        std::thread::Builder::new().name("unpack".into()).spawn(move || unpack(source, &sender))?;
        Ok(Self { blocks, block: Vec::new(), at: 0, ended: false })
    }
}

/// Unpacks until the end, a fault, or until nobody takes it any more. An empty block is the end.
fn unpack(mut source: Box<dyn Read + Send>, sender: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut block = vec![0; BLOCK];
        let read = loop {
            match source.read(&mut block) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        let last = !matches!(read, Ok(n) if n > 0);
        let message = read.map(|n| {
            block.truncate(n);
            block
        });
        if sender.send(message).is_err() || last {
            return;
        }
    }
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.block.len() {
            if self.ended {
                return Ok(0);
            }
            self.block = match self.blocks.recv() {
                Ok(block) => block?,
                Err(_) => return Err(io::Error::other("unpacking broke off")),
            };
            self.at = 0;
            self.ended = self.block.is_empty();
        }
        let n = buffer.len().min(self.block.len() - self.at);
        buffer[..n].copy_from_slice(&self.block[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

type Frame<R> = ruzstd::decoding::StreamingDecoder<R, ruzstd::decoding::FrameDecoder>;

/// Unpacks one zstd frame after another.
struct Zstd<R: BufRead> {
    packed: Option<R>,
    frame: Option<Frame<R>>,
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(frame) = &mut self.frame {
                let read = frame.read(buffer)?;
                if read > 0 || buffer.is_empty() {
                    return Ok(read);
                }
                self.packed = self.frame.take().map(Frame::into_inner);
            }
            let Some(mut packed) = self.packed.take() else { return Ok(0) };
            if packed.fill_buf()?.is_empty() {
                return Ok(0);
            }
            let frame = Frame::new(packed).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))?;
            self.frame = Some(frame);
        }
    }
}

/// Turns UTF-16 into UTF-8; what is no character becomes U+FFFD.
struct Utf16<R> {
    inner: R,
    little: bool,
    high: Option<u16>,
    out: Vec<u8>,
    at: usize,
}

impl<R: BufRead> Utf16<R> {
    fn unit(&self, pair: [u8; 2]) -> u16 {
        if self.little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) }
    }

    fn refill(&mut self) -> io::Result<()> {
        self.out.clear();
        self.at = 0;
        let mut raw = Vec::with_capacity(8192);
        (&mut self.inner).take(8192).read_to_end(&mut raw)?;
        let ended = raw.len() < 8192;
        let mut units: Vec<u16> = self.high.take().into_iter().collect();
        units.extend(raw.chunks_exact(2).map(|pair| self.unit([pair[0], pair[1]])));
        if !ended && units.last().is_some_and(|unit| (0xd800..0xdc00).contains(unit)) {
            self.high = units.pop();
        }
        let mut utf8 = [0; 4];
        for unit in char::decode_utf16(units) {
            let character = unit.unwrap_or(char::REPLACEMENT_CHARACTER);
            self.out.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
        }
        if raw.len() % 2 == 1 {
            self.out.extend_from_slice("\u{fffd}".as_bytes());
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.out.len() {
            self.refill()?;
        }
        let n = buffer.len().min(self.out.len() - self.at);
        buffer[..n].copy_from_slice(&self.out[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        open(Box::new(io::Cursor::new(bytes)))?.read_to_end(&mut out)?;
        Ok(out)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).expect("packs");
        encoder.finish().expect("packs")
    }

    #[test]
    fn plain_bytes_stay_as_they_are() {
        for bytes in [&b""[..], b"a", b"abc", b"\x1f", b"\xef\xbb\xbfab", b"\xff\x00\n"] {
            assert_eq!(read(bytes.to_vec()).expect("readable"), bytes);
        }
    }

    #[test]
    fn gzip_members_are_read_one_after_another_and_a_cut_is_an_error() {
        let mut packed = gzip(b"one\n");
        packed.extend(gzip(&vec![b'x'; 1 << 20]));
        let out = read(packed.clone()).expect("readable");
        assert_eq!((out.len(), &out[..4]), (4 + (1 << 20), &b"one\n"[..]));
        packed.truncate(packed.len() - 9);
        assert!(read(packed).is_err());
    }

    #[test]
    fn utf16_is_read_by_its_mark() {
        let text = "ä error 😀\n".repeat(5000);
        let little: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        let big: Vec<u8> = [0xfe, 0xff].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect();
        assert!(read(little).expect("readable") == text.as_bytes());
        assert!(read(gzip(&big)).expect("readable") == text.as_bytes());
    }
}
