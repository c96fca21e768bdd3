//! `reeve rollout`: changes what a Kustomization applies by a commit, and waits until the cluster has it.
//!
//! Arguments and the order of things. What is rolled out is found by `subject`, what is wanted of it said by `wish`, the edit
//! made by `recipe` with `reeve_writeback`, which refuses what has no single place; the commit is `repository`'s, and what
//! becomes of it `outcome`'s. It deliberately never writes the object itself.

mod outcome;
mod recipe;
mod subject;
mod wish;

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use reeve_core::artifact::Revision;
use reeve_core::writeback::{About, Field, What, Written, compose};
use reeve_kustomize::{Functions, Object, Stop};
use reeve_writeback::{Difference, differences};
use serde_json::{Map, Value};
use tokio::runtime::Runtime;

use self::outcome::Rollout;
use self::recipe::{Made, Recipe};
use self::subject::Subject;
use self::wish::{Wish, WishArgs};
use super::build::laptop::Laptop;
use super::connection::ConnectionArgs;
use super::diff::build::made_with;
use super::login::LoginArgs;
use super::policy::subject::told as explained;
use super::provide_tls;
use super::repository::{AuthorArgs, Repository, shown};
use super::ui::{CommandError, Sign, Ui};
use crate::cluster::Cause;
use crate::git::Snapshot;

/// The code for a commit that is there and has not come to a good end.
const COMMITTED: u8 = 2;
/// The longest that all of it may take.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Roll out another image, number of replicas or patch, by a commit
///
/// The object's Kustomization and its GitRepository are found on the cluster. The change is written where the value comes from:
/// the manifest, a patch, an entry of the kustomization file; where that file has other users, into a patch of the overlay. It
/// is shown, committed on top of the branch and pushed, never over what others pushed; then a fetch is asked for, and the
/// Kustomization and the object are waited for. A change that has no single place is refused with the reason, and nothing is
/// committed. The repository is written to with the login of the GitRepository's Secret, if you may read it, or with yours.
///
/// Exits 0 when the object is healthy with the change, 1 when nothing was committed, and 2 when the commit is there but could
/// not be seen to be applied and healthy in time.
///
/// Examples: `reeve rollout web -n acme --image registry.example/web:2`,
/// `reeve rollout statefulset/db -n acme --replicas 3 --dry-run`
#[derive(Args)]
pub(super) struct RolloutArgs {
    /// The object: NAME, or KIND/NAME
    name: String,
    /// Its kind, in any spelling that kubectl knows
    #[arg(long, value_name = "KIND", default_value = "deployment")]
    kind: String,
    /// Where it is; without, in the namespace of the kubeconfig's context
    #[arg(short, long, value_name = "NS")]
    namespace: Option<String>,
    #[command(flatten)]
    wish: WishArgs,
    /// The Kustomization that gives it, where its labels name none; without NS/, in the namespace of the object
    #[arg(long, value_name = "[NS/]NAME")]
    kustomization: Option<String>,
    /// Why, for the commit's message
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Show the change, and commit nothing
    #[arg(long)]
    dry_run: bool,
    /// How long all of it may take
    #[arg(long, value_name = "TIME", default_value = "10m")]
    timeout: reeve_api::duration::Duration,
    #[command(flatten)]
    author: AuthorArgs,
    #[command(flatten)]
    login: LoginArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl RolloutArgs {
    fn kind_and_name(&self) -> (&str, &str) {
        self.name
            .split_once('/')
            .unwrap_or((&self.kind, &self.name))
    }
}

pub(super) fn run(args: &RolloutArgs, ui: &mut Ui) -> Result<(), CommandError> {
    provide_tls();
    let wish = Wish::read(&args.wish)?;
    let limit = args.timeout.get().clamp(Duration::from_secs(1), LONGEST);
    let deadline = Instant::now() + limit;
    let runtime = crate::cli::runtime()
        .map_err(|why| CommandError::of("starting the runtime failed", &why))?;
    // read: what is rolled out, and the files that give it
    let subject = runtime.block_on(Subject::find(args, ui))?;
    let (what, id) = (subject.sought.subject(), &subject.spec.id);
    let (source, branch) = (&subject.source, &subject.branch);
    let url = &source.url;
    ui.step(
        Sign::Done,
        &format!("{what} is applied by Kustomization {id}, from branch {branch} of {url}"),
    );
    let ignore = source.ignore.clone();
    let repository = Repository::open(Arc::clone(&subject.remote), branch, ignore)?;
    let head = runtime.block_on(repository.head(None, deadline));
    let head = head.map_err(explained)?;
    // decide: the edit. Functions have a runtime of their own, which must end on this thread
    let functions: Arc<dyn Functions> = Arc::new(Laptop::new(true));
    let (_, remotes) = made_with(&head, &subject.spec, &functions, ui)?;
    let recipe = Arc::new(Recipe {
        spec: subject.spec.clone(),
        variables: subject.variables.clone(),
        veil: subject.veil.clone(),
        remotes,
        functions: Arc::clone(&functions),
        others: subject.others.clone(),
        object: subject.id(),
        wish,
        stop: stopping(&runtime, deadline),
    });
    let made = recipe.make(&head).map_err(explained)?;
    let work = Work {
        args,
        subject: &subject,
        repository: &repository,
        recipe: &recipe,
        head: &head,
        made: &made,
        deadline,
    };
    // write: one commit
    match runtime.block_on(work.commit(ui))? {
        Some(revision) => runtime.block_on(work.wait(revision, ui)),
        None => Ok(()),
    }
}

/// A rollout of which the edit is known.
struct Work<'w> {
    args: &'w RolloutArgs,
    subject: &'w Subject,
    repository: &'w Repository,
    recipe: &'w Arc<Recipe>,
    head: &'w Snapshot,
    made: &'w Made,
    deadline: Instant,
}

impl Work<'_> {
    /// Shows the edit and commits it; None: it was only to be shown.
    async fn commit(&self, ui: &mut Ui) -> Result<Option<Revision>, CommandError> {
        let (made, now, branch) = (self.made, self.head.revision(), &self.subject.branch);
        if made.edits.files.is_empty() {
            ui.note(&format!(
                "{now} says so already: there is nothing to commit"
            ));
            return Ok((!self.args.dry_run).then(|| now.clone()));
        }
        ui.data(shown(self.head, &made.edits)?.as_bytes())?;
        rehearsed(self.subject, &self.recipe.wish, ui).await?;
        if self.args.dry_run {
            ui.note("nothing was committed");
            return Ok(None);
        }
        let author = self.args.author.identity()?;
        let recipe = Arc::clone(self.recipe);
        let edit = move |files: &Snapshot| recipe.make(files).map(|made| (made.edits, None));
        ui.step(Sign::Doing, &format!("committing to {branch}"));
        let pushed = self
            .repository
            .commit(&author, self.message(), edit, self.deadline)
            .await;
        let pushed = pushed.map_err(explained)?;
        let Some(revision) = pushed else {
            ui.note(&format!(
                "{branch} came to say so meanwhile: there is nothing to commit"
            ));
            return Ok(Some(now.clone()));
        };
        ui.step(Sign::Done, &format!("pushed {revision}"));
        Ok(Some(revision))
    }

    /// What the commit says.
    fn message(&self) -> String {
        let made = self.made;
        let (before, after) = (
            Value::from(made.before.clone()),
            Value::from(made.after.clone()),
        );
        let placed = &made.edits.placed;
        let field = |one: Difference| {
            let field = one.path.to_string();
            let at = placed.iter().find(|placed| placed.field == field);
            let place = at.or_else(|| placed.first())?.place.clone();
            Some(Field {
                field,
                old: one.old,
                new: one.new,
                place,
                by: None,
            })
        };
        let mut object = made.after.clone();
        object.set_namespace(&self.subject.sought.namespace);
        let written = Written {
            object,
            what: What::Changed,
            fields: differences(0, &before, &after)
                .into_iter()
                .filter_map(field)
                .collect(),
            files: made.edits.files.keys().cloned().collect(),
            by: None,
            why: self.args.reason.clone(),
            user: None,
        };
        let revision = self.head.revision().to_string();
        let about = About {
            by: "reeve rollout",
            revision: &revision,
            request: None,
        };
        compose(&about, &[written], &[], &made.edits)
    }

    /// Waits for what is committed, or was already.
    async fn wait(&self, revision: Revision, ui: &mut Ui) -> Result<(), CommandError> {
        let rollout = Rollout {
            subject: self.subject,
            revision,
            deadline: self.deadline,
        };
        let done = rollout.wait(&self.made.after, ui).await;
        done.map_err(|why| why.under(&self.subject.veil).exits(COMMITTED))
    }
}

/// Ends builds when time is up.
fn stopping(runtime: &Runtime, deadline: Instant) -> Stop {
    let stop = Stop::default();
    let asked = stop.clone();
    runtime.spawn(async move {
        tokio::time::sleep_until(deadline.into()).await;
        asked.now();
    });
    stop
}

/// Asks the API server whether it would take the change of the object as it is now, where whoever asks may change it: what it
/// would refuse is not committed.
async fn rehearsed(subject: &Subject, wish: &Wish, ui: &mut Ui) -> Result<(), CommandError> {
    let live = Object::try_from(subject.live.clone());
    let live = live.map_err(|_| CommandError::new("the object on the cluster is none"))?;
    let wanted = wish.of(&live).map_err(explained)?;
    let change = merge(&subject.live, &Value::from(wanted));
    let asked = subject.cluster.rehearse_change(&subject.sought, &change);
    match asked.await {
        Ok(()) => Ok(()),
        Err(why) if why.cause() == Cause::Forbidden => {
            ui.note("you may not change the object yourself, so what the API server says of it is seen when it is applied");
            Ok(())
        }
        Err(why) => Err(CommandError::of(
            "the API server would not take the change, and nothing was committed",
            &why,
        )),
    }
}

/// The merge patch from the one to the other.
fn merge(before: &Value, after: &Value) -> Value {
    let (Value::Object(before), Value::Object(after)) = (before, after) else {
        return after.clone();
    };
    let mut patch = Map::new();
    for (name, value) in after {
        match before.get(name) {
            Some(old) if old == value => {}
            Some(old @ Value::Object(_)) => {
                patch.insert(name.clone(), merge(old, value));
            }
            _ => {
                patch.insert(name.clone(), value.clone());
            }
        }
    }
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    patch.extend(gone.map(|name| (name.clone(), Value::Null)));
    Value::Object(patch)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_merge_patch_says_what_is_another_and_what_is_gone() {
        let before = json!({"a": {"b": 1, "c": [1], "d": 2}, "e": "x"});
        let after = json!({"a": {"b": 1, "c": [2]}, "e": "x", "f": {"g": 1}});
        let want = json!({"a": {"c": [2], "d": null}, "f": {"g": 1}});
        assert_eq!(merge(&before, &after), want);
    }
}
