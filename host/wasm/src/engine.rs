//! One engine for the process, and the ticker that takes the processor back from its guests.
//!
//! Compiles with Cranelift only, deterministically (canonical NaNs, no relaxed SIMD, no threads)
//! and with every feature off that no world needs. The limits here are those of the machine; those
//! of one call are in `store`.
//!
//! ```text
//! guest    |=======|=======|====            ends, traps, or is past its deadline
//! tick   10 ms   10 ms   10 ms   (parked)   no call, no tick: an idle controller is not woken
//!                  ^ yields to the runtime, and looks at the clock
//! ```

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
    Strategy,
};

use crate::budget::Settings;
use crate::error::Error;

/// Core instances that one component may consist of. What wit-component makes of a Rust guest has
/// 3; of a Python guest, which is linked from shared libraries, about 15.
pub(crate) const INSTANCES: u32 = 64;
/// Memories that one component may have. A guest whose WASI is stubbed by a second component has 3.
pub(crate) const MEMORIES: u32 = 4;
/// Tables that one component may have.
pub(crate) const TABLES: u32 = 8;
/// Elements that one table may have.
pub(crate) const TABLE_ELEMENTS: usize = 1 << 16;

/// How long a guest keeps a worker thread before it gives way.
const TICK: Duration = Duration::from_millis(10);
/// Memory kept mapped per place, so that the next call does not fault it in again. More costs more
/// than it saves: it is zeroed by hand.
const KEEP_RESIDENT: usize = 64 << 10;
/// The same where the kernel tells which pages were written: those alone are zeroed, and calls on two cores
/// do not wait for each other's unmapping.
const KEEP_WRITTEN: usize = 1 << 20;

/// Address space reserved for a memory, in bytes: compiled code relies on it. 4 GiB a place, the
/// default, would be 128 GiB for the pool.
pub(crate) fn reservation(settings: &Settings) -> u64 {
    settings.memory as u64
}

/// How a compiling process sets up its engine: code that fits those that [`start`] makes.
pub(crate) fn compiling(reservation: u64) -> Config {
    let mut config = base();
    config.memory_reservation(reservation);
    config
}

/// An engine in the best mode that this machine can hold.
pub(crate) fn start(settings: &Settings) -> Result<Engine, Error> {
    if settings.pool {
        match Engine::new(&pooled(settings)) {
            Ok(engine) => return Ok(engine),
            // Address space is limited (ulimit -v, some sandboxes): isolation is the same on
            // demand, only slower.
            Err(why) => tracing::warn!(%why, "no pool for plugin calls; allocating on demand"),
        }
    }
    Engine::new(&compiling(reservation(settings))).map_err(|why| Error::Engine(format!("{why:#}")))
}

fn base() -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_nan_canonicalization(true)
        // A hostile component may keep one core busy while it compiles, not all of them.
        .parallel_compilation(false)
        .epoch_interruption(true)
        .wasm_component_model(true)
        .concurrency_support(false)
        .wasm_relaxed_simd(false)
        // What wasmtime itself puts between the components of a composition has the memories of both.
        .wasm_multi_memory(true)
        .wasm_memory64(false)
        .wasm_backtrace_max_frames(None)
        .async_stack_zeroing(true)
        .max_wasm_stack(512 << 10);
    config
}

fn pooled(settings: &Settings) -> Config {
    let calls = u32::try_from(settings.calls).unwrap_or(u32::MAX);
    let keep = match PoolingAllocationConfig::is_pagemap_scan_available() {
        true => KEEP_WRITTEN,
        false => KEEP_RESIDENT,
    };
    let mut pool = PoolingAllocationConfig::new();
    // Totals are what the places need at most: who holds a place is never told that the pool is
    // full.
    pool.total_component_instances(calls)
        .total_core_instances(calls.saturating_mul(INSTANCES))
        .total_memories(calls.saturating_mul(MEMORIES))
        .total_tables(calls.saturating_mul(TABLES))
        .total_stacks(calls)
        .max_core_instances_per_component(INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_tables_per_module(TABLES)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(settings.memory)
        .pagemap_scan(Enabled::Auto)
        .linear_memory_keep_resident(keep)
        .table_keep_resident(KEEP_RESIDENT)
        .async_stack_keep_resident(KEEP_RESIDENT);
    let mut config = compiling(reservation(settings));
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// Ticks an engine's epoch while at least one call runs.
///
/// A thread of its own: on the runtime it would wait behind the very guests that it is to
/// interrupt. Late ticks are skipped, not made up for.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    /// Nobody ticks: who runs something must say so.
    parked: bool,
    over: bool,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> Result<Self, Error> {
        let shared = Arc::new(Shared::default());
        let (theirs, engine) = (shared.clone(), engine.clone());
        std::thread::Builder::new()
            .name("plugin-ticker".into())
            .spawn(move || theirs.tick(&engine))
            .map_err(|why| Error::Engine(format!("its clock has no thread: {why}")))?;
        Ok(Self { shared })
    }

    /// Ticks until the answer is dropped.
    pub(crate) fn run(&self) -> Running {
        self.shared.change(|state| {
            state.running += 1;
            state.parked
        });
        Running {
            shared: self.shared.clone(),
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.change(|state| {
            state.over = true;
            true
        });
    }
}

/// A call is running.
#[derive(Debug)]
pub(crate) struct Running {
    shared: Arc<Shared>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // The next tick sees it, or the next call is there by then: calls that follow each other wake
        // nobody.
        self.shared.change(|state| {
            state.running = state.running.saturating_sub(1);
            state.over
        });
    }
}

impl Shared {
    /// Changes the state, and wakes the ticker if that says so.
    fn change(&self, how: impl FnOnce(&mut State) -> bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let wake = how(&mut state);
        drop(state);
        if wake {
            self.changed.notify_one();
        }
    }

    fn tick(&self, engine: &Engine) {
        let mut next = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.over && state.running == 0 {
                return;
            }
            if state.running == 0 {
                state.parked = true;
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                state.parked = false;
                next = Instant::now() + TICK;
                continue;
            }
            let now = Instant::now();
            if now >= next {
                engine.increment_epoch();
                next = now + TICK;
            }
            let rest = next.saturating_duration_since(now);
            state = self
                .changed
                .wait_timeout(state, rest)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_pool_fits_a_usual_machine() {
        Engine::new(&pooled(&Settings::default())).expect("address space for the pool");
    }

    #[test]
    fn a_machine_that_cannot_hold_the_pool_gets_an_engine_all_the_same() {
        let greedy = Settings {
            calls: 1 << 21,
            ..Settings::default()
        };
        assert!(Engine::new(&pooled(&greedy)).is_err());
        start(&greedy).expect("on demand needs no pool");
    }
}
