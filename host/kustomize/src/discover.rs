//! The kustomization that Flux makes where there is none: over every manifest below a directory.
//!
//! A directory with a kustomization file is listed as a whole and not entered; every `.yaml` and `.yml` file must hold
//! objects, or the build fails and names it. Which files are left out beforehand (`.sourceignore`) is the tree's business.

use crate::error::{Error, Place, Why};
use crate::file::{Entry, Kustomization};
use crate::path;
use crate::session::Session;
use crate::tree::Kind;

/// The kustomization over everything below `dir`.
pub(crate) fn discover(session: &Session<'_>, dir: &str) -> Result<Kustomization, Error> {
    let file = path::join(dir, "kustomization.yaml").unwrap_or_default();
    let mut made = Kustomization {
        file,
        ..Kustomization::default()
    };
    scan(session, dir, "", 0, &mut made.resources)?;
    made.proper_resources = made.resources.len();
    Ok(made)
}

/// Adds what lies in `dir`, which is `below` as seen from where the scan began.
fn scan(
    session: &Session<'_>,
    dir: &str,
    below: &str,
    depth: u64,
    found: &mut Vec<Entry>,
) -> Result<(), Error> {
    let limit = session.budget.limits().depth;
    if depth > limit {
        return Err(Error::new(
            dir,
            Why::Limit {
                what: "directories inside of each other",
                limit,
            },
        ));
    }
    for name in session.tree.list(dir) {
        let path = if dir.is_empty() {
            name.clone()
        } else {
            format!("{dir}/{name}")
        };
        let shown = if below.is_empty() {
            name
        } else {
            format!("{below}/{name}")
        };
        let is_manifest = shown.ends_with(".yaml") || shown.ends_with(".yml");
        session
            .budget
            .steps(1)
            .map_err(|why| Error::new(&path, why))?;
        match session.tree.kind(&path) {
            Some(Kind::Dir) if session.kustomization_file(&path)?.is_none() => {
                scan(session, &path, &shown, depth + 1, found)?;
            }
            Some(Kind::Dir) => found.push(entry(&path, shown)),
            Some(Kind::File) if is_manifest => found.push(entry(&path, shown)),
            Some(Kind::File) | None => {}
        }
    }
    Ok(())
}

fn entry(path: &str, shown: String) -> Entry {
    Entry {
        text: shown,
        place: Place {
            file: path.to_owned(),
            ..Place::default()
        },
    }
}
