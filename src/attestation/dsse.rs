//! The envelope around a statement: DSSE v1, <https://github.com/secure-systems-lab/dsse/blob/master/protocol.md>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The type of what is inside.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// Returns the bytes that the signature covers (PAE): the type and the payload, each behind its length.
pub fn covered(payload: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len()).into_bytes();
    out.extend(payload);
    out
}

/// Puts a payload into its envelope.
pub fn envelope(payload: &[u8], key: &str, signature: &[u8]) -> Value {
    json!({
        "payload": STANDARD.encode(payload),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{ "keyid": key, "sig": STANDARD.encode(signature) }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_covered_has_its_lengths() {
        let covered = covered(b"{}");
        assert_eq!(covered, b"DSSEv1 28 application/vnd.in-toto+json 2 {}");
    }
}
