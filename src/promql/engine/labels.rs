//! Label sets: what names a series. One allocation each, cheap to clone, compare and hash.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

use super::xxhash;

/// The label that holds the metric's name.
pub const NAME: &str = "__name__";

/// A set of labels, sorted by name; none has an empty value.
#[derive(Clone)]
pub struct Labels(Arc<Packed>);

struct Packed {
    hash: u64,
    /// All names and values, one after the other.
    text: Box<str>,
    /// Where each name and each value ends.
    ends: Box<[u32]>,
}

impl Labels {
    /// Makes a set of pairs in any order; pairs with an empty value are left out, of equal names the last one counts.
    pub fn new<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let pairs: Vec<(N, V)> = pairs.into_iter().collect();
        let mut sorted: Vec<(&str, &str)> = pairs.iter().map(|(n, v)| (n.as_ref(), v.as_ref())).collect();
        sorted.sort_by(|a, b| a.0.cmp(b.0));
        let last_of_its_name = |i: usize| sorted.get(i + 1).is_none_or(|next| next.0 != sorted[i].0);
        Self::from_sorted((0..sorted.len()).filter(|&i| last_of_its_name(i)).map(|i| sorted[i]))
    }

    /// Makes a set of pairs that are sorted by name, each name once; pairs with an empty value are left out.
    pub fn from_sorted<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut text = String::with_capacity(128);
        let mut ends = Vec::with_capacity(16);
        for (name, value) in pairs.filter(|(_, value)| !value.is_empty()) {
            for part in [name, value] {
                text.push_str(part);
                // A label set of four gigabytes does not fit the limits of anything that makes one.
                ends.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
            }
        }
        let hash = hash_of(&text, &ends);
        Self(Arc::new(Packed { hash, text: text.into(), ends: ends.into() }))
    }

    /// Makes the empty set.
    pub fn empty() -> Self {
        Self::from_sorted(std::iter::empty())
    }

    /// Returns the value of a label; the empty text when there is none.
    pub fn get(&self, name: &str) -> &str {
        self.iter().find(|(n, _)| *n == name).map_or("", |(_, value)| value)
    }

    /// Returns the metric's name; the empty text when there is none.
    pub fn metric(&self) -> &str {
        self.get(NAME)
    }

    /// Returns the pairs in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let part = |i: usize| {
            let start = if i == 0 { 0 } else { self.0.ends[i - 1] as usize };
            &self.0.text[start..self.0.ends[i] as usize]
        };
        (0..self.len()).map(move |i| (part(2 * i), part(2 * i + 1)))
    }

    /// Returns the number of labels.
    pub fn len(&self) -> usize {
        self.0.ends.len() / 2
    }

    /// Tells whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.ends.is_empty()
    }

    /// Returns the set with only the labels that `keep` wants.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        if self.iter().all(|(name, _)| keep(name)) {
            return self.clone();
        }
        Self::from_sorted(self.iter().filter(|(name, _)| keep(name)))
    }

    /// Returns the set with one label set, or taken out when the value is empty.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        Self::new(self.iter().chain([(name, "")]).map(|(n, v)| (n, if n == name { value } else { v })))
    }

    /// Writes the labels with the metric's name among them, as Prometheus does in its messages.
    pub(super) fn braced(&self) -> String {
        let name = |n: &str| if is_label_name(n) { n.to_owned() } else { Quoted(n).to_string() };
        let pairs: Vec<_> = self.iter().map(|(n, v)| format!("{}={}", name(n), Quoted(v))).collect();
        format!("{{{}}}", pairs.join(", "))
    }

    /// Returns the hash that Prometheus computes of this set, which decides what `limit_ratio` keeps.
    pub fn hash64(&self) -> u64 {
        self.0.hash
    }
}

/// Hashes as Prometheus does: each part with its length before it.
fn hash_of(text: &str, ends: &[u32]) -> u64 {
    let mut data = Vec::with_capacity(text.len() + ends.len());
    let mut start = 0;
    for &end in ends {
        let part = &text.as_bytes()[start..end as usize];
        if part.len() < 255 {
            data.push(part.len() as u8);
        } else {
            data.push(255);
            data.extend_from_slice(&(part.len() as u32).to_le_bytes()[..3]);
        }
        data.extend_from_slice(part);
        start = end as usize;
    }
    xxhash::xxh64(&data)
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.hash == other.0.hash && self.0.text == other.0.text && self.0.ends == other.0.ends)
    }
}

impl Eq for Labels {}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl fmt::Display for Labels {
    /// Writes `name{label="value", …}` as Prometheus does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.metric();
        let plain = is_metric_name(name);
        if plain {
            f.write_str(name)?;
        }
        let mut rest = self.iter().filter(|(n, _)| !(plain && *n == NAME)).peekable();
        if rest.peek().is_none() && plain {
            return Ok(());
        }
        f.write_str("{")?;
        for (i, (name, value)) in rest.enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            if is_label_name(name) {
                write!(f, "{comma}{name}={}", Quoted(value))?;
            } else {
                write!(f, "{comma}{}={}", Quoted(name), Quoted(value))?;
            }
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Writes a text in double quotes, as PromQL reads it.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if c.is_control() => write!(f, "\\x{:02x}", c as u32)?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

/// Tells whether a label's name can stand without quotes.
pub(super) fn is_label_name(name: &str) -> bool {
    let word = |(i, c): (usize, char)| c == '_' || c.is_ascii_alphabetic() || (i > 0 && c.is_ascii_digit());
    !name.is_empty() && name.chars().enumerate().all(word)
}

/// Tells whether a metric's name can stand without quotes.
pub(super) fn is_metric_name(name: &str) -> bool {
    !name.is_empty()
        && name.split(':').enumerate().all(|(i, part)| {
            (i > 0 && part.is_empty()) || part.is_empty() || {
                let word = |c: char| c == '_' || c.is_ascii_alphanumeric();
                part.chars().all(word) && !(i == 0 && part.starts_with(|c: char| c.is_ascii_digit()))
            }
        })
}

/// Hands a hash on that was computed already.
#[derive(Default)]
pub struct PassThrough(u64);

impl Hasher for PassThrough {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxhash::xxh64(bytes) ^ self.0.rotate_left(5);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// A map from label sets, without hashing them again.
pub type LabelMap<V> = std::collections::HashMap<Labels, V, BuildHasherDefault<PassThrough>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_sorted_and_keeps_no_empty_value() {
        let labels = Labels::new([("job", "a"), ("__name__", "up"), ("empty", ""), ("instance", "x")]);
        assert_eq!(labels.to_string(), r#"up{instance="x", job="a"}"#);
        assert_eq!(labels.get("job"), "a");
        assert_eq!(labels.get("empty"), "");
        assert_eq!(labels.len(), 3);
    }

    #[test]
    fn of_equal_names_the_last_one_counts() {
        assert_eq!(Labels::new([("a", "1"), ("a", "2")]), Labels::new([("a", "2")]));
        assert_eq!(Labels::new([("a", "1")]).with("a", "").with("b", "2").to_string(), r#"{b="2"}"#);
        assert_eq!(Labels::new([("a", "1")]).with("a", "3").to_string(), r#"{a="3"}"#);
    }

    #[test]
    fn names_that_are_no_words_are_quoted() {
        let labels = Labels::new([("__name__", "a.b"), ("c d", "e\"\n")]);
        assert_eq!(labels.to_string(), r#"{__name__="a.b", "c d"="e\"\n"}"#);
        assert_eq!(Labels::new([("__name__", "a:b:")]).to_string(), "a:b:");
        assert_eq!(Labels::empty().to_string(), "{}");
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(Labels::new([("a", "bc")]), Labels::new([("ab", "c")]));
        assert_ne!(Labels::new([("a", "bc")]).hash64(), Labels::new([("ab", "c")]).hash64());
    }
}
