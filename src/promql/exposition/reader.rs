//! Goes through a page, one line after the other.

use std::borrow::Cow;

use super::format::Format;
use super::line::{self, Kind, Sample};

/// What a line says.
#[derive(Clone, Debug)]
pub enum Entry<'a> {
    /// What a metric family means.
    Help {
        /// The line, from 1.
        line: usize,
        /// The family.
        name: Cow<'a, str>,
        /// The words.
        text: Cow<'a, str>,
    },
    /// Of which type a metric family is.
    Type {
        /// The line, from 1.
        line: usize,
        /// The family.
        name: Cow<'a, str>,
        /// The type.
        kind: Kind,
    },
    /// In which unit a metric family is measured.
    Unit {
        /// The line, from 1.
        line: usize,
        /// The family.
        name: Cow<'a, str>,
        /// The unit, in plural: `seconds`.
        unit: &'a str,
    },
    /// A sample.
    Sample(Sample<'a>),
}

/// A line that is not as its format asks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct Malformed {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl Malformed {
    pub(super) fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

/// Reads a page. After a malformed line the next one follows; a page that is cut off says so last.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a str,
    /// The line before the rest.
    line: usize,
    format: Format,
    /// Whether `# EOF` came.
    ended: bool,
    /// What is said when the rest is used up.
    last: Option<Malformed>,
}

impl<'a> Reader<'a> {
    /// Begins to read a page.
    pub fn new(page: &'a [u8], format: Format) -> Self {
        let (rest, last) = match std::str::from_utf8(page) {
            Ok(text) => (text, None),
            Err(error) => {
                // The lines before the damage are read all the same.
                let valid = &page[..error.valid_up_to()];
                let whole = memchr::memrchr(b'\n', valid).map_or(0, |at| at + 1);
                let line = memchr::memchr_iter(b'\n', valid).count() + 1;
                let text = std::str::from_utf8(&valid[..whole]).unwrap_or_default();
                (text, Some(Malformed::new(line, "the line is not UTF-8")))
            }
        };
        Self { rest, line: 0, format, ended: false, last }
    }

    /// Returns how many lines were read so far.
    pub fn lines(&self) -> usize {
        self.line
    }

    fn end(&mut self) -> Option<Result<Entry<'a>, Malformed>> {
        let damaged = self.last.take();
        if damaged.is_none() && self.format == Format::OpenMetrics && !std::mem::replace(&mut self.ended, true) {
            let message = "the page ends without `# EOF`: it is cut off";
            return Some(Err(Malformed::new(self.line.max(1), message)));
        }
        self.ended = true;
        damaged.map(Err)
    }

    fn read(&mut self, text: &'a str) -> Result<Option<Entry<'a>>, String> {
        if self.ended {
            return Err("there is more after `# EOF`".into());
        }
        if text.ends_with('\r') {
            return Err("the line ends with CR LF; the format ends lines with LF alone".into());
        }
        let text = match self.format {
            Format::Text => text.trim_ascii_start(),
            Format::OpenMetrics => text,
        };
        match text.as_bytes().first() {
            Some(b'#') if self.format == Format::OpenMetrics && text == "# EOF" => {
                self.ended = true;
                Ok(None)
            }
            Some(b'#') => line::remark(&text[1..], self.line, self.format),
            Some(_) => line::sample(text, self.line, self.format).map(|sample| Some(Entry::Sample(sample))),
            None if self.format == Format::OpenMetrics => Err("OpenMetrics has no empty lines".into()),
            None => Ok(None),
        }
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<Entry<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.rest.is_empty() {
                return self.end();
            }
            self.line += 1;
            let Some(end) = memchr::memchr(b'\n', self.rest.as_bytes()) else {
                let text = std::mem::take(&mut self.rest);
                if self.format == Format::OpenMetrics && text == "# EOF" {
                    self.ended = true;
                    continue;
                }
                self.ended = true;
                let message = "the page ends in the middle of this line: it is cut off";
                return Some(Err(Malformed::new(self.line, message)));
            };
            let text = &self.rest[..end];
            self.rest = &self.rest[end + 1..];
            match self.read(text) {
                Ok(None) => {}
                Ok(Some(entry)) => return Some(Ok(entry)),
                Err(message) => return Some(Err(Malformed::new(self.line, message))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(page: &str, format: Format) -> (Vec<String>, Vec<String>) {
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for entry in Reader::new(page.as_bytes(), format) {
            match entry {
                Ok(Entry::Sample(s)) => {
                    let labels: Vec<_> = s.labels().map(|(n, v)| format!("{n}={v}")).collect();
                    let time = s.timestamp.map(|t| format!(" @{t}")).unwrap_or_default();
                    good.push(format!("{}{{{}}} {}{time}", s.name(), labels.join(","), s.value));
                }
                Ok(Entry::Help { name, text, .. }) => good.push(format!("help {name} {text:?}")),
                Ok(Entry::Type { name, kind, .. }) => good.push(format!("type {name} {kind:?}")),
                Ok(Entry::Unit { name, unit, .. }) => good.push(format!("unit {name} {unit}")),
                Err(malformed) => bad.push(malformed.to_string()),
            }
        }
        (good, bad)
    }

    #[test]
    fn the_text_format_is_read() {
        let page = "# HELP http_requests_total Total \\\\ of\\nall.\n# TYPE http_requests_total counter\n\
                    http_requests_total{method=\"post\",code=\"200\"} 1027 1395066363000\n\n\
                    # a comment\n  spaced   { a = \"b\" , }  +Inf\n\tbare NaN \nminimal 0.5 -3\n\
                    {\"http.status\",\"a.b\"=\"c\"} 1\n# TYPE \"http.status\" untyped\n";
        let (good, bad) = read(page, Format::Text);
        assert_eq!(bad, [""; 0]);
        assert_eq!(
            good,
            [
                "help http_requests_total \"Total \\\\ of\\nall.\"",
                "type http_requests_total Counter",
                "http_requests_total{method=post,code=200} 1027 @1395066363000",
                "spaced{a=b} inf",
                "bare{} NaN",
                "minimal{} 0.5 @-3",
                "http.status{a.b=c} 1",
                "type http.status Unknown",
            ]
        );
    }

    #[test]
    fn openmetrics_is_read() {
        let page = "# TYPE acme_http counter\n# UNIT acme_http seconds\n# HELP acme_http How.\n\
                    acme_http_total{path=\"/\"} 17.5 1520879607.789 # {trace_id=\"x\"} 0.67 1520879607.5\n\
                    acme_http_created{path=\"/\"} 1.5e9\nplain 1 # {} 2\n# EOF\n";
        let (good, bad) = read(page, Format::OpenMetrics);
        assert_eq!(bad, [""; 0]);
        assert_eq!(good[3], "acme_http_total{path=/} 17.5 @1520879607789");
        assert_eq!((good[1].as_str(), good[5].as_str()), ("unit acme_http seconds", "plain{} 1"));
        assert_eq!(read("a 1\n# EOF", Format::OpenMetrics).1, [""; 0]);
    }

    #[test]
    fn the_same_text_is_the_same_series() {
        let page = b"a{b=\"c\"} 1\na{b=\"c\"}   2\na 3\na{} 4\n";
        let series: Vec<_> = Reader::new(page, Format::Text)
            .map(|entry| match entry {
                Ok(Entry::Sample(sample)) => sample.series,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(series, ["a{b=\"c\"}", "a{b=\"c\"}", "a", "a{}"]);
    }

    #[test]
    fn every_malformation_is_named_with_its_line() {
        let page = "good 1\nbad\nbad x\nbad{a=\"b\"} 1 2 3\n9lives 1\nbad{a} 1\nbad{a=\"b} 1\nbad 1\r\nbad 1 1.5\n\
                    # TYPE x count\n# TYPE x\n# HELP\nbad{a=\"b\"\ngood 2\n{a=\"b\"} 1\n{a} 1\nlast 12";
        let (good, bad) = read(page, Format::Text);
        assert_eq!(good, ["good{} 1", "good{} 2"]);
        assert_eq!(
            bad,
            [
                "line 2: the value is missing",
                "line 3: \"x\" is not a number",
                "line 4: \"3\" follows the sample, where nothing may",
                "line 5: no metric name begins with \"9lives 1\"; a line is a name, labels and a value",
                "line 6: the label \"a\" has no value",
                "line 7: a quoted text has no closing quote",
                "line 8: the line ends with CR LF; the format ends lines with LF alone",
                "line 9: \"1.5\" is not a timestamp, whole milliseconds since 1970",
                "line 10: \"count\" is no type of a metric",
                "line 11: the type of the metric is missing",
                "line 12: the name of the metric is missing",
                "line 13: the line ends before the closing brace of its labels",
                "line 15: no metric name begins with \"{a=\\\"b\\\"} 1\"; a line is a name, labels and a value",
                "line 16: a metric name between the braces must be quoted",
                "line 17: the page ends in the middle of this line: it is cut off",
            ]
        );
    }

    #[test]
    fn openmetrics_without_its_end_is_cut_off() {
        let last = |page: &str| read(page, Format::OpenMetrics).1.pop();
        assert_eq!(last("a 1\nb 2\n").as_deref(), Some("line 2: the page ends without `# EOF`: it is cut off"));
        assert_eq!(last("").as_deref(), Some("line 1: the page ends without `# EOF`: it is cut off"));
        assert_eq!(
            last("a 1\nb 2").as_deref(),
            Some("line 2: the page ends in the middle of this line: it is cut off")
        );
        assert_eq!(last("a 1\n# EOF\nb 2\n").as_deref(), Some("line 3: there is more after `# EOF`"));
        assert_eq!(last("a  1\n# EOF\n").as_deref(), Some("line 1: OpenMetrics separates by one space alone"));
        assert_eq!(last("\n# EOF\n").as_deref(), Some("line 1: OpenMetrics has no empty lines"));
        assert_eq!(read("", Format::Text), (vec![], vec![]));
    }

    #[test]
    fn damage_inside_is_named_and_what_stands_before_it_is_read() {
        let mut said = Vec::new();
        for entry in Reader::new(b"a 1\nb{x=\"\xff\"} 2\nc 3\n", Format::Text) {
            said.push(entry.map(|_| ()).map_err(|e| e.to_string()));
        }
        assert_eq!(said, [Ok(()), Err("line 2: the line is not UTF-8".to_owned())]);
    }

    proptest::proptest! {
        #[test]
        fn no_page_breaks_the_reader(page in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            for format in [Format::Text, Format::OpenMetrics] {
                let lines = page.iter().filter(|b| **b == b'\n').count() + 2;
                proptest::prop_assert!(Reader::new(&page, format).count() <= lines);
            }
        }

        #[test]
        fn no_line_breaks_the_reader(page in "[a\"\\\\{}=,# \n0-9.eNü]{0,80}") {
            for format in [Format::Text, Format::OpenMetrics] {
                for entry in Reader::new(page.as_bytes(), format).flatten() {
                    if let Entry::Sample(sample) = entry {
                        proptest::prop_assert!(!sample.name().is_empty() && page.contains(sample.series));
                        sample.labels().for_each(drop);
                    }
                }
            }
        }
    }
}
