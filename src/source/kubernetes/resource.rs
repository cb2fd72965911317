//! Kinds of objects, and where the API has them.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::source::Failure;

/// What may stand in a segment of a path as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// A kind of object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// `v1`, `apps/v1`.
    pub version: Cow<'static, str>,
    /// The name in paths: `deployments`.
    pub plural: Cow<'static, str>,
    /// The kind: `Deployment`.
    pub kind: Cow<'static, str>,
    /// Whether its objects stand in a namespace.
    pub namespaced: bool,
}

const fn core(plural: &'static str, kind: &'static str) -> Resource {
    of("v1", plural, kind)
}

const fn of(version: &'static str, plural: &'static str, kind: &'static str) -> Resource {
    Resource {
        version: Cow::Borrowed(version),
        plural: Cow::Borrowed(plural),
        kind: Cow::Borrowed(kind),
        namespaced: true,
    }
}

/// Pods.
pub static PODS: Resource = core("pods", "Pod");
/// Events, as the core group has them.
pub static EVENTS: Resource = core("events", "Event");
/// Deployments.
pub static DEPLOYMENTS: Resource = of("apps/v1", "deployments", "Deployment");
/// Stateful sets.
pub static STATEFULSETS: Resource = of("apps/v1", "statefulsets", "StatefulSet");
/// Daemon sets.
pub static DAEMONSETS: Resource = of("apps/v1", "daemonsets", "DaemonSet");
/// Replica sets.
pub static REPLICASETS: Resource = of("apps/v1", "replicasets", "ReplicaSet");
/// Jobs.
pub static JOBS: Resource = of("batch/v1", "jobs", "Job");
/// Namespaces.
pub static NAMESPACES: Resource = Resource {
    version: Cow::Borrowed("v1"),
    plural: Cow::Borrowed("namespaces"),
    kind: Cow::Borrowed("Namespace"),
    namespaced: false,
};

/// The kinds that are known without asking, each with the words for it, as kubectl knows them.
static KNOWN: &[(&[&str], &Resource)] = &[
    (&["pod", "pods", "po"], &PODS),
    (&["deployment", "deployments", "deploy"], &DEPLOYMENTS),
    (&["statefulset", "statefulsets", "sts"], &STATEFULSETS),
    (&["daemonset", "daemonsets", "ds"], &DAEMONSETS),
    (&["replicaset", "replicasets", "rs"], &REPLICASETS),
    (&["job", "jobs"], &JOBS),
    (&["namespace", "namespaces", "ns"], &NAMESPACES),
];

/// Looks up a kind that is known without asking.
pub fn known(word: &str) -> Option<&'static Resource> {
    let word = word.to_lowercase();
    KNOWN.iter().find(|(words, _)| words.contains(&word.as_str())).map(|(_, resource)| *resource)
}

/// Looks up a workload, whose pods a selector in it finds.
pub fn workload(word: &str) -> Option<&'static Resource> {
    known(word).filter(|resource| !matches!(&*resource.kind, "Pod" | "Namespace"))
}

impl Resource {
    /// Returns the path of its objects, or of the one that is named. A namespace is left out where it has none.
    ///
    /// # Errors
    /// Says which name could not be one.
    pub fn path(&self, namespace: &str, name: Option<&str>) -> Result<String, Failure> {
        let root = if self.version.contains('/') { "apis" } else { "api" };
        let mut path = format!("/{root}/{}", self.version);
        if self.namespaced {
            path = format!("{path}/namespaces/{}", segment(namespace)?);
        }
        path = format!("{path}/{}", self.plural);
        Ok(match name {
            Some(name) => format!("{path}/{}", segment(name)?),
            None => path,
        })
    }

    /// Says what it is in messages: `deployments.apps`, `pods`.
    pub fn words(&self) -> String {
        match self.version.split_once('/') {
            Some((group, _)) => format!("{}.{group}", self.plural),
            None => self.plural.to_string(),
        }
    }

    /// Names one of its objects in messages: `deployment web`.
    pub fn one(&self, name: &str) -> String {
        format!("{} {name}", self.kind.to_lowercase())
    }
}

/// Makes a segment of a path out of a name.
///
/// # Errors
/// Says that no object has such a name.
pub fn segment(name: &str) -> Result<String, Failure> {
    let bad = name.is_empty() || name == "." || name == ".." || name.contains(['/', '%']) || name.len() > 253;
    match bad || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        true => Err(Failure::lasting(format!("{name:?} is not a name that an object can have"))),
        false => Ok(utf8_percent_encode(name, PLAIN).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_the_group_and_the_namespace_where_there_is_one() {
        assert_eq!(PODS.path("shop", None).expect("a path"), "/api/v1/namespaces/shop/pods");
        let one = DEPLOYMENTS.path("shop", Some("web")).expect("a path");
        assert_eq!(one, "/apis/apps/v1/namespaces/shop/deployments/web");
        assert_eq!(NAMESPACES.path("shop", Some("shop")).expect("a path"), "/api/v1/namespaces/shop");
        assert_eq!((DEPLOYMENTS.words(), PODS.words()), ("deployments.apps".to_owned(), "pods".to_owned()));
    }

    #[test]
    fn a_name_never_becomes_another_path() {
        for bad in ["", ".", "..", "a/b", "a%2fb", "a b", "a\nb"] {
            assert!(segment(bad).is_err(), "{bad:?}");
        }
        assert_eq!(segment("system:node?x=1").expect("a name"), "system:node%3Fx%3D1");
    }

    #[test]
    fn words_for_workloads_are_those_of_kubectl() {
        assert_eq!(workload("sts").map(|r| &*r.kind), Some("StatefulSet"));
        assert_eq!(workload("Deployment").map(|r| &*r.kind), Some("Deployment"));
        assert!(workload("pod").is_none() && known("ingress").is_none());
    }
}
