//! `reeve edit`: change the kustomization file of this directory as `kustomize edit` does.
//!
//! Arguments and files only: what an edit does to a text is `reeve_kustomize::edit`'s. The verbs of each kind are in
//! `edit/{set,add,remove}.rs`, which files there are in `edit/files.rs`.

mod add;
mod files;
mod remove;
mod set;

use std::fs;
use std::path::Path;

use clap::{Args, Subcommand};
use reeve_kustomize::edit::{DataEdit, DataKind, DataSources, Edit, edit};

use super::ui::{CommandError, Ui};

/// Edit the kustomization file of this directory
///
/// As `kustomize edit` does, but in place: comments, order and all that is not meant stay as they are. What cannot be
/// edited safely is refused.
#[derive(Args)]
pub(super) struct EditArgs {
    #[command(subcommand)]
    verb: Verb,
    /// Errors are told in full anyway
    #[arg(long, hide = true, global = true)]
    stack_trace: bool,
}

#[derive(Subcommand)]
enum Verb {
    /// Set fields to new values
    #[command(subcommand)]
    Set(set::Set),
    /// Add items to fields
    #[command(subcommand)]
    Add(add::Add),
    /// Remove items from fields
    #[command(subcommand)]
    Remove(remove::Remove),
    /// Replace deprecated fields by those that took their places
    Fix(FixArgs),
}

#[derive(Args)]
struct FixArgs {
    /// Not supported: turning `vars` into `replacements` rewrites the manifests they stand in
    #[arg(long)]
    vars: bool,
}

/// The name and what a generated object is about.
#[derive(Args)]
struct DataName {
    /// Its name
    name: String,
    /// Its namespace
    #[arg(long, default_value = "", hide_default_value = true)]
    namespace: String,
    /// A key and its value
    #[arg(long, value_name = "KEY=VALUE")]
    from_literal: Vec<String>,
}

impl DataName {
    fn edit(self, kind: DataKind) -> DataEdit {
        DataEdit {
            kind,
            name: self.name,
            namespace: self.namespace,
            new_namespace: String::new(),
            sources: DataSources {
                literals: self.from_literal,
                ..DataSources::default()
            },
            secret_type: String::new(),
            behavior: String::new(),
            disable_name_suffix_hash: false,
        }
    }
}

pub(super) fn run(args: EditArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let edit = match args.verb {
        Verb::Set(verb) => set::edit(verb)?,
        Verb::Add(verb) => match add::edit(verb, ui)? {
            Some(edit) => edit,
            // No file matched, which was said.
            None => return Ok(()),
        },
        Verb::Remove(verb) => remove::edit(verb)?,
        Verb::Fix(FixArgs { vars: true }) => {
            let why = "--vars is not supported: vars stay as they are";
            return Err(CommandError::new(why).hint("write the replacements by hand"));
        }
        Verb::Fix(FixArgs { vars: false }) => Edit::Fix,
    };
    apply(&edit, ui)
}

/// Edits the file, if there is something to do.
fn apply(change: &Edit, ui: &mut Ui) -> Result<(), CommandError> {
    let name = files::kustomization()?;
    let path = Path::new(name);
    let failed = |doing: &str, why: &std::io::Error| {
        CommandError::of(&format!("{doing} {name} failed"), why)
    };
    let old = fs::read(path).map_err(|why| failed("reading", &why))?;
    let edited =
        edit(&old, name, change).map_err(|why| CommandError::of("editing failed", &why))?;
    edited.notes.iter().for_each(|note| ui.note(note));
    if edited.text.as_bytes() == old {
        return Ok(());
    }
    fs::write(path, edited.text).map_err(|why| failed("writing", &why))
}

/// An argument that cannot be read.
fn wrong(why: String) -> CommandError {
    CommandError::new(why)
}
