//! Waiting without sleeping: watch with a deadline, and say what was last seen when it passes.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::Api;
use kube::api::DynamicObject;
use kube::runtime::{WatchStreamExt as _, watcher};
use serde::de::DeserializeOwned;

/// How long a step of a scenario may take before it counts as not happening.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Watches `name` until `seen` says yes, and returns the object.
pub async fn for_object<K>(
    api: &Api<K>,
    name: &str,
    what: &str,
    seen: impl Fn(&K) -> bool,
) -> anyhow::Result<K>
where
    K: kube::Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    within(PATIENCE, api, name, what, seen).await
}

/// As [`for_object`], with another deadline.
pub async fn within<K>(
    patience: Duration,
    api: &Api<K>,
    name: &str,
    what: &str,
    seen: impl Fn(&K) -> bool,
) -> anyhow::Result<K>
where
    K: kube::Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut events = watcher(api.clone(), config)
        .default_backoff()
        .applied_objects()
        .boxed();
    let mut last = None;
    let wait = async {
        while let Some(object) = events.next().await {
            let Ok(mut object) = object else { continue };
            if seen(&object) {
                return Some(object);
            }
            // It says nothing of what is waited for, and more lines than all else.
            object.meta_mut().managed_fields = None;
            last = Some(object);
        }
        None
    };
    match tokio::time::timeout(patience, wait).await {
        Ok(Some(object)) => Ok(object),
        Ok(None) => bail!("the watch for {what} ended"),
        Err(_) => bail!("not seen within {patience:?}: {what}; last seen: {last:#?}"),
    }
}

/// Watches until no object called `name` is left.
pub async fn until_gone(api: &Api<DynamicObject>, name: &str) -> anyhow::Result<()> {
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut events = watcher(api.clone(), config).default_backoff().boxed();
    let wait = async {
        let mut present = false;
        while let Some(event) = events.try_next().await.unwrap_or(None) {
            match event {
                watcher::Event::Init => present = false,
                watcher::Event::InitApply(_) | watcher::Event::Apply(_) => present = true,
                watcher::Event::InitDone if !present => return,
                watcher::Event::Delete(_) => return,
                watcher::Event::InitDone => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .with_context(|| format!("{name} is still there after {PATIENCE:?}"))
}

/// Asks `probe` again every 50 ms until it answers, for what cannot be watched.
pub async fn until<T, F>(
    patience: Duration,
    what: &str,
    mut probe: impl FnMut() -> F,
) -> anyhow::Result<T>
where
    F: Future<Output = Option<T>>,
{
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    let wait = async {
        loop {
            ticks.tick().await;
            if let Some(answer) = probe().await {
                return answer;
            }
        }
    };
    tokio::time::timeout(patience, wait)
        .await
        .with_context(|| format!("not seen within {patience:?}: {what}"))
}
