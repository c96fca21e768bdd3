//! What was compiled before is loaded, not compiled again, and nothing else is ever loaded.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use reeve_wasm::{Compiler, Error, Module, Program, Sandbox, Settings, World};

use crate::guest::{self, CONTRACTS, ECHO, TRANSFORMER};
use crate::hostile::process;

fn caching(directory: &Path, pool: bool) -> Settings {
    Settings {
        cache: Some(directory.join("plugins")),
        compiler: process(),
        pool,
        ..Settings::default()
    }
}

/// A sandbox that has no compiler: what it loads it found.
fn finding(directory: &Path, pool: bool) -> Sandbox {
    guest::sandbox(Settings {
        compiler: Compiler::Process(Program {
            path: "/nowhere/compiler".into(),
            arguments: Vec::new(),
        }),
        ..caching(directory, pool)
    })
}

async fn load(sandbox: &Sandbox) -> Result<Module, Error> {
    let echo = guest::component(TRANSFORMER, ECHO);
    sandbox.load("acme", &echo, World::Transformer).await
}

async fn echoes(module: &Module) {
    let told = TRANSFORMER.call(module, &guest::patient()).await;
    assert_eq!(told.expect("an echo"), ["info: echoed"]);
}

/// The one entry of a cache.
fn entry(directory: &Path) -> PathBuf {
    let all = fs::read_dir(directory.join("plugins")).expect("the cache is there");
    let mut entries: Vec<PathBuf> = all
        .map(|entry| entry.expect("it is readable").path())
        .filter(|path| path.file_name().is_none_or(|name| name != "key"))
        .collect();
    let entry = entries.pop().expect("something is kept");
    assert!(entries.is_empty(), "{entries:?}");
    entry
}

#[tokio::test]
async fn what_was_compiled_once_is_found_by_the_next_sandbox() {
    let directory = tempfile::tempdir().expect("a directory");
    let first = guest::sandbox(caching(directory.path(), true));
    echoes(&load(&first).await.expect("it loads")).await;
    // At the same time, after it, and without a pool: code does not depend on that.
    for pool in [true, false] {
        let second = finding(directory.path(), pool);
        echoes(&load(&second).await.expect("it is found")).await;
    }
    echoes(&load(&first).await.expect("it loads")).await;
}

#[tokio::test]
async fn both_worlds_find_their_own_and_the_wrong_one_is_refused_all_the_same() {
    let directory = tempfile::tempdir().expect("a directory");
    for contract in CONTRACTS {
        let component = guest::component(
            contract,
            r#"(module (memory (export "memory") 1)
              (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
              (func {export} (i32.const 16)))"#,
        );
        let compiles = guest::sandbox(caching(directory.path(), true));
        let loaded = compiles.load("acme", &component, contract.world).await;
        loaded.expect("it loads");
        for other in CONTRACTS {
            let finds = finding(directory.path(), true);
            match finds.load("acme", &component, other.world).await {
                Ok(module) => {
                    assert_eq!(contract.world, other.world);
                    let told = contract.call(&module, &guest::patient()).await;
                    assert_eq!(told.expect("it answers"), [""; 0]);
                }
                Err(why) => {
                    assert!(matches!(why, Error::World { .. }), "{why}");
                    assert_ne!(contract.world, other.world);
                }
            }
        }
    }
}

#[tokio::test]
async fn an_entry_that_was_tampered_with_is_compiled_again_and_replaced() {
    let directory = tempfile::tempdir().expect("a directory");
    load(&guest::sandbox(caching(directory.path(), true)))
        .await
        .expect("it loads");
    let path = entry(directory.path());
    let whole = fs::read(&path).expect("it is there");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for bad in [flipped, whole[..whole.len() / 2].to_vec(), Vec::new()] {
        fs::write(&path, &bad).expect("it is ours");
        let told = load(&finding(directory.path(), true)).await;
        let told = told.expect_err("it is not loaded");
        assert!(told.is_ours(), "{told}");
        fs::write(&path, &bad).expect("it is ours");
        let compiles = guest::sandbox(caching(directory.path(), true));
        echoes(&load(&compiles).await.expect("it is compiled")).await;
        let finds = finding(directory.path(), true);
        echoes(&load(&finds).await.expect("it is replaced")).await;
    }
}

#[tokio::test]
async fn a_cache_that_others_may_write_is_not_used_and_nothing_stops() {
    let directory = tempfile::tempdir().expect("a directory");
    let open = directory.path().join("plugins");
    fs::create_dir(&open).expect("a directory");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("it is ours");
    let sandbox = guest::sandbox(caching(directory.path(), true));
    echoes(&load(&sandbox).await.expect("it loads")).await;
    assert_eq!(fs::read_dir(&open).expect("it is there").count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sandboxes_on_one_directory_do_not_hurt_each_other() {
    let directory = tempfile::tempdir().expect("a directory");
    let (one, two) = (
        guest::sandbox(caching(directory.path(), true)),
        guest::sandbox(caching(directory.path(), true)),
    );
    let (first, second) = tokio::join!(load(&one), load(&two));
    echoes(&first.expect("it loads")).await;
    echoes(&second.expect("it loads")).await;
    entry(directory.path());
}
