//! What stands on the cluster while it is asked, and is taken away again however that ends.

use futures::StreamExt as _;
use futures::stream::BoxStream;
use reeve_api::condition::{self, Condition, Type};
use reeve_api::name::NamespacedName;
use reeve_api::policy::{NotJudged, Policy, ReplayChange, Replayed};
use reeve_api::reason::Reason;
use reeve_api::source::GitRepository;
use serde_json::{Value, json};

use super::draft::{Draft, LABEL, Source};
use crate::cli::ui::{CommandError, Ui};
use crate::cluster::{CallError, Change, Cluster, Selection};

/// The most changes that are told; how many more there are is counted.
const TOLD: usize = 20_000;

/// All pages of an answer.
#[derive(Debug, Default)]
pub(super) struct Pages {
    pub(super) changes: Vec<ReplayChange>,
    /// Changes beyond those.
    pub(super) more: usize,
    pub(super) not_judged: Vec<NotJudged>,
    pub(super) judged: i64,
    pub(super) file: Option<String>,
    pub(super) line: Option<i64>,
    pub(super) title: Option<String>,
}

/// What stands on the cluster for one question.
pub(super) struct Stage<'a> {
    cluster: &'a Cluster,
    draft: &'a Draft,
}

impl<'a> Stage<'a> {
    pub(super) fn new(cluster: &'a Cluster, draft: &'a Draft) -> Self {
        Self { cluster, draft }
    }

    /// Puts it there.
    pub(super) async fn set(&self) -> Result<(), CommandError> {
        let name = &self.draft.name;
        let made = self.cluster.begin_replay(name, &self.draft.policy).await;
        let made = made.map_err(|why| failed("making the Policy that is asked", &why))?;
        if made.pointer("/spec/replay").is_none() {
            let why = "the cluster's kind Policy knows no replay";
            return Err(
                CommandError::new(why).hint("`reeve crds | kubectl apply -f -`, of this version")
            );
        }
        let Some(Source { id, object }) = &self.draft.source else {
            return Ok(());
        };
        let mut object = object.clone();
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            // Whatever becomes of us, it goes with the Policy.
            let owner = json!({
                "apiVersion": "reeve.dev/v1alpha1", "kind": "Policy", "name": name,
                "uid": made.pointer("/metadata/uid"),
            });
            metadata.insert("ownerReferences".to_owned(), json!([owner]));
        }
        let made = self.cluster.begin_source(id, &object).await;
        made.map_err(|why| failed("making the GitRepository of that revision", &why))?;
        Ok(())
    }

    /// Takes it away.
    pub(super) async fn clear(&self) -> Result<(), CommandError> {
        let source = match &self.draft.source {
            Some(Source { id, .. }) => self.clear_source(id).await,
            None => Ok(()),
        };
        let policy = self.clear_policy().await;
        source.and(policy).map_err(|why| {
            let name = &self.draft.name;
            failed("deleting what was asked with", &why).hint(format!(
                "the controller deletes it within an hour; or `kubectl delete policies.reeve.dev {name}`"
            ))
        })
    }

    async fn clear_source(&self, id: &NamespacedName) -> Result<(), CallError> {
        if let Some(found) = self.cluster.git_repository(id).await? {
            self.cluster.end_source(id, uid(&found)).await?;
        }
        Ok(())
    }

    async fn clear_policy(&self) -> Result<(), CallError> {
        let name = &self.draft.name;
        if let Some(found) = self.cluster.policy(name).await? {
            self.cluster.end_replay(name, uid(&found)).await?;
        }
        Ok(())
    }

    /// Reads the whole answer.
    pub(super) async fn pages(&self, ui: &mut Ui) -> Result<Pages, CommandError> {
        if let Some(Source { id, .. }) = &self.draft.source {
            ui.progress(&format!("waiting for revision {}", id.name));
            self.fetched(id).await?;
        }
        let mut seen = self.cluster.watch::<Policy>(&self.own(None));
        let (mut pages, mut generation) = (Pages::default(), 1);
        let mut after: Option<NamespacedName> = None;
        ui.progress("waiting for the controller");
        loop {
            let page = page(&mut seen, generation).await?;
            let next = page.next.clone();
            let (known, all) = (pages.add(page.clone()), page.in_scope);
            ui.progress(&format!("{known} of {all} Kustomizations"));
            let Some(next) = next else {
                return Ok(pages);
            };
            let read = next.parse::<NamespacedName>();
            let read = read.map_err(|why| CommandError::of("the answer cannot be read", &why))?;
            if after.as_ref().is_some_and(|after| *after >= read) {
                return Err(CommandError::new("the answer goes round in a circle"));
            }
            after = Some(read);
            let turned = self.cluster.turn_page(&self.draft.name, &next).await;
            let turned = turned.map_err(|why| failed("asking for the next page", &why))?;
            let now = turned
                .pointer("/metadata/generation")
                .and_then(Value::as_i64);
            generation = now.unwrap_or(generation);
        }
    }

    /// Waits until the controller has that revision.
    async fn fetched(&self, id: &NamespacedName) -> Result<(), CommandError> {
        let which = self.own(Some(id.namespace.to_string()));
        let mut seen = self.cluster.watch::<GitRepository>(&which);
        while let Some(change) = seen.next().await {
            let Change::Put(object) = change else {
                continue;
            };
            let conditions = object
                .status
                .as_ref()
                .map(|status| status.conditions.as_slice());
            let ready = conditions.and_then(|all| condition::find(all, Type::Ready));
            match ready.map(|ready| (ready.status.as_str(), ready)) {
                Some(("True", _)) => return Ok(()),
                Some(("False", ready)) => {
                    let why = format!("the revision cannot be had: {}", ready.message);
                    return Err(CommandError::new(why).hint("a tag is refs/tags/NAME"));
                }
                _ => {}
            }
        }
        Err(ended())
    }

    fn own(&self, namespace: Option<String>) -> Selection {
        Selection {
            namespace,
            labels: Some(format!("{LABEL}={}", self.draft.name)),
        }
    }
}

impl Pages {
    /// Adds one, and says how many Kustomizations are on all of them.
    fn add(&mut self, page: Replayed) -> usize {
        let room = TOLD.saturating_sub(self.changes.len());
        self.more += page.changes.len().saturating_sub(room);
        self.changes.extend(page.changes.into_iter().take(room));
        self.not_judged.extend(page.not_judged);
        self.judged += page.judged;
        self.file = page.file.or_else(|| self.file.take());
        self.line = page.line.or(self.line);
        self.title = page.title.or_else(|| self.title.take());
        usize::try_from(self.judged).unwrap_or_default() + self.not_judged.len()
    }
}

/// The page of that generation, once it is there.
async fn page(
    seen: &mut BoxStream<'static, Change<Policy>>,
    generation: i64,
) -> Result<Replayed, CommandError> {
    while let Some(change) = seen.next().await {
        match change {
            Change::Put(object) => {
                let Some(status) = &object.status else {
                    continue;
                };
                let page = status.replay.as_ref();
                if let Some(page) = page.filter(|page| page.generation == generation) {
                    return Ok(page.clone());
                }
                let ready = condition::find(&status.conditions, Type::Ready);
                if let Some(why) = ready.and_then(|ready| refused(ready, generation)) {
                    return Err(CommandError::new(why));
                }
            }
            Change::Gone(_) => {
                let why = "somebody deleted the Policy that was asked";
                return Err(CommandError::new(why));
            }
            Change::Bad(why) => {
                let why = format!("the answer cannot be read: {}", why.why);
                return Err(CommandError::new(why));
            }
            Change::Begin | Change::Synced => {}
        }
    }
    Err(ended())
}

/// Why there will be no page, when that is so: what waits for something else is no refusal.
fn refused(ready: &Condition, generation: i64) -> Option<String> {
    let waits = [
        Reason::ArtifactFailed,
        Reason::DependencyNotReady,
        Reason::Progressing,
    ];
    let is_final = ready.status == "False"
        && ready.observed_generation == Some(generation)
        && !waits.iter().any(|reason| reason.as_str() == ready.reason);
    is_final.then(|| ready.message.clone())
}

fn uid(object: &Value) -> &str {
    let uid = object.pointer("/metadata/uid").and_then(Value::as_str);
    uid.unwrap_or_default()
}

fn failed(doing: &str, why: &CallError) -> CommandError {
    CommandError::of(&format!("{doing} failed"), why)
}

fn ended() -> CommandError {
    CommandError::new("the API server ended the watch")
}

#[cfg(test)]
mod tests {
    use super::*;
    use reeve_api::condition::Status;

    #[test]
    fn a_policy_that_cannot_be_asked_is_told_and_one_that_waits_is_waited_for() {
        for (reason, generation, is_final) in [
            (Reason::PolicyFailed, 2, true),
            (Reason::NotFound, 2, true),
            (Reason::PolicyFailed, 1, false),
            (Reason::ArtifactFailed, 2, false),
            (Reason::DependencyNotReady, 2, false),
        ] {
            let now = jiff::Timestamp::UNIX_EPOCH;
            let ready = condition::new(Type::Ready, Status::False, reason, "no", generation, now);
            assert_eq!(
                refused(&ready, 2).is_some(),
                is_final,
                "{reason} {generation}"
            );
        }
    }

    #[test]
    fn changes_beyond_what_is_told_are_counted() {
        let one = ReplayChange {
            effect: reeve_api::policy::Effect::Denied,
            kustomization: "acme/web".to_owned(),
            message: "no".to_owned(),
            object: None,
            path: None,
        };
        let page = Replayed {
            changes: vec![one; 15_000],
            judged: 1,
            ..Replayed::default()
        };
        let mut pages = Pages::default();
        assert_eq!(pages.add(page.clone()), 1);
        assert_eq!(pages.add(page), 2);
        assert_eq!((pages.changes.len(), pages.more), (TOLD, 10_000));
    }
}
