//! A directory of manifests that is there is taken over: each of its objects is compared with the cluster, and what is another
//! there, or more, is written into the files, if that is asked for.
//!
//! With the rights of whoever asks, on the disk of whoever asks; what is then committed is theirs. It deliberately adds no file:
//! what the cluster has beyond them, `reeve writeback run` writes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use futures::StreamExt as _;
use reeve_api::writeback::{SyncTo, WriteBackRule};
use reeve_core::plan::{Plan, Planned, Proposed};
use reeve_core::preview::Rehearsed;
use reeve_core::status::Action;
use reeve_core::writeback::{Allowed, Decision, Field, Rules, State, subject};
use reeve_kustomize::{Functions, Object, Tree};
use reeve_writeback::{DEFAULT_TEMPLATE, Edits};
use serde::Serialize;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::built::{Built, parted};
use super::round::{Round, added, as_seen, held, less};
use super::standing::Standing;
use crate::cli::build::disk::{self, Disk};
use crate::cli::build::laptop::Laptop;
use crate::cli::connection::ConnectionArgs;
use crate::cli::diff::build::made_with;
use crate::cli::get::namespace;
use crate::cli::repository::shown;
use crate::cli::text::{Form, counted, table, written};
use crate::cli::ui::{CommandError, Sign, Ui};
use crate::cluster::{Kind, ObjectError, Onlooker};
use crate::observe::Requests;

/// How many objects are read at a time.
const AT_A_TIME: usize = 8;

/// Take over a directory of manifests: compare it with the cluster
///
/// Each object that the directory gives is told: equal, different (and in which fields), more, if others have only added fields
/// to it on the cluster, missing there, or refused, if what is there cannot be expressed in the files. With --write the files are
/// edited so that they give what is there: comments, order and everything else stay as they are. Nothing is written to the
/// cluster.
///
/// Exits 0 when all are equal or were made so, and 1 when some are not.
///
/// Examples: `reeve writeback adopt ./deploy`, `reeve writeback adopt ./deploy -n acme --write`
#[derive(Args)]
pub(super) struct AdoptArgs {
    /// The directory of the kustomization, or of manifests
    dir: PathBuf,
    /// Where objects are that name no namespace; without, in the one of the kubeconfig's context
    #[arg(short, long, value_name = "NS")]
    namespace: Option<String>,
    /// Edit the files
    #[arg(long)]
    write: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// How to print it
    #[arg(short = 'o', long, value_name = "FORM", value_enum, default_value_t = Form::Table)]
    form: Form,
}

/// Each object by what it is called, and by its group: two kinds may be called alike.
type Rows = BTreeMap<(String, String), Row>;
/// One that is there, as it is.
type Live = Result<Option<Value>, ObjectError>;

/// How one object stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Row {
    object: String,
    /// equal, different, more, missing, refused or unknown.
    state: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    why: String,
}

pub(super) fn adopt(args: &AdoptArgs, runtime: &Runtime, ui: &mut Ui) -> Result<(), CommandError> {
    // read: the files, and what stands on the cluster in the place of what they give
    let directory = disk::directory(&args.dir)?;
    let root = disk::work_tree(&directory).unwrap_or_else(|| directory.clone());
    let below = directory
        .strip_prefix(&root)
        .unwrap_or_else(|_| Path::new(""));
    let below = below.to_string_lossy().into_owned();
    let tree: Arc<dyn Tree> = Arc::new(Disk::new(root.clone()));
    let functions: Arc<dyn Functions> = Arc::new(Laptop::new(true));
    let (round, mut rows) = compared(args, runtime, (&tree, &below), &functions, ui)?;
    // decide: the edits
    let decision = round.decide();
    judge(&decision, &mut rows);
    let rows: Vec<Row> = rows.into_values().collect();
    let text = written(args.form, &rows, || drawn(&rows))?;
    ui.data(text.as_bytes())?;
    if args.form == Form::Table {
        ui.data(shown(tree.as_ref(), &decision.edits)?.as_bytes())?;
    }
    // write: the files
    let files = decision.edits.files.len();
    if args.write {
        put(&root, &directory, &decision.edits)?;
        ui.step(
            Sign::Done,
            &format!("{} written", counted(files, "file", "files")),
        );
    }
    let is_written = |row: &Row| matches!(row.state, "different" | "more");
    let is_done = |row: &Row| row.state == "equal" || (args.write && is_written(row));
    let left = rows.iter().filter(|row| !is_done(row)).count();
    match left {
        0 => Ok(()),
        left => Err(CommandError::new(format!(
            "{left} of {} not as on the cluster",
            counted(rows.len(), "object", "objects")
        ))),
    }
}

/// Compares what the files give with the cluster: every object as it looks before anything is decided.
fn compared(
    args: &AdoptArgs,
    runtime: &Runtime,
    (tree, below): (&Arc<dyn Tree>, &str),
    functions: &Arc<dyn Functions>,
    ui: &mut Ui,
) -> Result<(Round, Rows), CommandError> {
    let cluster = runtime.block_on(args.connection.connect(Requests::default()))?;
    let at = namespace(args.namespace.as_deref(), &cluster);
    let standing = Standing::new(at, below, None)?;
    let (bundle, remotes) = made_with(tree.as_ref(), standing.spec(), functions, ui)?;
    let rules = all_of_it()?;
    let kinds = runtime.block_on(cluster.kinds());
    let scopes = runtime.block_on(cluster.scopes());
    let parted = parted(&bundle, &kinds, &rules, at)?;
    let mut rows = unserved(&parted.unserved);
    let built = Built::new(
        standing.spec(),
        remotes,
        functions,
        parted.followed,
        &scopes,
    )?;
    let onlooker = cluster.onlooker(&built.owner, false);
    let (mut seen, mut namespaces) = (Vec::new(), BTreeSet::new());
    for (planned, rehearsed, live) in runtime.block_on(looked_at(&onlooker, &built.plan)) {
        let (id, manifest) = (planned.id(), planned.manifest());
        namespaces.insert(id.namespace.clone());
        let Ok(object) = Object::try_from(manifest.clone()) else {
            continue;
        };
        let found = first(&mut rows, key(&object), rehearsed);
        let state = found.and_then(|found| match live {
            Err(why) => {
                note(&mut rows, key(&object), "unknown", why.to_string());
                None
            }
            Ok(live) => stands(manifest, found, live),
        });
        let is = |kind: &&Kind| kind.group() == id.group && kind.kind() == id.kind;
        let kind = kinds.iter().find(is);
        seen.extend(kind.zip(state).map(|(kind, state)| as_seen(kind, state)));
    }
    let round = Round {
        by: "reeve writeback adopt".to_owned(),
        rules,
        allowed: Allowed {
            namespaces,
            cluster_scoped: true,
        },
        path: below.to_owned(),
        template: DEFAULT_TEMPLATE.to_owned(),
        builds: vec![built],
        revision: String::new(),
        base: Arc::clone(tree),
        seen,
        since: Vec::new(),
        agreed: BTreeMap::new(),
    };
    Ok((round, rows))
}

/// Those of kinds that nobody serves.
fn unserved(objects: &[String]) -> Rows {
    let mut rows = Rows::new();
    for object in objects {
        let why = "nobody serves its kind".to_owned();
        note(&mut rows, (object.clone(), String::new()), "unknown", why);
    }
    rows
}

/// One as it stands beside its manifest: what applying would change, or what others have added.
fn stands(manifest: &Value, found: Rehearsed, live: Option<Value>) -> Option<State> {
    match live {
        Some(live) => added(0, manifest, &Object::try_from(live).ok()?),
        None => held(0, manifest, less(found, manifest)),
    }
}

/// What applying each of them would do, and those that it would leave as they are: others may have added to them.
async fn looked_at<'p>(
    onlooker: &Onlooker,
    plan: &'p Plan<Proposed>,
) -> Vec<(&'p Planned, Result<Rehearsed, ObjectError>, Live)> {
    let all = onlooker.rehearse(plan).await.into_iter();
    let looking = all.map(|(planned, rehearsed)| async move {
        let is_same = |found: &Rehearsed| found.action == Action::Unchanged;
        let live = match rehearsed.as_ref().is_ok_and(is_same) {
            true => onlooker.live(planned).await,
            false => Ok(None),
        };
        (planned, rehearsed, live)
    });
    let looking: Vec<_> = looking.collect();
    let looking = futures::stream::iter(looking);
    looking.buffered(AT_A_TIME).collect().await
}

/// What is told of one before anything is decided; given back is what is there in its place, if anything is.
fn first(
    rows: &mut Rows,
    name: (String, String),
    rehearsed: Result<Rehearsed, ObjectError>,
) -> Option<Rehearsed> {
    let (state, why, found) = match rehearsed {
        Err(why) => ("unknown", why.to_string(), None),
        Ok(found) if found.action == Action::Created => {
            ("missing", found.unasked.unwrap_or_default(), None)
        }
        Ok(found) => ("equal", String::new(), Some(found)),
    };
    note(rows, name, state, why);
    found
}

/// Everything follows the cluster.
fn all_of_it() -> Result<Rules, CommandError> {
    let rule = WriteBackRule {
        sync_to: SyncTo::Git,
        ..WriteBackRule::default()
    };
    Rules::parse(&[rule]).map_err(|why| CommandError::of("the rule for everything", &why))
}

fn key(object: &Object) -> (String, String) {
    (subject(object), object.group().to_owned())
}

fn note(rows: &mut Rows, key: (String, String), state: &'static str, why: String) {
    let row = Row {
        object: key.0.clone(),
        state,
        fields: Vec::new(),
        why,
    };
    rows.insert(key, row);
}

/// Says of which objects the files are another, or less, and of which they cannot be made the same.
fn judge(decision: &Decision, rows: &mut Rows) {
    for one in &decision.written {
        let fields = one.fields.iter().map(|field| field.field.clone());
        let is_added = |field: &Field| field.old.is_none();
        let row = Row {
            object: subject(&one.object),
            state: match !one.fields.is_empty() && one.fields.iter().all(is_added) {
                true => "more",
                false => "different",
            },
            fields: fields.collect(),
            why: String::new(),
        };
        rows.insert(key(&one.object), row);
    }
    for one in &decision.refused {
        let field = Some(one.field.clone()).filter(|field| !field.is_empty());
        let row = Row {
            object: one.object.clone(),
            state: "refused",
            fields: field.into_iter().collect(),
            why: format!("{}; {}", one.reason, one.hint),
        };
        rows.insert((one.object.clone(), one.id.group.clone()), row);
    }
    for object in &decision.paused {
        let why = "it was taken out by its annotation".to_owned();
        note(rows, key(object), "refused", why);
    }
}

fn drawn(rows: &[Row]) -> String {
    let head = ["OBJECT", "STATE", "FIELDS", "WHY"].map(str::to_owned);
    let cells = |row: &Row| {
        [
            row.object.clone(),
            row.state.to_owned(),
            row.fields.join(", "),
            row.why.clone(),
        ]
    };
    let all: Vec<_> = std::iter::once(head)
        .chain(rows.iter().map(cells))
        .collect();
    table(&all)
}

/// Edits the files, none of which may lie outside of the directory or be a link.
fn put(root: &Path, directory: &Path, edits: &Edits) -> Result<(), CommandError> {
    for (path, content) in &edits.files {
        let file = root.join(path);
        let failed = |why: std::io::Error| {
            CommandError::of(&format!("writing {} failed", file.display()), &why)
        };
        let parent = file.parent().unwrap_or(root);
        let parent = parent.canonicalize().map_err(failed)?;
        let is_link = file.symlink_metadata().is_ok_and(|meta| meta.is_symlink());
        if is_link || !parent.starts_with(directory) {
            let shown = file.display();
            return Err(CommandError::new(format!(
                "{shown} is a link, or lies outside of {}",
                directory.display()
            )));
        }
        match content {
            Some(bytes) => std::fs::write(&file, bytes).map_err(failed)?,
            None => std::fs::remove_file(&file).map_err(failed)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use reeve_core::inventory::ObjectId;
    use reeve_core::writeback::{What, Written};
    use reeve_writeback::Place;
    use serde_json::json;

    use super::*;

    #[test]
    fn files_are_edited_below_the_directory_and_nowhere_else() {
        let room = tempfile::tempdir().unwrap();
        let root = room.path().canonicalize().unwrap();
        let inside = root.join("deploy");
        std::fs::create_dir(&inside).unwrap();
        std::os::unix::fs::symlink("/dev/null", inside.join("link.yaml")).unwrap();
        std::fs::write(inside.join("gone.yaml"), "x").unwrap();
        let edit = |path: &str, text: Option<&str>| Edits {
            files: [(path.to_owned(), text.map(|text| text.as_bytes().to_vec()))].into(),
            placed: Vec::new(),
        };
        for (path, text) in [("deploy/a.yaml", Some("a")), ("deploy/gone.yaml", None)] {
            put(&root, &inside, &edit(path, text)).unwrap();
            let there = std::fs::read_to_string(root.join(path)).ok();
            assert_eq!(there.as_deref(), text, "{path}");
        }
        for path in ["a.yaml", "deploy/link.yaml", "deploy/../b.yaml"] {
            assert!(
                put(&root, &inside, &edit(path, Some("a"))).is_err(),
                "{path}"
            );
        }
    }

    #[test]
    fn what_is_another_and_what_is_refused_is_told() {
        let mut rows = Rows::new();
        let object = |kind: &str, name: &str| {
            let object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "acme"}});
            Object::try_from(object).unwrap()
        };
        let names = ["a", "b", "c", "d"];
        for one in names.map(|name| object("ConfigMap", name)) {
            note(&mut rows, key(&one), "equal", String::new());
        }
        let web = object("Service", "web");
        note(&mut rows, key(&web), "equal", String::new());
        // Of another group.
        let knative = (
            "Service acme/web".to_owned(),
            "serving.knative.dev".to_owned(),
        );
        note(&mut rows, knative, "equal", String::new());
        let refused = reeve_core::writeback::Refusal {
            id: ObjectId::of(&web),
            object: subject(&web),
            field: "spec.replicas".to_owned(),
            reason: "shared".to_owned(),
            hint: "by hand".to_owned(),
        };
        let field = |old: Option<Value>| Field {
            field: "data.x".to_owned(),
            old,
            new: Some(json!("2")),
            place: Place::Manifest {
                file: "a.yaml".to_owned(),
            },
            by: None,
        };
        let written = |name: &str, fields: Vec<Field>| Written {
            object: object("ConfigMap", name),
            what: What::Changed,
            fields,
            files: vec!["a.yaml".to_owned()],
            by: None,
            why: None,
            user: None,
        };
        let decision = Decision {
            written: vec![
                written("c", vec![field(None)]),
                written("d", vec![field(None), field(Some(json!("1")))]),
            ],
            refused: vec![refused],
            paused: vec![object("ConfigMap", "b")],
            ..Decision::default()
        };
        judge(&decision, &mut rows);
        let states: Vec<_> = rows.values().map(|row| row.state).collect();
        let want = ["equal", "refused", "more", "different", "refused", "equal"];
        assert_eq!(states, want);
        let table = drawn(&rows.into_values().collect::<Vec<_>>());
        assert!(table.contains("shared; by hand"), "{table}");
    }
}
