//! The output of a command in bounded memory: the beginning, the end, and a count of what lies between.

use tokio::io::{AsyncRead, AsyncReadExt};

/// How much is read at once.
const CHUNK: usize = 32 * 1024;

/// What is kept of one output.
#[derive(Clone, Debug, Default)]
pub struct Capture {
    keep: usize,
    head: Vec<u8>,
    tail: Vec<u8>,
    total: u64,
    newlines: u64,
    last: Option<u8>,
}

impl Capture {
    /// Starts a capture that keeps the first and the last `keep` bytes.
    pub fn new(keep: usize) -> Self {
        Self { keep, ..Self::default() }
    }

    /// Returns the beginning; the whole of it when nothing is left out and `tail` is empty.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Returns the end, as far as it is not in the head.
    pub fn tail(&self) -> &[u8] {
        &self.tail[self.tail.len().saturating_sub(self.keep)..]
    }

    /// Returns how many bytes there were in all.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Returns how many bytes lie between head and tail and were not kept.
    pub fn left_out(&self) -> u64 {
        self.total - self.head.len() as u64 - self.tail().len() as u64
    }

    /// Counts the lines of all that came, the last one too when it has no newline.
    pub fn lines(&self) -> u64 {
        self.newlines + u64::from(self.last.is_some_and(|byte| byte != b'\n'))
    }

    /// Returns the whole output, when nothing was left out.
    pub fn whole(&self) -> Option<Vec<u8>> {
        (self.left_out() == 0).then(|| [self.head(), self.tail()].concat())
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        self.newlines += memchr::memchr_iter(b'\n', bytes).count() as u64;
        self.last = bytes.last().copied().or(self.last);
        let room = self.keep.saturating_sub(self.head.len()).min(bytes.len());
        let (first, rest) = bytes.split_at(room);
        self.head.extend_from_slice(first);
        let rest = &rest[rest.len().saturating_sub(self.keep)..];
        // The tail may grow to twice its size before its older half goes, so that few bytes are moved.
        if self.tail.len() + rest.len() > 2 * self.keep {
            let surplus = (self.tail.len() + rest.len()).saturating_sub(self.keep).min(self.tail.len());
            self.tail.drain(..surplus);
        }
        self.tail.extend_from_slice(rest);
    }

    /// Reads until the end. An output that breaks off counts as ended.
    pub async fn drain(&mut self, output: Option<impl AsyncRead + Unpin>) {
        let Some(mut output) = output else { return };
        let mut chunk = Vec::with_capacity(CHUNK);
        while matches!(output.read_buf(&mut chunk).await, Ok(1..)) {
            self.push(&chunk);
            chunk.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_and_tail_are_exact_for_every_way_of_cutting() {
        let bytes: Vec<u8> = (0..=255u8).collect();
        for keep in [0, 1, 7, 100, 128, 300] {
            for step in [1, 3, 64, 256] {
                let mut capture = Capture::new(keep);
                bytes.chunks(step).for_each(|chunk| capture.push(chunk));
                let head = keep.min(256);
                let tail = keep.min(256 - head);
                assert_eq!(capture.head(), &bytes[..head]);
                assert_eq!(capture.tail(), &bytes[256 - tail..], "keep {keep}, step {step}");
                assert_eq!(capture.left_out(), (256 - head - tail) as u64);
                assert_eq!(capture.whole().is_some(), keep >= 128);
                assert!(capture.tail.len() <= 2 * keep);
            }
        }
    }

    #[test]
    fn lines_count_a_last_one_without_newline() {
        let lines = |text: &str| {
            let mut capture = Capture::new(2);
            capture.push(text.as_bytes());
            capture.lines()
        };
        assert_eq!((lines(""), lines("a"), lines("a\n"), lines("a\nb"), lines("\n\n")), (0, 1, 1, 2, 2));
    }
}
