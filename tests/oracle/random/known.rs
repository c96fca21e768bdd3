//! The differences that are there on purpose and that random trees can come upon, each told by its shape alone. Why they
//! are there is in `SHORTCOMINGS.md`.

use reeve_kustomize::{Object, parse_yaml};

/// The length of a name's hash.
const HASH: usize = 10;
/// What a hash is made of.
const LETTERS: &str = "2456789bcdfghkmt";

/// Whether two outputs are the same but for name hashes of objects that a patch made neither ConfigMap nor Secret, where
/// they stand and where somebody refers to them.
pub(super) fn same_but_foreign_hashes(theirs: &str, ours: &str) -> bool {
    let (Some(objects), Some(others)) = (parsed(theirs), parsed(ours)) else {
        return false;
    };
    let mut renamed = theirs.to_owned();
    for (theirs, ours) in objects.iter().zip(&others) {
        let foreign =
            !matches!(ours.kind(), "ConfigMap" | "Secret") && theirs.kind() == ours.kind();
        let (Some(one), Some(other)) = (hashed(theirs.name()), hashed(ours.name())) else {
            continue;
        };
        if foreign && one == other {
            renamed = renamed.replace(theirs.name(), ours.name());
        }
    }
    renamed == ours
}

fn parsed(text: &str) -> Option<Vec<Object>> {
    let documents = parse_yaml(text.as_bytes(), "output").ok()?;
    documents
        .into_iter()
        .map(|one| Object::try_from(one).ok())
        .collect()
}

/// The name before its hash, if it has one.
fn hashed(name: &str) -> Option<&str> {
    let (before, hash) = name.rsplit_once('-')?;
    let fits = hash.len() == HASH && hash.chars().all(|c| LETTERS.contains(c));
    fits.then_some(before)
}

#[test]
fn only_the_hash_of_what_is_no_config_may_differ() {
    let object = |kind: &str, hash: &str, value: &str| {
        format!("kind: {kind}\nmetadata:\n  name: a-{hash}\nspec: {value}\n")
    };
    let (one, other) = ("dcch47k4c9", "9922hhk484");
    for (kind, hash, value, same) in [
        ("APIService", other, "x", true),
        ("APIService", other, "y", false),
        ("ConfigMap", other, "x", false),
        ("APIService", "other", "x", false),
    ] {
        let (theirs, ours) = (object(kind, one, "x"), object(kind, hash, value));
        assert_eq!(same_but_foreign_hashes(&theirs, &ours), same, "{ours}");
    }
}
