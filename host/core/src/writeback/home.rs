//! Which directories of a shared repository the platform has given to a tenant, as it writes them down.
//!
//! In the annotation of a source that it keeps, several with commas between them, or in a Tenant. The root is everybody's, and what
//! leads out of the repository is nobody's: neither gives anything. It deliberately knows nothing of who builds what: a tenant
//! makes Kustomizations over any directory.

use crate::spec::clean_path;

/// The directories of a text with commas between them, as paths without `.` and slashes around them.
pub fn directories(text: &str) -> Vec<String> {
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
}
