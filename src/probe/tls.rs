//! `tls`: the handshake of a server, and the certificates that it shows.

use async_trait::async_trait;
use chrono::DateTime;

use super::{Compiling, Look, MeasureSpec, Probe, ProbeKind, measure};
use crate::checklist::reading::Reading;
use crate::diag::Diagnostic;
use crate::model::{
    Evidence, Expectation, Found, Kind, Literal, Matcher, MeasureName, Measures, Note, Observation, Origin, Value,
};
use crate::shape::{Object, Shape, field, required};
use crate::sys::net;
use crate::sys::tls::{self, Inspection, Seen, Shown, StartTls, TlsFault};
use crate::template::{Place, Scope, Template};
use crate::yaml::Node;

/// The kind `tls`.
pub const KIND: ProbeKind = ProbeKind {
    name: "tls",
    summary: "a TLS handshake and the certificates that are shown",
    manual: MANUAL,
    shape: Shape::Either(&[Shape::Template, Shape::Object(&OBJECT)]),
    measures: MEASURES,
    speaks_for_itself: false,
    compile,
};

const MANUAL: &str = "\
Connects, shakes hands, looks at the chain of certificates, and closes again. The chain must be trusted, unless the \
step itself expects something of `chain_valid`, `self_signed` or `reason`:

```yaml
- name: The certificate lasts another three weeks
  tls: shop.example.com:443
  expect: \"> 21d\"

- name: The mail server offers TLS with our own authority
  tls: { address: \"mail.internal:25\", starttls: smtp, ca: ca.pem }
  expect: { version: \">= 1.3\", chain_expires_in: \"> 30d\", names: { contains: mail.internal } }

- name: The certificate is the one that was rolled out
  tls: { address: \"10.0.0.7:443\", server_name: shop.example.com }
  expect: { fingerprint: \"{{ inputs.fingerprint }}\", issuer: { contains: Example CA } }
```

**Trust.** The handshake is carried through with any certificate, so that one that has expired or is for another name \
can be measured; whether it is to be trusted is checked apart, as every HTTPS request checks it: the signatures up to \
an authority of the system (or of `ca`), the time, the name. `chain_valid` is what came of it and `reason` why not. \
Revocation is not checked. Nothing is sent over the connection.

**Time.** `expires_in` is that of the server's own certificate, `chain_expires_in` that of the first one of the chain \
to expire; both are negative when it has.

**Failure and error.** A server that does not answer, does not speak TLS, breaks the handshake off or speaks only \
versions before 1.2 has *failed*. When this machine cannot connect, or the file of authorities cannot be read, that is \
an *error*.

`starttls` speaks the protocol before TLS: `smtp` (RFC 3207), `imap` (RFC 9051), `postgres`.
";

const STARTTLS: &[&str] = &["smtp", "imap", "postgres"];

const OBJECT: Object = Object {
    name: "tls",
    open: false,
    fields: &[
        required("address", Shape::Template, "Host and port: `shop.example.com:443`, `[::1]:8443`."),
        field(
            "server_name",
            Shape::Template,
            "The name to ask for (SNI), and that the certificate must be for; the host unless given.",
        ),
        field("ca", Shape::Template, "A file with certificate authorities (PEM) to trust instead of the system's."),
        field("starttls", Shape::Word(STARTTLS), "The protocol that is spoken before TLS begins."),
        field(
            "alpn",
            Shape::OneOrMany(&Shape::Text),
            "Protocols to offer within TLS, the best first: `h2`, `http/1.1`.",
        ),
    ],
};

const MEASURES: &[MeasureSpec] = &[
    measure(
        "expires_in",
        Kind::Duration,
        "How long the server's certificate is still valid; negative when it has expired.",
    ),
    measure("chain_expires_in", Kind::Duration, "How long until the first certificate of the chain expires."),
    measure("chain_valid", Kind::Bool, "Whether the chain is to be trusted for this name, now."),
    measure("reason", Kind::Text, "Why the chain is not to be trusted; missing when it is."),
    measure("names", Kind::Set, "The names and addresses that the certificate is for."),
    measure("issuer", Kind::Text, "Who issued the server's certificate."),
    measure("subject", Kind::Text, "Whom the server's certificate names."),
    measure("serial", Kind::Text, "Its serial number in hexadecimal, in lower case."),
    measure("fingerprint", Kind::Text, "Its SHA-256 digest in hexadecimal, in lower case."),
    measure("self_signed", Kind::Bool, "Whether it vouches for itself."),
    measure("version", Kind::Number, "The version of TLS that was agreed on: 1.2 or 1.3."),
    measure("alpn", Kind::Text, "The protocol within TLS that was agreed on; missing when none was."),
    measure("latency", Kind::Duration, "How long the handshake took, the connection not included."),
];

struct Tls {
    address: Template,
    server_name: Option<Template>,
    ca: Option<Template>,
    starttls: Option<StartTls>,
    alpn: Vec<String>,
    /// Where the step leaves it to the probe that the chain must be trusted.
    trusting: Option<Origin>,
}

fn compile(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Box<dyn Probe>> {
    let place = if node.text().is_some() { node } else { node.get("address")? };
    let address = compiling.reading.template(place, Place::Plain)?;
    check(compiling.reading, place, &address)?;
    let alpn = node.get("alpn");
    let alpn = alpn.map(|n| n.list().unwrap_or(std::slice::from_ref(n))).unwrap_or_default();
    let judged = ["chain_valid", "self_signed", "reason"].iter().any(|name| compiling.wants.any(name));
    Some(Box::new(Tls {
        address,
        server_name: compiling.reading.template_at(node, "server_name", Place::Plain),
        ca: compiling.reading.template_at(node, "ca", Place::Plain),
        starttls: node.get("starttls").and_then(Node::text).and_then(|word| match word {
            "smtp" => Some(StartTls::Smtp),
            "imap" => Some(StartTls::Imap),
            "postgres" => Some(StartTls::Postgres),
            _ => None,
        }),
        alpn: alpn.iter().filter_map(Node::text).map(str::to_owned).collect(),
        trusting: (!judged).then(|| compiling.reading.origin(node)),
    }))
}

/// Checks an address as far as it is known before anything runs.
fn check(reading: &mut Reading<'_>, node: &Node, address: &Template) -> Option<()> {
    let Ok(text) = address.render(reading.inputs) else { return Some(()) };
    if !address.is_literal() && text.trim().is_empty() {
        // An input that is empty by default: `when` asks about it.
        return Some(());
    }
    match net::host_and_port(&text) {
        Ok(_) => Some(()),
        Err(message) => {
            let help = "write host:port, such as shop.example.com:443";
            reading.say(Diagnostic::error("bad-address", node.span, message).help(help));
            None
        }
    }
}

#[async_trait]
impl Probe for Tls {
    fn describe(&self) -> String {
        format!("shake hands with {}", self.address.source())
    }

    fn host(&self, scope: &Scope) -> Option<String> {
        self.address.render(scope).ok()
    }

    fn implied(&self) -> Option<Expectation> {
        Some(Expectation::Measure {
            name: MeasureName::plain("chain_valid"),
            kind: Kind::Bool,
            matcher: Matcher::Equals(Literal::Bool(true)),
            origin: self.trusting.clone()?,
        })
    }

    fn silence_is_failure(&self) -> bool {
        true
    }

    async fn observe(&self, look: &Look<'_>) -> Observation {
        let inspection = match self.fill(look) {
            Ok(inspection) => inspection,
            Err(message) => return Observation::new(self.describe(), Found::refused(message)),
        };
        let as_name = match inspection.server_name == inspection.host {
            true => String::new(),
            false => format!(" as {}", inspection.server_name),
        };
        let request = format!("handshake with {}:{}{as_name}", inspection.host, inspection.port);
        match tls::inspect(&look.world.policy, &inspection).await {
            Ok(seen) => measured(request, &seen, look.world.clock.now().timestamp()),
            Err(TlsFault::Server(cause)) => Observation::new(request, Found::NoAnswer { cause }),
            Err(TlsFault::Here(cause)) => Observation::new(request, Found::refused(cause)),
        }
    }
}

impl Tls {
    fn fill(&self, look: &Look<'_>) -> Result<Inspection, String> {
        let render = |template: &Template| template.render(look.scope).map_err(|error| error.message);
        let address = render(&self.address)?;
        let (host, port) = net::host_and_port(&address)?;
        let server_name = self.server_name.as_ref().map(render).transpose()?;
        Ok(Inspection {
            host: host.to_owned(),
            port,
            server_name: server_name.unwrap_or_else(|| host.to_owned()),
            ca: self.ca.as_ref().map(render).transpose()?,
            starttls: self.starttls,
            alpn: self.alpn.clone(),
            timeout: look.timeout,
        })
    }
}

fn measured(request: String, seen: &Seen, now: i64) -> Observation {
    let Some(own) = seen.chain.first() else {
        let cause = "the server shows no certificate".to_owned();
        return Observation::new(request, Found::NoAnswer { cause });
    };
    let left = |certificate: &Shown| (certificate.expires_at - now) as f64;
    let first = seen.chain.iter().map(left).fold(f64::INFINITY, f64::min);
    let text = |text: &str| Value::Text(text.to_owned());
    let missing = |why: &str| Value::Missing(why.to_owned());
    let mut measures = Measures::new();
    measures.plain("expires_in", Value::Number(left(own)));
    measures.plain("chain_expires_in", Value::Number(first));
    measures.plain("chain_valid", Value::Bool(seen.untrusted.is_none()));
    measures.plain("reason", seen.untrusted.as_deref().map_or_else(|| missing("the chain is trusted"), text));
    measures.plain(
        "names",
        match own.names.is_empty() {
            true => missing("the certificate is for no name"),
            false => Value::Set(own.names.clone()),
        },
    );
    measures.plain("issuer", text(&own.issuer));
    measures.plain("subject", text(&own.subject));
    measures.plain("serial", text(&own.serial));
    measures.plain("fingerprint", text(&own.sha256));
    measures.plain("self_signed", Value::Bool(own.issuer == own.subject));
    measures.plain("version", Value::Number(seen.version));
    measures.plain("alpn", seen.alpn.as_deref().map_or_else(|| missing("no protocol was agreed on"), text));
    measures.plain("latency", Value::Number(seen.took.as_secs_f64()));
    let mut observation = Observation::new(request, Found::Measures(measures));
    if let Some(reason) = &seen.untrusted {
        observation.notes.push(Note::warning(format!("the chain is not trusted: {reason}")));
    }
    observation.evidence.push(Evidence { title: "chain".into(), text: chain(seen), left_out: 0 });
    observation
}

fn chain(seen: &Seen) -> String {
    let day =
        |at: i64| DateTime::from_timestamp(at, 0).map_or_else(String::new, |at| at.format("%Y-%m-%d").to_string());
    let mut out = format!("TLS {} ({}) with {}\n", seen.version, seen.suite, seen.address);
    for one in &seen.chain {
        let (from, until) = (day(one.begins_at), day(one.expires_at));
        out.push_str(&format!(
            "{}, issued by {}, from {from} until {until}, sha256 {}\n",
            one.subject, one.issuer, one.sha256
        ));
    }
    out
}
