//! `email`: a mail over SMTP.

use std::time::Duration;

use super::channel::{Channel, ChannelKind, Compiling, Pen};
use super::letter::Letter;
use super::message::Message;
use super::on::On;
use super::text::{cut, cut_bytes};
use crate::diag::Diagnostic;
use crate::shape::{Shape, field, required};
use crate::sys::mail::{Mail, Security, Server, is_address};
use crate::template::{Place, Template, TemplateError};

/// The kind `email`.
pub(super) const KIND: ChannelKind = ChannelKind {
    name: "email",
    summary: "a mail, over SMTP",
    manual: MANUAL,
    shape: Shape::OneOrMany(&Shape::Template),
    doc: "Who gets it: an address, or a list of them.",
    fields: &[
        required(
            "server",
            Shape::Template,
            "The server, with its port where that is not the usual one: `smtp.example.com:587`.",
        ),
        required("from", Shape::Template, "Who sends it: `Deploys <deploys@example.com>`."),
        field("security", Shape::Word(SECURITY), "How the connection is kept secret; starttls when not given."),
        field("user", Shape::Template, "The user, where the server asks for one."),
        field("password", Shape::Template, "The password; use a secret input."),
        field("ca", Shape::Template, "A file with certificate authorities (PEM) to trust beside the system's."),
        field("subject", Shape::Template, "The subject; the title when not given."),
        field("text", Shape::Template, "A text above the rest."),
    ],
    on: &[On::Held, On::NoGo, On::Go, On::Undecided],
    of_process: false,
    compile,
};

const MANUAL: &str = "\
Sends a mail in plain text:

```yaml
inputs:
  smtp_password: { secret: true, env: SMTP_PASSWORD }
notify:
  - email: [sre@example.com, \"Release manager <rm@example.com>\"]
    server: smtp.example.com
    from: Deploys <deploys@example.com>
    user: deploys
    password: \"{{ inputs.smtp_password }}\"

  - { email: root@localhost, server: \"localhost:25\", security: none, from: deploys@localhost, on: no-go }
```

With `starttls` (port 587) the connection must become TLS before anything is sent, else nothing is; with `tls` (port \
465) it is from the beginning; with `none` (port 25) it never is, and whoever listens reads the password. Certificates \
are checked against the system's authorities and those of `ca`.

A server that does not answer, or answers 4xx, is tried again; 5xx and a certificate that is not good are final. One \
refused address refuses the mail.

Source: RFC 5321 (SMTP), RFC 3207 (STARTTLS), RFC 4954 (AUTH).
";

const SECURITY: &[&str] = &["starttls", "tls", "none"];
/// The longest subject, in characters.
const SUBJECT: usize = 200;
/// The longest body, in bytes.
const BODY: usize = 64 << 10;

struct Email {
    to: Vec<Template>,
    server: Template,
    from: Template,
    security: Security,
    user: Option<Template>,
    password: Option<Template>,
    ca: Option<Template>,
    subject: Option<Template>,
    text: Option<Template>,
    timeout: Duration,
}

fn compile(compiling: &mut Compiling<'_, '_>) -> Option<Box<dyn Channel>> {
    let to = compiling.templates(compiling.value);
    if compiling.value.list().is_some_and(<[_]>::is_empty) {
        compiling.reading.say(Diagnostic::error("bad-value", compiling.value.span, "nobody gets the mail"));
    }
    let nodes = compiling.value.list().unwrap_or(std::slice::from_ref(compiling.value));
    for (node, template) in nodes.iter().zip(&to).filter(|(_, template)| template.is_literal()) {
        address(compiling, node, template);
    }
    let from = compiling.text("from", Place::Plain);
    if let (Some(node), Some(from)) = (compiling.node.get("from"), &from)
        && from.is_literal()
    {
        address(compiling, node, from);
    }
    let server = compiling.text("server", Place::Plain);
    let user = compiling.text("user", Place::Plain);
    let password = compiling.secret("password");
    if let Some((key, _)) = compiling.node.entry("user").or(compiling.node.entry("password"))
        && user.is_some() != password.is_some()
    {
        let message = "user and password are given together, or neither is";
        compiling.reading.say(Diagnostic::error("bad-value", key.span, message));
    }
    let security = match compiling.word("security").as_deref() {
        Some("tls") => Security::Tls,
        Some("none") => Security::None,
        Some(_) | None => Security::StartTls,
    };
    let (ca, subject) = (compiling.text("ca", Place::Plain), compiling.text("subject", Place::Plain));
    let text = compiling.text("text", Place::Plain);
    let timeout = compiling.node.get("timeout").and_then(|node| compiling.reading.duration(node));
    let timeout = timeout.unwrap_or(Duration::from_secs(10));
    let (server, from) = (server?, from?);
    Some(Box::new(Email { to, server, from, security, user, password, ca, subject, text, timeout }))
}

fn address(compiling: &mut Compiling<'_, '_>, node: &crate::yaml::Node, template: &Template) {
    if !is_address(template.source()) {
        let message = format!("{:?} is not an address that mail can be sent to", template.source());
        compiling.reading.say(Diagnostic::error("bad-value", node.span, message));
    }
}

impl Channel for Email {
    fn letter(&self, message: &Message, pen: &Pen<'_>) -> Result<Option<Letter>, TemplateError> {
        let subject = match &self.subject {
            Some(template) => pen.say(template)?,
            None => message.told.title.clone(),
        };
        let own = pen.say_some(self.text.as_ref())?;
        let own = if own.trim().is_empty() { String::new() } else { format!("{}\n\n", own.trim_end()) };
        let to: Vec<String> = self.to.iter().map(|to| pen.know(to)).collect::<Result<_, _>>()?;
        let mail = Mail {
            from: pen.know(&self.from)?,
            to,
            // A line end would begin another header.
            subject: cut(&crate::report::plain::line(subject.trim()), SUBJECT),
            body: cut_bytes(&format!("{own}{}", message.plain()), BODY),
        };
        Ok(Some(Letter::Mail(Box::new(self.server(pen)?), mail)))
    }
}

impl Email {
    fn server(&self, pen: &Pen<'_>) -> Result<Server, TemplateError> {
        let written = pen.know(&self.server)?;
        let (host, port) = apart(&written)
            .ok_or_else(|| TemplateError { message: format!("{written:?} is no server and port"), range: None })?;
        let login = match (&self.user, &self.password) {
            (Some(user), Some(password)) => Some((pen.know(user)?, pen.know(password)?)),
            _ => None,
        };
        let ca_file = self.ca.as_ref().map(|ca| pen.know(ca)).transpose()?;
        Ok(Server { host, port, security: self.security, ca_file, login, timeout: self.timeout })
    }
}

/// Takes host and port apart; an IPv6 address with a port stands in brackets.
fn apart(written: &str) -> Option<(String, Option<u16>)> {
    if let Some(inside) = written.strip_prefix('[') {
        let (host, rest) = inside.split_once(']')?;
        return match rest {
            "" => Some((host.to_owned(), None)),
            rest => Some((host.to_owned(), Some(rest.strip_prefix(':')?.parse().ok()?))),
        };
    }
    match written.split_once(':') {
        Some((host, port)) if !port.contains(':') && !host.is_empty() => {
            Some((host.to_owned(), Some(port.parse().ok()?)))
        }
        Some((_, rest)) if rest.contains(':') => Some((written.to_owned(), None)),
        Some(_) => None,
        None => (!written.is_empty()).then(|| (written.to_owned(), None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_are_taken_apart() {
        assert_eq!(apart("smtp.example.com"), Some(("smtp.example.com".into(), None)));
        assert_eq!(apart("localhost:2525"), Some(("localhost".into(), Some(2525))));
        assert_eq!(apart("[::1]:25"), Some(("::1".into(), Some(25))));
        assert_eq!(apart("::1"), Some(("::1".into(), None)));
        assert_eq!((apart("host:smtp"), apart(":25"), apart("")), (None, None, None));
    }
}
