//! Files of environment variables: `NAME=value`, as Compose and the dotenv libraries read them.
//!
//! `export` is allowed; single quotes keep everything as it is, double quotes know `\n`, `\"` and their kin, both may
//! span lines; without quotes ` #` begins a comment. Variables in values stay as they are written.

use serde_json::{Map, Value};

/// What a file of variables says.
#[derive(Debug, Default)]
pub(super) struct Env {
    pairs: Vec<(String, String)>,
}

/// Reads a text.
///
/// # Errors
/// Says which line is no variable.
pub(super) fn read(text: &str) -> Result<Env, String> {
    let mut env = Env::default();
    let mut rest = text;
    let mut line = 1;
    while !rest.is_empty() {
        let end = rest.find('\n').map_or(rest.len(), |at| at + 1);
        let whole = rest[..end].trim();
        if whole.is_empty() || whole.starts_with('#') {
            rest = &rest[end..];
            line += 1;
            continue;
        }
        let fault = || format!("line {line} has no NAME=value");
        let (name, _) = whole.split_once('=').ok_or_else(fault)?;
        let name = name.trim().strip_prefix("export ").unwrap_or(name).trim();
        let valid = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        if name.is_empty() || !name.chars().all(valid) {
            return Err(fault());
        }
        let at = rest.find('=').unwrap_or_default() + 1;
        let start = at + rest[at..].len() - rest[at..].trim_start_matches([' ', '\t']).len();
        let (value, length) = value(&rest[start..]).ok_or_else(|| format!("line {line}: a quote is not closed"))?;
        env.pairs.push((name.to_owned(), value));
        let used = start + length;
        let used = used + rest[used..].find('\n').map_or(rest.len() - used, |at| at + 1);
        line += rest[..used].matches('\n').count();
        rest = &rest[used..];
    }
    Ok(env)
}

/// Reads the value at the beginning of a text, and tells how many bytes it takes; nothing for a quote that is not closed.
fn value(text: &str) -> Option<(String, usize)> {
    match text.chars().next() {
        Some('\'') => text[1..].find('\'').map(|end| (text[1..=end].to_owned(), end + 2)),
        Some('"') => double_quoted(text),
        _ => {
            let line = text.lines().next().unwrap_or_default();
            let end = line.find(" #").or_else(|| line.find("\t#")).unwrap_or(line.len());
            let end = if line.starts_with('#') { 0 } else { end };
            Some((line[..end].trim().to_owned(), end))
        }
    }
}

fn double_quoted(text: &str) -> Option<(String, usize)> {
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, at + 1)),
            '\\' => match chars.next()?.1 {
                'n' => out.push('\n'),
                'r' => out.push('\r'),
                't' => out.push('\t'),
                c @ ('"' | '\\' | '$' | '`') => out.push(c),
                c => out.extend(['\\', c]),
            },
            c => out.push(c),
        }
    }
    None
}

impl Env {
    /// Returns the variables; of those that stand twice the last one, as programs read them.
    pub(super) fn json(&self) -> Value {
        let pairs = self.pairs.iter().map(|(name, value)| (name.clone(), Value::String(value.clone())));
        Value::Object(pairs.collect::<Map<_, _>>())
    }

    /// Lists the names, each once.
    pub(super) fn keys(&self) -> Vec<String> {
        self.names(|_| true)
    }

    /// Lists the names that stand more than once.
    pub(super) fn duplicates(&self) -> Vec<String> {
        self.names(|name| self.pairs.iter().filter(|(other, _)| other == name).count() > 1)
    }

    /// Lists the names whose value is empty.
    pub(super) fn unset(&self) -> Vec<String> {
        self.names(|name| {
            self.pairs.iter().rfind(|(other, _)| other == name).is_some_and(|(_, value)| value.is_empty())
        })
    }

    fn names(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for (name, _) in &self.pairs {
            if wanted(name) && !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn quotes_comments_and_export_are_read() {
        let text = "# note\nexport A=\"b c\"\nD=e=f\nG = 'a # b' # c\nH=x # y\nI=x#y\nJ=\nK=\"a\\nb \\\"c\\\" \\$d\"\nL='a\nb'\nM=1 \r\n";
        let env = read(text).expect("readable");
        let wanted = json!({
            "A": "b c", "D": "e=f", "G": "a # b", "H": "x", "I": "x#y", "J": "", "K": "a\nb \"c\" $d", "L": "a\nb",
            "M": "1",
        });
        assert_eq!(env.json(), wanted);
        assert_eq!(env.unset(), ["J"]);
        assert!(env.duplicates().is_empty());
    }

    #[test]
    fn what_stands_twice_is_said_and_the_last_one_counts() {
        let env = read("A=1\nB=2\nA=\n").expect("readable");
        assert_eq!(env.json(), json!({ "A": "", "B": "2" }));
        assert_eq!(
            (env.keys(), env.duplicates(), env.unset()),
            (vec!["A".to_owned(), "B".to_owned()], vec!["A".to_owned()], vec!["A".to_owned()],)
        );
    }

    #[test]
    fn what_is_no_variable_is_said_with_its_line() {
        for (text, why) in
            [("A=1\nB", "line 2"), ("A='x\ny'\n= 1", "line 3"), ("A=1\nB=\"x", "line 2: a quote"), ("a b=1", "line 1")]
        {
            let error = read(text).expect_err(text);
            assert!(error.contains(why), "{error}");
        }
    }
}
