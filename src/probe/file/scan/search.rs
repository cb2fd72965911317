//! One text searched for everything at once: what is found, on which line, and what was allowed.
//!
//! The text of a finding does not leave this file: it is masked here.

use regex::bytes::{Regex, RegexBuilder};

use super::detectors::{Check, DETECTORS, Detector};
use super::words;

/// The comment that allows what stands on its line, or on the line below when it stands alone.
const MARKER: &str = "holdpoint:allow";
/// How many signs of a finding are shown at most.
const SHOWN: usize = 4;

/// What is searched for.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    detectors: Vec<(&'static Detector, Regex)>,
    threshold: f64,
    allow: Vec<Regex>,
    ignore: Vec<Regex>,
}

/// What was found in a text.
#[derive(Debug, Default)]
pub(crate) struct Hits {
    /// The findings, in the order of the text.
    pub(crate) found: Vec<Hit>,
    /// How many more a marker, a pattern of `allow` or one of `ignore` let pass.
    pub(crate) allowed: usize,
}

/// A finding.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    /// Its line, from 1.
    pub(crate) line: usize,
    /// The name of its detector.
    pub(crate) detector: &'static str,
    /// How it may be shown.
    pub(crate) masked: String,
}

impl Search {
    /// Prepares detectors. `threshold` is in bits for each sign; `allow` is held against a finding, `ignore` against
    /// its line.
    pub(crate) fn new(
        names: &[&'static str],
        threshold: f64,
        allow: &[String],
        ignore: &[String],
    ) -> Result<Self, regex::Error> {
        let all = DETECTORS.iter().filter(|detector| names.contains(&detector.name));
        let own = |pattern: &str| RegexBuilder::new(pattern).unicode(false).build();
        let written = |patterns: &[String]| patterns.iter().map(|text| Regex::new(text)).collect::<Result<_, _>>();
        Ok(Self {
            detectors: all.map(|d| Ok((d, own(d.pattern)?))).collect::<Result<_, regex::Error>>()?,
            threshold,
            allow: written(allow)?,
            ignore: written(ignore)?,
        })
    }

    /// Walks over the detectors that look.
    pub(crate) fn detectors(&self) -> impl Iterator<Item = &'static Detector> {
        self.detectors.iter().map(|(detector, _)| *detector)
    }

    /// Searches a text.
    pub(crate) fn look(&self, text: &[u8]) -> Hits {
        let mut taken: Vec<(usize, usize, &'static Detector)> = Vec::new();
        for (detector, pattern) in &self.detectors {
            let (detector, mut at) = (*detector, 0);
            while let Some((start, end)) = self.next(detector, pattern, text, &mut at) {
                if !taken.iter().any(|(from, to, other)| start < *to && *from < end && other.of == detector.of) {
                    taken.push((start, end, detector));
                }
            }
        }
        taken.sort_by_key(|(start, _, _)| *start);
        self.told(text, &taken)
    }

    /// Finds the next text that passes its detector's check, and moves behind it.
    fn next(&self, detector: &Detector, pattern: &Regex, text: &[u8], at: &mut usize) -> Option<(usize, usize)> {
        loop {
            let captures = pattern.captures_at(text, *at)?;
            let group = captures.iter().skip(1).flatten().next().or_else(|| captures.get(0))?;
            // The sign behind a finding may be the one before the next.
            *at = group.end().max(*at + 1);
            let Ok(candidate) = std::str::from_utf8(group.as_bytes()) else { continue };
            let length = match detector.check {
                Check::Form => Some(candidate.len()),
                Check::Passes(passes) => passes(candidate).then_some(candidate.len()),
                Check::Begins(begins) => begins(candidate),
                Check::Random => words::is_random(candidate, self.threshold).then_some(candidate.len()),
            };
            if let Some(length) = length {
                *at = group.start() + length;
                return Some((group.start(), group.start() + length));
            }
            if matches!(detector.check, Check::Begins(_)) {
                *at = group.start() + 1;
            }
        }
    }

    fn told(&self, text: &[u8], taken: &[(usize, usize, &'static Detector)]) -> Hits {
        let mut hits = Hits::default();
        let (mut line, mut counted) = (1, 0);
        for (start, end, detector) in taken {
            line += memchr::memchr_iter(b'\n', &text[counted..*start]).count();
            counted = *start;
            let finding = &text[*start..*end];
            if self.is_allowed(text, *start, finding, detector) {
                hits.allowed += 1;
                continue;
            }
            hits.found.push(Hit { line, detector: detector.name, masked: mask(finding) });
        }
        hits
    }

    fn is_allowed(&self, text: &[u8], start: usize, finding: &[u8], detector: &Detector) -> bool {
        let from = memchr::memrchr(b'\n', &text[..start]).map_or(0, |at| at + 1);
        let to = memchr::memchr(b'\n', &text[start..]).map_or(text.len(), |at| start + at);
        let above = memchr::memrchr(b'\n', &text[..from.saturating_sub(1)]).map_or(0, |at| at + 1);
        let above = &text[above..from.saturating_sub(1).max(above)];
        let line = &text[from..to];
        allows(line, detector)
            || is_comment(above) && allows(above, detector)
            || self.allow.iter().any(|pattern| pattern.is_match(finding))
            || self.ignore.iter().any(|pattern| pattern.is_match(line))
    }
}

/// Tells whether a line holds the marker, for every detector or for this one.
fn allows(line: &[u8], detector: &Detector) -> bool {
    let Some(at) = memchr::memmem::find(line, MARKER.as_bytes()) else { return false };
    let rest = String::from_utf8_lossy(&line[at + MARKER.len()..]).into_owned();
    let words = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').filter(|word| !word.is_empty());
    let mut named = words.take_while(|word| super::detectors::find(word).is_some()).peekable();
    named.peek().is_none() || named.any(|word| word == detector.name)
}

/// Tells whether a line is a comment in the usual languages.
fn is_comment(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    [&b"#"[..], b"//", b"/*", b"*", b"--", b";", b"<!--", b"%", b"\""].iter().any(|start| line.starts_with(start))
}

/// Shows the beginning of a finding, a quarter of it at most, and its length.
fn mask(finding: &[u8]) -> String {
    let text = String::from_utf8_lossy(finding);
    let length = text.chars().count();
    let start: String = text.chars().take(SHOWN.min(length / 4)).collect();
    format!("{start}…, {length} characters")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual() -> Search {
        let names: Vec<_> = DETECTORS.iter().filter(|d| d.usual).map(|d| d.name).collect();
        Search::new(&names, 4.5, &[], &[]).expect("valid patterns")
    }

    fn hits(search: &Search, text: &str) -> Vec<String> {
        let hits = search.look(text.as_bytes());
        hits.found.iter().map(|hit| format!("{}: {} ({})", hit.line, hit.detector, hit.masked)).collect()
    }

    #[test]
    fn findings_have_their_line_and_are_masked() {
        let text = "# settings\n\npassword = \"s3cr3t!pw\"\nmail: jane.doe@firm.tld, joe@firm.tld\n";
        assert_eq!(
            hits(&usual(), text),
            ["3: password (s3…, 9 characters)", "4: email (jane…, 17 characters)", "4: email (joe…, 12 characters)"]
        );
    }

    #[test]
    fn the_special_detector_wins_over_the_general_one() {
        let token = format!("ghp_{}", "aB3dE5gH7jK9mN1pQ2sT4vW6yZ8cF0xL5rUi");
        assert_eq!(hits(&usual(), &format!("api_key = \"{token}\"")), ["1: github-token (ghp_…, 40 characters)"]);
    }

    #[test]
    fn a_marker_allows_its_line_or_the_one_below_a_comment() {
        let search = usual();
        let line = "password = \"s3cr3t!pw\"";
        for text in [
            format!("{line} # holdpoint:allow"),
            format!("{line} # holdpoint:allow password, url-password for the test"),
            format!("// holdpoint:allow because\n{line}"),
        ] {
            let hits = search.look(text.as_bytes());
            assert!(hits.found.is_empty() && hits.allowed == 1, "{text}: {hits:?}");
        }
        for text in [
            format!("{line} # holdpoint:allow email"),
            format!("x = 1 # holdpoint:allow\n{line}"),
            format!("{line}\n# holdpoint:allow"),
        ] {
            assert_eq!(search.look(text.as_bytes()).found.len(), 1, "{text}");
        }
    }

    #[test]
    fn patterns_allow_a_finding_or_a_line() {
        let names = ["password", "email"];
        let allow = ["^s3cr3t".to_owned()];
        let ignore = ["^author".to_owned()];
        let search = Search::new(&names, 4.5, &allow, &ignore).expect("valid");
        let text = "password = \"s3cr3t!pw\"\nauthor: jane@firm.tld\nmail: jane@firm.tld\n";
        assert_eq!(hits(&search, text), ["3: email (jan…, 13 characters)"]);
        assert_eq!(search.look(text.as_bytes()).allowed, 2);
    }

    #[test]
    fn neighbours_are_both_found() {
        let cards = "4111111111111111,5555555555554444 4111 1111 1111 1111.";
        assert_eq!(hits(&usual(), cards).len(), 3);
    }
}
