//! `dns`: the records of a name, asked of a resolver.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;

use super::{Compiling, Look, MeasureSpec, Probe, ProbeKind, measure};
use crate::diag::Diagnostic;
use crate::model::quantity::{Quantity, seconds};
use crate::model::{
    Evidence, Expectation, Found, Kind, Matcher, MeasureName, Measures, Note, Observation, Op, Origin, Value,
};
use crate::shape::{Object, Shape, field, required};
use crate::sys::World;
use crate::sys::dns::{self, Answer, Question};
use crate::sys::net;
use crate::sys::policy::Touch;
use crate::template::{Place, Scope, Template};
use crate::yaml::Node;

/// The kind `dns`.
pub const KIND: ProbeKind = ProbeKind {
    name: "dns",
    summary: "the DNS records of a name",
    manual: MANUAL,
    shape: Shape::Either(&[Shape::Template, Shape::Object(&OBJECT)]),
    measures: MEASURES,
    speaks_for_itself: false,
    compile,
};

const MANUAL: &str = "\
Asks a resolver for the records of a name. Without `expect` there must be at least one:

```yaml
- name: The shop has an address
  dns: shop.example.com

- name: Mail goes to the new server, and moves within five minutes
  dns: { name: example.com, type: MX, resolver: \"ns1.example.com:53\" }
  expect: { records: { equals: [10 mail.example.com] }, ttl: \"<= 5m\" }

- name: The old name is gone
  dns: old.example.com
  expect: { rcode: NXDOMAIN }
```

The name is a whole one: no search list is applied, and nothing is cached here. An address with `type: PTR` is looked \
up in reverse. The resolver is the one that is named, with port 53 unless given, or those of `/etc/resolv.conf` in turn.

**Records** are texts as in a zone file, names in lower case and without their last dot: `10 mail.example.com` (MX), \
`0 5 5060 sip.example.com` (SRV: priority, weight, port, target), `0 issue \"ca.example.net\"` (CAA). The parts of a \
TXT record are joined. Aliases (CNAME) on the way are followed and noted; `ttl` is the lowest of all that the answer \
stands on.

**Nothing there.** `rcode` is `NXDOMAIN` when there is no such name, and `NODATA` when the name has no records of the \
type (RFC 2308 calls it so; the resolver says NOERROR). In both, `records` and `ttl` are *missing* and `count` is 0.

**Failure and error.** The resolver is what is looked *through*: one that does not answer within `timeout`, answers \
nonsense, or says that it failed or will not answer (`SERVFAIL`, `REFUSED` …) is an *error*. Only a step that expects \
something of `rcode` takes such a code as the answer; `records` are then *no data*.

The question goes over UDP, again after each second without an answer, and over TCP when the answer does not fit \
(RFC 1035, RFC 7766) or with `tcp: true`.
";

const OBJECT: Object = Object {
    name: "dns",
    open: false,
    fields: &[
        required("name", Shape::Template, "The name, or for PTR an address."),
        field("type", Shape::Word(dns::TYPES), "The type of the records: A unless given."),
        field(
            "resolver",
            Shape::Template,
            "Whom to ask: `10.0.0.2`, `ns1.example.com:53`, `[2001:db8::2]:53`; the system's resolvers unless given.",
        ),
        field("tcp", Shape::Bool, "Whether to ask over TCP at once."),
    ],
};

const MEASURES: &[MeasureSpec] = &[
    measure("records", Kind::Set, "The records, each as text."),
    measure("ttl", Kind::Duration, "How long the answer may be kept: the lowest time to live."),
    measure("rcode", Kind::Text, "`NOERROR`, `NODATA`, `NXDOMAIN`; the resolver's code otherwise."),
    measure("latency", Kind::Duration, "From the question until the answer."),
    measure("count", Kind::Number, "How many records there are."),
];

struct Dns {
    name: Template,
    kind: String,
    resolver: Option<Template>,
    tcp: bool,
    /// Whether a code that says that the resolver failed is an answer.
    rcode: bool,
    /// Where the step asks only that there is something.
    alone: Option<Origin>,
}

fn compile(compiling: &mut Compiling<'_, '_>, node: &Node) -> Option<Box<dyn Probe>> {
    let place = if node.text().is_some() { node } else { node.get("name")? };
    let reading = &mut *compiling.reading;
    let name = reading.template(place, Place::Plain)?;
    let kind = node.get("type").and_then(Node::text).unwrap_or("A").to_owned();
    // An input that is empty by default: `when` asks about it.
    let known = |template: &Template, inputs: &Scope| {
        template.render(inputs).ok().filter(|text| template.is_literal() || !text.trim().is_empty())
    };
    let inputs = reading.inputs;
    if let Some(message) = known(&name, inputs).and_then(|name| Question::new(&name, &kind).err()) {
        let help = "write a name such as shop.example.com, or for PTR an address";
        reading.say(Diagnostic::error("bad-address", place.span, message).help(help));
        return None;
    }
    let resolver = reading.template_at(node, "resolver", Place::Plain);
    if let (Some(template), Some(place)) = (&resolver, node.get("resolver"))
        && let Some(message) = known(template, inputs).and_then(|text| server(&text).err())
    {
        let help = "write an address or a name, with the port if it is not 53: 10.0.0.2, ns1.example.com:5353";
        reading.say(Diagnostic::error("bad-address", place.span, message).help(help));
        return None;
    }
    Some(Box::new(Dns {
        name,
        kind,
        resolver,
        tcp: node.get("tcp").and_then(Node::bool).unwrap_or(false),
        rcode: compiling.wants.any("rcode"),
        alone: compiling.wants.is_empty().then(|| reading.origin(node)),
    }))
}

/// Takes a resolver's host and port apart.
fn server(text: &str) -> Result<(String, u16), String> {
    let text = text.trim();
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<std::net::Ipv6Addr>().is_ok() {
        return Ok((bare.to_owned(), dns::PORT));
    }
    if !text.contains(':') {
        return match text.is_empty() || text.contains(char::is_whitespace) || text.contains('/') {
            true => Err(format!("{text:?} is no resolver")),
            false => Ok((text.to_owned(), dns::PORT)),
        };
    }
    net::host_and_port(text).map(|(host, port)| (host.to_owned(), port))
}

#[async_trait]
impl Probe for Dns {
    fn describe(&self) -> String {
        let of = self.resolver.as_ref().map(|resolver| format!(" of {}", resolver.source()));
        format!("ask for the {} records of {}{}", self.kind, self.name.source(), of.unwrap_or_default())
    }

    fn host(&self, scope: &Scope) -> Option<String> {
        let (host, port) = server(&self.resolver.as_ref()?.render(scope).ok()?).ok()?;
        Some(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
    }

    fn touches(&self, scope: &Scope) -> Vec<Touch> {
        let name = self.name.render(scope).ok().filter(|name| name.trim().parse::<std::net::IpAddr>().is_err());
        let name = name.map(|name| Touch::Host(name.trim().to_owned(), None));
        name.into_iter().chain(self.host(scope).map(|host| Touch::host(&host))).collect()
    }

    fn implied(&self) -> Option<Expectation> {
        let origin = self.alone.clone()?;
        Some(Expectation::Measure {
            name: MeasureName::plain("count"),
            kind: Kind::Number,
            matcher: Matcher::Compare(Op::AtLeast, Quantity::number(1.0)),
            origin,
        })
    }

    async fn observe(&self, look: &Look<'_>) -> Observation {
        let named = self.resolver.as_ref().map(|resolver| resolver.render(look.scope)).transpose();
        let (name, named) = match (self.name.render(look.scope), named) {
            (Ok(name), Ok(named)) => (name, named),
            (Err(error), _) | (_, Err(error)) => {
                return Observation::new(self.describe(), Found::refused(error.message));
            }
        };
        let request = format!("{} {}", name.trim(), self.kind);
        let question = match Question::new(&name, &self.kind) {
            Ok(question) => question,
            Err(message) => return Observation::new(request, Found::refused(message)),
        };
        if name.trim().parse::<std::net::IpAddr>().is_err()
            && let Err(refusal) = look.world.policy.allow_host(&name, None)
        {
            return Observation::new(request, Found::refused(refusal.message));
        }
        let resolvers = match resolvers(look.world, named.as_deref(), look.timeout).await {
            Ok(resolvers) => resolvers,
            Err(found) => return Observation::new(request, found),
        };
        match dns::ask(&resolvers, &question, self.tcp, look.timeout).await {
            Ok(answer) => self.measure(request, &answer),
            Err(error) => {
                let cause = format!("{} within {}", error.0, seconds(look.timeout.as_secs_f64()));
                let cause = if error.0.starts_with("no answer") { cause } else { error.0 };
                Observation::new(request, Found::could_not_look(cause))
            }
        }
    }
}

/// Finds out whom to ask.
async fn resolvers(world: &World, named: Option<&str>, timeout: Duration) -> Result<Vec<SocketAddr>, Found> {
    let Some(named) = named else {
        let system = tokio::task::spawn_blocking(dns::system).await;
        return match system {
            Ok(found) => found.map_err(|e| Found::could_not_look(e.0)),
            Err(error) => Err(Found::could_not_look(error.to_string())),
        };
    };
    let (host, port) = server(named).map_err(Found::refused)?;
    match tokio::time::timeout(timeout, net::resolve(&world.policy, &host, port)).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(net::NoAddress::Refused(refusal))) => Err(Found::refused(refusal.message)),
        Ok(Err(net::NoAddress::Unknown(cause))) => Err(Found::could_not_look(format!("the resolver: {cause}"))),
        Err(_) => Err(Found::could_not_look(format!("the resolver's name {host} was not resolved in time"))),
    }
}

impl Dns {
    fn measure(&self, request: String, answer: &Answer) -> Observation {
        let through = Some(format!("the resolver {}{}", answer.server, if answer.tcp { " over TCP" } else { "" }));
        let (rcode, why) = match (answer.rcode.as_str(), answer.records.is_empty()) {
            ("NXDOMAIN", _) => ("NXDOMAIN", Some(Value::Missing("there is no such name".to_owned()))),
            ("NOERROR", true) => ("NODATA", Some(Value::Missing(format!("the name has no {} records", self.kind)))),
            ("NOERROR", false) => ("NOERROR", None),
            (code, _) if self.rcode => (code, Some(Value::NoData(format!("the resolver said {code}")))),
            (code, _) => {
                let found = Found::could_not_look(format!("the resolver {} said {code}", answer.server));
                return Observation { through, ..Observation::new(request, found) };
            }
        };
        let mut measures = Measures::new();
        measures.plain("rcode", Value::Text(rcode.to_owned()));
        measures.plain("latency", Value::Number(answer.took.as_secs_f64()));
        match why {
            None => {
                let records = answer.records.iter().map(|(text, _)| text.clone()).collect();
                measures.plain("records", Value::Set(records));
                measures.plain("ttl", Value::Number(answer.ttl.unwrap_or_default().into()));
                measures.plain("count", Value::Number(answer.records.len() as f64));
            }
            Some(nothing) => {
                let count = if matches!(nothing, Value::Missing(_)) { Value::Number(0.0) } else { nothing.clone() };
                measures.plain("count", count);
                measures.plain("ttl", nothing.clone());
                measures.plain("records", nothing);
            }
        }
        let mut observation = Observation { through, ..Observation::new(request, Found::Measures(measures)) };
        match rcode {
            "NXDOMAIN" => observation.notes.push(Note::info("there is no such name (NXDOMAIN)")),
            "NODATA" => observation.notes.push(Note::info(format!("the name has no {} records (NODATA)", self.kind))),
            _ => {}
        }
        if answer.truncated {
            observation.notes.push(Note::info("the answer was too long for UDP and was asked for again over TCP"));
        }
        if !answer.aliases.is_empty() {
            observation.notes.push(Note::info(format!("by way of the alias {}", answer.aliases.join(", "))));
        }
        if !answer.records.is_empty() {
            let lines = answer.records.iter().map(|(text, ttl)| format!("{text}  (for {ttl}s)\n"));
            observation.evidence.push(Evidence { title: "records".into(), text: lines.collect(), left_out: 0 });
        }
        observation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_have_a_port_or_the_usual_one() {
        let of = |text: &str| server(text);
        assert_eq!(of("10.0.0.2"), Ok(("10.0.0.2".into(), 53)));
        assert_eq!(of("ns1.test:5353"), Ok(("ns1.test".into(), 5353)));
        assert_eq!(of("2001:db8::2"), Ok(("2001:db8::2".into(), 53)));
        assert_eq!(of("[2001:db8::2]:54"), Ok(("2001:db8::2".into(), 54)));
        assert!(of("").is_err() && of("a b").is_err() && of("x:0").is_err() && of("udp://x").is_err());
    }
}
