//! The policy file: what checklists may touch, for those that come from elsewhere. It is checked as strictly as a
//! checklist, with places and codes; [`crate::sys::policy`] is what it comes to.
//!
//! ```yaml
//! holdpoint: 1
//! policy:
//!   probes:   { deny: [exec] }
//!   hosts:    { allow: ["*.shop.internal:443", 10.20.0.0/16] }
//!   files:    { allow: [deploy] }
//!   changes:  refuse
//! ```

use std::path::Path;

use crate::diag::{Diagnostic, Diagnostics, FileId, SourceMap, Span};
use crate::shape::{self, Object, Shape, field, required};
use crate::sys::policy::{CommandPattern, HostPattern, Listed, Policy, Rule, Tree};
use crate::yaml::{self, Node};

/// The manual page, in Markdown; the keys are added from the form.
pub const MANUAL: &str = "\
A policy says what a checklist may touch. `run`, `resume`, `tick`, `backtest`, `check` and `plan` take it with \
`--policy FILE` or from `HOLDPOINT_POLICY`; a run that goes on keeps to the policy that it began with.

```yaml
holdpoint: 1
policy:
  probes:   { allow: [http, promql, tls, dns, file, exec] }
  sources:  { allow: [prometheus] }
  hosts:
    allow: [\"*.shop.internal:443\", prometheus.internal:9090, 10.20.0.0/16, \"[fd00:20::]:8000-8100\"]
    deny:  [10.20.99.0/24]
  commands: { allow: [kubectl get, [sh, -c, ./check.sh]] }
  files:    { allow: [deploy, /var/log/shop], deny: [deploy/secrets] }
  changes:  refuse
```

Each part has a list of what is allowed, of what is denied, or both. What is denied is refused even if it is allowed \
too. Without `allow`, all of the rest is allowed; an empty list allows nothing. A part that is left out rules nothing.

**A refused step** is an *error* that names the rule, with its file and line; it is not tried again, and the other \
steps still run. `check` says before any run what is known of it, with the place in the checklist. A checklist that \
declares a refused source is not run.

**Hosts** are names (`*` stands for any signs), addresses or ranges, with a port, ports or none. A name is judged \
before it is looked up, and each address that it turns out to have again when it is connected to, also behind a \
redirect: an answer of DNS that changes helps nobody. Of what is reached through a proxy only the names are judged, and \
the proxy itself must be allowed. Where addresses are listed, the name of any host is looked up, to find out \
whether it has one. Other spellings of an address (decimal, octal, IPv6 around IPv4) are the same address.

**Link-local addresses and metadata services** (169.254.0.0/16, fe80::/10, fd00:ec2::254 and those of other clouds) \
hand out credentials, and are refused without any policy file. A policy allows them by listing just that address or a \
range within; `*` or 0.0.0.0/0 does not. **This machine** (127.0.0.0/8, ::1, 0.0.0.0) may be reached without a policy \
file; under a list only if `localhost`, such an address or a range within is listed.

**Commands** are words that a command begins with; `*` within a word stands for any signs. A text is taken apart at \
its blanks, a list is taken as it is. A program without a folder is one of PATH or of the system's folders. A step \
that sets PATH, `LD_…` or the like is refused, and so is one that runs a line for a shell, or a program named by a \
relative path, in another folder (`cwd`): the words would mean another command there. A line for a shell begins with \
`sh -c`: list the very line, or the script. `kubectl get` does not allow a line that begins so, and a `*` in a line \
stands for no sign that a shell reads.

**Files** are folders, with all that is in them, and single files, from the folder in which holdpoint runs. Links and \
`..` are followed before a path is judged. What commands read is not seen here.

**Probes and sources** are named by their kind, a source that is denied also by its name. `changes: refuse` refuses \
every step with `changes`.
";

/// The form of the file.
pub static FILE: Object = Object {
    name: "a policy file",
    fields: &[
        required("holdpoint", Shape::Int(1, 1), "The version of the language, `1`."),
        required("policy", Shape::Object(&POLICY), "What may be touched."),
    ],
    open: false,
};

/// The form of what stands under `policy`.
pub static POLICY: Object = Object {
    name: "a policy",
    fields: &[
        field("probes", Shape::Object(&WORDS), "Kinds of probes."),
        field("sources", Shape::Object(&WORDS), "Kinds of sources; names too where they are denied."),
        field("hosts", Shape::Object(&WORDS), "Names, addresses and ranges, each with ports or without."),
        field("commands", Shape::Object(&COMMANDS), "Words that a command begins with."),
        field("files", Shape::Object(&WORDS), "Folders and files to read."),
        field("changes", Shape::Word(&["allow", "refuse"]), "Whether steps with `changes` may run, with consent."),
    ],
    open: false,
};

static WORDS: Object = Object {
    name: "a part of a policy",
    fields: &[
        field("allow", Shape::List(&Shape::Text), "What is allowed; nothing else is then."),
        field("deny", Shape::List(&Shape::Text), "What is refused, allowed or not."),
    ],
    open: false,
};

static COMMANDS: Object = Object {
    name: "the commands of a policy",
    fields: &[
        field("allow", Shape::List(&COMMAND), "What is allowed; nothing else is then."),
        field("deny", Shape::List(&COMMAND), "What is refused, allowed or not."),
    ],
    open: false,
};

const COMMAND: Shape = Shape::Either(&[Shape::Text, Shape::List(&Shape::Text)]);

/// What a policy may name.
pub struct Known<'a> {
    /// The kinds of probes.
    pub probes: &'a [&'a str],
    /// The kinds of sources.
    pub sources: &'a [&'a str],
}

/// Reads a policy file. Every mistake is said; nothing is returned when there is one. Blocks: the files that it names
/// are looked for.
pub fn read(sources: &mut SourceMap, file: FileId, known: &Known<'_>, diagnostics: &mut Diagnostics) -> Option<Policy> {
    let Some(node) = yaml::parse(sources, file, diagnostics) else {
        if !diagnostics.has_errors() {
            let message = "a policy file is a map that begins with `holdpoint: 1`, this file is empty";
            diagnostics.push(Diagnostic::error("wrong-type", Span::new(file, 0, 0), message));
        }
        return None;
    };
    if !shape::check(&node, &Shape::Object(&FILE), diagnostics) {
        return None;
    }
    let policy = node.get("policy")?;
    let mut reader = Reader { sources, diagnostics, good: true };
    if policy.map().is_none_or(<[_]>::is_empty) {
        reader.say(Diagnostic::error("policy-empty", policy.span, "the policy rules nothing"));
    }
    let made = Policy {
        file: Some(reader.sources.name(file).to_string()),
        probes: reader.words(policy, "probes", Some(known.probes)),
        sources: reader.words(policy, "sources", None),
        commands: reader.listed(policy, "commands", Reader::command),
        hosts: reader.listed(policy, "hosts", Reader::host),
        files: reader.listed(policy, "files", Reader::tree),
        no_changes: reader.changes(policy),
    };
    reader.kinds_of_sources(policy, known.sources);
    reader.holes(policy, &made);
    reader.good.then_some(made)
}

struct Reader<'a> {
    sources: &'a SourceMap,
    diagnostics: &'a mut Diagnostics,
    good: bool,
}

impl Reader<'_> {
    fn say(&mut self, diagnostic: Diagnostic) {
        self.good = false;
        self.diagnostics.push(diagnostic);
    }

    /// Makes a rule of a place and its text.
    fn rule(&self, node: &Node, text: String) -> Rule {
        Rule { origin: self.sources.origin(node.span), text }
    }

    /// Reads one part: each member by `one`.
    fn listed<P>(
        &mut self,
        policy: &Node,
        part: &str,
        mut one: impl FnMut(&mut Self, &Node) -> Option<P>,
    ) -> Listed<P> {
        let Some((key, node)) = policy.entry(part) else { return Listed::default() };
        if node.map().is_none_or(<[_]>::is_empty) {
            let message = format!("{part} rules nothing: neither allow nor deny stands under it");
            self.say(Diagnostic::error("policy-empty", key.span, message));
        }
        let members = |which: &str| node.entry(which).map(|(key, list)| (key, list.list().unwrap_or_default()));
        let allow = members("allow").map(|(key, list)| {
            let shown = list.iter().map(written).collect::<Vec<_>>().join(", ");
            let shown = if shown.is_empty() { "nothing".to_owned() } else { shorten(&shown) };
            let rule = self.rule(key, format!("{part}.allow: {shown}"));
            (rule, list.iter().filter_map(|member| one(self, member)).collect())
        });
        let mut deny = Vec::new();
        for member in members("deny").map(|(_, list)| list).unwrap_or_default() {
            let rule = self.rule(member, format!("{part}.deny: {}", written(member)));
            deny.extend(one(self, member).map(|pattern| (rule, pattern)));
        }
        Listed { allow, deny }
    }

    fn words(&mut self, policy: &Node, part: &str, known: Option<&[&str]>) -> Listed<String> {
        self.listed(policy, part, |reader, member| {
            let word = member.text()?;
            if let Some(known) = known.filter(|known| !known.contains(&word)) {
                let message = format!("there is no probe {word:?}");
                let diagnostic = Diagnostic::error("bad-value", member.span, message);
                reader
                    .say(diagnostic.near(word, known.iter().copied()).help(format!("there are {}", known.join(", "))));
            }
            Some(word.to_owned())
        })
    }

    /// Sources are allowed by their kind: what a checklist calls them proves nothing.
    fn kinds_of_sources(&mut self, policy: &Node, known: &[&str]) {
        let allow = policy.get("sources").and_then(|part| part.get("allow")).and_then(Node::list).unwrap_or_default();
        for member in allow {
            let Some(word) = member.text().filter(|word| !known.contains(word)) else { continue };
            let diagnostic =
                Diagnostic::error("bad-value", member.span, format!("there is no kind of source {word:?}"));
            self.say(diagnostic.near(word, known.iter().copied()).help(format!("there are {}", known.join(", "))));
        }
    }

    fn host(&mut self, member: &Node) -> Option<HostPattern> {
        match HostPattern::parse(member.text()?) {
            Ok(pattern) => Some(pattern),
            Err(message) => {
                let help =
                    "write db.internal:5432, *.internal:443, 10.0.0.0/8, [fd00::1]:443, or a range of ports: a:80-90";
                self.say(Diagnostic::error("policy-host", member.span, message).help(help));
                None
            }
        }
    }

    fn command(&mut self, member: &Node) -> Option<CommandPattern> {
        let words: Vec<&str> = match member.list() {
            Some(list) => list.iter().filter_map(Node::text).collect(),
            None => member.text()?.split_whitespace().collect(),
        };
        match CommandPattern::new(&words) {
            Ok(pattern) => Some(pattern),
            Err(message) => {
                let help = "write the words that the command begins with: kubectl get, or [sh, -c, ./check.sh]";
                self.say(Diagnostic::error("policy-command", member.span, message).help(help));
                None
            }
        }
    }

    fn tree(&mut self, member: &Node) -> Option<Tree> {
        let text = member.text()?;
        let fault = match Tree::new(Path::new(text)) {
            _ if text.trim().is_empty() => "the path is empty".to_owned(),
            _ if text.contains(['*', '?']) => "files are named by folders, which hold all that is in them".to_owned(),
            Ok(tree) => return Some(tree),
            Err(error) => format!("it cannot be told where {text} leads: {error}"),
        };
        self.say(Diagnostic::error("policy-path", member.span, fault));
        None
    }

    fn changes(&self, policy: &Node) -> Option<Rule> {
        let (_, value) = policy.entry("changes")?;
        (value.text() == Some("refuse")).then(|| self.rule(value, "changes: refuse".to_owned()))
    }

    /// Says where one part of a policy is undone by another that rules nothing.
    fn holes(&mut self, policy: &Node, made: &Policy) {
        let runs = |kind: &str| made.allow_probe(kind).is_ok();
        if !made.commands.is_open() || !(runs("exec") || runs("log")) {
            return;
        }
        for (part, what) in [("hosts", "reaches any host"), ("files", "reads any file")] {
            if let Some((key, _)) = policy.entry(part) {
                let message = format!("{part} are ruled, commands are not: a command {what}");
                let help = "rule commands too, or deny the probes exec and log";
                self.diagnostics.push(Diagnostic::warning("policy-hole", key.span, message).help(help));
            }
        }
    }
}

fn written(node: &Node) -> String {
    match node.list() {
        Some(list) => list.iter().filter_map(Node::text).collect::<Vec<_>>().join(" "),
        None => node.text().unwrap_or_default().to_owned(),
    }
}

fn shorten(text: &str) -> String {
    const MOST: usize = 100;
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{} …", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> (Option<Policy>, Vec<String>) {
        let (mut map, mut diagnostics) = (SourceMap::new(), Diagnostics::new());
        let file = map.add("policy.yaml", text);
        let known = Known { probes: &["http", "exec", "log"], sources: &["prometheus"] };
        let policy = read(&mut map, file, &known, &mut diagnostics);
        (policy, diagnostics.iter().map(|d| format!("{}: {}", d.code, d.message)).collect())
    }

    fn refusal(policy: &Policy, command: &str) -> String {
        let argv: Vec<String> = command.split(' ').map(str::to_owned).collect();
        policy.allow_command(&argv).expect_err("refused").message
    }

    #[test]
    fn a_refusal_names_the_rule_and_its_line() {
        let text = "holdpoint: 1\npolicy:\n  probes: { deny: [log] }\n  commands:\n    allow: [kubectl get]\n  \
                    changes: refuse\n  sources: { allow: [prometheus], deny: [old] }\n";
        let (policy, said) = read_text(text);
        assert_eq!(said, [""; 0]);
        let policy = policy.expect("a policy");
        assert_eq!(
            refusal(&policy, "rm -r x"),
            "refused by policy.yaml:5 (commands.allow: kubectl get): the command rm -r x is not listed"
        );
        let said = policy.allow_probe("log").expect_err("refused").message;
        assert_eq!(said, "refused by policy.yaml:3 (probes.deny: log): the probe log");
        assert!(policy.allow_probe("http").is_ok() && policy.allow_changes("restarts").is_err());
        assert!(policy.allow_source("prometheus", "eu").is_ok() && policy.allow_source("prometheus", "old").is_err());
        assert!(policy.allow_source("grafana", "prometheus").is_err(), "a name proves nothing");
    }

    #[test]
    fn every_mistake_is_said_at_once() {
        let text = "holdpoint: 1\npolicy:\n  probes: { allow: [htp] }\n  hosts: { allow: ['10.*', 'http://x'] }\n  \
                    commands: { allow: [''] }\n  files: {}\n  sources: { allow: [eu] }\n";
        let (policy, said) = read_text(text);
        assert!(policy.is_none());
        let codes: Vec<&str> = said.iter().filter_map(|m| m.split(':').next()).collect();
        let wanted = ["bad-value", "policy-command", "policy-host", "policy-host", "policy-empty", "bad-value"];
        assert_eq!(codes, wanted, "{said:?}");
        assert!(said[0].contains("did you mean \"http\""), "{said:?}");
        for (bad, code) in [
            ("", "wrong-type"),
            ("holdpoint: 1\n", "missing-key"),
            ("holdpoint: 1\npolicy: {}\n", "policy-empty"),
            ("holdpoint: 1\npolicy: { host: {} }\n", "unknown-key"),
            ("holdpoint: 1\npolicy: { changes: no }\n", "bad-value"),
            ("holdpoint: 1\npolicy: { files: { allow: ['*.log'] } }\n", "policy-path"),
        ] {
            let (policy, said) = read_text(bad);
            assert!(policy.is_none() && said.iter().any(|m| m.starts_with(code)), "{bad:?}: {said:?}");
        }
    }

    #[test]
    fn a_list_that_commands_undo_is_a_warning() {
        let holes = |text: &str| read_text(&format!("holdpoint: 1\npolicy: {{ {text} }}\n")).1;
        assert!(holes("hosts: { allow: [a] }")[0].starts_with("policy-hole"));
        assert!(holes("hosts: { allow: [a] }, probes: { allow: [http] }").is_empty());
        assert!(holes("files: { allow: [a] }, commands: { allow: [] }").is_empty());
    }
}
