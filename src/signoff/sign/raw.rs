//! Signatures as verifiers outside of SSH expect them, made with the same keys: for envelopes that policy engines read.
//!
//! Ed25519 (RFC 8032): the 64 bytes. ECDSA: the two numbers in DER, over the digest that fits the curve (SHA-256,
//! SHA-384, SHA-512). RSA: PKCS #1 v1.5 over SHA-256. The public half goes out as PEM (SubjectPublicKeyInfo, RFC 5280),
//! which OpenSSL and its like read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsa::BigUint;
use rsa::pkcs1v15::SigningKey;
use rsa::sha2::Sha256;
use rsa::signature::{SignatureEncoding, Signer as _};
use ssh_key::private::{KeypairData, RsaKeypair};
use ssh_key::public::{EcdsaPublicKey, KeyData};

use super::ssh::{PublicKey, SignError, Signer};

/// Object identifiers in DER: what kind of key it is.
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
const EC: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];
const RSA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

/// Tags of DER.
const INTEGER: u8 = 0x02;
const BITS: u8 = 0x03;
const SEQUENCE: u8 = 0x30;

impl Signer {
    /// Signs bytes in the form that verifiers outside of SSH expect.
    ///
    /// # Errors
    /// The key cannot sign, the agent declines, or the key is of a kind that signs for SSH alone: one in hardware, or
    /// an RSA key in an agent.
    pub fn sign_raw(&self, data: &[u8]) -> Result<Vec<u8>, SignError> {
        let wrong = |what: String| SignError::Key { what };
        match self {
            Signer::File(key) => match key.key_data() {
                KeypairData::Rsa(pair) => rsa(pair, data).map_err(|e| wrong(e.to_string())),
                KeypairData::Ed25519(_) | KeypairData::Ecdsa(_) => {
                    let signature: ssh_key::Signature = key.try_sign(data).map_err(|e| wrong(e.to_string()))?;
                    plain(&self.key(), signature.as_bytes())
                }
                _ => Err(unfit()),
            },
            Signer::Agent(agent, key) => {
                if !(key.0.is_ed25519() || key.0.is_ecdsa()) {
                    return Err(unfit());
                }
                let blob = agent.sign(key, data)?;
                let mut rest = blob.as_slice();
                let signature = text(&mut rest).and_then(|_kind| text(&mut rest));
                plain(key, signature.ok_or_else(|| wrong("the agent's signature is cut".to_owned()))?)
            }
        }
    }
}

impl PublicKey {
    /// Returns the key in PEM; nothing for kinds that SSH alone knows.
    pub fn pem(&self) -> Option<String> {
        let (kind, key) = match &self.0 {
            KeyData::Ed25519(key) => (der(SEQUENCE, ED25519), key.0.to_vec()),
            KeyData::Ecdsa(key) => {
                let curve = match key {
                    EcdsaPublicKey::NistP256(_) => P256,
                    EcdsaPublicKey::NistP384(_) => P384,
                    EcdsaPublicKey::NistP521(_) => P521,
                };
                (der(SEQUENCE, &[EC, curve].concat()), key.as_sec1_bytes().to_vec())
            }
            KeyData::Rsa(key) => {
                let numbers = [der(INTEGER, key.n.as_bytes()), der(INTEGER, key.e.as_bytes())].concat();
                (der(SEQUENCE, RSA), der(SEQUENCE, &numbers))
            }
            _ => return None,
        };
        let bits = der(BITS, &[&[0], key.as_slice()].concat());
        let text = STANDARD.encode(der(SEQUENCE, &[kind, bits].concat()));
        let lines = text.as_bytes().chunks(64).map(|line| format!("{}\n", String::from_utf8_lossy(line)));
        Some(format!("-----BEGIN PUBLIC KEY-----\n{}-----END PUBLIC KEY-----\n", lines.collect::<String>()))
    }
}

fn unfit() -> SignError {
    let what = "for an envelope it must be an Ed25519 or ECDSA key, or the file of an RSA key".to_owned();
    SignError::Key { what }
}

/// Takes a signature out of SSH's form.
fn plain(key: &PublicKey, signature: &[u8]) -> Result<Vec<u8>, SignError> {
    if !key.0.is_ecdsa() {
        return Ok(signature.to_vec());
    }
    // Two numbers with their lengths, in the very form that DER has for what is within an integer.
    let mut rest = signature;
    match (text(&mut rest), text(&mut rest)) {
        (Some(r), Some(s)) => Ok(der(SEQUENCE, &[der(INTEGER, r), der(INTEGER, s)].concat())),
        _ => Err(SignError::Key { what: "the signature is cut".to_owned() }),
    }
}

fn rsa(pair: &RsaKeypair, data: &[u8]) -> ssh_key::Result<Vec<u8>> {
    let number = |n: &ssh_key::Mpint| BigUint::try_from(n);
    let (public, private) = (&pair.public, &pair.private);
    let factors = vec![number(&private.p)?, number(&private.q)?];
    let key =
        rsa::RsaPrivateKey::from_components(number(&public.n)?, number(&public.e)?, number(&private.d)?, factors)?;
    let signature = SigningKey::<Sha256>::new(key).try_sign(data).map_err(|_| ssh_key::Error::Crypto)?;
    Ok(signature.to_vec())
}

/// Takes a part of SSH's form: four bytes of length, and so many bytes.
fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, behind) = rest.split_first_chunk::<4>()?;
    let (text, behind) = behind.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *rest = behind;
    Some(text)
}

/// Puts content behind its tag and its length.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length: Vec<u8> = length.iter().copied().skip_while(|byte| *byte == 0).collect();
    let mut out = vec![tag];
    match length.as_slice() {
        [] => out.push(0),
        [short @ 0..=127] => out.push(*short),
        // A length has at most eight bytes.
        long => {
            out.push(0x80 | long.len() as u8);
            out.extend(long);
        }
    }
    out.extend(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_as_short_as_they_can_be() {
        assert_eq!(der(INTEGER, &[]), [2, 0]);
        assert_eq!(der(INTEGER, &[7]), [2, 1, 7]);
        assert_eq!(der(BITS, &[0; 127])[..2], [3, 127]);
        assert_eq!(der(BITS, &[0; 128])[..3], [3, 0x81, 128]);
        assert_eq!(der(BITS, &[0; 300])[..4], [3, 0x82, 1, 44]);
    }
}
