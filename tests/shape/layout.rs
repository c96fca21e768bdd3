//! Where things lie: every module introduces itself, none is called `mod.rs`, every scenario is run,
//! and a released contract never changes.

use std::fs;

use sha2::{Digest as _, Sha256};

use crate::source;

#[test]
fn every_module_says_what_it_is() {
    let silent: Vec<String> = source::all()
        .iter()
        .filter(|path| !source::text(path).starts_with("//!"))
        .map(|path| source::shown(path))
        .collect();
    assert!(
        silent.is_empty(),
        "these do not begin with `//!`:\n{}",
        silent.join("\n")
    );
}

#[test]
fn no_module_is_called_mod() {
    let found: Vec<String> = source::all()
        .iter()
        .filter(|path| path.ends_with("mod.rs"))
        .map(|path| source::shown(path))
        .collect();
    assert!(
        found.is_empty(),
        "use `foo.rs` beside `foo/`:\n{}",
        found.join("\n")
    );
}

#[test]
fn every_test_file_is_run() {
    for binary in ["oracle", "scenarios", "shape"] {
        let dir = source::root().join("tests").join(binary);
        let main = source::text(&dir.join("main.rs"));
        let forgotten: Vec<String> = fs::read_dir(&dir)
            .expect("the folder is there")
            .filter_map(Result::ok)
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
            .filter(|name| name != "main" && !main.contains(&format!("mod {name};")))
            .collect();
        assert!(
            forgotten.is_empty(),
            "tests/{binary}/main.rs does not list {forgotten:?}"
        );
    }
}

#[test]
fn a_released_contract_never_changes() {
    let released = source::root().join("wit/released.txt");
    for line in source::text(&released)
        .lines()
        .filter(|l| !l.starts_with('#') && !l.is_empty())
    {
        let (want, path) = line
            .split_once("  ")
            .expect("`sha256  path`, as sha256sum prints");
        let bytes = fs::read(source::root().join("wit").join(path)).expect("a released file stays");
        assert_eq!(
            hex::encode(Sha256::digest(bytes)),
            want,
            "wit/{path} was released: add a version"
        );
    }
}

#[test]
fn guests_do_not_depend_on_the_host() {
    for entry in fs::read_dir(source::root().join("plugins")).expect("plugins/ is there") {
        let manifest = entry
            .expect("an entry is readable")
            .path()
            .join("Cargo.toml");
        if let Ok(text) = fs::read_to_string(&manifest) {
            assert!(
                !text.contains("host/"),
                "{} reaches into host/",
                source::shown(&manifest)
            );
        }
    }
}

/// What `reeve plugin new --language go` writes is what the guest in Go of plugins/ is tested with.
#[test]
fn the_go_template_is_the_guest_that_is_tested() {
    for file in ["reeve.go", "object.go"] {
        let of = |folder: &str| source::text(&source::root().join(folder).join(file));
        assert!(
            of("host/reeve/src/cli/plugin/template/go") == of("plugins/spread-pods"),
            "{file} of plugins/spread-pods and of the template differ: copy one over the other"
        );
    }
}
