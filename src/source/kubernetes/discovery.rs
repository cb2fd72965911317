//! Which kinds of objects a cluster has: those that are not known beforehand are looked up in the API's own index
//! (<https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api>), by kind, plural, singular or short
//! name, the core group first and the others in the cluster's order.

use std::sync::PoisonError;

use serde_json::Value;

use super::ask::Asked;
use super::resource::{self, Resource};
use crate::source::Failure;

impl Asked<'_> {
    /// Finds a kind of object by the word for it, `ingress` or `certificates.cert-manager.io`, in one version of the
    /// API when that is named (`networking.k8s.io/v1`).
    ///
    /// # Errors
    /// Says why the index is not known, or that it has no such kind.
    pub async fn resource(&self, word: &str, version: Option<&str>) -> Result<Resource, Failure> {
        if let (Some(known), None) = (resource::known(word), version) {
            return Ok(known.clone());
        }
        let key = format!("{} {word}", version.unwrap_or_default());
        let session = self.session();
        let kept = session.found.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(kept) = kept {
            return Ok(kept);
        }
        let found = match version {
            Some(version) => self.in_version(version, word).await?,
            None => self.anywhere(word).await?,
        };
        let Some(found) = found else {
            let place = version.map(|version| format!(" in {version}")).unwrap_or_default();
            return Err(Failure::lasting(format!("{} has no kind of object called {word:?}{place}", self.through())));
        };
        session.found.lock().unwrap_or_else(PoisonError::into_inner).insert(key, found.clone());
        Ok(found)
    }

    async fn anywhere(&self, word: &str) -> Result<Option<Resource>, Failure> {
        let (name, group) = match word.split_once('.') {
            Some((name, group)) => (name, Some(group)),
            None => (word, None),
        };
        if group.is_none()
            && let Some(found) = self.in_version("v1", name).await?
        {
            return Ok(Some(found));
        }
        let index = self.get("/apis").await?.unwrap_or_default();
        let groups = index["groups"].as_array().map(Vec::as_slice).unwrap_or_default();
        for entry in groups.iter().filter(|entry| group.is_none_or(|group| entry["name"] == group)) {
            let Some(version) = entry.pointer("/preferredVersion/groupVersion").and_then(Value::as_str) else {
                continue;
            };
            if let Some(found) = self.in_version(version, name).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    async fn in_version(&self, version: &str, word: &str) -> Result<Option<Resource>, Failure> {
        let segments: Result<Vec<_>, _> = version.split('/').map(resource::segment).collect();
        let root = if version.contains('/') { "apis" } else { "api" };
        let index = self.get(&format!("/{root}/{}", segments?.join("/"))).await?;
        let Some(index) = index else { return Ok(None) };
        Ok(find(&index, version, word))
    }
}

/// Finds a word in the index of one version.
fn find(index: &Value, version: &str, word: &str) -> Option<Resource> {
    let word = word.to_lowercase();
    let is = |value: &Value| value.as_str().is_some_and(|text| text.to_lowercase() == word);
    let meant = |entry: &&Value| {
        let own = ["name", "singularName", "kind"].iter().any(|key| is(&entry[*key]));
        own || entry["shortNames"].as_array().is_some_and(|names| names.iter().any(is))
    };
    // What has a slash is a part of an object: `deployments/scale`.
    let whole = |entry: &&Value| entry["name"].as_str().is_some_and(|name| !name.contains('/'));
    let entry = index["resources"].as_array()?.iter().filter(whole).find(meant)?;
    Some(Resource {
        version: version.to_owned().into(),
        plural: entry["name"].as_str()?.to_owned().into(),
        kind: entry["kind"].as_str()?.to_owned().into(),
        namespaced: entry["namespaced"].as_bool()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_kind_is_found_by_any_of_its_names() {
        let index = json!({ "resources": [
            { "name": "ingresses/status", "singularName": "", "kind": "Ingress", "namespaced": true },
            { "name": "ingresses", "singularName": "ingress", "kind": "Ingress", "namespaced": true, "shortNames": ["ing"] },
            { "name": "ingressclasses", "singularName": "ingressclass", "kind": "IngressClass", "namespaced": false },
        ] });
        for word in ["ingress", "Ingress", "ingresses", "ing"] {
            let found = find(&index, "networking.k8s.io/v1", word).expect("found");
            assert_eq!((&*found.plural, found.namespaced), ("ingresses", true), "{word}");
        }
        assert!(find(&index, "networking.k8s.io/v1", "ingressclasses").is_some_and(|found| !found.namespaced));
        assert_eq!(find(&index, "networking.k8s.io/v1", "status"), None);
    }
}
