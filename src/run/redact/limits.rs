//! How much of what was seen is kept in the record. A checklist that needs more attaches a file.

use crate::model::observation::left_out_mark;

/// A measured text, in bytes.
pub const TEXT: usize = 64 * 1024;
/// A measured JSON value, in bytes as it would be written.
pub const JSON: usize = 256 * 1024;
/// How much of the beginning of a JSON value that is too large is shown.
pub const JSON_HEAD: usize = 512;
/// The members of a measured set, in bytes together.
pub const SET: usize = 64 * 1024;
/// The series of a measured vector.
pub const SERIES: usize = 10_000;
/// One piece of evidence, in bytes.
pub const EVIDENCE: usize = 16 * 1024;
/// All evidence of a look together, in bytes.
pub const ALL_EVIDENCE: usize = 64 * 1024;
/// A line for people: a cause, a reason, a remark, what was observed.
pub const LINE: usize = 4 * 1024;
/// The request of a look: a URL, a query, a command.
pub const REQUEST: usize = 16 * 1024;
/// The remarks of a look.
pub const NOTES: usize = 64;

/// Cuts a text to at most about `limit` bytes: three quarters from its beginning and one from its end, with a mark
/// between. Returns how many bytes were left out.
pub(super) fn cut(text: &mut String, limit: usize) -> u64 {
    if text.len() <= limit {
        return 0;
    }
    let head = floor(text, limit / 4 * 3);
    let tail = ceil(text, text.len() - limit / 4);
    let left_out = (tail - head) as u64;
    text.replace_range(head..tail, &left_out_mark(left_out));
    left_out
}

/// Moves a position back to the border of a character.
pub(super) fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn ceil(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_keeps_head_and_tail_and_whole_characters() {
        for filler in ["x", "ü", "€", "🦀"] {
            let mut text = format!("begin{}end", filler.repeat(5000));
            let before = text.len();
            let left_out = cut(&mut text, 1001);
            assert!(text.starts_with("begin") && text.ends_with("end") && text.len() < 1001 + 64);
            assert_eq!(before as u64 - left_out, (text.len() - left_out_mark(left_out).len()) as u64);
        }
        let mut short = "short".to_owned();
        assert_eq!((cut(&mut short, 5), short.as_str()), (0, "short"));
    }
}
