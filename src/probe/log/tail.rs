//! The last lines of a stream, kept in bounded memory.

use std::io::Read;

use memchr::{memchr, memrchr};

use super::scan::{ScanError, Stop};

/// How many bytes of last lines are looked at.
pub(super) const LIMIT: usize = 8 << 20;

/// The last lines of a stream.
pub(super) struct Tail {
    /// The lines.
    pub(super) bytes: Vec<u8>,
    /// Whether there were fewer of them than asked for because they are longer than [`LIMIT`].
    pub(super) cut: bool,
}

/// The end of a stream, of which more may come.
#[derive(Default)]
pub(super) struct Last {
    kept: Vec<u8>,
    /// Whether something stood before what is kept.
    skipped: bool,
}

impl Last {
    /// Takes what comes next.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
        if self.kept.len() > 2 * LIMIT {
            self.shorten();
        }
    }

    /// Returns the last lines.
    pub(super) fn finish(mut self, count: u64) -> Tail {
        self.shorten();
        cut_to(self.kept, count, self.skipped)
    }

    fn shorten(&mut self) {
        if self.kept.len() > LIMIT {
            self.kept.drain(..self.kept.len() - LIMIT);
            self.skipped = true;
        }
    }
}

/// Reads a stream to its end and keeps its last lines. `skipped` tells that it does not begin at its beginning.
pub(super) fn last_lines(reader: &mut dyn Read, count: u64, skipped: bool, stop: &Stop) -> Result<Tail, ScanError> {
    let mut last = Last { kept: Vec::new(), skipped };
    let mut block = vec![0; 256 << 10];
    loop {
        if stop.now() {
            return Err(ScanError::Stopped);
        }
        match reader.read(&mut block) {
            Ok(0) => return Ok(last.finish(count)),
            Ok(read) => last.push(&block[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn cut_to(mut kept: Vec<u8>, count: u64, skipped: bool) -> Tail {
    let mut end = kept.len() - usize::from(kept.last() == Some(&b'\n'));
    for _ in 0..count {
        match memrchr(b'\n', &kept[..end]) {
            Some(at) => end = at,
            None => {
                // The first line that is left is a piece of one if something before it was dropped.
                let start = if skipped { memchr(b'\n', &kept).map_or(0, |at| at + 1) } else { 0 };
                return Tail { bytes: kept.split_off(start), cut: skipped };
            }
        }
    }
    Tail { bytes: kept.split_off(end + 1), cut: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(text: &str, count: u64) -> String {
        let tail = last_lines(&mut text.as_bytes(), count, false, &Stop::never()).expect("readable");
        assert!(!tail.cut);
        String::from_utf8(tail.bytes).expect("text")
    }

    #[test]
    fn the_last_lines_are_those_of_tail() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc\n");
        assert_eq!(tail("a\nb\nc", 2), "b\nc");
        assert_eq!(tail("a\n\n\n", 2), "\n\n");
        assert_eq!(tail("a\nb\n", 2), "a\nb\n");
        assert_eq!(tail("a\nb\n", 9), "a\nb\n");
        assert_eq!(tail("\n", 1), "\n");
        assert_eq!(tail("", 3), "");
    }

    #[test]
    fn more_than_the_limit_is_not_kept_and_that_is_said() {
        let mut text = std::io::repeat(b'x').take(3 * LIMIT as u64).chain(&b"\nlast\n"[..]);
        let tail = last_lines(&mut text, 5, false, &Stop::never()).expect("readable");
        assert!(tail.cut);
        assert_eq!(tail.bytes, b"last\n");
    }
}
