//! `reeve migrate flux namespace`: a namespace's objects go from one controller to the other, and nothing that they applied is
//! touched.
//!
//! Held, waited for, given, and proved. Whoever is interrupted begins again: an object is either still held where it was, or
//! given, by one patch. What goes together and what each patch says is `core::migrate`'s, what is waited for `hand_over/wait.rs`.

mod wait;

use std::collections::BTreeSet;
use std::time::Instant;

use clap::Args;
use reeve_api::duration::Duration;
use reeve_api::name::NamespaceName;
use reeve_core::inventory::{Entry, Inventory};
use reeve_core::migrate::change;
use reeve_core::migrate::proof::{Changed, State, changed};
use reeve_core::migrate::unit::{Member, Unit, unit};
use reeve_core::migrate::{Finding, Found, Ground, Served, Whose};
use serde::Serialize;
use serde_json::Value;

use self::wait::Held;
use super::{REFUSED, found, report};
use crate::cli::connection::ConnectionArgs;
use crate::cli::grounds::GroundArgs;
use crate::cli::operate;
use crate::cli::text::{Form, counted, written};
use crate::cli::ui::{CommandError, Sign, Ui};
use crate::cluster::{Cluster, Operated};
use crate::observe::Requests;

/// Hand namespaces over from Flux, or back to it
///
/// What goes are the namespaces' Kustomizations and Receivers, their GitRepositories, and those elsewhere that the Kustomizations read.
/// First all are suspended and left until nobody has written to them for --settle; then each is given to the other controller by one
/// change, sources first, and goes on there. After the first run there, every object that the Kustomizations have applied is compared
/// with what it was: uid, generation, labels, annotations, owners. Values are not read.
///
/// If it is interrupted, run it again, or with --back. What is not served by reeve stays with Flux and is named. Exits 1 when
/// something was touched or did not go on, and 2 when it is refused before anything was given away.
///
/// Examples: `reeve migrate flux namespace acme --dry-run`, `reeve migrate flux namespace acme --back`
#[derive(Args)]
pub(super) struct HandOverArgs {
    /// The namespaces; those whose Kustomizations wait for each other go together
    #[arg(value_name = "NS", required = true)]
    namespaces: Vec<NamespaceName>,
    /// Give them back to Flux
    #[arg(long)]
    back: bool,
    /// Say what would go, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// How long nobody must have written to an object before it is given away
    #[arg(long, value_name = "TIME", default_value = "5s")]
    settle: Duration,
    /// How long to wait for runs under way to end, and then for each first run there
    #[arg(long, value_name = "TIME", default_value = "5m")]
    timeout: Duration,
    #[command(flatten)]
    ground: GroundArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// How to print it
    #[arg(short = 'o', long, value_name = "FORM", value_enum, default_value_t = Form::Table)]
    form: Form,
}

/// What came of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    namespaces: BTreeSet<NamespaceName>,
    /// Whose they are, or would be.
    to: Whose,
    /// Whether nothing was changed.
    dry_run: bool,
    /// What was given, or would be, in that order.
    given: Vec<String>,
    /// What stays with Flux.
    stays: Vec<Finding>,
    /// How many applied objects were compared.
    compared: usize,
    /// Those that are another than before.
    changed: Vec<Changed>,
    /// What did not go on, and why.
    failed: Vec<String>,
}

pub(super) async fn hand_over(args: &HandOverArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let cluster = args.connection.connect(Requests::default()).await;
    let cluster = cluster.map_err(|why| why.exits(REFUSED))?;
    let (found, tenants) = found(&cluster).await?;
    let grounds = args.ground.grounds(&[], &[]);
    let ground = Ground {
        grounds: &grounds,
        tenants: &tenants,
    };
    let namespaces: BTreeSet<NamespaceName> = args.namespaces.iter().cloned().collect();
    let to = match args.back {
        true => Whose::Flux,
        false => Whose::Reeve,
    };
    let unit = unit(&found, ground, &namespaces, to);
    allowed(&unit)?;
    let mut told = Told {
        namespaces,
        to,
        dry_run: args.dry_run,
        given: unit.members.iter().map(Member::subject).collect(),
        stays: unit.stays,
        compared: 0,
        changed: Vec::new(),
        failed: Vec::new(),
    };
    if !args.dry_run {
        release_left(&cluster, &found, &told, ui).await?;
    }
    if !args.dry_run && !unit.members.is_empty() {
        go(args, &cluster, &unit.members, &mut told, ui).await?;
    }
    let text = written(args.form, &told, || drawn(&told))?;
    ui.data(text.as_bytes())?;
    ended(&told)
}

/// Nothing is in the way.
fn allowed(unit: &Unit) -> Result<(), CommandError> {
    if unit.in_the_way.is_empty() {
        return Ok(());
    }
    let what = report::drawn(&unit.in_the_way);
    let why = CommandError::new(format!(
        "nothing was handed over: this is in the way\n{what}"
    ));
    Err(why
        .hint("`reeve migrate flux report` says it of all")
        .exits(REFUSED))
}

/// Lets go on what an earlier attempt held and did not give away.
async fn release_left(
    cluster: &Cluster,
    found: &Found,
    told: &Told,
    ui: &mut Ui,
) -> Result<(), CommandError> {
    for kind in [Served::GitRepository, Served::Kustomization] {
        for object in found.of(kind) {
            let Some(id) = wait::id(object).filter(|id| told.namespaces.contains(&id.namespace))
            else {
                continue;
            };
            let Some(released) = change::release(object) else {
                continue;
            };
            if Whose::of(object) == told.to {
                operate::change(cluster, operated(kind), &id, &released).await?;
                ui.step(Sign::Done, &format!("{} goes on", kind.subject(&id)));
            }
        }
    }
    Ok(())
}

/// Holds, waits, gives and proves.
async fn go(
    args: &HandOverArgs,
    cluster: &Cluster,
    members: &[Member],
    told: &mut Told,
    ui: &mut Ui,
) -> Result<(), CommandError> {
    let until = Instant::now() + args.timeout.get();
    ui.step(
        Sign::Waiting,
        &format!(
            "holding {}, until nobody writes to them",
            counted(members.len(), "object", "objects")
        ),
    );
    let before = held_and_seen(args, cluster, members, until).await;
    let (held, entries, before) = match before {
        Ok(before) => before,
        Err(why) => {
            let_go(cluster, members, ui).await;
            return Err(why.exits(REFUSED));
        }
    };
    let token = operate::token();
    // A Kustomization's first run needs what its source has in store by then.
    for kind in [
        Served::GitRepository,
        Served::Kustomization,
        Served::Receiver,
    ] {
        let of_kind: Vec<&Held<'_>> = held.iter().filter(|one| one.member.kind == kind).collect();
        for one in &of_kind {
            give(cluster, one, told.to, &token, ui).await?;
        }
        for one in of_kind.iter().filter(|one| one.answers()) {
            let answer = wait::answered(cluster, one.member, &token, args.timeout.get());
            told.failed.extend(heard(one, answer.await, ui));
        }
        let is_stuck = kind == Served::GitRepository && !told.failed.is_empty();
        if is_stuck && told.to == Whose::Reeve {
            // Without its source nothing could be applied here: there it goes on meanwhile.
            let_go(cluster, members, ui).await;
            told.given.truncate(of_kind.len());
            break;
        }
    }
    prove(cluster, &entries, &before, told).await;
    Ok(())
}

/// Tells how it went on; returned is why it did not.
fn heard(one: &Held<'_>, answer: Result<(), String>, ui: &mut Ui) -> Option<String> {
    let subject = one.member.subject();
    match answer {
        Ok(()) => {
            ui.step(Sign::Done, &format!("{subject} goes on"));
            None
        }
        Err(why) => {
            let why = format!("{subject}: {why}");
            ui.step(Sign::Failed, &why);
            Some(why)
        }
    }
}

/// Compares what was applied with how it stood before.
async fn prove(cluster: &Cluster, entries: &[Entry], before: &[Option<State>], told: &mut Told) {
    told.compared = entries.len();
    let after = cluster.states(entries).await;
    for ((entry, before), after) in entries.iter().zip(before).zip(after) {
        let what = match after {
            Ok(after) => changed(before.as_ref(), after.as_ref()),
            Err(why) => Some(format!("cannot be looked at any more: {why}")),
        };
        told.changed.extend(what.map(|what| Changed {
            object: entry.id.subject(),
            what,
        }));
    }
}

/// What is held, what its Kustomizations have applied, and how that stands.
type Seen<'m> = (Vec<Held<'m>>, Vec<Entry>, Vec<Option<State>>);

/// Until here nothing is given away.
async fn held_and_seen<'m>(
    args: &HandOverArgs,
    cluster: &Cluster,
    members: &'m [Member],
    until: Instant,
) -> Result<Seen<'m>, CommandError> {
    let token = operate::token();
    for member in members.iter().filter(|one| wait::is_held(one.kind)) {
        let kind = operated(member.kind);
        let object = operate::there(cluster, kind, &member.id).await?;
        if let Some(hold) = change::hold(&object, &token) {
            operate::change(cluster, kind, &member.id, &hold).await?;
        }
    }
    let held = wait::settled(cluster, members, args.settle.get(), until).await?;
    let mut entries: Vec<Entry> = Vec::new();
    for one in &held {
        entries.extend(applied(one)?);
    }
    // What is given away is changed by that.
    entries.retain(|entry| !is_member(members, entry));
    let states = cluster.states(&entries).await;
    let mut before = Vec::new();
    for (state, entry) in states.into_iter().zip(&entries) {
        before.push(state.map_err(|why| {
            let what = entry.id.subject();
            CommandError::of(&format!("looking at {what} failed"), &why).hint(
                "you need the right to get what the Kustomizations have applied, to see that nothing is touched",
            )
        })?);
    }
    Ok((held, entries, before))
}

fn is_member(members: &[Member], entry: &Entry) -> bool {
    let subject = entry.id.subject();
    entry.id.group.ends_with(".toolkit.fluxcd.io")
        && members.iter().any(|one| one.subject() == subject)
}

/// What a Kustomization has applied on this cluster.
fn applied(one: &Held<'_>) -> Result<Vec<Entry>, CommandError> {
    let elsewhere = one.object.pointer("/spec/kubeConfig").is_some();
    if one.member.kind != Served::Kustomization || elsewhere {
        return Ok(Vec::new());
    }
    let entries = one.object.pointer("/status/inventory/entries");
    let entries = entries.and_then(Value::as_array).into_iter().flatten();
    let text = |entry: &Value, key: &str| {
        let text = entry.get(key).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let entries = entries.map(|entry| (text(entry, "id"), text(entry, "v")));
    let inventory = Inventory::parse(entries).map_err(|why| {
        let doing = format!("the inventory of {} is of no use", one.member.subject());
        CommandError::of(&doing, &why)
    })?;
    Ok(inventory.entries().cloned().collect())
}

async fn give(
    cluster: &Cluster,
    one: &Held<'_>,
    to: Whose,
    token: &str,
    ui: &mut Ui,
) -> Result<(), CommandError> {
    let subject = one.member.subject();
    let given = change::give(&one.object, to, token);
    let given = operate::change(cluster, operated(one.member.kind), &one.member.id, &given).await;
    given.map_err(|why| {
        CommandError::of(&format!("giving {subject} to {} failed", to.as_str()), &why)
            .hint("what was not given is held: run it again, or with --back")
    })?;
    ui.step(Sign::Done, &format!("{subject} is {}'s", to.as_str()));
    Ok(())
}

/// Lets all go on where they are; what cannot be, is told.
async fn let_go(cluster: &Cluster, members: &[Member], ui: &mut Ui) {
    for member in members.iter().filter(|one| wait::is_held(one.kind)) {
        let kind = operated(member.kind);
        let released = match operate::there(cluster, kind, &member.id).await {
            Ok(object) => match change::release(&object) {
                Some(released) => operate::change(cluster, kind, &member.id, &released).await,
                None => Ok(()),
            },
            Err(why) => Err(why),
        };
        if let Err(why) = released {
            ui.note(&format!("{} is held still: {why}", member.subject()));
        }
    }
}

pub(super) fn operated(kind: Served) -> Operated {
    match kind {
        Served::GitRepository => Operated::GitRepository,
        Served::Kustomization => Operated::Kustomization,
        Served::Receiver => Operated::Receiver,
    }
}

fn drawn(told: &Told) -> String {
    let names: Vec<&str> = told.namespaces.iter().map(NamespaceName::as_str).collect();
    let (names, whose) = (names.join(", "), told.to.as_str());
    let given = told.given.len();
    let mut out = match (told.dry_run, given) {
        (_, 0) => format!("{names}: nothing to hand over to {whose}\n"),
        (true, _) => {
            let given = counted(given, "object", "objects");
            let all = told.given.join("\n  ");
            format!("{names}: {given} would be {whose}'s:\n  {all}\n")
        }
        (false, _) => {
            let given = counted(given, "object is", "objects are");
            let same = told.compared.saturating_sub(told.changed.len());
            let all = told.compared;
            format!("{names}: {given} {whose}'s now; {same} of {all} applied objects unchanged\n")
        }
    };
    for one in &told.stays {
        out.push_str(&format!("{} {}\n", one.subject, one.says));
    }
    for one in &told.changed {
        out.push_str(&format!("{} {}\n", one.object, one.what));
    }
    out
}

fn ended(told: &Told) -> Result<(), CommandError> {
    let (changed, failed) = (told.changed.len(), told.failed.len());
    if changed + failed == 0 {
        return Ok(());
    }
    let way = match told.to {
        Whose::Reeve => "`reeve why` says what is wrong; --back gives it back to Flux",
        Whose::Flux => "see that Flux's controllers run",
    };
    let message = format!(
        "{} not go on, and {} changed",
        counted(failed, "object did", "objects did"),
        counted(changed, "applied object was", "applied objects were")
    );
    Err(CommandError::new(message).hint(way))
}
