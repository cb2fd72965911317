//! Signatures in OpenSSH's own format (PROTOCOL.sshsig of OpenSSH), made with a key file or by an agent.
//!
//! Ed25519, RSA from 2048 to 4096 bits with SHA-512, ECDSA over P-256, P-384 and P-521; with an agent also keys that live in
//! hardware (`sk-…`). The only file that knows the SSH library, together with its neighbours in this folder.

use std::fmt;

use rsa::BigUint;
use rsa::pkcs1v15::SigningKey;
use rsa::sha2::Sha512;
use rsa::signature::{SignatureEncoding, Signer as _};
use ssh_key::private::{KeypairData, RsaKeypair};
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey, SshSig};

use super::agent::{Agent, put, text};

/// What a signature is for: one made for something else is none here.
pub const NAMESPACE: &str = "holdpoint";

/// How often a passphrase is asked for.
const TRIES: usize = 3;

/// Somebody's public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(pub(super) KeyData);

impl PublicKey {
    /// Reads a line of a `.pub` file: the kind, the key in base64, perhaps a comment.
    pub fn from_line(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let (kind, blob) = (words.next()?, words.next()?);
        let key = Self::from_blob(&decode(blob)?).ok()?;
        (key.0.algorithm().as_str() == kind).then_some(key)
    }

    pub(super) fn from_blob(blob: &[u8]) -> Result<Self, SignError> {
        let key = ssh_key::PublicKey::from_bytes(blob).map_err(|e| SignError::Key { what: e.to_string() })?;
        Ok(Self(key.key_data().clone()))
    }

    pub(super) fn blob(&self) -> Result<Vec<u8>, SignError> {
        let key = ssh_key::PublicKey::from(self.0.clone());
        key.to_bytes().map_err(|e| SignError::Key { what: e.to_string() })
    }

    /// Returns the fingerprint as `ssh-keygen -l` shows it: `SHA256:…`.
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }

    /// Returns the kind and the key in base64, as a line of an allowed signers file has them.
    pub fn line(&self) -> String {
        ssh_key::PublicKey::from(self.0.clone()).to_openssh().unwrap_or_default().trim().to_owned()
    }
}

/// Signs with one key.
pub enum Signer {
    /// With a private key, unlocked.
    File(Box<PrivateKey>),
    /// By an agent.
    Agent(Agent, PublicKey),
}

/// Says why a private key cannot be read. Every second P-521 key, and now and then another ECDSA key, has a number that
/// begins with zeros, which the file leaves out and the library does not put back.
fn unreadable(error: ssh_key::Error) -> SignError {
    let what = match &error {
        ssh_key::Error::Encoding(_) => {
            "its number is written shorter than its curve, which cannot be read from a file here; add the key to an \
             ssh-agent (ssh-add) and sign with its public half"
                .to_owned()
        }
        other => other.to_string(),
    };
    SignError::Key { what }
}

impl Signer {
    /// Reads a private key in OpenSSH's format; `ask` gives the passphrase where there is one, or nothing to give up.
    ///
    /// # Errors
    /// The text is not such a key, or the passphrase is wrong three times.
    pub fn of_private_key(text: &str, ask: &mut dyn FnMut() -> Option<String>) -> Result<Self, SignError> {
        if text.contains("PRIVATE KEY-----") && !text.contains("BEGIN OPENSSH PRIVATE KEY-----") {
            return Err(SignError::OldForm);
        }
        let key = PrivateKey::from_openssh(text).map_err(unreadable)?;
        if !key.is_encrypted() {
            return Ok(Self::File(Box::new(key)));
        }
        for _ in 0..TRIES {
            let Some(passphrase) = ask() else { return Err(SignError::Locked) };
            match key.decrypt(passphrase) {
                Ok(key) => return Ok(Self::File(Box::new(key))),
                Err(error @ ssh_key::Error::Encoding(_)) => return Err(unreadable(error)),
                Err(_) => {}
            }
        }
        Err(SignError::Passphrase)
    }

    /// Signs with a key that an agent has.
    pub fn of_agent(agent: Agent, key: PublicKey) -> Self {
        Self::Agent(agent, key)
    }

    /// Returns the public half of the key.
    pub fn key(&self) -> PublicKey {
        match self {
            Signer::File(key) => PublicKey(key.public_key().key_data().clone()),
            Signer::Agent(_, key) => key.clone(),
        }
    }

    /// Signs a text. The signature is checked before it is handed out.
    ///
    /// # Errors
    /// The key cannot sign, or the agent declines.
    pub fn sign(&self, text: &str) -> Result<String, SignError> {
        let wrong = |e: ssh_key::Error| SignError::Key { what: e.to_string() };
        let armour = match self {
            Signer::File(key) => match key.key_data() {
                KeypairData::Rsa(pair) => sign_with_rsa(pair, text.as_bytes()),
                _ => key.sign(NAMESPACE, HashAlg::Sha512, text.as_bytes()),
            }
            .and_then(|signature| signature.to_pem(LineEnding::LF))
            .map_err(wrong)?,
            Signer::Agent(agent, key) => {
                let data = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, text.as_bytes()).map_err(wrong)?;
                armour(&key.blob()?, &agent.sign(key, &data)?)
            }
        };
        match verify(text, &armour) {
            Ok(key) if key == self.key() => Ok(armour),
            Ok(_) => Err(SignError::Key { what: "it signs with another key".to_owned() }),
            Err(what) => Err(SignError::Key { what }),
        }
    }
}

/// Checks a signature over a text and returns the key that made it. Whose key that is, is not known here.
///
/// # Errors
/// Says why it is no signature over this text.
pub fn verify(text: &str, armour: &str) -> Result<PublicKey, String> {
    let signature = unarmour(armour).ok_or("the signature cannot be read: it is not in OpenSSH's armoured form")?;
    let Parts { key, namespace, hash, signature } = signature;
    if namespace != NAMESPACE.as_bytes() {
        let namespace = String::from_utf8_lossy(&namespace).into_owned();
        return Err(format!("the signature is for {namespace:?}, not for {NAMESPACE:?}"));
    }
    let odd = |what: &str| format!("the signature cannot be read: {what}");
    let hash: HashAlg = String::from_utf8_lossy(&hash).parse().map_err(|_| odd("its digest is not known"))?;
    let public = PublicKey::from_blob(&key).map_err(|_| odd("its key is none"))?;
    if public.0.is_other() {
        let kind = public.0.algorithm();
        return Err(format!("signatures with {} are not supported; sign with a plain key", kind.as_str()));
    }
    let raw = ssh_key::Signature::try_from(signature.as_slice()).map_err(|_| odd("what it holds is none"))?;
    // What is read more loosely than it is written would be the same signature in another form.
    let hardware = public.0.is_sk_ecdsa_p256() || public.0.is_sk_ed25519();
    let same = public.blob().is_ok_and(|blob| blob == key)
        && (hardware || Vec::<u8>::try_from(raw.clone()).is_ok_and(|bytes| bytes == signature));
    let whole = SshSig::new(public.0.clone(), NAMESPACE, hash, raw).map_err(|e| odd(&e.to_string()))?;
    let key = ssh_key::PublicKey::from(public.0.clone());
    match same && key.verify(NAMESPACE, text.as_bytes(), &whole).is_ok() {
        true => Ok(public),
        false => Err("the signature does not fit the text".to_owned()),
    }
}

/// Why there is no signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The key cannot be used.
    #[error(
        "the key cannot be used: {what}; it must be a key of OpenSSH (ed25519, ecdsa, or rsa of 2048 to 4096 bits)"
    )]
    Key {
        /// Why.
        what: String,
    },
    /// The key is in a form from before OpenSSH's own.
    #[error("the key is not in OpenSSH's format; `ssh-keygen -p -f FILE` writes it anew")]
    OldForm,
    /// The key has a passphrase, and nobody gives it.
    #[error("the key has a passphrase and there is no terminal to ask for it; add the key to an agent with ssh-add")]
    Locked,
    /// The passphrase is wrong.
    #[error("the passphrase is wrong")]
    Passphrase,
    /// The agent does not work.
    #[error("the agent at {socket} does not help: {what}; check SSH_AUTH_SOCK, or name a key file with --key")]
    Agent {
        /// The socket.
        socket: String,
        /// Why.
        what: String,
    },
    /// The agent does not sign.
    #[error("the agent does not sign with {key}; unlock the agent, confirm, or add the key again with ssh-add")]
    Declined {
        /// The fingerprint.
        key: String,
    },
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.key().fingerprint())
    }
}

/// Signs with RSA and SHA-512. `ssh-key` 0.6 builds the private key from its first factor twice, and so cannot.
fn sign_with_rsa(pair: &RsaKeypair, text: &[u8]) -> ssh_key::Result<SshSig> {
    let number = |n: &ssh_key::Mpint| BigUint::try_from(n);
    let (public, private) = (&pair.public, &pair.private);
    let factors = vec![number(&private.p)?, number(&private.q)?];
    let key =
        rsa::RsaPrivateKey::from_components(number(&public.n)?, number(&public.e)?, number(&private.d)?, factors)?;
    let data = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, text)?;
    let signature = SigningKey::<Sha512>::new(key).try_sign(&data).map_err(|_| ssh_key::Error::Crypto)?;
    let kind = Algorithm::Rsa { hash: Some(HashAlg::Sha512) };
    SshSig::new(public.clone().into(), NAMESPACE, HashAlg::Sha512, ssh_key::Signature::new(kind, signature.to_vec())?)
}

/// Puts an agent's raw signature into OpenSSH's armoured form.
fn armour(key: &[u8], signature: &[u8]) -> String {
    let mut blob = b"SSHSIG\0\0\0\x01".to_vec();
    for part in [key, NAMESPACE.as_bytes(), b"", b"sha512", signature] {
        put(&mut blob, part);
    }
    let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, blob);
    let mut out = "-----BEGIN SSH SIGNATURE-----\n".to_owned();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, behind) = rest.split_at(rest.len().min(70));
        out.push_str(line);
        out.push('\n');
        rest = behind;
    }
    out.push_str("-----END SSH SIGNATURE-----\n");
    out
}

/// The parts of a signature that matter.
struct Parts {
    key: Vec<u8>,
    namespace: Vec<u8>,
    hash: Vec<u8>,
    signature: Vec<u8>,
}

/// Takes OpenSSH's armoured form apart, to the last byte.
fn unarmour(armour: &str) -> Option<Parts> {
    let body = armour.strip_prefix("-----BEGIN SSH SIGNATURE-----\n")?;
    let body = body.trim_end().strip_suffix("\n-----END SSH SIGNATURE-----")?;
    let blob = decode(&body.replace('\n', ""))?;
    let mut rest = blob.strip_prefix(b"SSHSIG\0\0\0\x01")?;
    let mut part = || text(&mut rest).map(<[u8]>::to_vec);
    let (key, namespace, reserved, hash, signature) = (part()?, part()?, part()?, part()?, part()?);
    (reserved.is_empty() && rest.is_empty()).then_some(Parts { key, namespace, hash, signature })
}

fn decode(text: &str) -> Option<Vec<u8>> {
    base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).ok()
}
