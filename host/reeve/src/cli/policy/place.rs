//! The policies that a command is given: directories, files, and those that are shipped.
//!
//! A directory is read as the controller reads one of a repository: the same files, the same bounds, no link followed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use reeve_core::library;
use reeve_core::rego::{self, Gathered, Policy};
use reeve_kustomize::parse_yaml;
use serde_json::{Map, Value, json};

use crate::cli::ui::CommandError;

/// What a document may have, in bytes.
const DOCUMENT: u64 = 64 << 20;
/// How deep directories are looked into.
const DEPTH: usize = 32;

/// What policies are given.
#[derive(Args, Default)]
pub(in crate::cli) struct Parameters {
    /// What the policies are given as data.parameters, YAML or JSON: an object that holds each one's by its name
    #[arg(long = "parameters", value_name = "FILE")]
    file: Option<PathBuf>,
}

/// The files of one policy.
pub(in crate::cli) struct Source {
    /// The name of its directory or of its first file.
    pub(super) name: String,
    /// Where it lies.
    directory: PathBuf,
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// The cases beside the rules, by their path below the directory.
    pub(super) cases: Vec<String>,
    pub(super) parameters: Value,
}

impl Source {
    /// Where a file of it lies.
    pub(super) fn shown(&self, file: &str) -> String {
        self.directory.join(file).display().to_string()
    }

    pub(in crate::cli) fn compile(&self) -> Result<Policy, Vec<rego::Error>> {
        self.compile_with(&self.parameters)
    }

    pub(super) fn compile_with(&self, parameters: &Value) -> Result<Policy, Vec<rego::Error>> {
        Policy::load(&self.name, &self.files, parameters)
    }

    /// An error with the path of its file.
    pub(super) fn told(&self, error: &rego::Error) -> String {
        match error {
            rego::Error::Compile { place, why } => {
                let mut place = place.clone();
                if self.files.contains_key(&place.file) {
                    place.file = self.shown(&place.file);
                }
                format!("{place}: {why}")
            }
            error => error.to_string(),
        }
    }

    /// The one document of a case.
    pub(super) fn case(&self, path: &str) -> Result<Value, CommandError> {
        document(&self.directory.join(path))
    }
}

/// Each directory is a policy, all files together are one, and what is neither is the name of one that is shipped.
pub(in crate::cli) fn open(
    targets: &[PathBuf],
    parameters: &Parameters,
) -> Result<Vec<Source>, CommandError> {
    let (directories, others): (Vec<_>, Vec<_>) = targets.iter().partition(|path| path.is_dir());
    let (files, names): (Vec<_>, Vec<_>) = others.into_iter().partition(|path| path.exists());
    let mut sources = Vec::new();
    for path in directories {
        sources.push(directory(path)?);
    }
    if !files.is_empty() {
        sources.push(together(&files)?);
    }
    for name in names {
        sources.push(shipped(name)?);
    }
    let mut given = given(parameters)?;
    for source in &mut sources {
        if let Some(own) = given.get(&source.name) {
            source.parameters = own.clone();
        }
    }
    given.retain(|name, _| !sources.iter().any(|source| source.name == *name));
    match given.keys().next() {
        Some(name) => Err(CommandError::new(format!(
            "there are parameters for {name}, and no policy of that name"
        ))),
        None => Ok(sources),
    }
}

fn given(parameters: &Parameters) -> Result<Map<String, Value>, CommandError> {
    let Some(path) = &parameters.file else {
        return Ok(Map::new());
    };
    match document(path)? {
        Value::Object(given) => Ok(given),
        _ => Err(CommandError::new(format!(
            "{} is no object with the parameters of each policy by its name",
            path.display()
        ))),
    }
}

fn directory(path: &Path) -> Result<Source, CommandError> {
    let mut gathered = Gathered::default();
    let mut cases = Vec::new();
    let mut found = Vec::new();
    walk(path, "", 0, &mut found)?;
    for below in found {
        if Gathered::is_case(&below) {
            cases.push(below);
        } else if Gathered::wants(&below) {
            add(&mut gathered, &below, &path.join(&below))?;
        }
    }
    let whole = path.canonicalize().map_err(|why| unreadable(path, &why))?;
    let files = gathered.whole().map_err(|why| unreadable(path, &why))?;
    Ok(Source {
        name: name(&whole),
        directory: path.to_owned(),
        files,
        cases,
        parameters: json!({}),
    })
}

/// The paths of all plain files below a directory, sorted. What begins with a dot is no policy's.
fn walk(
    root: &Path,
    below: &str,
    depth: usize,
    found: &mut Vec<String>,
) -> Result<(), CommandError> {
    let directory = root.join(below);
    let failed = |why| unreadable(&directory, &why);
    let mut entries = Vec::new();
    for entry in fs::read_dir(&directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            entries.push((name, kind));
        }
    }
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (name, kind) in entries {
        let path = match below {
            "" => name,
            below => format!("{below}/{name}"),
        };
        if kind.is_dir() && depth < DEPTH {
            walk(root, &path, depth + 1, found)?;
        } else if kind.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

fn together(files: &[&PathBuf]) -> Result<Source, CommandError> {
    let mut gathered = Gathered::default();
    for path in files {
        add(&mut gathered, &path.display().to_string(), path)?;
    }
    let first = files.first().map(|path| path.with_extension(""));
    let whole = gathered.whole();
    Ok(Source {
        name: first.map(|path| name(&path)).unwrap_or_default(),
        directory: PathBuf::new(),
        files: whole.map_err(|why| CommandError::of("reading the files failed", &why))?,
        cases: Vec::new(),
        parameters: json!({}),
    })
}

pub(super) fn shipped(name: &Path) -> Result<Source, CommandError> {
    let name = name.to_string_lossy().into_owned();
    let Some(shipped) = library::named(&name) else {
        let all: Vec<&str> = library::LIBRARY.iter().map(|one| one.name).collect();
        let message = format!("there is no file {name}, and no policy of that name is shipped");
        return Err(CommandError::new(message).hint(format!("there are {}", all.join(", "))));
    };
    let source = shipped.source.as_bytes().to_vec();
    Ok(Source {
        directory: PathBuf::from(&name),
        files: BTreeMap::from([("policy.rego".to_owned(), source)]),
        name,
        cases: Vec::new(),
        parameters: json!({}),
    })
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn add(gathered: &mut Gathered, below: &str, path: &Path) -> Result<(), CommandError> {
    let file = File::open(path).map_err(|why| unreadable(path, &why))?;
    gathered
        .add(below, file)
        .map_err(|why| unreadable(path, &why))
}

/// The one document of a file, YAML or JSON; `-` is stdin.
pub(super) fn document(path: &Path) -> Result<Value, CommandError> {
    let mut documents = documents(path)?;
    match (documents.pop(), documents.is_empty()) {
        (Some(document), true) => Ok(document),
        _ => Err(CommandError::new(format!(
            "{} is not one document",
            path.display()
        ))),
    }
}

/// The documents of a file, YAML or JSON; `-` is stdin.
pub(super) fn documents(path: &Path) -> Result<Vec<Value>, CommandError> {
    let shown = path.display().to_string();
    let mut bytes = Vec::new();
    let read = match shown.as_str() {
        "-" => std::io::stdin().take(DOCUMENT + 1).read_to_end(&mut bytes),
        _ => File::open(path).and_then(|file| file.take(DOCUMENT + 1).read_to_end(&mut bytes)),
    };
    read.map_err(|why| unreadable(path, &why))?;
    if bytes.len() as u64 > DOCUMENT {
        let message = format!("{shown} has more than {} MiB", DOCUMENT >> 20);
        return Err(CommandError::new(message));
    }
    // JSON may be indented with tabs, YAML may not.
    if bytes.trim_ascii_start().starts_with(b"{")
        && let Ok(value) = serde_json::from_slice(&bytes)
    {
        return Ok(vec![value]);
    }
    parse_yaml(&bytes, &shown).map_err(|why| CommandError::of("reading YAML failed", &why))
}

/// The same of what is to be judged. A build that failed writes nothing, and the shell goes on.
pub(super) fn written(path: &Path) -> Result<Vec<Value>, CommandError> {
    let documents = documents(path)?;
    if path.as_os_str() == "-" && documents.iter().all(Value::is_null) {
        let nothing = "nothing came on stdin: what is piped in has written nothing";
        return Err(CommandError::new(nothing).hint("see what that command says by itself"));
    }
    Ok(documents)
}

/// The documents of all YAML and JSON files below a directory, by their paths.
pub(super) fn documents_below(root: &Path) -> Result<Vec<Value>, CommandError> {
    let mut found = Vec::new();
    walk(root, "", 0, &mut found)?;
    let known = [".json", ".yaml", ".yml"];
    found.retain(|path| known.iter().any(|ending| path.ends_with(ending)));
    let mut all = Vec::new();
    for below in found {
        all.extend(documents(&root.join(below))?);
    }
    Ok(all)
}

fn unreadable(path: &Path, why: &(dyn std::error::Error + 'static)) -> CommandError {
    CommandError::of(&format!("reading {} failed", path.display()), why)
}
