//! Names in a git tree that nobody means well with.
//!
//! A tree object may hold any bytes as a name. Git itself refuses some when it checks out; nothing is checked out here,
//! but the archive is unpacked by others, and a name that reads as another path must not enter a tree that code walks
//! by path. What it deliberately doesn't: judge symbolic links and submodules; `snapshot` and `submodules` do.

use gix::validate::path::component;

/// Bytes of one path.
pub(crate) const LONGEST_PATH: usize = 4_096;
/// Bytes of one name: no file system takes more.
const LONGEST: usize = 255;

/// Why `name` may not be an entry of a tree, if it may not.
pub(crate) fn hostile(name: &[u8]) -> Option<&'static str> {
    if name.len() > LONGEST {
        return Some("it is longer than 255 bytes");
    }
    if name.contains(&b'\\') {
        return Some("it contains a backslash");
    }
    if name.iter().any(|byte| *byte < 0x20 || *byte == 0x7f) {
        return Some("it contains a control character");
    }
    let options = component::Options {
        protect_windows: false,
        protect_hfs: true,
        protect_ntfs: true,
    };
    match gix::validate::path::component(name.into(), None, options) {
        Ok(_) => None,
        Err(component::Error::Empty) => Some("it is empty"),
        Err(component::Error::Relative) => Some("it is relative"),
        Err(component::Error::PathSeparator) => Some("it contains a slash"),
        Err(component::Error::DotGitDir) => Some("some file systems read it as .git"),
        Err(_) => Some("it is not a valid name"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_read_as_another_path_are_hostile() {
        for name in [
            "",
            ".",
            "..",
            ".git",
            ".GIT",
            ".gIt",
            "git~1",
            "GIT~1",
            ".g\u{200c}it",
            ".git ",
            ".git.",
            ".git::$INDEX_ALLOCATION",
            "a/b",
            "/",
            "a\\b",
            "..\\x",
            "a\0b",
            "a\nb",
            "\u{1b}[2J",
        ] {
            assert!(hostile(name.as_bytes()).is_some(), "{name:?}");
        }
    }

    #[test]
    fn a_name_that_no_file_system_takes_is_hostile() {
        assert_eq!(hostile(&[b'a'; LONGEST]), None);
        let told = hostile(&[b'a'; LONGEST + 1]);
        assert_eq!(told, Some("it is longer than 255 bytes"));
    }

    #[test]
    fn ordinary_names_are_not() {
        for name in [
            "a",
            ".gitignore",
            ".gitlab-ci.yml",
            "git~10",
            "...",
            "a:b",
            "aux",
            "naïve.yaml",
            " x",
            "-u",
        ] {
            assert_eq!(hostile(name.as_bytes()), None, "{name:?}");
        }
        assert_eq!(
            hostile(b"caf\xe9"),
            None,
            "bytes that are no text are someone else's question"
        );
    }
}
