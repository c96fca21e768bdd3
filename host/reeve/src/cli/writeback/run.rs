//! Both directions at once, standing alone: what follows git is kept as git says, what follows the cluster is committed.
//!
//! Round by round: the newest files, what is built of them, the cluster made alike, the cluster looked at, one commit. Watches
//! wake it where something of a kind that rules name has changed, so that drift is put right and changes are committed at once;
//! whether they showed everything is not relied upon. It deliberately holds no state but what was there when it last looked.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use reeve_core::admit::SourceFacts;
use reeve_core::artifact::Revision;
use reeve_core::failure::Explained;
use reeve_core::inventory::ObjectId;
use reeve_core::plan::{Plan, Proposed};
use reeve_core::writeback::{Decision, Seen, State, Told, Yielding, subject};
use reeve_kustomize::Remotes;
use reeve_writeback::Edits;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::agreed::{Agreed, Outcome};
use super::built::{Built, Parted, parted, planned};
use super::lost::unsettled;
use super::past::Past;
use super::round::{Known, Looked, Round, View, is_committed, lean};
use super::site::{Given, Site, SiteArgs};
use crate::cli::controller::stop_on_signals;
use crate::cli::policy::place::Parameters;
use crate::cli::policy::subject::told as explained;
use crate::cli::repository::AuthorArgs;
use crate::cli::ui::{CommandError, Sign, Ui};
use crate::clock::Clock;
use crate::cluster::{Kind, Until};
use crate::git::Snapshot;
use crate::git::commit::Identity;

/// How long applying and committing may take in one round.
const LONGEST: Duration = Duration::from_secs(600);
/// The most kinds that are watched: each takes a connection. Others are looked at with each round.
const MOST_WATCHED: usize = 64;

/// Keep a repository and a cluster alike, both ways, without a controller
///
/// The configuration's rules say for each object which side follows, the first that matches; those with filters say it for these
/// fields only. With `syncTo: kubernetes` the cluster is made what the repository's path says, through policy and server-side
/// apply, and what others change of it is changed back; with `syncTo: git` what changes on the cluster is committed, in the file
/// where the value is from, and what is new becomes a file. Everything else is left alone. Nothing is deleted on the cluster.
/// Ctrl-C ends it when what is under way is done.
///
/// All of it is done as the kubeconfig's user, or in a pod as its account, or as --service-account.
///
/// Examples: `reeve writeback run git@git.example:acme/cluster.git`,
/// `reeve writeback run --config config.yaml --once https://git.example/acme/cluster`
#[derive(Args)]
pub(super) struct RunArgs {
    /// The repository; without, gitUrl of the configuration
    #[arg(value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    site: SiteArgs,
    /// Ask these policies about what is applied: directories, the files of one, or the names of some that are shipped
    #[arg(long, value_name = "DIR|FILE|NAME")]
    policies: Vec<PathBuf>,
    #[command(flatten)]
    parameters: Parameters,
    /// One round, and no more
    #[arg(long)]
    once: bool,
    /// How often to look at everything, whatever watches have shown; so often the repository is asked for changes
    #[arg(long, value_name = "TIME", default_value = "1m")]
    interval: reeve_api::duration::Duration,
    /// For how long nothing must change any more before a round begins
    #[arg(long, value_name = "TIME", default_value = "1s")]
    debounce: reeve_api::duration::Duration,
    #[command(flatten)]
    author: AuthorArgs,
}

pub(super) fn run(args: &RunArgs, runtime: &Runtime, ui: &mut Ui) -> Result<(), CommandError> {
    let author = args.author.identity()?;
    let site = runtime.block_on(Site::open(&args.site, args.url.as_deref(), ui))?;
    let standing = site.standing.judged_by(&args.policies, &args.parameters)?;
    let site = Site { standing, ..site };
    let over = runtime.block_on(async { stop_on_signals() })?;
    let (url, branch) = (&site.url, &site.branch);
    ui.step(
        Sign::Doing,
        &format!("keeping branch {branch} of {url} and the cluster alike"),
    );
    let mut keeper = Keeper {
        site: &site,
        author,
        over: over.clone(),
        given: None,
        known: Known::new(),
        refused: BTreeSet::new(),
        said: Told::default(),
        agreed: Agreed::default(),
        recalled: false,
        told: BTreeSet::new(),
    };
    let mut watches = Watches::new(runtime);
    loop {
        let kinds = runtime.block_on(site.cluster.kinds());
        if !args.once {
            watches.begin(&site, &kinds, ui);
        }
        match keeper.round(runtime, &kinds, ui) {
            Ok(()) if args.once => return Ok(()),
            Err(why) if args.once => return Err(why),
            Ok(()) => {}
            Err(_) if over.is_cancelled() => {}
            Err(why) => ui.error(&why),
        }
        let (interval, debounce) = (args.interval.get(), args.debounce.get());
        if !runtime.block_on(watches.wait(&over, interval, debounce)) {
            ui.step(Sign::Done, "ended");
            return Ok(());
        }
    }
}

/// Goes round after round.
struct Keeper<'s> {
    site: &'s Site,
    author: Identity,
    over: CancellationToken,
    /// What the newest files gave.
    given: Option<(Snapshot, Option<Given>)>,
    known: Known,
    /// What was refused last: it has its turn behind the others.
    refused: BTreeSet<ObjectId>,
    /// What was said of changes that are committed.
    said: Told,
    /// When both sides were the same.
    agreed: Agreed,
    /// Whether it was looked for what both sides agreed on before.
    recalled: bool,
    /// What was told, and need not be told again.
    told: BTreeSet<String>,
}

impl Keeper<'_> {
    fn round(
        &mut self,
        runtime: &Runtime,
        kinds: &[Kind],
        ui: &mut Ui,
    ) -> Result<(), CommandError> {
        let site = self.site;
        // read: the newest files, and what they give
        let known = self.given.as_ref().map(|(head, _)| head);
        let head = runtime.block_on(site.head(known))?;
        let given = match self.given.take() {
            Some((before, given)) if before.revision() == head.revision() => given,
            _ => site.given(&head, ui)?,
        };
        self.given = Some((head.clone(), given.clone()));
        let parted = self.parted(given.as_ref(), kinds, ui)?;
        let scopes = runtime.block_on(site.cluster.scopes());
        // write: what follows git; what goes wrong with it does not hold up what follows the cluster
        let (mut builds, mut kept_well) = (Vec::new(), Ok(()));
        if let Some(Parted { kept, followed, .. }) = parted {
            let spec = site.standing.spec();
            kept_well = planned(kept, &scopes, spec)
                .and_then(|plan| runtime.block_on(self.keep(plan, &head, ui)));
            let remotes = given.map_or_else(Remotes::wanted, |given| given.remotes);
            let functions = &site.functions;
            builds.push(Built::new(spec, remotes, functions, followed, &scopes)?);
        }
        // read and write: what follows the cluster
        let followed = self.follow(builds, head, kinds, runtime, ui);
        kept_well.and(followed)
    }

    fn parted(
        &mut self,
        given: Option<&Given>,
        kinds: &[Kind],
        ui: &mut Ui,
    ) -> Result<Option<Parted>, CommandError> {
        let Some(given) = given else { return Ok(None) };
        let site = self.site;
        let parted = parted(&given.bundle, kinds, &site.config.rules, &site.namespace)?;
        for id in &parted.unserved {
            self.tell(format!("{id} is left out: nobody serves its kind"), ui);
        }
        Ok(Some(parted))
    }

    async fn keep(
        &self,
        plan: Plan<Proposed>,
        head: &Snapshot,
        ui: &mut Ui,
    ) -> Result<(), CommandError> {
        if plan.objects().next().is_none() {
            return Ok(());
        }
        let source = SourceFacts {
            url: self.site.url.to_string(),
            revision: Some(head.revision().to_string()),
            verified: None,
        };
        let until = Until {
            deadline: tokio::time::Instant::now() + LONGEST,
            over: self.over.clone(),
        };
        let now = Clock::system().now();
        let (cluster, standing) = (&self.site.cluster, &self.site.standing);
        // What a rule has committed or ignored of the same objects.
        let left = Yielding::alone(self.site.config.rules.clone());
        let applied = standing
            .keep(cluster, (plan, left), &source, &until, now)
            .await?;
        for change in applied.changes() {
            ui.step(Sign::Done, &change);
        }
        Ok(())
    }

    /// Commits what follows the cluster. Decided off the runtime: functions of builds have one of their own.
    fn follow(
        &mut self,
        builds: Vec<Built>,
        head: Snapshot,
        kinds: &[Kind],
        runtime: &Runtime,
        ui: &mut Ui,
    ) -> Result<(), CommandError> {
        let site = self.site;
        let rules = &site.config.rules;
        if !kinds.iter().any(|kind| is_committed(rules, kind)) {
            return Ok(());
        }
        let view = View {
            cluster: &site.cluster,
            kinds,
            rules,
            namespace: None,
        };
        let Looked {
            mut seen,
            known,
            compared,
            namespaces,
        } = runtime.block_on(view.look(&builds, &self.known, ui))?;
        seen.sort_by_cached_key(|one| self.refused.contains(&ObjectId::of(one.object())));
        runtime.block_on(lean(&site.cluster, &mut seen));
        self.recall(&seen, &head, kinds, runtime, ui);
        let (seen, since) = self.agreed.since(seen, builds.len(), &head);
        let seen = seen.into_iter().map(|one| self.said.unsaid(one)).collect();
        let round = Round::alone(site, builds, head.clone(), (seen, since), namespaces);
        let round = Arc::new(round);
        let decision = round.decide();
        self.tell_of(&decision, ui);
        self.refused = decision.refused.iter().map(|one| one.id.clone()).collect();
        let files = match decision.edits.files.is_empty() {
            true => Some(head.clone()),
            false => {
                let files = runtime.block_on(self.commit(&round, &decision, &head, ui))?;
                self.said.remember(&decision.written);
                files
            }
        };
        let came = Outcome {
            seen: &round.seen,
            compared: &compared,
            known: &known,
            decision: &decision,
        };
        match files {
            Some(files) => self.agreed.settle(came, &files),
            None => self.agreed.settle_unseen(came, &head),
        }
        // Only now: what was gone is told as gone until it is committed, or nothing is to be.
        let before = std::mem::take(&mut self.known);
        let mut known = known;
        let left = unsettled(before, &known, &round.seen, &decision);
        known.extend(left);
        self.known = known;
        Ok(())
    }

    /// Finds out, once, what both sides agreed on before the process began, and tells what is left alone because of that.
    fn recall(
        &mut self,
        seen: &[Seen],
        head: &Snapshot,
        kinds: &[Kind],
        runtime: &Runtime,
        ui: &mut Ui,
    ) {
        if std::mem::replace(&mut self.recalled, true) {
            return;
        }
        let past = Past {
            site: self.site,
            kinds,
            runtime,
        };
        let known = past.recall(seen, head, ui);
        let taken_out = seen.iter().filter(|one| {
            let is_made = matches!(one.state, State::Made { .. });
            is_made && known.contains_key(&ObjectId::of(one.object()))
        });
        for one in taken_out {
            let object = subject(one.object());
            self.tell(
                format!("{object} is left alone: somebody has taken it out of the files"),
                ui,
            );
        }
        self.agreed.begin(known);
    }

    /// The files as they are with what was decided; None where that came upon others than those it was decided on.
    async fn commit(
        &self,
        round: &Arc<Round>,
        decision: &Decision,
        head: &Snapshot,
        ui: &mut Ui,
    ) -> Result<Option<Snapshot>, CommandError> {
        let again = Arc::clone(round);
        let onto: Arc<Mutex<Option<Revision>>> = Arc::default();
        let last = Arc::clone(&onto);
        let edit = move |files: &Snapshot| -> Result<(Edits, Option<String>), Explained> {
            let decision = again.decide_on(files);
            let message = again.message(&decision);
            *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(files.revision().clone());
            Ok((decision.edits, Some(message)))
        };
        let (message, deadline) = (round.message(decision), Instant::now() + LONGEST);
        let repository = &self.site.repository;
        let pushed = repository
            .commit(&self.author, message, edit, deadline)
            .await;
        let pushed = pushed.map_err(explained)?;
        if let Some(revision) = &pushed {
            for one in &decision.written {
                let files = one.files.join(", ");
                ui.step(
                    Sign::Done,
                    &format!("{} written to {files}", subject(&one.object)),
                );
            }
            ui.step(Sign::Done, &format!("pushed {revision}"));
        }
        let onto = onto.lock().unwrap_or_else(PoisonError::into_inner).take();
        match pushed {
            Some(revision) if onto.as_ref() == Some(head.revision()) => {
                Ok(repository.earlier(&revision, deadline).await)
            }
            _ => Ok(None),
        }
    }

    fn tell_of(&mut self, decision: &Decision, ui: &mut Ui) {
        for text in not_written(decision) {
            self.tell(text, ui);
        }
        for id in &decision.ahead {
            let object = id.subject();
            self.tell(
                format!("{object}: what git alone has changed is left alone"),
                ui,
            );
        }
    }

    /// Says it, once.
    fn tell(&mut self, text: String, ui: &mut Ui) {
        if !self.told.contains(&text) {
            ui.note(&text);
            self.told.insert(text);
        }
    }
}

/// What is not written, and why; and what both sides had changed.
pub(super) fn not_written(decision: &Decision) -> Vec<String> {
    let refused = decision.refused.iter().map(|one| {
        let field = match one.field.as_str() {
            "" => String::new(),
            field => format!(" {field}"),
        };
        format!("{}{field}: {}; {}", one.object, one.reason, one.hint)
    });
    let conflicts = decision.conflicts.iter().map(|one| {
        let (object, winner) = (subject(&one.object), one.winner.as_str());
        format!(
            "{object} {}: changed on both sides, {winner} counts",
            one.field
        )
    });
    let left = (decision.left > 0).then(|| {
        format!(
            "{} more objects are looked at with the next round",
            decision.left
        )
    });
    refused.chain(conflicts).chain(left).collect()
}

/// Watches of the kinds that rules name.
struct Watches<'r> {
    runtime: &'r Runtime,
    all: JoinSet<()>,
    begun: BTreeSet<(String, String)>,
    wake: Arc<Notify>,
}

impl<'r> Watches<'r> {
    fn new(runtime: &'r Runtime) -> Self {
        Self {
            runtime,
            all: JoinSet::new(),
            begun: BTreeSet::new(),
            wake: Arc::default(),
        }
    }

    /// Begins those that are not begun yet.
    fn begin(&mut self, site: &Site, kinds: &[Kind], ui: &mut Ui) {
        let rules = &site.config.rules;
        let meant = kinds.iter().filter(|kind| {
            let mut rules = rules.iter();
            rules.any(|rule| rule.is_for_kind(kind.group(), kind.plural()))
        });
        for kind in meant {
            let name = (kind.group().to_owned(), kind.plural().to_owned());
            if self.begun.contains(&name) {
                continue;
            }
            if self.begun.len() == MOST_WATCHED {
                ui.note(&format!(
                    "{} and others are not watched, and looked at with each round",
                    kind.plural()
                ));
                self.begun.insert(name);
                return;
            }
            if self.begun.len() > MOST_WATCHED {
                return;
            }
            self.begun.insert(name);
            let (cluster, kind) = (site.cluster.clone(), kind.clone());
            let wake = Arc::clone(&self.wake);
            let noticing = async move {
                // Who may not watch it looks at it with each round.
                drop(cluster.notice(&kind, &|| wake.notify_one()).await);
            };
            self.all.spawn_on(noticing, self.runtime.handle());
        }
    }

    /// Waits until something has changed and settled, or it is time to look; false: it is over.
    async fn wait(&self, over: &CancellationToken, interval: Duration, debounce: Duration) -> bool {
        let due = async {
            // At most a round's interval, whatever goes on changing.
            let settled = async {
                self.wake.notified().await;
                let calm = || tokio::time::timeout(debounce, self.wake.notified());
                while calm().await.is_ok() {}
            };
            tokio::time::timeout(interval, settled).await.ok();
        };
        tokio::select! {
            biased;
            () = over.cancelled() => false,
            () = due => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use reeve_core::writeback::Refusal;

    use super::*;

    #[test]
    fn what_is_not_written_is_told_with_the_reason_and_what_to_do() {
        let decision = Decision {
            refused: vec![Refusal {
                id: "acme_token__Secret".parse().unwrap(),
                object: "Secret acme/token".to_owned(),
                field: "data".to_owned(),
                reason: "is a Secret".to_owned(),
                hint: "keep it out".to_owned(),
            }],
            left: 2,
            ..Decision::default()
        };
        assert_eq!(
            not_written(&decision),
            [
                "Secret acme/token data: is a Secret; keep it out",
                "2 more objects are looked at with the next round",
            ]
        );
    }

    #[test]
    fn a_change_wakes_and_so_does_time_and_the_end_ends_it() {
        let runtime = crate::cli::runtime().unwrap();
        let watches = Watches::new(&runtime);
        let (over, long) = (CancellationToken::new(), Duration::from_secs(3600));
        let short = Duration::from_millis(1);
        watches.wake.notify_one();
        assert!(runtime.block_on(watches.wait(&over, long, short)));
        assert!(runtime.block_on(watches.wait(&over, short, long)));
        over.cancel();
        assert!(!runtime.block_on(watches.wait(&over, long, short)));
    }
}
