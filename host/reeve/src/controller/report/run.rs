//! One run of one object: when it began, and what it has written so far.

use std::sync::Mutex as Cell;
use std::time::{Duration, Instant};

use kube::ResourceExt as _;
use reeve_api::RECONCILE_REQUEST;
use reeve_core::index::Target;
use reeve_core::status::{Frame, Memory, Wait};
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

use super::kind::Reported;
use super::{Wrote, remember};
use crate::cluster::{Subject, Written};
use crate::context::Context;
use crate::observe::span;

/// A run that is under way.
pub(in crate::controller) struct Run {
    target: Option<Target>,
    begun: Instant,
    generation: i64,
    requested_at: Option<String>,
    memory: Memory,
    /// The wait that it put an end to.
    ended: Option<Wait>,
    spread: u64,
    page: Mutex<Page>,
}

/// The object as this run knows it to be on the cluster.
pub(super) struct Page {
    pub(super) subject: Subject,
    status: Value,
}

impl Run {
    /// Begins a run of `object`, which is `target`.
    pub(in crate::controller) fn begin<K: Reported>(
        ctx: &Context,
        target: Target,
        object: &K,
    ) -> Self {
        let memory = ctx.index.memory(&target);
        Self {
            target: Some(target),
            memory,
            ..Self::of_platform(ctx, object)
        }
    }

    /// Begins a run of one of the platform's own objects, which are told nothing twice and so remember nothing.
    pub(super) fn of_platform<K: Reported>(ctx: &Context, object: &K) -> Self {
        let meta = object.meta();
        let status = object
            .status()
            .and_then(|status| serde_json::to_value(status).ok());
        Self {
            target: None,
            begun: ctx.clock.instant(),
            generation: meta.generation.unwrap_or_default(),
            requested_at: object.annotations().get(RECONCILE_REQUEST).cloned(),
            memory: Memory::default(),
            ended: None,
            spread: rand::random(),
            page: Mutex::new(Page {
                subject: Subject::of(object),
                status: status.unwrap_or_default(),
            }),
        }
    }

    /// The same, which has put an end to a wait.
    pub(in crate::controller) fn ending(self, ended: Option<Wait>) -> Self {
        Self { ended, ..self }
    }

    /// The wait that it put an end to.
    pub(in crate::controller) fn ended(&self) -> Option<&Wait> {
        self.ended.as_ref()
    }

    /// How long it has been going on.
    pub(in crate::controller) fn took(&self, ctx: &Context) -> Duration {
        ctx.clock.instant().saturating_duration_since(self.begun)
    }

    /// What its story is told from.
    pub(super) fn frame(
        &self,
        ctx: &Context,
        interval: Duration,
        retry: impl Into<Option<Duration>>,
    ) -> Frame<'_> {
        Frame {
            generation: self.generation,
            requested_at: self.requested_at.as_deref(),
            now: ctx.clock.now(),
            interval,
            retry_interval: retry.into(),
            spread: self.spread,
            memory: self.memory,
        }
    }

    pub(super) fn target(&self) -> Option<&Target> {
        self.target.as_ref()
    }

    pub(super) async fn page(&self) -> MutexGuard<'_, Page> {
        self.page.lock().await
    }

    /// Writes the status, if it isn't so already.
    pub(super) async fn write<K: Reported>(
        &self,
        ctx: &Context,
        object: &K,
        status: &K::Status,
    ) -> Wrote {
        let page = self.page.lock().await;
        write(page, ctx, object, status).await
    }

    /// The same for an announcement, which is written onto what this run has written before: what it has recorded stays.
    /// One that would have to wait for another write is not worth it.
    pub(super) async fn write_if_free<K: Reported>(
        &self,
        ctx: &Context,
        object: &K,
        announce: impl FnOnce(&K::Status) -> K::Status,
    ) {
        let Ok(page) = self.page.try_lock() else {
            return;
        };
        let before = serde_json::from_value(page.status.clone()).unwrap_or_default();
        if let Err(why) = write(page, ctx, object, &announce(&before)).await {
            tracing::debug!(error = %why, "announcing the run's progress failed");
        }
    }
}

async fn write<K: Reported>(
    mut page: MutexGuard<'_, Page>,
    ctx: &Context,
    object: &K,
    status: &K::Status,
) -> Wrote {
    let after = serde_json::to_value(status).unwrap_or_default();
    let page = &mut *page;
    let begun = ctx.clock.instant();
    let written = ctx
        .cluster
        .write_status(&page.subject, &page.status, &after, K::MANAGER)
        .await?;
    if let Written::Changed(version) = written {
        span::took("status", begun.elapsed(), Vec::new);
        page.subject.moved_to(&version);
        page.status = after;
        remember(ctx, object, version, status);
    }
    Ok(())
}

/// How far a run is. Set as it proceeds, told when it takes long.
pub(in crate::controller) struct Announced<P> {
    state: Cell<(P, bool)>,
}

impl<P: Clone> Announced<P> {
    /// The run begins like this.
    pub(in crate::controller) fn new(progress: P) -> Self {
        let state = Cell::new((progress, true));
        Self { state }
    }

    /// The run has come this far.
    pub(in crate::controller) fn at(&self, progress: P) {
        *self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = (progress, true);
    }

    /// How far it has come, if that was not told yet.
    pub(super) fn news(&self) -> Option<P> {
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let news = std::mem::replace(&mut state.1, false);
        news.then(|| state.0.clone())
    }
}
