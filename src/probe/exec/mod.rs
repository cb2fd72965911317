//! The `exec` probe: runs a command and measures what it says and how it ends.

mod measure;

use std::path::PathBuf;

use async_trait::async_trait;
use regex::RegexSet;

use super::{Compiling, Keys, Look, MeasureSpec, Probe, ProbeKind, keyed, measure as plain};
use crate::checklist::reading::Reading;
use crate::diag::Diagnostic;
use crate::model::quantity::seconds;
use crate::model::{Found, Kind, Observation};
use crate::shape::{Object, Shape, field, required};
use crate::sys::World;
use crate::sys::policy::Touch;
use crate::sys::process::{self, End, Invocation};
use crate::template::{Place, Scope, Template, TemplateError};
use crate::yaml::Node;

use measure::Measuring;

/// How much is kept of the beginning, and how much of the end, of each output.
const KEEP: usize = 512 * 1024;

/// The kind.
pub const KIND: ProbeKind = ProbeKind {
    name: "exec",
    summary: "a command: how it ends and what it prints",
    manual: MANUAL,
    shape: Shape::Either(&[Shape::Template, Shape::List(&Shape::Template), Shape::Object(&OBJECT)]),
    measures: MEASURES,
    speaks_for_itself: false,
    compile,
};

static OBJECT: Object = Object {
    name: "a command",
    fields: &[
        required(
            "command",
            Shape::Either(&[Shape::Template, Shape::List(&Shape::Template)]),
            "A line for the shell, or a list of the program and its arguments, which no shell sees.",
        ),
        field("env", Shape::Map(&Shape::Template), "Environment variables to set."),
        field(
            "inherit",
            Shape::OneOrMany(&Shape::Text),
            "Names of environment variables to pass on. Besides, only PATH, HOME, LANG, TZ, USER and TMPDIR are.",
        ),
        field("cwd", Shape::Template, "The folder to run in; without it the folder that holdpoint was started in."),
        field("stdin", Shape::Template, "Text for the standard input, which is empty otherwise."),
        field("shell", Shape::Template, "The shell that runs a command line, with -c; /bin/sh unless given."),
    ],
    open: false,
};

const MEASURES: &[MeasureSpec] = &[
    plain("exit_code", Kind::Number, "The exit code; missing when a signal ended the command."),
    plain("stdout", Kind::Text, "The standard output, without its last newline."),
    plain("stderr", Kind::Text, "The standard error, without its last newline."),
    keyed("json", Kind::Json, Keys::JsonPath, "What the standard output holds as JSON, by JSONPath."),
    plain("lines", Kind::Number, "How many lines the standard output has."),
    plain("duration", Kind::Duration, "How long the command took, in seconds."),
    plain("signal", Kind::Text, "The signal that ended the command: `SIGKILL`; missing when none did."),
];

const MANUAL: &str = "\
Runs a command and waits for its end.

A text is a line for `/bin/sh -c`: pipes, redirections and variables work, and values put in by `{{ }}` are quoted. A \
list is a program and its arguments, which no shell sees.

The command gets only the environment that is listed under `env` and `inherit`, and `PATH`, `HOME`, `LANG`, `TZ`, \
`USER` and `TMPDIR`. So no credential reaches it unnoticed.

It leads a process group of its own. When its `timeout` is up, the group gets SIGTERM and, two seconds later, SIGKILL. \
What it leaves running in the background ends with it.

Up to 512 KiB of the beginning and of the end of each output are kept; what is left out between them is counted and \
said. `lines` counts all lines. `ignore` drops lines of `stdout` and `stderr` before they are judged or counted.

**Failure and error.** A command that runs and ends otherwise than expected fails. A command that is not found, may \
not be executed or does not end in time is an error: nothing is known then. A shell that ends with 126 or 127 because \
it could not find or execute a command counts as that.

```yaml
- name: The migration is complete
  exec: ./manage.py showmigrations --plan | grep -c '\\[ \\]'
  expect: { stdout: \"0\" }

- name: The image is the one that was tested
  exec: { command: [docker, inspect, \"{{ inputs.image }}\"], inherit: DOCKER_HOST }
  expect: { exit_code: 0, json: { \"$[0].Config.Labels.tested\": \"yes\" } }
```
";

/// A command, ready to be filled in.
struct Exec {
    command: Command,
    env: Vec<(String, Template)>,
    inherit: Vec<String>,
    cwd: Option<Template>,
    stdin: Option<Template>,
    measuring: Measuring,
}

enum Command {
    Shell { shell: Option<Template>, line: Template },
    Argv(Vec<Template>),
}

fn compile(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Box<dyn Probe>> {
    let reading = &mut *compiling.reading;
    let command = match node.map() {
        Some(_) => {
            let inner = node.get("command")?;
            let shell = node.get("shell");
            if let (Some(shell), Some(_)) = (shell, inner.list()) {
                let message = "no shell runs a command that is a list";
                let help = "write the command as one text, or make the shell the first member of the list";
                reading.say(Diagnostic::error("bad-value", shell.span, message).help(help));
                return None;
            }
            let shell = shell.and_then(|s| reading.template(s, Place::Plain));
            command_of(reading, inner, shell)?
        }
        None => command_of(reading, node, None)?,
    };
    let env = variables_of(reading, node)?;
    let listed = node.get("inherit").map(|n| n.list().unwrap_or(std::slice::from_ref(n))).unwrap_or_default();
    let inherit = listed.iter().map(|name| variable_name(reading, name)).collect::<Option<_>>()?;
    // The patterns are checked with the step's other keys; one that is not valid keeps the run from starting.
    let ignore = (!compiling.ignore.is_empty()).then(|| RegexSet::new(compiling.ignore).ok()).flatten();
    let cwd = reading.template_at(node, "cwd", Place::Plain);
    let stdin = reading.template_at(node, "stdin", Place::Plain);
    let measuring = Measuring::new(compiling.wants, ignore, matches!(command, Command::Shell { .. }));
    Some(Box::new(Exec { command, env, inherit, cwd, stdin, measuring }))
}

fn command_of(reading: &mut Reading<'_>, node: &Node, shell: Option<Template>) -> Option<Command> {
    let empty = match node.list() {
        Some(items) => items.first().is_none_or(|first| first.text().is_none_or(str::is_empty)),
        None => node.text().is_none_or(|text| text.trim().is_empty()),
    };
    if empty {
        let help = "write a line for the shell, or a list of the program and its arguments";
        reading.say(Diagnostic::error("bad-value", node.span, "the command is empty").help(help));
        return None;
    }
    match node.list() {
        Some(items) => {
            let argv = items.iter().map(|item| reading.template(item, Place::Plain));
            Some(Command::Argv(argv.collect::<Option<_>>()?))
        }
        None => Some(Command::Shell { shell, line: reading.template(node, Place::Shell)? }),
    }
}

fn variables_of(reading: &mut Reading<'_>, node: &Node) -> Option<Vec<(String, Template)>> {
    let variables = node.get("env").and_then(Node::map).unwrap_or_default().iter();
    variables
        .map(|(name, value)| Some((variable_name(reading, name)?, reading.template(value, Place::Plain)?)))
        .collect()
}

fn variable_name(reading: &mut Reading<'_>, node: &Node) -> Option<String> {
    let name = node.text().unwrap_or_default();
    if name.is_empty() || name.contains(['=', '\0', '{']) {
        let message = format!("{name:?} is not the name of an environment variable");
        reading.say(Diagnostic::error("bad-value", node.span, message));
        return None;
    }
    Some(name.to_owned())
}

#[async_trait]
impl Probe for Exec {
    fn runs_commands(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        match &self.command {
            Command::Shell { line, .. } => line.source().trim_end().to_owned(),
            Command::Argv(argv) => quoted(argv.iter().map(Template::source)),
        }
    }

    fn touches(&self, scope: &Scope) -> Vec<Touch> {
        // What is captured is not known yet; it is judged when it is.
        self.command.fill(scope).map(|(_, argv)| Touch::Command(argv)).into_iter().collect()
    }

    fn grace(&self) -> std::time::Duration {
        process::GRACE + std::time::Duration::from_secs(2)
    }

    async fn observe(&self, look: &Look<'_>) -> Observation {
        let (request, invocation) = match self.fill(look) {
            Ok(filled) => filled,
            Err(error) => return Observation::new(self.describe(), Found::refused(error.to_string())),
        };
        // A command takes real time, during which a made-up clock must stand still.
        let _busy = look.world.clock.busy();
        match look.world.run(&invocation).await {
            Err(error) => {
                let found = Found::CouldNotLook { cause: error.message, retry: error.retry };
                Observation::new(request, found)
            }
            Ok(ended) if ended.end == End::TimedOut => {
                let after = seconds(invocation.timeout.as_secs_f64());
                let cause = format!("the command did not end within {after}; its process group was ended");
                let mut observation = Observation::new(request, Found::could_not_look(cause));
                self.measuring.add_evidence(&ended, true, &mut observation);
                observation
            }
            Ok(ended) => self.measuring.observation(request, &ended),
        }
    }
}

impl Command {
    /// Fills the values in: what is shown, and the words of the command.
    fn fill(&self, scope: &Scope) -> Result<(String, Vec<String>), TemplateError> {
        Ok(match self {
            Command::Shell { shell, line } => {
                let line = line.render(scope)?;
                let shell = optional(shell.as_ref(), scope)?.unwrap_or_else(|| "/bin/sh".to_owned());
                (line.trim_end().to_owned(), vec![shell, "-c".to_owned(), line])
            }
            Command::Argv(templates) => {
                let argv: Vec<_> = templates.iter().map(|t| t.render(scope)).collect::<Result<_, _>>()?;
                (quoted(argv.iter().map(String::as_str)), argv)
            }
        })
    }
}

impl Exec {
    /// Fills the values in: what is shown as the request, and what is run.
    fn fill(&self, look: &Look<'_>) -> Result<(String, Invocation), TemplateError> {
        let scope = look.scope;
        let (request, argv) = self.command.fill(scope)?;
        let invocation = Invocation {
            argv,
            env: self.environment(look.world, scope)?,
            cwd: optional(self.cwd.as_ref(), scope)?.map(PathBuf::from),
            stdin: optional(self.stdin.as_ref(), scope)?.map(String::into_bytes),
            timeout: look.timeout,
            keep: KEEP,
        };
        Ok((request, invocation))
    }

    fn environment(&self, world: &World, scope: &Scope) -> Result<Vec<(String, String)>, TemplateError> {
        let mut env = process::minimal_env(&world.env);
        let mut set = |name: &str, value: String| match env.iter_mut().find(|(known, _)| known == name) {
            Some(slot) => slot.1 = value,
            None => env.push((name.to_owned(), value)),
        };
        for name in &self.inherit {
            if let Some(value) = world.env.get(name) {
                set(name, value.to_owned());
            }
        }
        for (name, value) in &self.env {
            set(name, value.render(scope)?);
        }
        Ok(env)
    }
}

fn optional(template: Option<&Template>, scope: &Scope) -> Result<Option<String>, TemplateError> {
    template.map(|t| t.render(scope)).transpose()
}

/// Writes a list of arguments as it would be typed into a shell.
fn quoted<'a>(argv: impl Iterator<Item = &'a str>) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    let one = |arg: &str| match !arg.is_empty() && arg.chars().all(plain) {
        true => arg.to_owned(),
        false => format!("'{}'", arg.replace('\'', r"'\''")),
    };
    argv.map(one).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_shown_as_they_would_be_typed() {
        assert_eq!(quoted(["ls", "-l", "a b", "", "it's"].into_iter()), r"ls -l 'a b' '' 'it'\''s'");
    }
}
