//! One comparator in a text: `< 500ms`, `between 2s and 5s`, `within 10% of x`, `1.9 ± 0.1`, `2xx`, `exists`; and those
//! that are relative to an earlier value: `<= 1.5x baseline`, `> previous`, `within 10% of start`.

use std::ops::Range;

use crate::diag::did_you_mean;
use crate::model::{Against, Kind, Literal, Matcher, Op, Quantity, Relation, Unit};

/// Why a text is not a comparator, or not one for this kind of measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) range: Range<usize>,
    pub(crate) help: Option<String>,
}

impl Refusal {
    fn new(code: &'static str, part: Part<'_>, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), range: part.at..part.at + part.text.len(), help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A stretch of the text and where it begins.
#[derive(Clone, Copy)]
struct Part<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Part<'a> {
    fn trimmed(text: &'a str, at: usize) -> Self {
        let begins = text.trim_start();
        Self { text: begins.trim_end(), at: at + text.len() - begins.len() }
    }

    fn from(self, offset: usize) -> Self {
        Self::trimmed(&self.text[offset..], self.at + offset)
    }

    fn split(self, by: &str) -> Option<(Self, Self)> {
        let at = self.text.find(by)?;
        Some((Self::trimmed(&self.text[..at], self.at), self.from(at + by.len())))
    }
}

const WORDS: &[(&str, Matcher)] = &[
    ("exists", Matcher::Exists),
    ("absent", Matcher::Absent),
    ("empty", Matcher::Empty),
    ("all", Matcher::Every),
    ("none", Matcher::NoneOf),
    ("any", Matcher::Some),
];

const SIGNS: &[(&str, Op)] = &[
    ("<=", Op::AtMost),
    (">=", Op::AtLeast),
    ("==", Op::Equal),
    ("!=", Op::NotEqual),
    ("<", Op::Less),
    (">", Op::Greater),
];

/// Signs that people write for another one.
const SLIPS: &[(&str, &str)] =
    &[("=<", "<="), ("=>", ">="), ("≤", "<="), ("≥", ">="), ("≠", "!="), ("<>", "!="), ("=", "==")];

/// Reads a comparator. Nothing when the text is not one, but a value to be equal to.
pub(crate) fn parse(text: &str, kind: Kind) -> Result<Option<Matcher>, Refusal> {
    let whole = Part::trimmed(text, 0);
    if let Some((word, matcher)) = WORDS.iter().find(|(word, _)| *word == whole.text) {
        return presence(word, matcher, kind, whole).map(Some);
    }
    if let Some((slip, right)) = SLIPS.iter().find(|(slip, _)| whole.text.starts_with(slip))
        && !whole.text.starts_with("==")
        && (is_numeric(kind) || Quantity::parse(whole.from(slip.len()).text).is_ok())
    {
        let sign = Part { text: &whole.text[..slip.len()], ..whole };
        return Err(Refusal::new("expect-syntax", sign, format!("{slip:?} is not a comparator"))
            .help(format!("write {right:?}")));
    }
    if let Some((sign, op)) = SIGNS.iter().find(|(sign, _)| whole.text.starts_with(sign)) {
        return comparison(whole, sign, *op, kind);
    }
    if let Some(band) = band(whole, kind) {
        return match (band, free_text(kind)) {
            (Err(refusal), true) if refusal.code == "expect-syntax" => Ok(None),
            (band, _) => band.map(Some),
        };
    }
    if let Some(class) = status_class(whole.text).filter(|_| matches!(kind, Kind::Number | Kind::Quantity)) {
        return Ok(Some(Matcher::StatusClass(class)));
    }
    match is_numeric(kind) {
        true => quantity(whole, kind).map(|q| Some(Matcher::Equals(Literal::Quantity(q)))),
        false => Ok(None),
    }
}

fn is_numeric(kind: Kind) -> bool {
    match kind {
        Kind::Number
        | Kind::Ratio
        | Kind::Duration
        | Kind::Size
        | Kind::Rate
        | Kind::Growth
        | Kind::Quantity
        | Kind::Tally => true,
        Kind::Text | Kind::Json | Kind::Set | Kind::Bool => false,
    }
}

/// Tells whether any text at all may be a value of this kind.
fn free_text(kind: Kind) -> bool {
    matches!(kind, Kind::Text | Kind::Json | Kind::Set)
}

fn presence(word: &str, matcher: &Matcher, kind: Kind, at: Part<'_>) -> Result<Matcher, Refusal> {
    let fits = match matcher {
        Matcher::Exists | Matcher::Absent => true,
        Matcher::Empty => free_text(kind),
        _ => matches!(kind, Kind::Set | Kind::Json | Kind::Tally),
    };
    match fits {
        true => Ok(matcher.clone()),
        false => {
            let message = format!(
                "{word:?} is for {}, and this is a {}",
                if *matcher == Matcher::Empty { "text, JSON and sets" } else { "sets and tallies" },
                kind.word()
            );
            let help = match kind {
                Kind::Text => format!("write {{ equals: {word} }} for the text itself"),
                Kind::Bool => "write true or false".to_owned(),
                _ => "write a number, such as 0".to_owned(),
            };
            Err(Refusal::new("expect-kind", at, message).help(help))
        }
    }
}

fn comparison(whole: Part<'_>, sign: &str, op: Op, kind: Kind) -> Result<Option<Matcher>, Refusal> {
    let operand = whole.from(sign.len());
    let spaced = whole.text[sign.len()..].starts_with(' ');
    if is_numeric(kind) || kind == Kind::Json {
        if let Some(times) = times(operand) {
            let (factor, against) = times?;
            refuse_ambiguous(operand, op, kind)?;
            return Ok(Some(Matcher::Relative(Relation::Compare(op, factor), against)));
        }
        refuse_arithmetic(operand)?;
    }
    if let (Op::Equal | Op::NotEqual, false) = (op, is_numeric(kind)) {
        return equality(operand, op, kind, whole).map(Some);
    }
    let parsed = Quantity::parse(operand.text);
    if free_text(kind) && parsed.is_err() && !spaced {
        // `<html>` is text that begins like a comparator.
        return Ok(None);
    }
    quantity(operand, kind).map(|limit| Some(Matcher::Compare(op, limit))).map_err(|refusal| match kind {
        Kind::Text => refusal.help(format!("for the text itself write {{ equals: {:?} }}", whole.text)),
        Kind::Set => refusal.help(format!("for the number of members write {{ length: {:?} }}", whole.text)),
        _ => refusal,
    })
}

/// `==` and `!=` also compare text, words and bools.
fn equality(operand: Part<'_>, op: Op, kind: Kind, whole: Part<'_>) -> Result<Matcher, Refusal> {
    if operand.text.is_empty() {
        return Err(Refusal::new("expect-syntax", whole, "a value is missing behind the comparator"));
    }
    let literal = match (kind, operand.text) {
        (Kind::Json | Kind::Bool, "true") => Literal::Bool(true),
        (Kind::Json | Kind::Bool, "false") => Literal::Bool(false),
        (Kind::Bool, other) => {
            return Err(Refusal::new("expect-kind", operand, format!("{other:?} is neither true nor false")));
        }
        (Kind::Json, "null") => Literal::Json(serde_json::Value::Null),
        (Kind::Json, text) => match Quantity::parse(text) {
            Ok(limit) => return Ok(Matcher::Compare(op, limit)),
            Err(_) => Literal::Text(unquoted(text).to_owned()),
        },
        (_, text) => Literal::Text(unquoted(text).to_owned()),
    };
    let equals = Matcher::Equals(literal);
    Ok(if op == Op::NotEqual { Matcher::Not(Box::new(equals)) } else { equals })
}

fn unquoted(text: &str) -> &str {
    let inner = |quote| text.strip_prefix(quote).and_then(|rest: &str| rest.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(text)
}

/// Reads `between a and b`, `within p% of x` and `x ± y`; nothing when the text is none of these.
fn band(whole: Part<'_>, kind: Kind) -> Option<Result<Matcher, Refusal>> {
    if whole.text.starts_with("between ") {
        return Some(between(whole.from("between ".len()), kind));
    }
    if whole.text.starts_with("within ") {
        return Some(within(whole.from("within ".len()), kind));
    }
    let sign = ["±", "+-", "+/-"].into_iter().find(|sign| whole.text.contains(sign))?;
    let (centre, distance) = whole.split(sign)?;
    Some(around(centre, distance, kind))
}

fn between(rest: Part<'_>, kind: Kind) -> Result<Matcher, Refusal> {
    let Some((low, high)) = rest.split(" and ") else {
        return Err(Refusal::new("expect-syntax", rest, "a band needs two ends").help("write \"between 2s and 5s\""));
    };
    if let Some(upper) = times(high) {
        let (upper, against) = upper?;
        let lower = factor(low)?;
        return match lower <= upper {
            true => Ok(Matcher::Relative(Relation::Between(lower, upper), against)),
            false => Err(Refusal::new("expect-syntax", rest, "the lower end stands first")
                .help(format!("write \"between {upper}x and {lower}x {against}\""))),
        };
    }
    let (from, to) = (quantity(low, kind)?, quantity(high, kind)?);
    if from.unit != to.unit && from.value != 0.0 && to.value != 0.0 {
        return Err(Refusal::new("expect-kind", high, format!("{} and {} have different units", low.text, high.text)));
    }
    if from.value > to.value {
        return Err(Refusal::new("expect-syntax", rest, "the lower end stands first")
            .help(format!("write \"between {} and {}\"", high.text, low.text)));
    }
    Ok(Matcher::Between(from, to))
}

fn within(rest: Part<'_>, kind: Kind) -> Result<Matcher, Refusal> {
    let Some((share, centre)) = rest.split(" of ") else {
        return Err(Refusal::new("expect-syntax", rest, "expected \"within 10% of x\""));
    };
    let part = quantity(share, Kind::Quantity)?;
    if part.unit != Unit::Percent || part.value < 0.0 {
        let message = format!("{:?} is not a share", share.text);
        return Err(Refusal::new("expect-syntax", share, message)
            .help(format!("write a share such as 10%, or \"{} ± {}\"", centre.text, share.text)));
    }
    if let Some(times) = times(centre) {
        return match times? {
            (1.0, against) => Ok(Matcher::Relative(Relation::Within(part.value), against)),
            (factor, against) => {
                Err(Refusal::new("expect-syntax", centre, "a share of a multiple is not clear").help(format!(
                    "write \"between {}x and {}x {against}\" with the ends that are meant",
                    factor * 0.9,
                    factor * 1.1
                )))
            }
        };
    }
    let centre_value = quantity(centre, kind)?;
    if centre_value.value == 0.0 {
        return Err(Refusal::new("expect-syntax", centre, "a share of 0 is 0")
            .help("write \"0 ± x\" with the distance that is allowed"));
    }
    Ok(Matcher::Within(part.value, centre_value))
}

fn around(centre: Part<'_>, distance: Part<'_>, kind: Kind) -> Result<Matcher, Refusal> {
    if let Some(times) = times(centre) {
        let (_, against) = times?;
        return Err(Refusal::new("expect-syntax", centre, format!("a distance from the {against} is not clear"))
            .help(format!("write \"within 10% of {against}\"")));
    }
    let (middle, reach) = (quantity(centre, kind)?, quantity(distance, kind)?);
    if reach.unit == Unit::Percent && middle.unit != Unit::Percent {
        return Err(Refusal::new("expect-syntax", distance, "a share of what is meant here is not clear")
            .help(format!("write \"within {} of {}\"", distance.text, centre.text)));
    }
    if reach.value < 0.0 {
        return Err(Refusal::new("expect-syntax", distance, "a distance is not negative"));
    }
    if reach.unit != middle.unit && middle.value != 0.0 && reach.value != 0.0 {
        let message = format!("{} and {} have different units", centre.text, distance.text);
        return Err(Refusal::new("expect-kind", distance, message));
    }
    Ok(Matcher::Around(middle, reach))
}

/// Reads a quantity that fits the kind of the measure.
fn quantity(part: Part<'_>, kind: Kind) -> Result<Quantity, Refusal> {
    if let Some(times) = times(part).filter(|_| is_numeric(kind) || kind == Kind::Json) {
        let (_, against) = times?;
        let message = format!("a limit that is relative to the {against} needs a comparator");
        return Err(Refusal::new("expect-syntax", part, message).help(format!("write \"<= {}\"", part.text)));
    }
    let quantity = Quantity::parse(part.text).map_err(|error| not_a_quantity(part, kind, &error.to_string()))?;
    if quantity.fits(kind) {
        return Ok(of_kind(quantity, kind));
    }
    let message = match kind {
        Kind::Bool => format!("this is true or false; {:?} is neither", part.text),
        Kind::Text => format!("{:?} cannot be compared with text", part.text),
        Kind::Number
        | Kind::Ratio
        | Kind::Duration
        | Kind::Size
        | Kind::Rate
        | Kind::Growth
        | Kind::Quantity
        | Kind::Json
        | Kind::Set
        | Kind::Tally => {
            format!("{:?} cannot be compared with a {}", part.text, kind.word())
        }
    };
    let refusal = Refusal::new("expect-kind", part, message);
    Err(match kind {
        Kind::Duration if quantity.unit == Unit::One => {
            let number = part.text;
            refusal.help(format!("say the unit: {number}ms, {number}s, {number}m"))
        }
        Kind::Duration => refusal.help("a duration is compared with one such as 500ms, 2s, 5m"),
        Kind::Size => refusal.help("a size is compared with one such as 64KiB or 100MB"),
        Kind::Ratio => refusal.help("a ratio is compared with one such as 5% or 0.05"),
        Kind::Number => refusal.help("this is a bare number, without a unit"),
        Kind::Tally => {
            refusal.help("a tally is compared with all, none, any, a count such as 3 or a share such as 90%")
        }
        Kind::Rate | Kind::Growth => refusal.help("a rate is compared with one such as 5/s or 1MiB/h"),
        Kind::Bool => refusal.help("write true or false"),
        Kind::Text | Kind::Set | Kind::Json | Kind::Quantity => refusal,
    })
}

/// A limit of growth that is written without a unit is per hour.
pub(crate) fn of_kind(quantity: Quantity, kind: Kind) -> Quantity {
    match (kind, quantity.unit) {
        (Kind::Growth, Unit::One) if quantity.value != 0.0 => {
            Quantity { value: quantity.value / 3600.0, unit: Unit::PerSecond }
        }
        _ => quantity,
    }
}

/// A single word where a number must be is of the wrong kind, or a misspelt word of the language; the rest is syntax.
fn not_a_quantity(part: Part<'_>, kind: Kind, error: &str) -> Refusal {
    let word = !part.text.is_empty() && part.text.chars().all(|c| c.is_alphabetic() || matches!(c, '-' | '_'));
    if let Some(meant) = did_you_mean(part.text, WORDS.iter().map(|(word, _)| *word)).filter(|_| word) {
        let message = format!("{:?} is not a comparator; did you mean {meant:?}?", part.text);
        return Refusal::new("expect-syntax", part, message);
    }
    match word {
        true => {
            let message = format!("expected a {}, found the text {:?}", kind.word(), part.text);
            Refusal::new("expect-kind", part, message)
        }
        false => Refusal::new("expect-syntax", part, error),
    }
}

fn status_class(text: &str) -> Option<u8> {
    let digit = text.strip_suffix("xx").or_else(|| text.strip_suffix("XX"))?;
    digit.parse().ok().filter(|class| (1..=9).contains(class))
}

const AGAINST: &[Against] = &[Against::Baseline, Against::Previous, Against::Start];

/// Reads `baseline`, `1.5x previous` or `150% of start`; nothing when the text does not end in such a word.
fn times(part: Part<'_>) -> Option<Result<(f64, Against), Refusal>> {
    let against = AGAINST.iter().copied().find(|against| part.text.ends_with(against.word()))?;
    let rest = &part.text[..part.text.len() - against.word().len()];
    if rest.is_empty() {
        return Some(Ok((1.0, against)));
    }
    if !rest.ends_with(char::is_whitespace) {
        return None;
    }
    let rest = Part { text: rest.trim_end(), at: part.at };
    let share = rest.text.strip_suffix("of").map(|share| Part { text: share.trim_end(), at: part.at });
    Some(match share {
        Some(share) => percent(share, against).map(|factor| (factor, against)),
        None => factor(rest).map(|factor| (factor, against)),
    })
}

fn percent(share: Part<'_>, against: Against) -> Result<f64, Refusal> {
    let read = Quantity::parse(share.text).ok().filter(|q| q.unit == Unit::Percent && q.value > 0.0);
    read.map(|q| q.value).ok_or_else(|| {
        Refusal::new("expect-relative", share, format!("{:?} is not a share of the {against}", share.text))
            .help(format!("write a share such as \"150% of {against}\", or a multiple such as \"1.5x {against}\""))
    })
}

/// Reads the `1.5x` of a multiple.
fn factor(part: Part<'_>) -> Result<f64, Refusal> {
    let number = ["x", "×"].into_iter().find_map(|sign| part.text.strip_suffix(sign)).map(str::trim_end);
    let read = number.and_then(|n| n.parse::<f64>().ok()).filter(|n| n.is_finite() && *n > 0.0);
    read.ok_or_else(|| {
        Refusal::new("expect-relative", part, format!("{:?} is not a multiple", part.text))
            .help("write a multiple such as \"<= 1.5x baseline\", or \"within 10% of baseline\"")
    })
}

/// Refuses sums: what is added has a unit of its own, and of a small baseline it is the whole limit.
fn refuse_arithmetic(part: Part<'_>) -> Result<(), Refusal> {
    let words: Vec<_> = part.text.split(|c: char| !c.is_alphanumeric()).collect();
    match AGAINST.iter().find(|against| words.contains(&against.word())) {
        None => Ok(()),
        Some(against) => {
            let message = format!("a limit stands to the {against} as a multiple or a share");
            Err(Refusal::new("expect-relative", part, message)
                .help(format!("write \"<= 1.5x {against}\", \"> {against}\" or \"within 10% of {against}\"")))
        }
    }
}

/// JSON holds text too, so that `== start` may mean the word.
fn refuse_ambiguous(operand: Part<'_>, op: Op, kind: Kind) -> Result<(), Refusal> {
    let word = AGAINST.iter().any(|against| operand.text == against.word());
    match kind == Kind::Json && matches!(op, Op::Equal | Op::NotEqual) && word {
        false => Ok(()),
        true => Err(Refusal::new(
            "expect-relative",
            operand,
            format!("{:?} may be a text or an earlier value", operand.text),
        )
        .help(format!("write {{ equals: {0} }} for the text, \"== 1x {0}\" for the value", operand.text))),
    }
}
