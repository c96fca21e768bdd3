//! Parts that are hashed one behind another, each with its length before it, so that no two lists of parts read the same.
//!
//! It says how a part is hashed and nothing else: what is hashed, in which order, and what the hash is for is everybody's own.

use sha2::{Digest as _, Sha256};

/// Hashes one part.
pub fn framed(hash: &mut Sha256, part: impl AsRef<[u8]>) {
    let part = part.as_ref();
    hash.update((part.len() as u64).to_be_bytes());
    hash.update(part);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parts: &[&str]) -> [u8; 32] {
        let mut hash = Sha256::new();
        parts.iter().for_each(|part| framed(&mut hash, part));
        hash.finalize().into()
    }

    #[test]
    fn where_a_part_ends_makes_a_difference() {
        assert_ne!(of(&["a", "bc"]), of(&["ab", "c"]));
        assert_ne!(of(&["a"]), of(&["a", ""]));
        assert_eq!(of(&["a", "bc"]), of(&["a", "bc"]));
    }
}
