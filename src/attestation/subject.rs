//! What was checked, named by its digest: `registry.example.com/app=sha256:…`.

use serde_json::{Value, json};

/// An artefact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its name.
    pub name: String,
    /// The name of the digest's algorithm.
    pub algorithm: String,
    /// The digest in lower-case hexadecimal.
    pub digest: String,
}

/// The algorithms, with how many hexadecimal digits their digests have.
const ALGORITHMS: &[(&str, usize)] =
    &[("sha256", 64), ("sha384", 96), ("sha512", 128), ("gitCommit", 40), ("gitBlob", 40)];

impl Subject {
    /// Reads `name=sha256:…`; `image@sha256:…`, as registries write it, is taken too.
    ///
    /// # Errors
    /// Says what is wrong and what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wanted = || format!("--subject wants NAME=sha256:DIGEST, not {text:?}");
        let (name, digest) = text.rsplit_once('=').or_else(|| text.rsplit_once('@')).ok_or_else(wanted)?;
        let (algorithm, digest) = digest.split_once(':').ok_or_else(wanted)?;
        if name.is_empty() {
            return Err(wanted());
        }
        let Some((_, length)) = ALGORITHMS.iter().find(|(known, _)| *known == algorithm) else {
            let known: Vec<_> = ALGORITHMS.iter().map(|(known, _)| *known).collect();
            return Err(format!("--subject {name}: {algorithm:?} is none of {}", known.join(", ")));
        };
        let digest = digest.to_ascii_lowercase();
        if digest.len() != *length || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("--subject {name}: a {algorithm} has {length} hexadecimal digits"));
        }
        Ok(Self { name: name.to_owned(), algorithm: algorithm.to_owned(), digest })
    }

    /// Returns it as a resource descriptor of in-toto.
    pub fn descriptor(&self) -> Value {
        json!({ "name": self.name, "digest": { self.algorithm.as_str(): self.digest } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_a_name_and_a_digest() {
        let digest = "Ab".repeat(32);
        for text in [format!("registry:5000/app=sha256:{digest}"), format!("registry:5000/app@sha256:{digest}")] {
            let subject = Subject::parse(&text).expect("a subject");
            assert_eq!((subject.name.as_str(), subject.digest), ("registry:5000/app", digest.to_lowercase()));
        }
        for bad in
            ["app", "app=abc", "=sha256:ab", "app=sha256:ab", "app=md5:ab", &format!("app=sha256:{}", "g".repeat(64))]
        {
            assert!(Subject::parse(bad).is_err(), "{bad}");
        }
    }
}
