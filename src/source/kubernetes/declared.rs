//! What a checklist writes to declare a cluster.

use super::{Kubernetes, Way};
use crate::checklist::reading::Reading;
use crate::diag::Diagnostic;
use crate::shape::{self, Field, Object, Shape, field};
use crate::source::declared::{KIND, TIMEOUT, URL};
use crate::source::reach::{BASIC, BEARER, HEADERS, Reach, TLS};
use crate::template::Place;
use crate::yaml::Node;

pub(in crate::source) const CONTEXT: Field =
    field("context", Shape::Template, "The context of the kubeconfig; its current one when left out.");
pub(in crate::source) const NAMESPACE: Field = field(
    "namespace",
    Shape::Template,
    "The namespace that steps ask about when they name none; that of the context when left out.",
);
pub(in crate::source) const KUBECONFIG: Field =
    field("kubeconfig", Shape::Template, "The kubeconfig; `$KUBECONFIG` or `~/.kube/config` when left out.");
pub(in crate::source) const IN_CLUSTER: Field =
    field("in_cluster", Shape::Bool, "Whether to ask as the service account of the pod that this runs in.");
pub(in crate::source) const SERVICE_ACCOUNT: Field = field(
    "service_account",
    Shape::Template,
    "The folder where that account's token, ca.crt and namespace are mounted, when it is not the usual one.",
);

const KEYS: Object = Object {
    name: "a kubernetes source",
    fields: &[
        KIND,
        CONTEXT,
        NAMESPACE,
        KUBECONFIG,
        IN_CLUSTER,
        SERVICE_ACCOUNT,
        URL,
        HEADERS,
        BEARER,
        BASIC,
        TLS,
        TIMEOUT,
    ],
    open: false,
};

/// The keys that only one way of reaching a cluster reads: the way, and the keys.
const OF_WAY: &[(&str, &[&str])] = &[
    ("url", &["headers", "bearer", "basic", "tls"]),
    ("in_cluster", &["service_account"]),
    ("kubeconfig", &["context"]),
];

/// Reads a declaration: a URL alone, or a map. Every mistake is said.
pub(in crate::source) fn read(reading: &mut Reading<'_>, key: &Node, value: &Node) -> Option<Kubernetes> {
    let name = key.text()?;
    if value.map().is_none() {
        let reach = Reach::read(reading, value, value)?;
        return Some(Kubernetes::new(name, Way::Direct(Box::new(reach)), None, None));
    }
    if !shape::check(value, &Shape::Object(&KEYS), reading.diagnostics) {
        return None;
    }
    let inside = value.get("in_cluster").and_then(Node::bool) == Some(true);
    let used = if value.get("url").is_some() {
        "url"
    } else if inside || value.get("service_account").is_some() {
        "in_cluster"
    } else {
        "kubeconfig"
    };
    let fits = one_way(reading, value, used);
    let namespace = reading.template_at(value, "namespace", Place::Plain);
    let timeout = reading.duration_at(value, "timeout");
    let way = match used {
        "url" => Way::Direct(Box::new(Reach::read(reading, value.get("url")?, value)?)),
        "in_cluster" => Way::Account { folder: reading.template_at(value, "service_account", Place::Plain) },
        _ => Way::Kubeconfig {
            file: reading.template_at(value, "kubeconfig", Place::Plain),
            context: reading.template_at(value, "context", Place::Plain),
        },
    };
    fits.then(|| Kubernetes::new(name, way, namespace, timeout))
}

/// Refuses keys that belong to another way of reaching a cluster than the one that is used.
fn one_way(reading: &mut Reading<'_>, value: &Node, used: &str) -> bool {
    let mut good = true;
    for (way, keys) in OF_WAY.iter().filter(|(way, _)| *way != used) {
        let own = std::iter::once(way).chain(*keys);
        for (key, _) in own.filter_map(|key| value.entry(key)) {
            let name = key.text().unwrap_or_default();
            if name == "in_cluster" && value.get(name).and_then(Node::bool) == Some(false) {
                continue;
            }
            let message = match used {
                "kubeconfig" => format!("{name:?} has no effect without {way:?}"),
                _ => format!("a cluster is reached in one way: {used:?} and {name:?} do not go together"),
            };
            reading.say(Diagnostic::error("bad-value", key.span, message));
            good = false;
        }
    }
    good
}

#[cfg(test)]
mod tests {
    use crate::checklist::reading::Reading;
    use crate::diag::{Diagnostics, SourceMap};
    use crate::shape;
    use crate::source::{SHAPE, Sources};
    use crate::template::Scope;

    fn codes(text: &str) -> Vec<&'static str> {
        let (mut map, mut diagnostics, scope) = (SourceMap::new(), Diagnostics::new(), Scope::default());
        let file = map.add("c.yaml", text);
        let node = crate::yaml::parse(&mut map, file, &mut diagnostics).expect("valid YAML");
        if shape::check(&node, &SHAPE, &mut diagnostics) {
            Sources::compile(&mut Reading::new(&map, &mut diagnostics, &scope), &node);
        }
        diagnostics.iter().map(|d| d.code).collect()
    }

    #[test]
    fn a_cluster_is_reached_in_one_way() {
        for good in [
            "kubernetes: {}",
            "kubernetes: http://localhost:8001",
            "kubernetes: { context: c, namespace: n, kubeconfig: f }",
            "kubernetes: { in_cluster: true, service_account: /var/run/x, timeout: 5s }",
            "kubernetes: { url: \"https://k\", bearer: t, tls: { ca: f }, in_cluster: false }",
            "eu: { kind: kubernetes, context: eu }",
        ] {
            assert_eq!(codes(good), [""; 0], "{good}");
        }
        for (bad, code) in [
            ("kubernetes: { url: \"https://k\", context: c }", "bad-value"),
            ("kubernetes: { in_cluster: true, kubeconfig: f }", "bad-value"),
            ("kubernetes: { bearer: t }", "bad-value"),
            ("kubernetes: { contxt: c }", "unknown-key"),
            ("kubernetes: localhost:8001", "bad-url"),
        ] {
            assert_eq!(codes(bad), [code], "{bad}");
        }
    }
}
