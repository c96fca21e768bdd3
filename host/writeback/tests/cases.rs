//! Runs every case of `tests/cases/writeback`: a tree in `in/`, what became of objects, and what is written or refused.
//!
//! | file | what it is |
//! |---|---|
//! | `case.yaml` | `why` the case is there, and how it is built: `path`, `generate`, `others`, `within`, `images`, `template` |
//! | `live.yaml` | objects as they are on the cluster; `applied.yaml` and `defaulted.yaml` where they are not as built |
//! | `new.yaml`, `lean.yaml` | an object that is to become a file, and what is left of it without what the server fills in |
//! | `gone.yaml` | an object that is gone |
//! | `want/`, `removed.txt`, `placed.txt` | the files that change, those that go, and where each field went |
//! | `refused.txt` | or why nothing is written |
//!
//! What is written is proven here once more, by building the files with it: the objects are as they are on the cluster, and
//! all others as they were. `REEVE_BLESS=1` writes `want/` and `refused.txt`, but nothing that is not proven.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panic"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "cases are files; the engine itself reads none"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use reeve_kustomize::{
    MemoryTree, Object, Options, Overlay, OverlayImage, Remotes, Tree as _, build, parse_yaml,
};
use reeve_writeback::{
    Change, Created, DEFAULT_TEMPLATE, Edits, New, Place, Placed, Refused, Repository, as_said,
    create_all, remove, stripped, write,
};
use serde_json::Value;

type Files = BTreeMap<String, Vec<u8>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/writeback")
}

fn files(dir: &Path, below: &str, found: &mut Files) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let shown = match below {
            "" => name.to_owned(),
            below => format!("{below}/{name}"),
        };
        match path.is_dir() {
            true => files(&path, &shown, found),
            false => {
                found.insert(shown, fs::read(&path).unwrap());
            }
        }
    }
}

fn files_in(dir: &Path) -> Files {
    let mut found = Files::new();
    files(dir, "", &mut found);
    found
}

/// The objects of a file of the case; none if it is not there.
fn objects(dir: &Path, name: &str) -> Vec<Object> {
    let bytes = fs::read(dir.join(name)).unwrap_or_default();
    let values = parse_yaml(&bytes, name).unwrap();
    let object = |value: Value| Object::try_from(value).unwrap();
    values.into_iter().map(object).collect()
}

fn same(objects: &[Object], id: &Object) -> Option<Object> {
    let mut found = objects.iter().filter(|one| one.id() == id.id());
    found.next().cloned()
}

/// A case, and how it is built.
struct Case {
    dir: PathBuf,
    options: Value,
    files: Files,
}

impl Case {
    fn read(dir: PathBuf) -> Self {
        let text = fs::read(dir.join("case.yaml")).unwrap();
        let options = parse_yaml(&text, "case.yaml").unwrap().remove(0);
        assert!(options["why"].is_string(), "{}: why?", dir.display());
        let asks = ["live.yaml", "new.yaml", "gone.yaml"];
        let asks = asks.iter().filter(|name| dir.join(name).exists());
        assert_eq!(asks.count(), 1, "{}: one of live, new, gone", dir.display());
        Self {
            files: files_in(&dir.join("in")),
            options,
            dir,
        }
    }

    fn text(&self, name: &str) -> &str {
        self.options
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    fn build_options(&self) -> Options {
        let images = self.options.get("images").and_then(Value::as_array);
        let image = |one: &Value| {
            let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
            OverlayImage {
                name: text("name"),
                new_name: text("newName"),
                new_tag: text("newTag"),
                digest: text("digest"),
            }
        };
        Options {
            generate: self.options["generate"] == true,
            overlay: Overlay {
                images: images.into_iter().flatten().map(image).collect(),
                ..Overlay::default()
            },
            ..Options::default()
        }
    }

    fn built(&self, edits: &Edits) -> Vec<Object> {
        let tree: MemoryTree = self.after(edits).into_iter().collect();
        if tree.kind(self.text("path")).is_none() {
            return Vec::new();
        }
        build(&tree, self.text("path"), &self.build_options()).unwrap()
    }

    fn after(&self, edits: &Edits) -> Files {
        let mut after = self.files.clone();
        for (file, bytes) in &edits.files {
            match bytes {
                Some(bytes) => after.insert(file.clone(), bytes.clone()),
                None => after.remove(file),
            };
        }
        after
    }

    fn run(&self) -> Result<Edits, Refused> {
        let tree: MemoryTree = self.files.clone().into_iter().collect();
        let others = self.options["others"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let others: Vec<String> = others
            .iter()
            .map(|one| one.as_str().unwrap().to_owned())
            .collect();
        let options = self.build_options();
        let repository = Repository {
            tree: &tree,
            all: &tree,
            remotes: &Remotes::refused(),
            path: self.text("path"),
            options: &options,
            others: &others,
            within: self.text("within"),
        };
        if let Some(live) = objects(&self.dir, "new.yaml").first() {
            let lean = objects(&self.dir, "lean.yaml");
            let template = match self.text("template") {
                "" => DEFAULT_TEMPLATE,
                template => template,
            };
            let new = New {
                live,
                lean: lean.first(),
                template,
            };
            let Created { files, each } = create_all(&repository, &[], &[new]);
            let placed: Result<Vec<Placed>, Refused> = each.into_iter().collect();
            return placed.map(|placed| Edits { files, placed });
        }
        if let Some(gone) = objects(&self.dir, "gone.yaml").first() {
            return remove(&repository, gone);
        }
        write(&repository, &self.changes())
    }

    fn changes(&self) -> Vec<Change> {
        let built = self.built(&Edits::default());
        let applied = objects(&self.dir, "applied.yaml");
        let defaulted = objects(&self.dir, "defaulted.yaml");
        let change = |live: Object| {
            let applied = same(&applied, &live).or_else(|| same(&built, &live));
            Change {
                applied: applied.unwrap_or_else(|| live.clone()),
                defaulted: same(&defaulted, &live),
                live,
            }
        };
        objects(&self.dir, "live.yaml")
            .into_iter()
            .map(change)
            .collect()
    }

    /// What is wrong with the edits: something comes out that is neither as it was nor as it is on the cluster.
    fn fault(&self, edits: &Edits) -> Option<String> {
        let plain =
            self.dir.join("applied.yaml").exists() || self.dir.join("defaulted.yaml").exists();
        let builds = self.options["generate"] == true
            || self
                .files
                .keys()
                .any(|file| file.ends_with("kustomization.yaml"));
        if !builds {
            return None;
        }
        let (before, after) = (self.built(&Edits::default()), self.built(edits));
        let live = objects(&self.dir, "live.yaml");
        let new = objects(&self.dir, "new.yaml");
        let gone = objects(&self.dir, "gone.yaml");
        let expected = before.len() + new.len() - gone.len();
        if after.len() != expected {
            return Some(format!("{} objects come out, not {expected}", after.len()));
        }
        for object in &after {
            let want = match (same(&live, object), same(&before, object)) {
                // What the server or a plugin made of it is seen by `want/`.
                (Some(_), _) if plain => continue,
                (Some(live), _) => Some(stripped(&live)),
                (None, Some(before)) => Some(before),
                (None, None) => {
                    let lean = objects(&self.dir, "lean.yaml");
                    same(&new, object).map(|new| match lean.first() {
                        Some(lean) => as_said(&stripped(&new), lean, None),
                        None => stripped(&new),
                    })
                }
            };
            if want.as_ref() != Some(object) {
                return Some(format!("{} comes out as it should not", object.id()));
            }
        }
        None
    }

    /// What came of it, as the files of the case.
    fn outcome(&self) -> Result<Files, String> {
        let mut out = Files::new();
        let edits = match self.run() {
            Err(refused) => {
                out.insert(
                    "refused.txt".to_owned(),
                    format!("{refused}\n").into_bytes(),
                );
                return Ok(out);
            }
            Ok(edits) => edits,
        };
        if let Some(fault) = self.fault(&edits) {
            return Err(fault);
        }
        let mut removed = String::new();
        for (file, bytes) in &edits.files {
            match bytes {
                Some(bytes) => {
                    out.insert(format!("want/{file}"), bytes.clone());
                }
                None => writeln!(removed, "{file}").unwrap(),
            }
        }
        if !removed.is_empty() {
            out.insert("removed.txt".to_owned(), removed.into_bytes());
        }
        let lines: Vec<String> = edits.placed.iter().map(|one| placed(one) + "\n").collect();
        out.insert("placed.txt".to_owned(), lines.concat().into_bytes());
        Ok(out)
    }

    /// What is wanted, as the files of the case.
    fn wanted(&self) -> Files {
        let mut all = files_in(&self.dir);
        all.retain(|file, _| {
            file.starts_with("want/")
                || ["refused.txt", "removed.txt", "placed.txt"].contains(&file.as_str())
        });
        all
    }
}

fn placed(one: &reeve_writeback::Placed) -> String {
    let place = match &one.place {
        Place::Manifest { file } => format!("manifest {file}"),
        Place::Patch { file } => format!("patch {file}"),
        Place::Entry { file, field } => format!("entry {field} in {file}"),
        Place::Generator { file } => format!("generator {file}"),
        Place::NewPatch { file } => format!("new patch {file}"),
    };
    match one.field.as_str() {
        "" => format!("{}: {place}", one.object),
        field => format!("{}: {field}: {place}", one.object),
    }
}

fn bless(case: &Case, outcome: &Files) {
    for file in case.wanted().keys() {
        fs::remove_file(case.dir.join(file)).unwrap();
    }
    for (file, bytes) in outcome {
        let path = case.dir.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

#[test]
fn every_case_is_written_as_wanted_or_refused() {
    let mut dirs: Vec<PathBuf> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    dirs.sort();
    let blessing = std::env::var_os("REEVE_BLESS").is_some();
    let mut table = String::new();
    let mut wrong = 0;
    for dir in &dirs {
        let case = Case::read(dir.clone());
        let name = dir.file_name().unwrap().to_str().unwrap();
        let outcome = case.outcome();
        let verdict = match &outcome {
            Err(fault) => format!("NOT PROVEN: {fault}"),
            Ok(outcome) if *outcome == case.wanted() => "ok".to_owned(),
            Ok(outcome) if blessing => {
                bless(&case, outcome);
                "blessed".to_owned()
            }
            Ok(outcome) => format!("DIFFERS:\n{}", shown(outcome)),
        };
        let fine = verdict == "ok" || verdict == "blessed";
        wrong += usize::from(!fine);
        writeln!(table, "{name:<60} {verdict}").unwrap();
    }
    println!("{table}");
    assert!(dirs.len() >= 100, "only {} cases", dirs.len());
    assert!(wrong == 0, "{wrong} of {} cases:\n{table}", dirs.len());
}

fn shown(outcome: &Files) -> String {
    let one = |(file, bytes): (&String, &Vec<u8>)| {
        format!("--- {file}\n{}", String::from_utf8_lossy(bytes))
    };
    outcome.iter().map(one).collect()
}
