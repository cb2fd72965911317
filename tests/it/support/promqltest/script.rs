//! Reads scripts: `load`, `clear`, `eval instant`, `eval range`, and what is expected of them.

use holdpoint::promql::engine::{Labels, STALE};

/// A line of a script, with what belongs to it.
#[derive(Debug)]
pub(crate) enum Command {
    Clear,
    Load(Load),
    Eval(Box<Eval>),
}

/// Data to be loaded.
#[derive(Debug)]
pub(crate) struct Load {
    /// The time between two values, in milliseconds.
    pub(crate) step: i64,
    pub(crate) series: Vec<Described>,
    /// Classic histograms are to be turned into native ones too.
    pub(crate) with_histograms: bool,
    pub(crate) start_times: bool,
}

/// A series with its values, first at time 0.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) labels: Labels,
    pub(crate) values: Vec<Item>,
}

/// One value of a series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    /// Nothing when it is left out (`_`) or a histogram.
    pub(crate) number: Option<f64>,
    pub(crate) histogram: bool,
}

/// A query to be evaluated.
#[derive(Debug, Default)]
pub(crate) struct Eval {
    pub(crate) line: usize,
    pub(crate) query: String,
    pub(crate) at: At,
    pub(crate) ordered: bool,
    /// In the order in which they are expected.
    pub(crate) expected: Vec<Described>,
    pub(crate) number: Option<f64>,
    pub(crate) text: Option<String>,
    /// From, to and step of the samples of a range vector.
    pub(crate) samples: Option<(i64, i64, i64)>,
    pub(crate) fails: Option<Message>,
    pub(crate) warnings: Notes,
    pub(crate) infos: Notes,
}

/// When a query is evaluated, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum At {
    Instant(i64),
    Range { from: i64, to: i64, step: i64 },
}

impl Default for At {
    fn default() -> Self {
        Self::Instant(0)
    }
}

/// What is expected of annotations of one kind.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// There must be none.
    pub(crate) none: bool,
    pub(crate) wanted: Vec<Message>,
}

/// What a message must be.
#[derive(Debug)]
pub(crate) enum Message {
    Any,
    Exactly(String),
    Fits(regex::Regex),
}

impl Message {
    pub(crate) fn fits(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(wanted) => wanted == text,
            Self::Fits(pattern) => pattern.is_match(text),
        }
    }
}

/// Reads a script.
///
/// # Errors
/// Line and what is wrong there.
pub(crate) fn parse(text: &str) -> Result<Vec<Command>, String> {
    // A comment ends what stands before it, as an empty line does.
    let lines: Vec<&str> = text.lines().map(|l| l.trim()).map(|l| if l.starts_with('#') { "" } else { l }).collect();
    let mut commands = Vec::new();
    let mut next = 0;
    while next < lines.len() {
        let (line, at) = (lines[next], next);
        next += 1;
        if line.is_empty() {
            continue;
        }
        let end = (next..lines.len()).find(|&i| lines[i].is_empty()).unwrap_or(lines.len());
        let word = line.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        let place = |error: String| format!("{}: {error}", at + 1);
        if word == "clear" {
            commands.push(Command::Clear);
        } else if word.starts_with("load") {
            commands.push(Command::Load(load(line, &lines[next..end]).map_err(place)?));
            next = end;
        } else if word.starts_with("eval") {
            let (eval, used) = eval(line, &lines[next..end]).map_err(place)?;
            commands.push(Command::Eval(Box::new(Eval { line: at + 1, ..eval })));
            next += used;
        } else {
            return Err(place(format!("no command: {line}")));
        }
    }
    Ok(commands)
}

fn load(line: &str, lines: &[&str]) -> Result<Load, String> {
    let (word, step) = line.split_once(char::is_whitespace).ok_or("a load needs a step")?;
    let mut load = Load {
        step: duration(step.trim())?,
        series: Vec::new(),
        with_histograms: word == "load_with_nhcb",
        start_times: false,
    };
    for line in lines {
        if line.split_whitespace().next().is_some_and(|word| word.ends_with("@st")) {
            load.start_times = true;
        } else {
            load.series.push(described(line)?);
        }
    }
    Ok(load)
}

/// Reads an evaluation and says how many lines after the first belong to it.
fn eval(line: &str, lines: &[&str]) -> Result<(Eval, usize), String> {
    let mut eval = Eval::default();
    let (word, rest) = cut(line);
    match word.strip_prefix("eval").unwrap_or_default() {
        "" => {}
        "_fail" => eval.fails = Some(Message::Any),
        "_warn" => eval.warnings.wanted.push(Message::Any),
        "_info" => eval.infos.wanted.push(Message::Any),
        "_ordered" => eval.ordered = true,
        other => return Err(format!("no command: eval{other}")),
    }
    let (kind, rest) = cut(rest);
    eval.query = match kind {
        "instant" => {
            let (t, query) = cut(cut(rest).1);
            eval.at = At::Instant(duration(t)?);
            query.to_owned()
        }
        "range" => {
            let words: Vec<&str> = rest.splitn(7, char::is_whitespace).filter(|w| !w.is_empty()).collect();
            let [_, from, _, to, _, step, query] = words[..] else { return Err(format!("no range: {rest}")) };
            eval.at = At::Range { from: duration(from)?, to: duration(to)?, step: duration(step)? };
            query.trim().to_owned()
        }
        other => return Err(format!("neither instant nor range: {other}")),
    };
    for (i, line) in lines.iter().enumerate() {
        if let Some(rest) = line.strip_prefix("expected_fail_message") {
            eval.fails = Some(Message::Exactly(rest.trim().to_owned()));
        } else if let Some(rest) = line.strip_prefix("expected_fail_regexp") {
            eval.fails = Some(Message::Fits(pattern(rest)?));
        } else if cut(line).0 == "expect" {
            expectation(&mut eval, cut(line).1)?;
        } else if let Some(number) = number(line) {
            eval.number = Some(number);
            return Ok((eval, i + 1));
        } else {
            eval.expected.push(described(line)?);
        }
    }
    Ok((eval, lines.len()))
}

fn expectation(eval: &mut Eval, line: &str) -> Result<(), String> {
    let (word, rest) = cut(line);
    match word {
        "ordered" => eval.ordered = true,
        "fail" => eval.fails = Some(message(rest)?),
        "warn" => eval.warnings.wanted.push(message(rest)?),
        "info" => eval.infos.wanted.push(message(rest)?),
        "no_warn" => eval.warnings.none = true,
        "no_info" => eval.infos.none = true,
        "string" => eval.text = Some(unquoted(rest)?.0),
        "range" => {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let ["vector", "from", from, "to", to, "step", step] = words[..] else {
                return Err(format!("no range vector: {rest}"));
            };
            eval.samples = Some((duration(from)?, duration(to)?, duration(step)?));
        }
        other => return Err(format!("no expectation: {other}")),
    }
    Ok(())
}

fn message(text: &str) -> Result<Message, String> {
    if let Some(text) = text.strip_prefix("msg:") {
        return Ok(Message::Exactly(text.trim().to_owned()));
    }
    match text.strip_prefix("regex:") {
        Some(text) => Ok(Message::Fits(pattern(text)?)),
        None if text.is_empty() => Ok(Message::Any),
        None => Err(format!("no message: {text}")),
    }
}

fn pattern(text: &str) -> Result<regex::Regex, String> {
    regex::Regex::new(text.trim()).map_err(|e| e.to_string())
}

/// Cuts the first word off.
fn cut(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_once(char::is_whitespace).map_or((text, ""), |(word, rest)| (word, rest.trim()))
}

/// Reads a duration such as `1m40s` in milliseconds.
pub(crate) fn duration(text: &str) -> Result<i64, String> {
    let wrong = || format!("no duration: {text}");
    if text == "0" {
        return Ok(0);
    }
    let (sign, mut rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let mut sum = 0;
    const UNITS: [(&str, i64); 7] = [
        ("ms", 1),
        ("y", 31_536_000_000),
        ("w", 604_800_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
    ];
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, after) = rest.split_at(digits);
        let (unit, factor) = UNITS.iter().find(|(unit, _)| after.starts_with(unit)).ok_or_else(wrong)?;
        sum += number.parse::<i64>().map_err(|_| wrong())? * factor;
        rest = &after[unit.len()..];
    }
    Ok(sign * sum)
}

/// Reads a number as Go writes it.
fn number(text: &str) -> Option<f64> {
    let hexadecimal = text.strip_prefix("0x").and_then(|digits| i64::from_str_radix(digits, 16).ok());
    hexadecimal.map(|n| n as f64).or_else(|| text.parse().ok())
}

/// Reads `name{label="value"} 1 2 3`.
fn described(line: &str) -> Result<Described, String> {
    let name_end = line.find(|c: char| c == '{' || c.is_whitespace()).unwrap_or(line.len());
    let (name, mut rest) = line.split_at(name_end);
    let mut pairs = Vec::new();
    if !name.is_empty() {
        pairs.push(("__name__".to_owned(), name.to_owned()));
    }
    rest = rest.trim_start();
    // A histogram begins with two brackets, labels with one.
    if rest.starts_with('{') && !rest.starts_with("{{") {
        rest = labels(&rest[1..], &mut pairs)?;
    }
    Ok(Described { labels: Labels::new(pairs), values: values(rest)? })
}

/// Reads labels up to the closing bracket and returns what follows.
fn labels<'a>(mut rest: &'a str, pairs: &mut Vec<(String, String)>) -> Result<&'a str, String> {
    loop {
        rest = rest.trim_start_matches([',', ' ', '\t']);
        if let Some(after) = rest.strip_prefix('}') {
            return Ok(after);
        }
        let name = if rest.starts_with(['"', '\'', '`']) {
            let (name, after) = unquoted(rest)?;
            rest = after.trim_start();
            name
        } else {
            let end = rest.find(|c: char| c == '=' || c.is_whitespace()).ok_or("labels are not closed")?;
            let (name, after) = rest.split_at(end);
            rest = after.trim_start();
            name.to_owned()
        };
        match rest.strip_prefix('=') {
            Some(after) => {
                let (value, after) = unquoted(after.trim_start())?;
                pairs.push((name, value));
                rest = after;
            }
            // A quoted text alone is the metric's name.
            None => pairs.push(("__name__".to_owned(), name)),
        }
    }
}

/// Reads a quoted text and returns it with what follows.
fn unquoted(text: &str) -> Result<(String, &str), String> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\'' | '`')).ok_or(format!("no text: {text}"))?;
    let mut out = String::new();
    let mut chars = text[1..].char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            c if c == quote => return Ok((out, &text[i + 2..])),
            '\\' if quote != '`' => match chars.next().map(|(_, c)| c) {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some(c) => out.push(c),
                None => break,
            },
            c => out.push(c),
        }
    }
    Err(format!("a text is not closed: {text}"))
}

/// Reads values: `1 _ stale 0+10x5 {{…}}x3`.
fn values(text: &str) -> Result<Vec<Item>, String> {
    let mut out = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let mut end = 0;
        // Blanks within a histogram do not end it.
        while end < rest.len() && !rest[end..].starts_with(char::is_whitespace) {
            let step = match rest[end..].strip_prefix("{{") {
                Some(inner) => 2 + inner.find("}}").ok_or("a histogram is not closed")? + 2,
                None => rest[end..].chars().next().map_or(1, char::len_utf8),
            };
            end += step;
        }
        let (item, after) = rest.split_at(end);
        item_values(item, &mut out)?;
        rest = after.trim_start();
    }
    Ok(out)
}

fn item_values(item: &str, out: &mut Vec<Item>) -> Result<(), String> {
    const OMITTED: Item = Item { number: None, histogram: false };
    let wrong = || format!("no value: {item}");
    let times = |text: &str| text.parse::<usize>().map_err(|_| wrong());
    if item.contains("{{") {
        let end = item.rfind("}}").ok_or_else(wrong)? + 2;
        let count = item[end..].strip_prefix('x').map(times).transpose()?.map_or(1, |n| n + 1);
        out.extend(std::iter::repeat_n(Item { number: None, histogram: true }, count));
        return Ok(());
    }
    if let Some(count) = item.strip_prefix("_x") {
        out.extend(std::iter::repeat_n(OMITTED, times(count)?));
        return Ok(());
    }
    if item == "_" {
        out.push(OMITTED);
        return Ok(());
    }
    let (base, count) = match item.rsplit_once('x') {
        Some((base, count)) => (base, times(count)? + 1),
        None => (item, 1),
    };
    let (first, step) = match value(base) {
        Some(first) => (first, 0.0),
        None => {
            let signs = base
                .char_indices()
                .skip(1)
                .filter(|(i, c)| matches!(c, '+' | '-') && !matches!(base.as_bytes()[i - 1], b'e' | b'E'));
            let cut = signs.map(|(i, _)| i).last().ok_or_else(wrong)?;
            (value(&base[..cut]).ok_or_else(wrong)?, value(&base[cut..]).ok_or_else(wrong)?)
        }
    };
    let mut number = first;
    for _ in 0..count {
        out.push(Item { number: Some(number), histogram: false });
        if step != 0.0 {
            number += step;
        }
    }
    Ok(())
}

fn value(text: &str) -> Option<f64> {
    if text == "stale" { Some(STALE) } else { text.parse().ok() }
}
