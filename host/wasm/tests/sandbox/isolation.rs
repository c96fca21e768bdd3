//! Nothing of a call is there in the next one, and no call takes another's place for long.

use std::time::Duration;

use reeve_wasm::{Budget, Error, Settings};

use crate::guest::{self, CONTRACTS, ECHO};

/// Fills its memory, a table and a global with a canary, and grows both first.
const WRITES: &str = r#"(module
  (memory (export "memory") 1)
  (table $t 4 funcref)
  (elem declare func $canary)
  (global $g (mut i32) (i32.const 0))
  (func $canary)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func {export}
    (drop (memory.grow (i32.const 63)))
    (memory.fill (i32.const 0) (i32.const 0xca) (i32.const 4194304))
    (drop (table.grow $t (ref.func $canary) (i32.const 100)))
    (table.fill $t (i32.const 0) (ref.func $canary) (i32.const 104))
    (global.set $g (i32.const 1))
    (memory.fill (i32.const 16) (i32.const 0) (i32.const 80))
    (i32.const 16)))"#;

/// Looks for anything that it did not put there, and traps when it finds it.
const LOOKS: &str = r#"(module
  (memory (export "memory") 1)
  (table $t 4 funcref)
  (global $g (mut i32) (i32.const 0))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func {export} (local $i i32)
    (drop (memory.grow (i32.const 63)))
    (if (global.get $g) (then unreachable))
    (drop (table.grow $t (ref.null func) (i32.const 100)))
    (loop $elements
      (if (i32.eqz (ref.is_null (table.get $t (local.get $i)))) (then unreachable))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $elements (i32.lt_u (local.get $i) (i32.const 104))))
    (local.set $i (i32.const 0))
    (loop $words
      ;; What the host handed over lies here.
      (if (i32.eq (local.get $i) (i32.const 1024)) (then (local.set $i (i32.const 4096))))
      (if (i64.ne (i64.load (local.get $i)) (i64.const 0)) (then unreachable))
      (local.set $i (i32.add (local.get $i) (i32.const 8)))
      (br_if $words (i32.lt_u (local.get $i) (i32.const 4194304))))
    (i32.const 16)))"#;

#[tokio::test]
async fn a_guest_finds_nothing_of_the_guest_before_it() {
    let rounds = std::env::var("REEVE_SOAK").map_or(100, |_| 10_000);
    for (contract, pool) in CONTRACTS.iter().flat_map(|it| [(it, true), (it, false)]) {
        // One place: whatever the first leaves behind, the second gets.
        let sandbox = guest::sandbox(Settings {
            calls: 1,
            pool,
            time_each: Duration::from_secs(3600),
            ..Settings::default()
        });
        let (writes, looks) = (
            contract.load(&sandbox, WRITES).await,
            contract.load(&sandbox, LOOKS).await,
        );
        let (world, patient) = (contract.world, guest::patient());
        for round in 0..rounds {
            let wrote = contract.call_as("acme", &writes, &patient).await;
            wrote.unwrap_or_else(|why| panic!("round {round}, {world}, pool {pool}: {why}"));
            let found = contract.call_as("other", &looks, &patient).await;
            found.unwrap_or_else(|why| {
                panic!("a leak in round {round}, {world}, pool {pool}: {why}")
            });
        }
    }
}

#[tokio::test]
async fn the_guest_that_looks_does_see_what_lies_there() {
    let dirty = LOOKS.replace(
        "(global $g",
        r#"(data (i32.const 65000) "left behind") (global $g"#,
    );
    for contract in CONTRACTS {
        let looks = contract
            .load(&guest::sandbox(Settings::default()), &dirty)
            .await;
        let told = contract.call(&looks, &guest::patient()).await;
        assert!(matches!(told, Err(Error::Trap { .. })), "{told:?}");
    }
}

#[tokio::test]
async fn an_echo_brings_back_what_it_was_given_and_what_it_logged() {
    let sandbox = guest::sandbox(Settings::default());
    let echo = guest::load(&sandbox, ECHO).await;
    let told = echo
        .transform("acme", guest::manifests(), "{}", &guest::patient())
        .await;
    let told = told.expect("an echo");
    assert_eq!(told.manifests, guest::manifests());
    assert_eq!(told.log, ["info: echoed"]);
}

#[tokio::test]
async fn the_same_bytes_are_one_module_and_other_bytes_another() {
    let sandbox = guest::sandbox(Settings::default());
    let (one, two) = (
        guest::load(&sandbox, ECHO).await,
        guest::load(&sandbox, ECHO).await,
    );
    let other = guest::load(&sandbox, LOOKS).await;
    assert_eq!(one.digest(), two.digest());
    assert_ne!(one.digest(), other.digest());
    assert!(
        one.digest().starts_with("sha256:") && one.digest().len() == 71,
        "{}",
        one.digest()
    );
}

#[tokio::test]
async fn a_module_that_left_the_cache_still_works() {
    let sandbox = guest::sandbox(Settings {
        modules: 1,
        ..Settings::default()
    });
    let first = guest::load(&sandbox, ECHO).await;
    let _second = guest::load(&sandbox, LOOKS).await;
    first
        .transform("acme", guest::manifests(), "{}", &guest::patient())
        .await
        .expect("an echo");
    guest::load(&sandbox, ECHO).await;
}

#[tokio::test]
async fn a_call_that_finds_no_place_is_told_so_and_is_not_the_plugins_fault() {
    let settings = Settings {
        calls: 1,
        patience: Duration::from_millis(50),
        ..Settings::default()
    };
    let sandbox = guest::sandbox(settings);
    let loops = std::fs::read_to_string(guest::root().join("tests/guests/loops.wat"));
    let loops = guest::load(&sandbox, &loops.expect("loops.wat is there")).await;
    let echo = guest::load(&sandbox, ECHO).await;
    let budget = Budget {
        deadline: Duration::from_millis(500),
        ..Budget::default()
    };
    let patient = guest::patient();
    let (stopped, busy) = tokio::join!(
        loops.transform("acme", vec![], "{}", &budget),
        echo.transform("acme", vec![], "{}", &patient),
    );
    assert!(
        matches!(stopped, Err(Error::Deadline { .. })),
        "{stopped:?}"
    );
    let busy = busy.expect_err("there is one place");
    assert!(busy.is_ours() && matches!(busy, Error::Busy(_)), "{busy}");
    echo.transform("acme", vec![], "{}", &guest::patient())
        .await
        .expect("the place is free again");
}

#[tokio::test]
async fn more_calls_than_places_all_come_to_their_turn() {
    let sandbox = guest::sandbox(Settings {
        calls: 2,
        ..Settings::default()
    });
    let echo = guest::load(&sandbox, ECHO).await;
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let echo = echo.clone();
            tokio::spawn(async move {
                echo.transform("acme", guest::manifests(), "{}", &guest::patient())
                    .await
            })
        })
        .collect();
    for call in calls {
        call.await.expect("no panic").expect("an echo");
    }
}
