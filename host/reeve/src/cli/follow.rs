//! What verbs with `--watch` go on with: what a watch brings, until somebody ends it.
//!
//! What of an object is the same as when it was printed last is not printed again, a second listing of all included. What it
//! deliberately doesn't: say what is printed of one.

use std::collections::HashMap;

use futures::StreamExt as _;
use kube::Resource;
use serde::de::DeserializeOwned;

use super::ui::CommandError;
use crate::cluster::{Change, Cluster, Id, Selection};

/// Prints those that come, and those of which `told` makes something else than what is `printed`.
pub(super) async fn follow<K, T>(
    cluster: &Cluster,
    at: Option<&str>,
    mut printed: HashMap<Id, T>,
    told: impl Fn(&K) -> T,
    mut print: impl FnMut(&K, &T) -> Result<(), CommandError>,
) -> Result<(), CommandError>
where
    K: Resource<DynamicType = ()> + DeserializeOwned + Send + Sync + 'static,
    T: PartialEq,
{
    let which = Selection {
        namespace: at.map(str::to_owned),
        labels: None,
    };
    let mut changes = cluster.watch::<K>(&which);
    while let Some(change) = changes.next().await {
        match change {
            Change::Put(object) => {
                let (id, now) = (Id::of(object.meta()), told(&object));
                if printed.get(&id) != Some(&now) {
                    print(&object, &now)?;
                    printed.insert(id, now);
                }
            }
            Change::Gone(id) => drop(printed.remove(&id)),
            Change::Begin | Change::Bad(_) | Change::Synced => {}
        }
    }
    Ok(())
}
