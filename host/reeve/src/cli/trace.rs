//! `reeve trace`: from an object on the cluster back to who made it so.
//!
//! Kustomization, source, commit, file and line, plugins and policies. Everything is read with the rights of whoever asks, and
//! the source is fetched with their own ssh key: what they may not read is told as such, and the rest is told all the same. What
//! the cluster says of the object is looked up in `trace/find.rs`; building its source to find the file is `trace/origin.rs`'s.

mod find;
mod origin;

use std::path::PathBuf;

use clap::Args;
use reeve_api::name::NamespaceName;
use serde::Serialize;

use super::connection::ConnectionArgs;
use super::diff::plugins::Given;
use super::grounds::GroundArgs;
use super::provide_tls;
use super::text::{Form, table, written};
use super::ui::{CommandError, Ui};

/// The code for what could not be said.
const UNSAID: u8 = 2;

/// Say where an object on the cluster comes from
///
/// From the object back to the Kustomization that applied it, its source, the commit with its author, the file and line, the plugins
/// that were called for it, and the policies that judged it. An object without the labels of a Kustomization is followed to whoever owns
/// it. The source is fetched at the revision that was applied, from its address with your own ssh key and no other credentials; or --path
/// builds a directory of yours in its place. Of the object only the metadata is read, and all of it with your own rights.
///
/// Exits 0 when it was traced, 1 when no Kustomization applies the object, and 2 when that could not be said.
///
/// Examples: `reeve trace deployment/web -n acme`, `reeve trace cm/settings -n acme --plugin stamp=stamp.wasm -o json`
#[derive(Args)]
pub(super) struct TraceArgs {
    /// The object
    #[arg(value_name = "KIND/NAME")]
    object: String,
    /// Where it is; without, in the namespace of the kubeconfig's context
    #[arg(short, long, value_name = "NS")]
    namespace: Option<String>,
    /// Build this directory, as it is on your disk, in the place of spec.path
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// Call the plugin of this name with the component in this file, to see what it changes. Of those that are not given it is only
    /// told that they are called
    #[arg(long = "plugin", value_name = "NAME=FILE")]
    plugins: Vec<Given>,
    /// The controller's own namespace, in which what ClusterPlugins are configured with lies
    #[arg(long, value_name = "NS", default_value = "reeve-system")]
    controller_namespace: NamespaceName,
    #[command(flatten)]
    ground: GroundArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// How to print it
    #[arg(short = 'o', long, value_name = "FORM", value_enum, default_value_t = Form::Table)]
    form: Form,
}

/// What was found.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    object: String,
    /// Through whom it was made, the nearest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    owned_by: Vec<String>,
    /// Who applies it.
    applied: Applied,
    #[serde(skip_serializing_if = "Option::is_none")]
    kustomization: Option<Kustomized>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Sourced>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<Committed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<Origin>,
    /// Those that are called for it, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    plugins: Vec<Plugged>,
    /// Those that judged it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    policies: Vec<Judged>,
    /// What could not be found out, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// Who applies an object.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase", tag = "by", content = "who")]
enum Applied {
    #[default]
    Nobody,
    Kustomization,
    /// A Kustomization that is not there any more.
    Gone(String),
    /// Somebody who is no Kustomization.
    Another(String),
}

#[derive(Debug, Serialize)]
struct Kustomized {
    name: String,
    ready: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    /// What its last run did with the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Sourced {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

#[derive(Debug, Serialize)]
struct Committed {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Origin {
    /// The file, or what made the object out of what.
    from: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    /// What went over it in the build.
    changed_by: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Plugged {
    name: String,
    /// What it changed of the object; None: it was not called to see that.
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<Vec<String>>,
}

#[derive(Debug, Serialize)]
struct Judged {
    name: String,
    mode: &'static str,
    /// What it says of the object.
    says: String,
}

pub(super) fn run(args: &TraceArgs, ui: &mut Ui) -> Result<(), CommandError> {
    provide_tls();
    let runtime = crate::cli::runtime()
        .map_err(|why| CommandError::of("starting the runtime failed", &why))?;
    let found = runtime.block_on(find::find(args, ui));
    let mut found = found.map_err(|why| why.exits(UNSAID))?;
    if let Some(known) = found.known.take() {
        // On this thread, since what is fetched and called for it has a runtime of its own.
        origin::add(&runtime, args, &known, &mut found.answer, ui);
    }
    let answer = found.answer;
    let text = written(args.form, &answer, || drawn(&answer))?;
    ui.data(text.as_bytes())?;
    let object = &answer.object;
    match &answer.applied {
        Applied::Kustomization => Ok(()),
        Applied::Nobody => Err(
            CommandError::new(format!("no Kustomization applies {object}"))
                .hint("`kubectl get … -o yaml --show-managed-fields` says who wrote it"),
        ),
        Applied::Another(who) => Err(CommandError::new(format!(
            "no Kustomization applies {object}: it is managed by {who}"
        ))),
        Applied::Gone(which) => Err(CommandError::new(format!(
            "Kustomization {which}, which applied {object}, is gone"
        ))
        .hint(
            "what it had left, nobody changes or deletes; another that has it in git takes it over",
        )),
    }
}

fn drawn(answer: &Answer) -> String {
    let mut rows: Vec<[String; 2]> = Vec::new();
    let mut row = |what: &str, says: String| rows.push([what.to_owned(), says]);
    row("Object", answer.object.clone());
    for owner in &answer.owned_by {
        row("owned by", owner.clone());
    }
    if let Some(one) = &answer.kustomization {
        row("Kustomization", one.name.clone());
        row("", format!("Ready {}: {}", one.ready, one.message));
        if let Some(action) = one.action {
            let fields = one.fields.join(", ");
            row("last run", format!("{action} {fields}"));
        }
    }
    if let Some(one) = &answer.source {
        let url = one.url.as_deref().unwrap_or("cannot be read");
        row("Source", format!("{} ({url})", one.name));
    }
    if let Some(one) = &answer.commit {
        row("Commit", one.id.clone());
        let by = [&one.author, &one.at].into_iter().flatten();
        let by: Vec<&str> = by.map(String::as_str).collect();
        if !by.is_empty() {
            row("", by.join(", "));
        }
        if let Some(subject) = &one.subject {
            row("", subject.clone());
        }
    }
    if let Some(one) = &answer.origin {
        let line = one.line.map(|line| format!(":{line}")).unwrap_or_default();
        row("File", format!("{}{line}", one.from));
        for change in &one.changed_by {
            row("then", change.clone());
        }
    }
    for one in &answer.plugins {
        row("Plugin", format!("{}: {}", one.name, did(one)));
    }
    for one in &answer.policies {
        row(
            "Policy",
            format!("{} ({}): {}", one.name, one.mode, one.says),
        );
    }
    for note in &answer.notes {
        row("not known", note.clone());
    }
    table(&rows)
}

fn did(plugin: &Plugged) -> String {
    match plugin.changed.as_deref() {
        None => format!(
            "is called; --plugin {}=FILE says what it changes",
            short(&plugin.name)
        ),
        Some([]) => "changed nothing of it".to_owned(),
        Some(fields) => format!("changed {}", fields.join(", ")),
    }
}

/// The name without its kind.
fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_is_drawn_in_its_order_and_without_what_is_not_known() {
        let answer = Answer {
            object: "Deployment/acme/web".to_owned(),
            applied: Applied::Kustomization,
            commit: Some(Committed {
                id: "0123".to_owned(),
                author: Some("Ada <ada@acme.example>".to_owned()),
                at: None,
                subject: Some("Begin".to_owned()),
            }),
            origin: Some(Origin {
                from: "base/web.yaml".to_owned(),
                line: Some(7),
                changed_by: vec!["PatchTransformer in dev/kustomization.yaml".to_owned()],
            }),
            plugins: vec![Plugged {
                name: "ClusterPlugin/stamp".to_owned(),
                changed: Some(vec!["metadata.labels".to_owned()]),
            }],
            ..Answer::default()
        };
        let want = "\
Object  Deployment/acme/web
Commit  0123
        Ada <ada@acme.example>
        Begin
File    base/web.yaml:7
then    PatchTransformer in dev/kustomization.yaml
Plugin  ClusterPlugin/stamp: changed metadata.labels
";
        assert_eq!(drawn(&answer), want);
    }
}
