//! A directory of manifests that is there is taken over: each of its objects is compared with the cluster, and what is another
//! there is written into the files, if that is asked for.
//!
//! With the rights of whoever asks, on the disk of whoever asks; what is then committed is theirs. It deliberately adds no file:
//! what the cluster has beyond them, `reeve writeback run` writes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use reeve_api::writeback::{SyncTo, WriteBackRule};
use reeve_core::preview::Rehearsed;
use reeve_core::status::Action;
use reeve_core::writeback::{Allowed, Decision, Rules, subject};
use reeve_kustomize::{Functions, Object, Tree};
use reeve_writeback::{DEFAULT_TEMPLATE, Edits};
use serde::Serialize;
use tokio::runtime::Runtime;

use super::built::{Built, parted};
use super::round::{Round, as_seen, held};
use super::standing::Standing;
use crate::cli::build::disk::{self, Disk};
use crate::cli::build::laptop::Laptop;
use crate::cli::connection::ConnectionArgs;
use crate::cli::diff::build::made_with;
use crate::cli::get::namespace;
use crate::cli::repository::shown;
use crate::cli::text::{Form, counted, table, written};
use crate::cli::ui::{CommandError, Sign, Ui};
use crate::cluster::{Kind, ObjectError};
use crate::observe::Requests;

/// Take over a directory of manifests: compare it with the cluster
///
/// Each object that the directory gives is told: equal, different (and in which fields), missing on the cluster, or refused, if
/// what is there cannot be expressed in the files. With --write the files are edited so that they give what is there: comments,
/// order and everything else stay as they are. Nothing is written to the cluster.
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

/// How one object stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Row {
    object: String,
    /// equal, different, missing, refused or unknown.
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
    let is_done = |row: &Row| row.state == "equal" || (args.write && row.state == "different");
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
) -> Result<(Round, BTreeMap<String, Row>), CommandError> {
    let cluster = runtime.block_on(args.connection.connect(Requests::default()))?;
    let at = namespace(args.namespace.as_deref(), &cluster);
    let standing = Standing::new(at, below, None)?;
    let (bundle, remotes) = made_with(tree.as_ref(), standing.spec(), functions, ui)?;
    let rules = all_of_it()?;
    let kinds = runtime.block_on(cluster.kinds());
    let scopes = runtime.block_on(cluster.scopes());
    let parted = parted(&bundle, &kinds, &rules, at)?;
    let mut rows = BTreeMap::new();
    for object in &parted.unserved {
        let why = "nobody serves its kind".to_owned();
        note(&mut rows, object.clone(), "unknown", why);
    }
    let built = Built::new(
        standing.spec(),
        remotes,
        functions,
        parted.followed,
        &scopes,
    )?;
    let onlooker = cluster.onlooker(&built.owner, false);
    let (mut seen, mut namespaces) = (Vec::new(), BTreeSet::new());
    for (planned, rehearsed) in runtime.block_on(onlooker.rehearse(&built.plan)) {
        let (id, manifest) = (planned.id(), planned.manifest());
        namespaces.insert(id.namespace.clone());
        let Ok(object) = Object::try_from(manifest.clone()) else {
            continue;
        };
        let found = first(&mut rows, subject(&object), rehearsed);
        let is = |kind: &&Kind| kind.group() == id.group && kind.kind() == id.kind;
        let state = found.and_then(|found| held(0, manifest, found));
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

/// What is told of one before anything is decided; given back is what is there in its place, if anything is.
fn first(
    rows: &mut BTreeMap<String, Row>,
    name: String,
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

fn note(rows: &mut BTreeMap<String, Row>, object: String, state: &'static str, why: String) {
    let row = Row {
        object: object.clone(),
        state,
        fields: Vec::new(),
        why,
    };
    rows.insert(object, row);
}

/// Says of which objects the files are another, and of which they cannot be made the same.
fn judge(decision: &Decision, rows: &mut BTreeMap<String, Row>) {
    for one in &decision.written {
        let name = subject(&one.object);
        let fields = one.fields.iter().map(|field| field.field.clone());
        let row = Row {
            object: name.clone(),
            state: "different",
            fields: fields.collect(),
            why: String::new(),
        };
        rows.insert(name, row);
    }
    for one in &decision.refused {
        let field = Some(one.field.clone()).filter(|field| !field.is_empty());
        let row = Row {
            object: one.object.clone(),
            state: "refused",
            fields: field.into_iter().collect(),
            why: format!("{}; {}", one.reason, one.hint),
        };
        rows.insert(one.object.clone(), row);
    }
    for object in &decision.paused {
        let why = "it was taken out by its annotation".to_owned();
        note(rows, object.clone(), "refused", why);
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
        let mut rows = BTreeMap::new();
        for object in [
            "Deployment acme/web",
            "ConfigMap acme/a",
            "ConfigMap acme/b",
        ] {
            note(&mut rows, object.to_owned(), "equal", String::new());
        }
        let refused = reeve_core::writeback::Refusal {
            object: "Deployment acme/web".to_owned(),
            field: "spec.replicas".to_owned(),
            reason: "shared".to_owned(),
            hint: "by hand".to_owned(),
        };
        let decision = Decision {
            refused: vec![refused],
            paused: vec!["ConfigMap acme/b".to_owned()],
            ..Decision::default()
        };
        judge(&decision, &mut rows);
        let states: Vec<_> = rows.values().map(|row| row.state).collect();
        assert_eq!(states, ["equal", "refused", "refused"]);
        let table = drawn(&rows.into_values().collect::<Vec<_>>());
        assert!(table.contains("shared; by hand"), "{table}");
    }
}
