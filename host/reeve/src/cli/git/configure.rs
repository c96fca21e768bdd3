//! A level of git configuration is changed: an entry is written, proven by a fetch and only then kept.
//!
//! What is asked is `guide`'s and `wish`'s, where the file lies `level`'s, what becomes of it `core::gitconfig::draft`'s, whether
//! it works `prove`'s. Read and written is with the rights of whoever asks. What is secret goes into a Secret of its own, made
//! for this one change: until the file names it, everybody fetches as before, and from then on with the new one.

mod guide;
mod level;
mod made;
mod prove;
mod wish;

use std::io::BufRead;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use reeve_api::name::ObjectName;
use reeve_api::plugin::ConfigKind;
use reeve_core::gitconfig::draft::{Amended, amend};
use reeve_core::gitconfig::{Holds, LevelName};
use tokio::runtime::Runtime;

use self::guide::Guide;
use self::level::{LevelArgs, Seat};
use self::prove::{Proposal, prove};
use self::wish::{Wish, WishArgs};
use crate::cli::connection::ConnectionArgs;
use crate::cli::ui::{CommandError, Sign, Ui};
use crate::cluster::{CallError, Cluster, KeptFile, SecretOwner};
use crate::observe::Requests;

/// Configure a level: who we are to repositories, how their changes come to be known, and who commits
///
/// On a terminal you are asked step by step for what the flags leave open; --yes asks nothing. The entry is proven by a fetch
/// from where you are, as the controller would fetch then, before anything is written. Secrets are read from files, from stdin
/// or unseen from the terminal, and kept in a Secret beside the level's file, which names it. An entry that is there for the
/// same repositories keeps what you do not change. All of it is done with your own rights, which have to reach Secrets and
/// ConfigMaps of the controller's namespace.
///
/// Examples: `reeve git configure --tenant acme`,
/// `reeve git configure --project shop --url 'https://git.example/shop/*' --login https --username bot --secret-file - --prove
/// https://git.example/shop/web --yes`
#[derive(Args)]
pub(super) struct ConfigureArgs {
    #[command(flatten)]
    level: LevelArgs,
    #[command(flatten)]
    wish: WishArgs,
    /// Prove it, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Ask nothing
    #[arg(short, long)]
    yes: bool,
    /// The directory with the providers that come with the controller, one of which proves a GitHub App [default: plugins, beside
    /// this program]
    #[arg(long, value_name = "DIR")]
    plugins_dir: Option<PathBuf>,
    /// How long the fetch may take
    #[arg(long, value_name = "TIME", default_value = "60s")]
    timeout: reeve_api::duration::Duration,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// The longest that the fetch may take.
const LONGEST: Duration = Duration::from_secs(3600);

pub(super) fn configure(
    args: &ConfigureArgs,
    runtime: &Runtime,
    ui: &mut Ui,
) -> Result<(), CommandError> {
    let mut guide = Guide::of_terminal(!args.yes);
    let level = whose(&args.level, &mut guide, ui)?;
    let wish = Wish::gather(&args.wish, &mut guide, ui)?;
    let change = runtime.block_on(proven(args, &level, wish, ui))?;
    if args.dry_run {
        ui.note("nothing was written");
        return Ok(());
    }
    if guide.is_there() && !guide.agrees(ui, "Keep it?")? {
        return Err(CommandError::new("it was not kept"));
    }
    runtime.block_on(change.keep(args, ui))
}

/// Which level is meant.
fn whose<R: BufRead>(
    args: &LevelArgs,
    guide: &mut Guide<R>,
    ui: &mut Ui,
) -> Result<LevelName, CommandError> {
    if args.global {
        return Ok(LevelName::Global);
    }
    if let Some(name) = &args.tenant {
        return Ok(LevelName::Tenant(name.clone()));
    }
    if let Some(project) = &args.project {
        let project = project.clone();
        return Ok(match args.environment.clone() {
            Some(name) => LevelName::Environment { project, name },
            None => LevelName::Project(project),
        });
    }
    let flag = "--global, --project or --tenant";
    let choices = ["of everybody", "of a Project's tenants", "of a Tenant"];
    let chosen = guide.choose(ui, flag, "Whose repositories?", &choices)?;
    if chosen == 0 {
        return Ok(LevelName::Global);
    }
    let name = guide.needs(ui, flag, "Its name:")?;
    let wrong = |why: reeve_api::name::NotAName| CommandError::of("that is no name", &why);
    Ok(match chosen {
        1 => LevelName::Project(name.parse().map_err(wrong)?),
        _ => LevelName::Tenant(name.parse().map_err(wrong)?),
    })
}

/// A change that works, and has yet to be kept.
struct Change {
    cluster: Cluster,
    seat: Seat,
    wish: Wish,
    file: KeptFile,
    amended: Amended,
    secret: ObjectName,
}

/// Makes the change, and proves it.
async fn proven(
    args: &ConfigureArgs,
    level: &LevelName,
    wish: Wish,
    ui: &mut Ui,
) -> Result<Change, CommandError> {
    let namespace = &args.level.namespace;
    let cluster = args.connection.connect(Requests::default()).await?;
    let seat = Seat::find(&cluster, &args.level, level).await?;
    let file = cluster.git_file(namespace, &seat.from).await;
    let file = file.map_err(|why| CommandError::of("reading the level's file failed", &why))?;
    let (kind, name) = (seat.from.kind.as_str(), &seat.from.name);
    let place = format!("{kind} {namespace}/{name}, key {}", seat.from.key());
    ui.step(Sign::Doing, &format!("configuring level {level}: {place}"));
    let secret = format!("{name}-{:08x}", rand::random::<u32>()).parse();
    let secret: ObjectName = secret.map_err(|why: reeve_api::name::NotAName| {
        CommandError::of("the Secret has no name", &why)
    })?;
    let before = file.text();
    if before.as_deref().is_some_and(has_comments) {
        ui.note("the file is written anew: its comments are lost");
    }
    let holds = match seat.from.kind {
        ConfigKind::Secret => Holds::Secrets,
        ConfigKind::ConfigMap => Holds::References,
    };
    let amended = amend(before.as_deref(), holds, &wish.draft, &secret)
        .map_err(|why| CommandError::of(&place, &why))?;
    let change = Change {
        cluster,
        seat,
        wish,
        file,
        amended,
        secret,
    };
    change.prove(args, holds, ui).await?;
    Ok(change)
}

impl Change {
    /// Fetches the repository that is to prove it, if there is one.
    async fn prove(
        &self,
        args: &ConfigureArgs,
        holds: Holds,
        ui: &mut Ui,
    ) -> Result<(), CommandError> {
        let (Some(url), Some(at)) = (&self.wish.prove, &self.amended.at) else {
            return Ok(());
        };
        ui.step(Sign::Waiting, &format!("fetching {}", shown(url)));
        let proposal = Proposal {
            seat: &self.seat,
            wish: &self.wish,
            text: &self.amended.text,
            holds,
            at,
            secret: &self.secret,
        };
        let timeout = args.timeout.get().clamp(Duration::from_secs(1), LONGEST);
        let owner = SecretOwner::connected(&args.level.namespace);
        let how = (timeout, args.plugins_dir.as_deref());
        let fetched = prove(&self.cluster, &owner, &proposal, url, how).await?;
        let fetched = fetched.unwrap_or_else(|| "nothing: the repository is empty".to_owned());
        let level = &self.seat.level;
        ui.step(Sign::Done, &format!("fetched {fetched} by {at} of {level}"));
        Ok(())
    }

    /// Writes it: what is secret first, then the file that names it, then who names the file.
    async fn keep(self, args: &ConfigureArgs, ui: &mut Ui) -> Result<(), CommandError> {
        let namespace = &args.level.namespace;
        let (cluster, from, values) = (self.cluster, &self.seat.from, &self.wish.values);
        let is_secret = !values.is_empty();
        if is_secret {
            let made = cluster.make_git_secret(namespace, &self.secret, &from.name, values);
            made.await
                .map_err(|why| CommandError::of("making the Secret failed", &why))?;
            ui.step(
                Sign::Done,
                &format!("Secret {namespace}/{} made", self.secret),
            );
        }
        let file = format!("{} {namespace}/{}", from.kind.as_str(), from.name);
        let kept = cluster.keep_git_file(self.file, &self.amended.text).await;
        let failed = match kept {
            Ok(true) => None,
            Ok(false) => Some(meanwhile(&file)),
            Err(why) => Some(CommandError::of("writing the level's file failed", &why)),
        };
        if let Some(why) = failed {
            if is_secret {
                let dropped = cluster.drop_git_secret(namespace, &self.secret, &from.name);
                forgotten(dropped.await, &self.secret, ui);
            }
            return Err(why);
        }
        let what = self.amended.at.as_deref().unwrap_or("author");
        let how = match self.amended.replaced {
            true => "changed",
            false => "written",
        };
        ui.step(Sign::Done, &format!("{what} {how} in {file}"));
        name(&cluster, &self.seat, ui).await?;
        for freed in &self.amended.freed {
            let dropped = cluster.drop_git_secret(namespace, freed, &from.name).await;
            forgotten(dropped, freed, ui);
        }
        Ok(())
    }
}

/// Has the level name its file, where it doesn't.
async fn name(cluster: &Cluster, seat: &Seat, ui: &mut Ui) -> Result<(), CommandError> {
    let (level, kind, name) = (&seat.level, seat.from.kind.as_str(), &seat.from.name);
    if *level == LevelName::Global {
        ui.note(&format!(
            "the controller asks this level if it runs with --git-config={}/{name}",
            kind.to_lowercase()
        ));
    }
    let Some(naming) = &seat.naming else {
        return Ok(());
    };
    if !naming.write(cluster, level).await? {
        return Err(meanwhile(&level.to_string()));
    }
    ui.step(Sign::Done, &format!("{level} names it"));
    ui.note(&format!(
        "where {level} is kept in git, write there too: gitConfig: {{kind: {kind}, name: {name}}}"
    ));
    Ok(())
}

/// Somebody was quicker.
fn meanwhile(what: &str) -> CommandError {
    CommandError::new(format!("{what} was changed meanwhile")).hint("run the command again")
}

/// What became of a Secret that nothing names any more.
fn forgotten(dropped: Result<bool, CallError>, name: &ObjectName, ui: &mut Ui) {
    match dropped {
        Ok(true) => ui.step(
            Sign::Done,
            &format!("Secret {name} deleted, which nothing names any more"),
        ),
        Ok(false) => {}
        Err(why) => ui.note(&format!(
            "Secret {name} is named no more, and could not be deleted: {}",
            reeve_core::failure::chain(&why)
        )),
    }
}

/// An address as it may be printed.
fn shown(url: &str) -> String {
    let parsed = reeve_core::gitconfig::address(url);
    parsed.map_or_else(|_| "the repository".to_owned(), |url| url.to_string())
}

fn has_comments(text: &[u8]) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n');
    lines.any(|line| line.trim_ascii_start().starts_with(b"#"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> LevelArgs {
        LevelArgs {
            global: false,
            project: None,
            environment: None,
            tenant: None,
            git_config: crate::cli::git::reference("secret/x").unwrap(),
            namespace: "home".parse().unwrap(),
        }
    }

    #[test]
    fn the_level_is_what_the_flags_say_or_what_is_answered() {
        let (mut ui, name) = (Ui::new(), || "shop".parse::<ObjectName>().unwrap());
        let project = LevelName::Project(name());
        let environment = LevelName::Environment {
            project: name(),
            name: "live".parse().unwrap(),
        };
        let of_project = LevelArgs {
            project: Some(name()),
            ..args()
        };
        let of_environment = LevelArgs {
            project: Some(name()),
            environment: Some("live".parse().unwrap()),
            ..args()
        };
        for (args, answers, want) in [
            (of_project, None, project.clone()),
            (of_environment, None, environment),
            (args(), Some("1\n"), LevelName::Global),
            (args(), Some("2\nshop\n"), project),
        ] {
            let level = whose(&args, &mut Guide::scripted(answers), &mut ui).unwrap();
            assert_eq!(level, want);
        }
        assert!(whose(&args(), &mut Guide::scripted(None), &mut ui).is_err());
        let wrong = whose(&args(), &mut Guide::scripted(Some("3\nA_b\n")), &mut ui);
        assert!(wrong.is_err());
    }

    #[test]
    fn comments_that_would_be_lost_are_seen() {
        for (text, want) in [("# x\n", true), ("a: 1\n  # x", true), ("a: '#'\n", false)] {
            assert_eq!(has_comments(text.as_bytes()), want, "{text}");
        }
    }
}
