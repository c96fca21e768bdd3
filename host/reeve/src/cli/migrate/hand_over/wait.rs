//! What is waited for when an object is given away: that nobody works on it, and then that somebody does.
//!
//! Whether a run is under way is asked of the status, and beyond that whoever has the object has to answer that it is held, and to
//! leave it alone for a while. Where nobody answers nobody may be there, and it has to be left alone for longer: a run tells its
//! first status soon after it began, but for a fetch. Every wait has a deadline.

use std::time::{Duration, Instant};

use reeve_api::name::NamespacedName;
use reeve_core::migrate::Served;
use reeve_core::migrate::change;
use reeve_core::migrate::unit::Member;
use serde_json::Value;

use super::operated;
use crate::cli::operate;
use crate::cli::ui::CommandError;
use crate::cluster::Cluster;

/// How often an object that is held is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How long an object has to be left alone for which nobody answers: as long as a fetch takes, unless its spec says otherwise.
const UNANSWERED: Duration = Duration::from_secs(60);

/// An object that nobody works on.
pub(super) struct Held<'m> {
    pub(super) member: &'m Member,
    /// As it was last.
    pub(super) object: Value,
}

/// One that is being looked at.
struct Watched<'m> {
    held: Held<'m>,
    since: Instant,
}

impl Watched<'_> {
    /// Whether somebody may still work on it.
    fn is_busy(&self, settle: Duration) -> bool {
        let object = &self.held.object;
        let quiet = match change::is_answered(object) {
            true => settle,
            false => settle.max(UNANSWERED),
        };
        is_held(self.held.member.kind)
            && (self.since.elapsed() < quiet || change::is_under_way(object))
    }

    /// That it was so for too long.
    fn late(&self) -> CommandError {
        let (object, subject) = (&self.held.object, self.held.member.subject());
        if change::is_answered(object) || change::is_under_way(object) {
            return CommandError::new(format!("{subject} is still being worked on")).hint(
                "nothing was given away; --timeout waits longer for the run that is under way",
            );
        }
        CommandError::new(format!("nobody answers that {subject} is held")).hint(
            "nothing was given away; see that the controller runs that has it, or wait longer with --timeout: what is left alone for a minute is taken for nobody's",
        )
    }
}

impl Held<'_> {
    /// Whether a run is expected once it is given. A Receiver says nothing of a request.
    pub(super) fn answers(&self) -> bool {
        is_held(self.member.kind) && change::goes_on(&self.object)
    }
}

/// Whether objects of that kind are held before they are given: those that change nothing are not.
pub(super) fn is_held(kind: Served) -> bool {
    kind != Served::Receiver
}

pub(super) fn id(object: &Value) -> Option<NamespacedName> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    NamespacedName::new(text("/metadata/namespace")?, text("/metadata/name")?).ok()
}

/// Waits until nobody has written to any of them for that long, and no run is under way.
pub(super) async fn settled<'m>(
    cluster: &Cluster,
    members: &'m [Member],
    settle: Duration,
    until: Instant,
) -> Result<Vec<Held<'m>>, CommandError> {
    let mut watched: Vec<Watched<'m>> = Vec::new();
    for member in members {
        let object = operate::there(cluster, operated(member.kind), &member.id).await?;
        watched.push(Watched {
            held: Held { member, object },
            since: Instant::now(),
        });
    }
    loop {
        for one in &mut watched {
            let member = one.held.member;
            let object = operate::there(cluster, operated(member.kind), &member.id).await?;
            if change::version(&object) != change::version(&one.held.object) {
                one.since = Instant::now();
            }
            one.held.object = object;
            if is_held(member.kind) && !operate::is_suspended(&one.held.object) {
                let message = format!("somebody resumed {} while it was held", member.subject());
                return Err(CommandError::new(message).hint(
                    "nothing was given away; if it is applied with spec.suspend from git, leave that field out there",
                ));
            }
        }
        let Some(busy) = watched.iter().find(|one| one.is_busy(settle)) else {
            return Ok(watched.into_iter().map(|one| one.held).collect());
        };
        if Instant::now() > until {
            return Err(busy.late());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits until whoever has the object has done the run that it was asked for.
pub(super) async fn answered(
    cluster: &Cluster,
    member: &Member,
    token: &str,
    limit: Duration,
) -> Result<(), String> {
    let mut last = "nothing was said of it yet".to_owned();
    let look = |object: Option<&Value>| {
        let Some(object) = object else {
            return Some(Err("it was deleted meanwhile".to_owned()));
        };
        if let Some(said) = operate::ready(object).and_then(|ready| ready.get("message")?.as_str())
        {
            said.clone_into(&mut last);
        }
        answer(object, token)
    };
    let found = cluster.look_until(operated(member.kind), &member.id, limit, look);
    match found.await {
        Ok(Some(answer)) => answer,
        Ok(None) => Err(format!(
            "no run within {}; the last word was: {last}",
            reeve_api::duration::Duration::from(limit)
        )),
        Err(why) => Err(format!("watching it failed: {why}")),
    }
}

/// What came of the run; None: nothing yet. Who waits for another is not done.
fn answer(object: &Value, token: &str) -> Option<Result<(), String>> {
    let ready = operate::handled(object, token)?;
    let text = |key: &str| operate::text(Some(ready), key);
    match (text("status"), text("reason")) {
        ("True", _) => Some(Ok(())),
        ("False", "DependencyNotReady") => None,
        ("False", _) => Some(Err(text("message").to_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn who_waits_for_another_has_not_answered_yet() {
        let object = |handled: &str, status: &str, reason: &str, seen: i64| {
            let ready = json!({
                "type": "Ready", "status": status, "reason": reason, "message": "why",
                "observedGeneration": seen,
            });
            json!({
                "metadata": {"generation": 3},
                "status": {"lastHandledReconcileAt": handled, "conditions": [ready]},
            })
        };
        let failed = Some(Err("why".to_owned()));
        for (says, object, want) in [
            (
                "another request",
                object("before", "True", "Succeeded", 3),
                None,
            ),
            (
                "an older spec",
                object("ours", "True", "Succeeded", 2),
                None,
            ),
            ("done", object("ours", "True", "Succeeded", 3), Some(Ok(()))),
            (
                "waits",
                object("ours", "False", "DependencyNotReady", 3),
                None,
            ),
            ("failed", object("ours", "False", "BuildFailed", 3), failed),
        ] {
            assert_eq!(answer(&object, "ours"), want, "{says}");
        }
    }
}
