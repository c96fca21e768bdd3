//! What Git LFS commits in a file's place: a few lines of text that say what is elsewhere.
//!
//! It is YAML, and it is text, so whatever reads a file would take it for the file: a generator would put it into a Secret that
//! somebody's server then starts with. Nothing here fetches what it stands for.

/// What is told of a file that is one.
pub const WHY: &str = "is a Git LFS pointer: the repository itself does not hold what it stands for; commit the file as it is, without a filter in .gitattributes";

const BEGIN: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";
const OID: &[u8] = b"\noid ";
/// The most that one may have, by its specification.
const MOST: usize = 1024;

/// Whether a file is one.
pub fn is_one(bytes: &[u8]) -> bool {
    bytes.len() < MOST
        && bytes.starts_with(BEGIN)
        && bytes.windows(OID.len()).any(|part| part == OID)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_told_from_a_text_about_one() {
        let begin = "version https://git-lfs.github.com/spec/v1\n";
        let oid = "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n";
        assert!(is_one(format!("{begin}{oid}size 12345\n").as_bytes()));
        assert!(is_one(
            format!("{begin}ext-0-x sha256:1\n{oid}size 1\n").as_bytes()
        ));
        let long = "x".repeat(MOST);
        for other in [
            String::new(),
            begin.to_owned(),
            format!("# as in\n{begin}{oid}size 1\n"),
            format!("{begin}{oid}{long}"),
        ] {
            assert!(!is_one(other.as_bytes()), "{other}");
        }
    }
}
