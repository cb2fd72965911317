//! Dockerfiles: the stages, what they build on, and what the image that comes of the last one does.
//!
//! The form is that of the Dockerfile reference: comments, directives, joined lines, here-documents, and `ARG` before
//! the first `FROM`. What `RUN` does is not looked into.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// What a Dockerfile says.
#[derive(Debug)]
pub(super) struct Dockerfile {
    stages: Vec<Stage>,
}

#[derive(Clone, Debug, Default)]
struct Stage {
    name: Option<String>,
    line: usize,
    from: String,
    image: Option<Image>,
    /// The place of the stage that this one builds on.
    stage: Option<usize>,
    platform: Option<String>,
    does: Does,
}

/// What an image is told to do; a stage takes it over from the stage that it builds on.
#[derive(Clone, Debug, Default)]
struct Does {
    user: Option<String>,
    workdir: Option<String>,
    ports: Vec<String>,
    healthcheck: Option<String>,
    entrypoint: Option<String>,
    command: Option<String>,
    env: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
struct Image {
    name: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// Reads a text.
///
/// # Errors
/// Says which line is none of a Dockerfile, or that there is no `FROM`.
pub(super) fn read(text: &str) -> Result<Dockerfile, String> {
    let mut stages: Vec<Stage> = Vec::new();
    let mut arguments: BTreeMap<String, String> = BTreeMap::new();
    for (line, whole) in instructions(text)? {
        let (word, rest) = whole.split_once(char::is_whitespace).unwrap_or((&whole, ""));
        let (word, rest) = (word.to_ascii_uppercase(), rest.trim());
        match (word.as_str(), stages.last_mut()) {
            ("FROM", _) => {
                let next = stage(rest, line, &arguments, &stages).ok_or_else(|| format!("line {line}: FROM what"))?;
                stages.push(next);
            }
            ("ARG", None) => arguments.extend(pairs(rest)),
            (known, Some(stage)) if is_known(known) => stage.does.take(known, rest),
            (known, None) if is_known(known) => {
                return Err(format!("line {line}: {known} stands before the first FROM"));
            }
            _ => return Err(format!("line {line}: {word} is no instruction of a Dockerfile")),
        }
    }
    match stages.is_empty() {
        true => Err("there is no FROM".into()),
        false => Ok(Dockerfile { stages }),
    }
}

fn is_known(word: &str) -> bool {
    const WORDS: &[&str] = &[
        "ADD",
        "ARG",
        "CMD",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "HEALTHCHECK",
        "LABEL",
        "MAINTAINER",
        "ONBUILD",
        "RUN",
        "SHELL",
        "STOPSIGNAL",
        "USER",
        "VOLUME",
        "WORKDIR",
    ];
    WORDS.contains(&word)
}

/// Returns the instructions, each on one line, with the number of its first line.
fn instructions(text: &str) -> Result<Vec<(usize, String)>, String> {
    let escape = if directive(text, "escape").as_deref() == Some("`") { '`' } else { '\\' };
    let mut out: Vec<(usize, String)> = Vec::new();
    let mut open: Option<(usize, String)> = None;
    let mut lines = text.lines().enumerate();
    while let Some((n, line)) = lines.next() {
        if line.trim_start().starts_with('#') || line.trim().is_empty() {
            continue;
        }
        let (number, mut whole) = open.take().unwrap_or((n + 1, String::new()));
        let trimmed = line.trim();
        if let Some(start) = trimmed.strip_suffix(escape) {
            whole.push_str(start);
            whole.push(' ');
            open = Some((number, whole));
            continue;
        }
        whole.push_str(trimmed);
        for end in heredocs(&whole) {
            if !lines.by_ref().any(|(_, line)| line.trim_start_matches('\t') == end) {
                return Err(format!("line {number}: the here-document {end} is not closed"));
            }
        }
        out.push((number, whole));
    }
    out.extend(open);
    Ok(out)
}

/// Returns the value of a directive such as `# escape=`, which stand before everything else.
fn directive(text: &str, name: &str) -> Option<String> {
    let comments = text.lines().map_while(|line| line.trim().strip_prefix('#'));
    let pairs = comments.map_while(|line| line.split_once('='));
    let mut pairs = pairs.map(|(key, value)| (key.trim().to_ascii_lowercase(), value.trim().to_owned()));
    pairs.find(|(key, _)| key == name).map(|(_, value)| value)
}

/// Lists the ends of the here-documents that an instruction begins.
fn heredocs(line: &str) -> Vec<String> {
    if !["RUN", "COPY", "ADD"].iter().any(|word| line.to_ascii_uppercase().starts_with(word)) {
        return Vec::new();
    }
    let starts =
        line.match_indices("<<").filter(|(at, _)| !line[at + 2..].starts_with('<') && !line[..*at].ends_with('<'));
    let end = |at: usize| {
        let rest = line[at + 2..].trim_start_matches('-').trim_start_matches(['"', '\'']);
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>()
    };
    starts.map(|(at, _)| end(at)).filter(|end| end.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')).collect()
}

fn stage(rest: &str, line: usize, arguments: &BTreeMap<String, String>, before: &[Stage]) -> Option<Stage> {
    let mut words = rest.split_whitespace().peekable();
    let mut platform = None;
    while let Some(flag) = words.next_if(|word| word.starts_with("--")) {
        platform = flag.strip_prefix("--platform=").map(str::to_owned);
    }
    let written = words.next()?;
    let name = match (words.next().map(str::to_ascii_uppercase).as_deref(), words.next()) {
        (Some("AS"), Some(name)) => Some(name.to_ascii_lowercase()),
        (None, None) => None,
        _ => return None,
    };
    let from = filled(written, arguments);
    let stage = before.iter().position(|stage| stage.name.as_deref() == Some(&from.to_ascii_lowercase()));
    let image = (stage.is_none() && from != "scratch").then(|| image(&from));
    let does = stage.map(|at| before[at].does.clone()).unwrap_or_default();
    Some(Stage { name, line, from, image, stage, platform, does })
}

/// Takes the name of an image apart: `registry:5000/name:tag@digest`.
fn image(text: &str) -> Image {
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest.to_owned())),
        None => (text, None),
    };
    match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => Image { name: name.to_owned(), tag: Some(tag.to_owned()), digest },
        _ => Image { name: rest.to_owned(), tag: None, digest },
    }
}

/// Fills in `$NAME`, `${NAME}` and `${NAME:-default}`; what has no value stays.
fn filled(text: &str, arguments: &BTreeMap<String, String>) -> String {
    let Some(at) = text.find('$') else { return text.to_owned() };
    let rest = &text[at + 1..];
    let (inner, after) = match rest.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
        Some(parts) => parts,
        None => rest.split_at(rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len())),
    };
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default.to_owned())),
        None => (inner, None),
    };
    let given = arguments.get(name).filter(|value| !value.is_empty()).cloned().or(default);
    let value = given.unwrap_or_else(|| text[at..text.len() - after.len()].to_owned());
    format!("{}{value}{}", &text[..at], filled(after, arguments))
}

/// Reads `A=1 B="two words"`; of a word without `=`, the value is empty.
fn pairs(text: &str) -> Vec<(String, String)> {
    let mut words: Vec<String> = vec![String::new()];
    let mut quote = None;
    for c in text.chars() {
        let word = words.last_mut();
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, c) if c.is_whitespace() => words.push(String::new()),
            (_, c) => word.into_iter().for_each(|word| word.push(c)),
        }
    }
    let pair = |word: String| match word.split_once('=') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        None => (word, String::new()),
    };
    words.into_iter().filter(|word| !word.is_empty()).map(pair).collect()
}

impl Does {
    fn take(&mut self, word: &str, rest: &str) {
        match word {
            "USER" => self.user = Some(rest.to_owned()),
            "WORKDIR" => self.workdir = Some(rest.to_owned()),
            "EXPOSE" => self.ports.extend(rest.split_whitespace().map(str::to_owned)),
            "HEALTHCHECK" if rest.eq_ignore_ascii_case("none") => self.healthcheck = None,
            "HEALTHCHECK" => self.healthcheck = Some(rest.to_owned()),
            "ENTRYPOINT" => self.entrypoint = Some(rest.to_owned()),
            "CMD" => self.command = Some(rest.to_owned()),
            "LABEL" => self.labels.extend(pairs(rest)),
            // The old form `ENV NAME value` has one name.
            "ENV" if rest.split_whitespace().next().is_some_and(|first| !first.contains('=')) => {
                let (name, value) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                self.env.insert(name.to_owned(), value.trim().to_owned());
            }
            "ENV" => self.env.extend(pairs(rest)),
            _ => {}
        }
    }

    fn json(&self) -> Value {
        json!({
            "user": self.user, "workdir": self.workdir, "ports": self.ports, "healthcheck": self.healthcheck,
            "entrypoint": self.entrypoint, "cmd": self.command, "env": self.env, "labels": self.labels,
        })
    }
}

impl Dockerfile {
    /// Lists the images that stages build on without a digest and without a tag other than `latest`.
    pub(super) fn unpinned(&self) -> Vec<String> {
        let loose = |image: &Image| {
            let tag = image.tag.as_deref().unwrap_or_default();
            image.digest.is_none()
                && (tag.is_empty() || tag == "latest" || tag.contains('$') || image.name.contains('$'))
        };
        let stages = self.stages.iter().filter(|stage| stage.image.as_ref().is_some_and(loose));
        stages.map(|stage| format!("{} (line {})", stage.from, stage.line)).collect()
    }

    /// Returns everything as JSON: `stages`, and `final`, what the last one does.
    pub(super) fn json(&self) -> Value {
        let one = |stage: &Stage| {
            let image = stage.image.as_ref();
            json!({
                "name": stage.name, "line": stage.line, "from": stage.from,
                "image": image.map(|image| &image.name), "tag": image.and_then(|image| image.tag.as_ref()),
                "digest": image.and_then(|image| image.digest.as_ref()),
                "stage": stage.stage.map(|at| at as u64), "platform": stage.platform,
            })
        };
        let last = self.stages.last().map(|stage| stage.does.json());
        json!({ "stages": self.stages.iter().map(one).collect::<Vec<_>>(), "final": last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# syntax=docker/dockerfile:1
ARG PYTHON=3.13
FROM --platform=linux/amd64 python:${PYTHON}-slim AS build
RUN <<EOF
FROM nothing
EOF
RUN pip install \\
    # a comment within
    -r requirements.txt
FROM registry.example.com:5000/base/python@sha256:0123 as base
USER app:app
ENV MODE=prod GREETING=\"two words\"
HEALTHCHECK --interval=30s CMD curl -f http://localhost:8002/health
FROM base
COPY --from=build /app /app
EXPOSE 8002 9000/udp
ENV OLD form
CMD [\"python\", \"main.py\"]
";

    #[test]
    fn stages_images_and_what_the_last_one_does_are_read() {
        let json = read(TEXT).expect("readable").json();
        assert_eq!(json["stages"][0]["tag"], "3.13-slim");
        assert_eq!(json["stages"][0]["platform"], "linux/amd64");
        assert_eq!(json["stages"][1]["image"], "registry.example.com:5000/base/python");
        assert_eq!(json["stages"][1]["digest"], "sha256:0123");
        assert_eq!(json["stages"][2]["stage"], 1);
        assert_eq!(json["final"]["user"], "app:app");
        assert_eq!(json["final"]["ports"], json!(["8002", "9000/udp"]));
        assert_eq!(json["final"]["env"], json!({ "GREETING": "two words", "MODE": "prod", "OLD": "form" }));
        assert!(json["final"]["healthcheck"].as_str().is_some_and(|check| check.contains("8002/health")));
    }

    #[test]
    fn loose_images_are_listed() {
        let text =
            "ARG TAG\nFROM python\nFROM node:latest AS web\nFROM alpine:$TAG\nFROM web\nFROM scratch\nFROM go:1.25\n";
        let loose = read(text).expect("readable").unpinned();
        assert_eq!(loose, ["python (line 2)", "node:latest (line 3)", "alpine:$TAG (line 4)"]);
        assert!(read(TEXT).expect("readable").unpinned().is_empty());
    }

    #[test]
    fn a_health_check_may_be_taken_back() {
        let json = read("FROM a:1\nHEALTHCHECK CMD true\nHEALTHCHECK NONE\n").expect("readable").json();
        assert_eq!(json["final"]["healthcheck"], Value::Null);
    }

    #[test]
    fn what_is_no_dockerfile_is_said() {
        for (text, why) in [
            ("", "no FROM"),
            ("RUN true\nFROM a", "RUN stands before"),
            ("FROM a:1\nBUILD x", "line 2: BUILD"),
            ("FROM a:1 b", "line 1: FROM what"),
            ("FROM a:1\nRUN <<EOF\ntrue\n", "EOF is not closed"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(why), "{error}");
        }
    }
}
