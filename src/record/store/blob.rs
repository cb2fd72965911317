//! Files kept as evidence, each under the digest of its bytes: whoever has the digest can tell any change.

use sha2::{Digest as _, Sha256};

use super::StoreError;
use crate::record::chain::{Digest, from_hex};

/// The largest file that is kept, in bytes.
pub const LARGEST: usize = 32 << 20;

/// Returns the digest under which these bytes are kept.
pub(super) fn digest(bytes: &[u8]) -> Result<Digest, StoreError> {
    if bytes.len() > LARGEST {
        return Err(StoreError::TooLarge { size: bytes.len(), limit: LARGEST });
    }
    Ok(Sha256::digest(bytes).into())
}

/// Reads a digest that somebody asks for.
pub(super) fn asked(digest: &str) -> Result<Digest, StoreError> {
    from_hex(digest).ok_or_else(|| unknown(digest))
}

/// Returns the bytes when they are those that the digest stands for.
pub(super) fn proven(digest: &Digest, bytes: Vec<u8>, place: &str) -> Result<Vec<u8>, StoreError> {
    if Digest::from(Sha256::digest(&bytes)) == *digest {
        return Ok(bytes);
    }
    let what = format!("the kept file {} is not what was put there", crate::record::chain::hex(digest));
    Err(StoreError::Damaged { place: place.to_owned(), what })
}

pub(super) fn unknown(digest: &str) -> StoreError {
    StoreError::NoSuchBlob { digest: digest.to_owned() }
}
