//! What one tenant uses is not taken from another.

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reeve_wasm::{Compiler, Error, Program, Settings, World};

use crate::cancel::SPINS;
use crate::guest::{self, CONTRACTS, ECHO, TRANSFORMER};

#[tokio::test]
async fn a_tenant_that_used_up_its_minute_is_told_when_to_come_again_and_no_other_is() {
    for contract in CONTRACTS {
        let sandbox = guest::sandbox(Settings {
            time_each: Duration::from_millis(100),
            ..Settings::default()
        });
        let spins = contract.load(&sandbox, SPINS).await;
        let mut calls = 0;
        let told = loop {
            match contract.call_as("mallory", &spins, &guest::patient()).await {
                Ok(_) => calls += 1,
                Err(why) => break why,
            }
            assert!(calls < 100, "nothing is counted");
        };
        let Error::OverBudget { limit, again } = &told else {
            panic!("{told}");
        };
        assert!(calls >= 1, "it had its minute");
        assert_eq!(*limit, Duration::from_millis(100));
        assert!(*again >= Duration::from_secs(1), "{again:?}");
        assert!(told.is_ours() && told.again() == Some(*again), "{told}");
        let other = contract.call_as("acme", &spins, &guest::patient()).await;
        other.expect("it has its own minute");
    }
}

#[tokio::test]
async fn a_call_that_goes_away_is_counted_too() {
    let sandbox = guest::sandbox(Settings {
        time_each: Duration::from_millis(1),
        ..Settings::default()
    });
    let spins = guest::load(&sandbox, SPINS).await;
    let budget = guest::patient();
    let call = TRANSFORMER.call_as("mallory", &spins, &budget);
    let ended = crate::cancel::abandon(2, call).await;
    assert!(!ended, "it is cancelled half-way");
    let told = TRANSFORMER.call_as("mallory", &spins, &budget).await;
    assert!(matches!(told, Err(Error::OverBudget { .. })), "{told:?}");
}

#[tokio::test]
async fn a_thousand_calls_of_one_tenant_delay_another_by_one() {
    let sandbox = guest::sandbox(Settings {
        calls: 1,
        patience: Duration::from_secs(600),
        ..Settings::default()
    });
    let echo = guest::load(&sandbox, ECHO).await;
    let done = Arc::new(AtomicUsize::new(0));
    let many: Vec<_> = (0..1000)
        .map(|_| {
            let (echo, done) = (echo.clone(), done.clone());
            tokio::spawn(async move {
                let told = TRANSFORMER
                    .call_as("mallory", &echo, &guest::patient())
                    .await;
                done.fetch_add(1, Ordering::Relaxed);
                told.expect("an echo");
            })
        })
        .collect();
    // One thread: all of them stand in line once we come to run again.
    tokio::task::yield_now().await;
    let before = done.load(Ordering::Relaxed);
    let told = TRANSFORMER.call_as("acme", &echo, &guest::patient()).await;
    told.expect("an echo");
    let between = done.load(Ordering::Relaxed) - before;
    assert!(between <= 3, "{between} of the others were done before it");
    for call in many {
        call.await.expect("no panic");
    }
}

#[tokio::test]
async fn a_tenants_components_are_bounded_together_and_make_room_when_they_go() {
    let (one, two) = (
        guest::component(TRANSFORMER, ECHO),
        guest::component(TRANSFORMER, SPINS),
    );
    let sandbox = guest::sandbox(Settings {
        bytes_each: one.len().max(two.len()) + 10,
        ..Settings::default()
    });
    let load = |tenant: &'static str, bytes: Vec<u8>| {
        let sandbox = sandbox.clone();
        async move { sandbox.load(tenant, &bytes, World::Transformer).await }
    };
    let first = load("mallory", one.clone()).await.expect("it fits");
    let again = load("mallory", one.clone()).await.expect("it is the same");
    let told = load("mallory", two.clone())
        .await
        .expect_err("it is too much");
    assert!(
        matches!(told, Error::Full { .. }) && !told.is_ours(),
        "{told}"
    );
    load("acme", two.clone()).await.expect("it has its own");
    drop((first, again));
    load("mallory", two).await.expect("there is room");
}

/// A compiler that never ends with what is large.
fn stuck_with_the_large() -> Compiler {
    let Compiler::Process(real) = crate::hostile::process() else {
        panic!("a program")
    };
    let script = r#"f=$(mktemp); cat >"$f"; n=$(wc -c <"$f"); exec <"$f"; rm "$f"
        [ "$n" -lt 200000 ] || exec sleep 600; exec "$@""#;
    let mut arguments: Vec<OsString> = ["-c", script, "sh"].map(OsString::from).into();
    arguments.push(real.path.into());
    arguments.extend(real.arguments);
    Compiler::Process(Program {
        path: "/bin/sh".into(),
        arguments,
    })
}

#[tokio::test]
async fn who_waits_for_its_own_turn_holds_up_nobody_who_wants_the_same() {
    let sandbox = guest::sandbox(Settings {
        compiler: stuck_with_the_large(),
        ..Settings::default()
    });
    let echo = guest::component(TRANSFORMER, ECHO);
    // With a section that nobody reads: its number, its length in five digits of seven bits, no name.
    let padding = 300_000_usize;
    let digit =
        |at: usize| ((padding + 1) >> (7 * at)) as u8 & 0x7f | if at < 4 { 0x80 } else { 0 };
    let mut large = echo.clone();
    large.push(0);
    large.extend((0..5).map(digit));
    large.extend(vec![0; padding + 1]);
    let mut stuck = Box::pin(sandbox.load("mallory", &large, World::Transformer));
    let begun = tokio::time::timeout(Duration::from_secs(1), &mut stuck).await;
    assert!(begun.is_err(), "nobody is stuck: the test proves nothing");
    let mut same = Box::pin(sandbox.load("mallory", &echo, World::Transformer));
    let begun = tokio::time::timeout(Duration::from_millis(200), &mut same).await;
    assert!(begun.is_err(), "it did not wait for its tenant's turn");
    let ours = sandbox.load("acme", &echo, World::Transformer);
    tokio::select! {
        biased;
        ours = ours => drop(ours.expect("it is compiled in its own tenant's turn")),
        _ = &mut stuck => panic!("it waited for another tenant's turn"),
    }
}
