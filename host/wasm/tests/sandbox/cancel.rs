//! A caller may go away whenever it likes.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use reeve_wasm::{Settings, World};

use crate::guest::{self, CONTRACTS, ECHO, TRANSFORMER};

/// Computes for a few ticks, then answers with nothing.
pub(crate) const SPINS: &str = r#"(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func {export} (local $i i64)
    (loop $more
      (local.set $i (i64.add (local.get $i) (i64.const 1)))
      (br_if $more (i64.lt_u (local.get $i) (i64.const 400000000))))
    (i32.const 16)))"#;

/// Polls `call` at most `polls` times, then drops it. Says whether it had ended before.
pub(crate) async fn abandon<T>(polls: usize, call: impl Future<Output = T>) -> bool {
    let mut call = pin!(call);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        call.as_mut().poll(context).map(|_| true)
    })
    .await
}

#[tokio::test]
async fn a_call_may_be_cancelled_at_every_await_point() {
    for (contract, pool) in CONTRACTS.iter().flat_map(|it| [(it, true), (it, false)]) {
        let sandbox = guest::sandbox(Settings {
            calls: 1,
            pool,
            time_each: Duration::from_secs(3600),
            ..Settings::default()
        });
        let (spins, echo) = (
            contract.load(&sandbox, SPINS).await,
            guest::load(&sandbox, ECHO).await,
        );
        let budget = guest::patient();
        let mut points = 0;
        while points < 40 && !abandon(points, contract.call(&spins, &budget)).await {
            points += 1;
            // One place: had the cancelled call kept it, this one would wait for ever.
            let after = echo
                .transform("acme", guest::manifests(), "{}", &budget)
                .await;
            assert_eq!(after.expect("an echo").manifests, guest::manifests());
        }
        assert!(
            points >= 3,
            "it gave way {points} times only: the test proves nothing"
        );
    }
}

#[tokio::test]
async fn loading_may_be_cancelled_and_tried_again() {
    for polls in 0..6 {
        let sandbox = guest::sandbox(Settings::default());
        let component = guest::component(TRANSFORMER, ECHO);
        abandon(polls, sandbox.load("acme", &component, World::Transformer)).await;
        let echo = sandbox
            .load("acme", &component, World::Transformer)
            .await
            .expect("it loads after all");
        echo.transform("acme", guest::manifests(), "{}", &guest::patient())
            .await
            .expect("an echo");
    }
}
