//! `reeve build`: what `kustomize build` does, with the engine of the controller.
//!
//! Flags and files only. What may be read of the disk is `build/disk.rs`, what is fetched `build/remote.rs`, how output
//! is written `build/output.rs`, and how each object came about `build/explain.rs`. The flags for programs that kustomize
//! runs are `build/plugins.rs`.

pub(super) mod disk;
pub(super) mod explain;
pub(super) mod laptop;
mod output;
mod plugins;
pub(super) mod remote;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use reeve_kustomize::{
    Built, Limits, Loads, Objects, Options, Order, Remotes, Tree, build_with, parse_reference,
};

use super::ui::{CommandError, Ui};
use crate::bases::Rewrite;
use disk::Disk;
use laptop::Laptop;
use plugins::{PluginFlags, switch};

/// Build a kustomization, as `kustomize build` and `kubectl kustomize` do
///
/// With the engine of the controller. Files are read from the git work tree around DIR and nowhere else, and of it not from
/// .git; outside of one, from DIR, the directories it names and what lies below them.
#[derive(Args)]
pub(super) struct BuildArgs {
    /// A directory with a kustomization file, or the address of one in a git repository
    #[arg(default_value = ".", value_name = "DIR|URL")]
    target: String,
    /// Write to this file, or one file an object to this directory
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Order of the objects, unless the kustomization has sortOptions
    #[arg(long, value_enum, default_value_t = Reorder::Legacy)]
    reorder: Reorder,
    /// From where a kustomization may read files: LoadRestrictionsNone lifts every bound, that of the work tree too.
    /// LoadRestrictionsRootOnly unless --root is given
    #[arg(long, value_enum, ignore_case = true)]
    load_restrictor: Option<Restrictor>,
    /// Let kustomizations read files from anywhere below this directory, not only from below their own, unless
    /// --load-restrictor LoadRestrictionsRootOnly is given too. It stands in for the git work tree around DIR
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Label every object with app.kubernetes.io/managed-by
    #[arg(long, env = "KUSTOMIZE_ENABLE_MANAGEDBY_LABEL", hide_env = true, value_parser = on)]
    #[arg(num_args = 0..=1, default_missing_value = "on", require_equals = true)]
    enable_managedby_label: Option<bool>,
    /// Build a directory without a kustomization file from all manifests in and below it, as Flux does
    #[arg(long)]
    generate: bool,
    /// Instead of the objects, tell where each came from and what went over it
    #[arg(long, value_enum, value_name = "FORM", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "text")]
    explain: Option<explain::Form>,
    /// How many YAML values a build may make; the controller's builds may make as many as this is without the flag
    #[arg(long, value_name = "N", default_value_t = Limits::default().nodes)]
    max_values: u64,
    /// Refuse remote resources, and functions in registries, instead of fetching them
    #[arg(long)]
    no_remote_bases: bool,
    /// Fetch addresses that begin with FROM from TO instead
    #[arg(long, value_name = "FROM=TO")]
    remote_base_mirror: Vec<Rewrite>,
    #[command(flatten)]
    plugins: PluginFlags,
    /// Errors are told in full anyway
    #[arg(long, hide = true, value_parser = switch, num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "true")]
    stack_trace: Option<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Reorder {
    /// As the kustomizations list them
    None,
    /// Kinds that others need first
    Legacy,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
enum Restrictor {
    /// Its own directory and what lies below
    LoadRestrictionsRootOnly,
    /// Anywhere
    LoadRestrictionsNone,
}

/// The environment's and the flag's way of saying so.
fn on(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "" | "off" => Ok(false),
        text => switch(text),
    }
}

impl BuildArgs {
    fn loads(&self) -> Loads {
        match (self.load_restrictor, &self.root) {
            (Some(Restrictor::LoadRestrictionsRootOnly), _) | (None, None) => Loads::Kustomization,
            (Some(Restrictor::LoadRestrictionsNone), _) | (None, Some(_)) => Loads::Tree,
        }
    }
}

pub(super) fn run(args: &BuildArgs, ui: &mut Ui) -> Result<(), CommandError> {
    args.plugins.refuse()?;
    let objects = build(args, ui)?;
    if let Some(form) = args.explain {
        let told = explain::explain(&objects.collect::<Vec<_>>(), form)?;
        return output::put(told, args.output.as_deref(), ui);
    }
    output::write(objects, args.output.as_deref(), ui)
}

fn build(args: &BuildArgs, ui: &mut Ui) -> Result<Objects, CommandError> {
    let options = Options {
        generate: args.generate,
        order: match args.reorder {
            Reorder::None => Order::Fifo,
            Reorder::Legacy => Order::Legacy,
        },
        provenance: args.explain.is_some(),
        managed_by_label: args.enable_managedby_label == Some(true),
        loads: args.loads(),
        functions: Some(Arc::new(Laptop::new(!args.no_remote_bases))),
        limits: Limits {
            nodes: args.max_values,
            ..Limits::default()
        },
        ..Options::default()
    };
    match parse_reference(&args.target) {
        Ok(Some(reference)) if args.no_remote_bases => Err(CommandError::new(format!(
            "{:?} is remote, and --no-remote-bases is set",
            reference.source
        ))),
        Ok(Some(reference)) => {
            let tree = remote::Remote::open(&args.remote_base_mirror)?.fetch(
                &reference,
                "fetching failed",
                ui,
            )?;
            let place = Place {
                path: reference.path,
                root: None,
            };
            finish(args, tree.as_ref(), &place, &options, ui)
        }
        Ok(None) => {
            let (disk, place) = open(args)?;
            finish(args, &disk, &place, &options, ui)
        }
        Err(why) => Err(CommandError::new(format!("{} {why}", args.target))),
    }
}

/// What is built of a tree.
struct Place {
    path: String,
    /// Where the tree lies on the disk.
    root: Option<PathBuf>,
}

impl Place {
    /// A path of the tree as it is seen from where we are, as far as that is below.
    fn shown(&self, path: &str) -> String {
        let Some(root) = &self.root else {
            return path.to_owned();
        };
        let absolute = root.join(path);
        let here = std::env::current_dir().and_then(|here| here.canonicalize());
        let below = here.ok().and_then(|here| absolute.strip_prefix(here).ok());
        let shown = below.unwrap_or(&absolute).display().to_string();
        if shown.is_empty() {
            ".".to_owned()
        } else {
            shown
        }
    }
}

/// The tree and the path in it that the flags mean.
fn open(args: &BuildArgs) -> Result<(Disk, Place), CommandError> {
    let directory = disk::directory(Path::new(&args.target))?;
    let unbound = args.load_restrictor == Some(Restrictor::LoadRestrictionsNone);
    let root = match &args.root {
        Some(root) if unbound => {
            let message = format!(
                "--root {} and LoadRestrictionsNone, which lifts every bound, exclude each other",
                root.display()
            );
            return Err(CommandError::new(message).hint("leave one of them out"));
        }
        Some(root) => disk::directory(root)?,
        None if unbound => PathBuf::from("/"),
        None => disk::work_tree(&directory).unwrap_or_else(|| PathBuf::from("/")),
    };
    let Ok(below) = directory.strip_prefix(&root) else {
        let message = format!("{} is not below {}", directory.display(), root.display());
        return Err(CommandError::new(message).hint("--root names a directory that holds DIR"));
    };
    let place = Place {
        path: below.to_string_lossy().into_owned(),
        root: Some(root.clone()),
    };
    let disk = match unbound {
        true => Disk::everything(),
        false => Disk::new(root),
    };
    Ok((disk, place))
}

/// Builds, fetches what that wants, and builds again until there is nothing more to want.
fn finish(
    args: &BuildArgs,
    tree: &dyn Tree,
    place: &Place,
    options: &Options,
    ui: &mut Ui,
) -> Result<Objects, CommandError> {
    let mut remotes = match args.no_remote_bases {
        true => Remotes::refused(),
        false => Remotes::wanted(),
    };
    let mut remote: Option<remote::Remote> = None;
    loop {
        let built = build_with(tree, &remotes, &place.path, options);
        let built = built.map_err(|why| {
            let why = why.with_paths(|path| place.shown(path));
            CommandError::of(&format!("building {} failed", shown(&args.target)), &why)
        })?;
        let wanted = match built {
            Built::Objects(objects) => return Ok(objects),
            Built::Wants(wanted) => wanted,
        };
        let open = match remote.take() {
            Some(open) => open,
            None => remote::Remote::open(&args.remote_base_mirror)?,
        };
        for one in wanted {
            let asked = one.place.with_path(|path| place.shown(path)).to_string();
            let asked = asked.trim_end_matches(": ");
            let asked = format!("building {} failed: {asked}", shown(&args.target));
            let tree = open.fetch(&one.reference, &asked, ui)?;
            remotes.insert(one.reference.source, tree);
        }
        remote = Some(open);
    }
}

/// The target without what may be a password.
fn shown(target: &str) -> String {
    match parse_reference(target) {
        Ok(Some(reference)) => reference.source.shown(),
        _ => target.to_owned(),
    }
}
