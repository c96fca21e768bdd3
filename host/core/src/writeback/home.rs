//! Which directories of a shared repository the platform has given to a tenant, as it writes them down.
//!
//! In the annotation of a source that it keeps, several with commas between them, or in a Tenant. The root is everybody's, and what
//! leads out of the repository is nobody's: neither gives anything. It deliberately knows nothing of who builds what: a tenant
//! makes Kustomizations over any directory.

use crate::deliver::is_below;
use crate::spec::clean_path;

/// Whether a path lies in one of the directories of these texts.
pub fn lies_in(path: &str, given: &[String]) -> bool {
    let mut given = given.iter().flat_map(|text| directories(text));
    given.any(|directory| is_below(path, &directory))
}

/// The directories of a text with commas between them, as paths without `.` and slashes around them.
fn directories(text: &str) -> Vec<String> {
    let paths = text.split(',').map(str::trim);
    let clean = paths.filter_map(|path| clean_path(path).ok());
    clean.filter(|path| !path.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_directories_gives_neither_the_root_nor_what_lies_outside() {
        assert_eq!(directories("./tenants/one"), ["tenants/one"]);
        assert_eq!(directories("a/b/ , ci"), ["a/b", "ci"]);
        for nothing in ["", "./", " , .", "../other", "a/../../b"] {
            assert_eq!(directories(nothing), Vec::<String>::new(), "{nothing}");
        }
    }

    #[test]
    fn what_lies_in_a_directory_that_is_given_is_its_tenants_and_nothing_around_or_beside_it() {
        let given = ["docs, ./tenants/one/".to_owned(), "./".to_owned()];
        for (path, want) in [
            ("tenants/one", true),
            ("tenants/one/more", true),
            ("docs/x", true),
            ("tenants/one-more", false),
            ("tenants", false),
            ("tenants/two", false),
            ("", false),
        ] {
            assert_eq!(lies_in(path, &given), want, "{path}");
        }
        assert!(!lies_in("tenants/one", &[]));
    }
}
