//! `status.history` of a Kustomization: the last runs, as Flux has them.

use std::collections::BTreeMap;
use std::time::Duration;

use reeve_api::duration::Duration as GoDuration;
use reeve_api::kustomization::Snapshot;
use reeve_api::meta::Time;
use reeve_api::reason::Reason;

use super::Frame;

/// How many snapshots the history holds.
const HISTORY: usize = 5;

/// Puts this run into the history: on top, merged with an earlier run of the same digest that ended the same way.
pub(super) fn remember(
    history: &mut Vec<Snapshot>,
    digest: &str,
    status: Reason,
    revision: &str,
    took: Duration,
    frame: &Frame<'_>,
) {
    let known = history
        .iter()
        .position(|s| s.digest == digest && s.last_reconciled_status == status.as_str())
        .map(|at| history.remove(at));
    let (first_reconciled, total) = known.map_or((Time(frame.now), 0), |known| {
        (known.first_reconciled, known.total_reconciliations)
    });
    let metadata = BTreeMap::from([("revision".to_owned(), revision.to_owned())]);
    let newest = Snapshot {
        digest: digest.to_owned(),
        first_reconciled,
        last_reconciled: Time(frame.now),
        last_reconciled_duration: GoDuration::from(took),
        last_reconciled_status: status.as_str().to_owned(),
        metadata,
        total_reconciliations: total.saturating_add(1),
    };
    history.insert(0, newest);
    history.truncate(HISTORY);
}
