//! Which server a step asks: found among the sources before anything runs, or it is said why there is none.

use super::Compiling;
use crate::diag::Diagnostic;
use crate::model::{Found, Measures};
use crate::source::{Api, Failure, Prometheus};
use crate::template::{Scope, TemplateError};
use crate::yaml::Node;

/// A server that knows alerts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Server<'s> {
    /// It evaluates rules.
    Prometheus(&'s Prometheus),
    /// It tells people.
    Alertmanager(&'s Api),
}

/// Names the source that the probe, the step or the defaults say, with the node that is to blame for it.
pub(super) fn named<'n>(compiling: &Compiling<'_, '_>, node: &'n Node) -> (Option<String>, &'n Node) {
    let own = node.get("source");
    let own_name = own.and_then(Node::text).map(str::to_owned).or_else(|| compiling.source.clone());
    (own_name.or_else(|| compiling.default_source.clone()), own.unwrap_or(node))
}

/// Names the source as [`named`] does, for a step that asks one of a kind that answers no PromQL: what the defaults name
/// for steps that do is no word on it.
pub(super) fn named_of<'n>(compiling: &Compiling<'_, '_>, node: &'n Node, kind: &str) -> (Option<String>, &'n Node) {
    let (name, place) = named(compiling, node);
    let by_default = node.get("source").is_none() && compiling.source.is_none();
    let other = |name: &String| compiling.sources.kind_of(name).is_some_and(|known| known != kind);
    (name.filter(|name| !(by_default && other(name))), place)
}

/// Finds the source of a kind that answers JSON, which a step asks for `what`; says it when there is none.
pub(super) fn api<'s>(compiling: &mut Compiling<'s, '_>, node: &Node, kind: &str, what: &str) -> Option<&'s Api> {
    let (name, place) = named_of(compiling, node, kind);
    let found = compiling.sources.api(kind, name.as_deref());
    if found.is_none() {
        refuse(compiling, name.as_deref(), place, what, &[kind]);
    }
    found
}

/// Finds the Prometheus that a step asks for `what`; says it when there is none.
pub(super) fn prometheus<'s>(compiling: &mut Compiling<'s, '_>, node: &Node, what: &str) -> Option<&'s Prometheus> {
    let (name, place) = named(compiling, node);
    let found = compiling.sources.prometheus(name.as_deref());
    if found.is_none() {
        refuse(compiling, name.as_deref(), place, what, &["prometheus"]);
    }
    found
}

/// Finds the server that a step asks for `what`: the one that is named; else the Prometheus or the Alertmanager that is
/// meant without a name, whichever of them `prefers_alertmanager` says if there are both.
pub(super) fn server<'s>(
    compiling: &mut Compiling<'s, '_>,
    node: &Node,
    what: &str,
    prefers_alertmanager: bool,
) -> Option<Server<'s>> {
    let (name, place) = named(compiling, node);
    let sources = compiling.sources;
    let prometheus = sources.prometheus(name.as_deref()).map(Server::Prometheus);
    let alertmanager = sources.api("alertmanager", name.as_deref()).map(Server::Alertmanager);
    let found = match prefers_alertmanager {
        true => alertmanager.or(prometheus),
        false => prometheus.or(alertmanager),
    };
    if found.is_none() {
        refuse(compiling, name.as_deref(), place, what, &["prometheus", "alertmanager"]);
    }
    found
}

fn refuse(compiling: &mut Compiling<'_, '_>, name: Option<&str>, place: &Node, what: &str, kinds: &[&str]) {
    let names = compiling.sources.names();
    let wanted = kinds.join(" or ");
    let kind = name.and_then(|name| compiling.sources.kind_of(name));
    let diagnostic = match (name, kind) {
        (Some(name), Some(kind)) => {
            let message = format!("{name:?} is a source of kind {kind}, and {what} are asked of one of kind {wanted}");
            let help = match kind {
                "scrape" | "recorded" => format!(
                    "the pages are read by holdpoint itself: no server is there that could tell of {what}; the probes \
                     `promql` and `metrics` look at pages"
                ),
                _ => format!("name a source of kind {wanted}"),
            };
            Diagnostic::error("wrong-source", place.span, message).help(help)
        }
        (Some(name), None) => {
            Diagnostic::error("unknown-source", place.span, format!("there is no source {name:?}")).near(name, names)
        }
        (None, _) => {
            let fitting: Vec<_> = names
                .filter(|name| compiling.sources.kind_of(name).is_some_and(|kind| kinds.contains(&kind)))
                .collect();
            match fitting.is_empty() {
                true => {
                    let message = format!("there is no {wanted} to ask for {what}");
                    Diagnostic::error("no-source", place.span, message)
                        .help(format!("declare one: `sources: {{ {}: {{ url: \"http://…\" }} }}`", kinds[0]))
                }
                false => {
                    let message = "it is not clear which source is meant; name one with `source`";
                    Diagnostic::error("no-source", place.span, message)
                        .help(format!("the sources are {}", fitting.join(", ")))
                }
            }
        }
    };
    compiling.reading.say(diagnostic);
}

/// Turns what came of asking into what was found.
pub(super) fn found(asked: Result<Measures, Failure>) -> Found {
    match asked {
        Ok(measures) => Found::Measures(measures),
        Err(Failure { cause, short: true, .. }) => Found::NotEnough { cause },
        Err(Failure { cause, retry, short: false }) => Found::CouldNotLook { cause, retry },
    }
}

/// Fills templates in.
///
/// # Errors
/// Says which variable has no value.
pub(super) fn filled(templates: &[crate::template::Template], scope: &Scope) -> Result<Vec<String>, Failure> {
    let fill = |error: TemplateError| Failure::lasting(error.to_string());
    templates.iter().map(|template| template.render(scope).map_err(fill)).collect()
}

/// Says that there is nothing of a name, with the name that may be meant, or those that there are.
pub(super) fn nothing(what: &str, name: &str, there: &[&str]) -> String {
    /// The most names that are listed.
    const MOST: usize = 8;
    if let Some(meant) = crate::diag::did_you_mean(name, there.iter().copied()) {
        return format!("there is no {what} {name:?}; did you mean {meant:?}?");
    }
    let more = there.len().saturating_sub(MOST);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    match there.is_empty() {
        true => format!("there is no {what} at all, so none {name:?}"),
        false => format!("there is no {what} {name:?}; there are {}{rest}", there[..there.len() - more].join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_said_with_what_is() {
        assert_eq!(nothing("job", "apo", &["api", "db"]), "there is no job \"apo\"; did you mean \"api\"?");
        assert_eq!(nothing("job", "exporter", &["api", "db"]), "there is no job \"exporter\"; there are api, db");
        let many: Vec<String> = (0..20).map(|n| format!("job-number-{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(nothing("job", "x", &many).ends_with("job-number-7 and 12 more"));
        assert_eq!(nothing("rule", "x", &[]), "there is no rule at all, so none \"x\"");
    }
}
