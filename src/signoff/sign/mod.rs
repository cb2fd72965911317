//! Signatures that stand without this program: a text that a person can read, signed with their SSH key in OpenSSH's
//! own format, so that `ssh-keygen -Y verify` alone can check it.
//!
//! [`statement`] is the text, [`ssh`] makes and checks the signature, [`agent`] asks an `ssh-agent` for one, and
//! [`allowed_signers`] says whose key is whose; [`command`] is how `ssh-keygen` verifies it all.

pub mod agent;
pub mod allowed_signers;
pub mod command;
mod raw;
pub mod ssh;
pub mod statement;

pub use agent::Agent;
pub use allowed_signers::AllowedSigners;
pub use ssh::{NAMESPACE, PublicKey, SignError, Signer, verify};
pub use statement::Statement;
