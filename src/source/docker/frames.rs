//! A container's log as the engine sends it.
//!
//! Of a container without a terminal it is a row of frames: one byte for the stream (1 standard output, 2 standard
//! error, 3 a fault of the engine), three of nothing, four for the length, then so many bytes
//! (<https://docs.docker.com/reference/api/engine/version/v1.47/#tag/Container/operation/ContainerAttach>). Each frame is
//! one message, with its time before it when times are asked for. A line that is too long for one message comes in
//! several, none but the last of which ends with a newline; the times before the others stand within the line, and are
//! taken out. The two streams are mixed, so a line is only handed on when it is whole.

/// How long a frame may be, in bytes: an engine cuts messages at 16 KiB, and others a little later.
const LONGEST_FRAME: usize = 16 << 20;
/// From this length on the beginning of a line is handed on although its end is not there.
const LONGEST_LINE: usize = 8 << 20;

/// Takes frames apart.
#[derive(Debug, Default)]
pub struct Frames {
    open: Vec<u8>,
    /// The line that has begun, of standard output and of standard error.
    lines: [Vec<u8>; 2],
}

impl Frames {
    /// Takes what came and returns the lines that are whole by now.
    ///
    /// # Errors
    /// Says that the engine reports a fault, or that this is no row of frames.
    pub fn take(&mut self, piece: &[u8]) -> Result<Vec<u8>, String> {
        self.open.extend_from_slice(piece);
        let (mut out, mut at) = (Vec::new(), 0);
        while let Some(([kind, 0, 0, 0, length @ ..], rest)) = self.open[at..].split_first_chunk::<8>() {
            let length = u32::from_be_bytes(*length) as usize;
            if length > LONGEST_FRAME || *kind > 3 {
                return Err(ODD.into());
            }
            let Some(message) = rest.get(..length) else { break };
            match kind {
                // What is sent to its input, 0, is shown among its output.
                0 | 1 => line(&mut self.lines[0], message, &mut out),
                2 => line(&mut self.lines[1], message, &mut out),
                _ => return Err(format!("the engine says: {}", String::from_utf8_lossy(message).trim())),
            }
            at += 8 + length;
        }
        self.open.drain(..at);
        match self.open.len() >= 8 && self.open[1..4] != [0, 0, 0] {
            true => Err(ODD.into()),
            false => Ok(out),
        }
    }

    /// Returns the lines that have no newline at their end.
    ///
    /// # Errors
    /// Says that the log breaks off within a frame.
    pub fn end(self) -> Result<Vec<u8>, String> {
        if !self.open.is_empty() {
            return Err("the log breaks off within a message".into());
        }
        let mut out = Vec::new();
        for line in self.lines.iter().filter(|line| !line.is_empty()) {
            out.extend_from_slice(line);
            out.push(b'\n');
        }
        Ok(out)
    }
}

const ODD: &str = "the engine answered with what is no log of a container";

/// Adds a message to the line that has begun, and hands on what is whole.
fn line(begun: &mut Vec<u8>, message: &[u8], out: &mut Vec<u8>) {
    let message = if begun.is_empty() { message } else { untimed(message) };
    begun.extend_from_slice(message);
    if begun.ends_with(b"\n") || begun.len() > LONGEST_LINE {
        out.append(begun);
    }
}

/// Takes the time off a message that goes on with a line.
fn untimed(message: &[u8]) -> &[u8] {
    let Some(space) = message.iter().take(40).position(|byte| *byte == b' ') else { return message };
    let time = std::str::from_utf8(&message[..space]).ok().and_then(|t| chrono::DateTime::parse_from_rfc3339(t).ok());
    if time.is_some() { &message[space + 1..] } else { message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, text: &str) -> Vec<u8> {
        let length = u32::try_from(text.len()).expect("short").to_be_bytes();
        [&[kind, 0, 0, 0][..], &length, text.as_bytes()].concat()
    }

    fn read(pieces: &[&[u8]]) -> Result<String, String> {
        let mut frames = Frames::default();
        let mut out = Vec::new();
        for piece in pieces {
            out.extend(frames.take(piece)?);
        }
        out.extend(frames.end()?);
        Ok(String::from_utf8(out).expect("text"))
    }

    #[test]
    fn lines_are_whole_wherever_the_bytes_are_cut_and_however_the_streams_mix() {
        let time = "2026-11-20T18:37:15.123456789Z ";
        let all = [
            frame(1, &format!("{time}one\n")),
            frame(1, &format!("{time}long ")),
            frame(2, &format!("{time}error\n")),
            frame(1, &format!("{time}line\n")),
            frame(2, ""),
            frame(2, &format!("{time}no end")),
        ]
        .concat();
        let expected = format!("{time}one\n{time}error\n{time}long line\n{time}no end\n");
        for at in 0..all.len() {
            assert_eq!(read(&[&all[..at], &all[at..]]).as_deref(), Ok(expected.as_str()), "cut at {at}");
        }
    }

    #[test]
    fn faults_and_nonsense_are_said() {
        assert!(read(&[&frame(3, "no space left")]).expect_err("a fault").contains("no space left"));
        assert!(read(&[b"plain text of a terminal\n"]).is_err());
        assert!(read(&[&frame(1, "cut off")[..12]]).expect_err("cut").contains("breaks off"));
        assert!(read(&[&[1, 0, 0, 0, 255, 255, 255, 255, 1][..]]).is_err());
        assert_eq!(read(&[]).as_deref(), Ok(""));
    }
}
