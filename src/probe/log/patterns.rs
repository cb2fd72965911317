//! The patterns of a step, made so that one pass over a log finds the lines of all of them.
//!
//! Every pattern is confined to one line before it is compiled: it cannot match a newline, and `^`, `$`, `\A` and
//! `\z` stand for the ends of a line. So whole blocks can be searched without splitting them into lines, by one
//! alternation of all patterns; only on a line that it hits is each pattern asked for itself.

use regex_automata::meta::{BuildError, Cache, Config, Regex};
use regex_automata::util::captures::Captures;
use regex_automata::{Input, Span};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{
    Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look as Edge,
};

/// Patterns compiled together.
#[derive(Debug, Clone)]
pub struct Patterns {
    each: Vec<Regex>,
    any: Option<Regex>,
}

/// Says which pattern is not valid, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bad regular expression {pattern:?}: {message}")]
pub struct PatternError {
    /// The pattern as written.
    pub pattern: String,
    /// What is wrong with it, in one line.
    pub message: String,
}

impl Patterns {
    /// Checks patterns without making searchers of them, which takes a hundred times as long and is left to the look.
    ///
    /// # Errors
    /// Names the first pattern that is not valid, or that is too large where that can be suspected.
    pub fn check(patterns: &[String]) -> Result<(), PatternError> {
        // Only counted repetitions and very long patterns can exceed the limit on size.
        if patterns.iter().any(|p| p.contains('{')) || patterns.iter().map(String::len).sum::<usize>() > 4096 {
            return Self::new(patterns).map(|_| ());
        }
        let fault = |pattern: &String, message| PatternError { pattern: pattern.clone(), message };
        patterns.iter().try_for_each(|pattern| parse(pattern).map(|_| ()).map_err(|message| fault(pattern, message)))
    }

    /// Compiles the patterns.
    ///
    /// # Errors
    /// Names the first pattern that is not valid.
    pub fn new(patterns: &[String]) -> Result<Self, PatternError> {
        let mut each = Vec::with_capacity(patterns.len());
        let mut bare = Vec::with_capacity(patterns.len());
        for pattern in patterns {
            let fault = |message: String| PatternError { pattern: pattern.clone(), message };
            let hir = parse(pattern).map_err(fault)?;
            bare.push(within_line(hir.clone(), Groups::Dropped));
            each.push(build(&within_line(hir, Groups::Kept)).map_err(|e| fault(reason(&e)))?);
        }
        let any = match patterns.last() {
            Some(last) => Some(build(&Hir::alternation(bare)).map_err(|e| {
                let message = format!("all patterns together: {}", reason(&e));
                PatternError { pattern: last.clone(), message }
            })?),
            None => None,
        };
        Ok(Self { each, any })
    }

    /// Returns how many patterns there are.
    pub fn len(&self) -> usize {
        self.each.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.each.is_empty()
    }

    /// Returns the alternation of all patterns, if there are any.
    pub(super) fn any(&self) -> Option<&Regex> {
        self.any.as_ref()
    }

    /// Tells whether a pattern matches in a stretch of a line.
    pub(super) fn hits(&self, pattern: usize, line: &[u8], span: Span) -> bool {
        span.start <= span.end && self.each[pattern].is_match(Input::new(line).span(span))
    }

    /// Tells whether any pattern matches in a stretch of a line.
    pub(super) fn any_hits(&self, line: &[u8], span: Span) -> bool {
        span.start <= span.end && self.any.as_ref().is_some_and(|any| any.is_match(Input::new(line).span(span)))
    }

    /// Returns what a pattern captures first in a line: its first group, or the whole match when it has none.
    pub(super) fn capture<'l>(&self, pattern: usize, line: &'l [u8]) -> Option<&'l [u8]> {
        let regex = &self.each[pattern];
        let mut captures: Captures = regex.create_captures();
        regex.captures(line, &mut captures);
        let group = (1..captures.group_len()).find_map(|group| captures.get_group(group));
        group.or_else(|| captures.get_group(0)).and_then(|span| line.get(span.range()))
    }

    /// Makes the working memory for searching blocks.
    pub(super) fn cache(&self) -> Option<Cache> {
        self.any.as_ref().map(Regex::create_cache)
    }
}

fn build(hir: &Hir) -> Result<Regex, BuildError> {
    // Without the full automaton, which takes longer to build than most logs to read; the lazy one is as quick.
    let config =
        Config::new().utf8_empty(false).nfa_size_limit(Some(10 << 20)).hybrid_cache_capacity(4 << 20).dfa(false);
    Regex::builder().configure(config).build_from_hir(hir)
}

fn reason(error: &BuildError) -> String {
    match error.size_limit() {
        Some(limit) => format!("it compiles to more than {limit} bytes"),
        None => error.to_string(),
    }
}

/// Reads a pattern by bytes, as `LC_ALL=C grep` does; by characters when it names some outside ASCII.
fn parse(pattern: &str) -> Result<Hir, String> {
    let mut parser = ParserBuilder::new();
    parser.utf8(false);
    if pattern.is_ascii()
        && let Ok(hir) = parser.unicode(false).build().parse(pattern)
    {
        return Ok(hir);
    }
    parser.unicode(true).build().parse(pattern).map_err(|error| {
        let picture = error.to_string();
        let cause = picture.lines().rev().find_map(|line| line.trim().strip_prefix("error: "));
        cause.unwrap_or(&picture).to_owned()
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Groups {
    Kept,
    Dropped,
}

/// Confines an expression to one line.
fn within_line(hir: Hir, groups: Groups) -> Hir {
    match hir.into_kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) if literal.0.contains(&b'\n') => Hir::fail(),
        HirKind::Literal(literal) => Hir::literal(literal.0),
        HirKind::Class(Class::Unicode(mut class)) => {
            class.difference(&ClassUnicode::new([ClassUnicodeRange::new('\n', '\n')]));
            Hir::class(Class::Unicode(class))
        }
        HirKind::Class(Class::Bytes(mut class)) => {
            class.difference(&ClassBytes::new([ClassBytesRange::new(b'\n', b'\n')]));
            Hir::class(Class::Bytes(class))
        }
        HirKind::Look(Edge::Start) => Hir::look(Edge::StartLF),
        HirKind::Look(Edge::End) => Hir::look(Edge::EndLF),
        HirKind::Look(look) => Hir::look(look),
        HirKind::Repetition(mut repetition) => {
            repetition.sub = Box::new(within_line(*repetition.sub, groups));
            Hir::repetition(repetition)
        }
        HirKind::Capture(capture) if groups == Groups::Dropped => within_line(*capture.sub, groups),
        HirKind::Capture(mut capture) => {
            capture.sub = Box::new(within_line(*capture.sub, groups));
            Hir::capture(capture)
        }
        HirKind::Concat(parts) => Hir::concat(parts.into_iter().map(|part| within_line(part, groups)).collect()),
        HirKind::Alternation(parts) => {
            Hir::alternation(parts.into_iter().map(|part| within_line(part, groups)).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(pattern: &str, line: &[u8]) -> bool {
        let patterns = Patterns::new(&[pattern.to_owned()]).expect("valid");
        patterns.hits(0, line, Span { start: 0, end: line.len() })
    }

    #[test]
    fn patterns_are_read_by_bytes_unless_they_name_characters() {
        assert!(hits("a.b", b"a\xffb"));
        assert!(hits("a.b", b"a\0b"));
        assert!(hits("(?i)ÄRGER", "kein ärger".as_bytes()));
        assert!(hits(r"\p{Greek}", "α".as_bytes()));
        assert!(!hits("(?i)k", "\u{212a}".as_bytes()));
    }

    #[test]
    fn a_pattern_never_leaves_its_line() {
        assert!(!hits("a\\sb", b"a\nb"));
        assert!(!hits("a\\nb", b"a\nb"));
        assert!(hits(r"\Ab\z", b"a\nb"));
    }

    #[test]
    fn a_bad_pattern_is_named_with_its_reason() {
        let error = Patterns::new(&["ok".into(), "a(".into()]).expect_err("not valid");
        assert_eq!(error.pattern, "a(");
        assert!(error.message.contains("unclosed group"), "{}", error.message);
        assert!(Patterns::new(&[r"(\w{1000}){1000}".into()]).is_err());
    }

    #[test]
    fn the_first_group_is_captured_else_the_match() {
        let patterns = Patterns::new(&[r"id=(?P<id>\d+)".into(), r"\d+".into()]).expect("valid");
        assert_eq!(patterns.capture(0, b"x id=42"), Some(&b"42"[..]));
        assert_eq!(patterns.capture(1, b"x id=42"), Some(&b"42"[..]));
    }
}
