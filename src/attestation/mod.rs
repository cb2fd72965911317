//! What a run says to machines elsewhere: documents that can be signed and believed without the store.
//!
//! [`statement`] is an in-toto Statement for policy engines, [`dsse`] the signed envelope around it, [`summary`] a
//! short document for a release page. All of them are made from the record alone and name its digest, so that nobody
//! can take them for another run's. This module does no I/O.

pub mod dsse;
pub mod statement;
pub mod subject;
pub mod summary;

pub use subject::Subject;

use serde_json::{Value, json};

use crate::record::RunRecord;

/// What a document is made from.
#[derive(Debug)]
pub struct Source<'a> {
    /// The run.
    pub record: &'a RunRecord,
    /// What it comes to.
    pub ruling: &'a crate::signoff::Ruling,
    /// The SHA-256 of the exported record, in hexadecimal.
    pub export: &'a str,
    /// What was checked.
    pub subjects: &'a [Subject],
    /// Where more can be read of the run.
    pub url: Option<&'a str>,
}

impl Source<'_> {
    /// Names the record: its end, which stands for all of it, and its file.
    fn evidence(&self) -> Value {
        let head = &self.record.head;
        json!({ "events": head.seq, "head": head.digest, "export": { "sha256": self.export } })
    }

    /// Lists who signed.
    fn signers(&self) -> Vec<Value> {
        let signed = self.record.signatures.iter().map(|(at, signature)| {
            let mut one = json!({
                "role": signature.role,
                "decision": signature.decision,
                "by": signature.by,
                "key": signature.key,
                "at": at,
            });
            if let (Some(section), Some(one)) = (&signature.section, one.as_object_mut()) {
                one.insert("section".to_owned(), json!(section));
            }
            one
        });
        signed.collect()
    }
}
