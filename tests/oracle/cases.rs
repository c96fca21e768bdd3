//! Every folder of `tests/cases/render`, built by the real kustomize.
//!
//! `want.yaml` is what it prints, and where there is an `error.txt` it refuses too, unless `why.md` says that we differ on
//! purpose. `REEVE_BLESS=1` writes `want.yaml`. That ours prints the same is a test of `reeve-kustomize`. A folder with
//! `options.yaml` is about what only Flux does, and shown to `flux build kustomization`.

use std::fs;
use std::path::Path;

use reeve_kustomize::{Object, parse_yaml, to_yaml};

use crate::real::{Flux, Kustomize};
use crate::{flux, folders, kustomize, name};

/// The spec of a Flux Kustomization.
const OPTIONS: &str = "options.yaml";

/// What `why.md` says of a case in which we refuse what kustomize does.
const DIFFERS: &str = "on purpose";

#[test]
fn kustomize_makes_of_every_case_what_is_written_there() {
    let Some(kustomize) = kustomize() else { return };
    let mut ours = folders();
    ours.retain(|folder| !folder.join(OPTIONS).exists());
    let failed: Vec<String> = ours
        .iter()
        .filter_map(|folder| {
            Some(format!(
                "{}: {}",
                name(folder),
                check(&kustomize, folder).err()?
            ))
        })
        .collect();
    assert!(ours.len() > 100, "only {} cases", ours.len());
    assert!(
        failed.is_empty(),
        "{} of {} cases\n{}",
        failed.len(),
        ours.len(),
        failed.join("\n")
    );
}

fn check(kustomize: &Kustomize, folder: &Path) -> Result<(), String> {
    // A folder of its own: `..` must not lead into the repository, nor may its name be in an output.
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let root = scratch.path().join("in");
    copy(&folder.join("in"), &root).map_err(|e| e.to_string())?;
    let (want, error) = (folder.join("want.yaml"), folder.join("error.txt"));
    let differs = fs::read_to_string(folder.join("why.md")).is_ok_and(|why| why.contains(DIFFERS));
    match kustomize.build(&root, &["--reorder", "none"]) {
        Ok(_) if error.exists() && differs => Ok(()),
        Ok(_) if error.exists() => Err("kustomize builds what we refuse".to_owned()),
        Ok(got) if std::env::var_os("REEVE_BLESS").is_some() => {
            fs::write(want, got).map_err(|e| e.to_string())
        }
        Ok(got) if fs::read_to_string(&want).is_ok_and(|want| want == got) => Ok(()),
        Ok(_) => Err("kustomize prints something else: REEVE_BLESS=1 writes it".to_owned()),
        Err(_) if error.exists() && !differs => Ok(()),
        Err(_) if error.exists() => Err("kustomize refuses it too, so nothing differs".to_owned()),
        Err(why) => Err(format!("kustomize refuses: {why}")),
    }
}

#[test]
fn flux_makes_of_every_case_of_its_own_what_is_written_there() {
    let Some(flux) = flux() else { return };
    let mut ours = folders();
    ours.retain(|folder| folder.join(OPTIONS).exists());
    assert!(ours.len() > 5, "only {} cases", ours.len());
    for folder in ours {
        let shown = name(&folder);
        let spec = fs::read_to_string(folder.join(OPTIONS)).expect("it was just seen");
        let scratch = tempfile::tempdir().expect("there is room for a tree");
        copy(&folder.join("in"), &scratch.path().join("in")).expect("a case can be copied");
        match flux.build(scratch.path(), &spec) {
            Ok(got) => assert_eq!(got, labelled(&folder.join("want.yaml")), "{shown}"),
            Err(why) => assert!(folder.join("error.txt").exists(), "{shown}: {why}"),
        }
    }
}

/// The objects of a file with the labels that Flux puts on everything.
fn labelled(want: &Path) -> String {
    let text = fs::read(want).unwrap_or_default();
    let documents = parse_yaml(&text, "want.yaml").expect("it was printed by a machine");
    let objects = documents
        .into_iter()
        .filter_map(|one| Object::try_from(one).ok());
    let objects: Vec<Object> = objects
        .map(|mut object| {
            for (key, value) in Flux::LABELS {
                object.labels_mut().insert(key.to_owned(), value.into());
            }
            object
        })
        .collect();
    to_yaml(&objects)
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
