//! Objects that nobody's files have become files of their own: all of a round together.
//!
//! Each list is edited once for all of them, and everybody who builds where they lie is asked once. What somebody else of the same
//! repository has in a file already is not written twice. It deliberately follows no file that is there: that is `made`'s.

use reeve_kustomize::{Object, Options, Remotes};
use reeve_writeback::{Builder, Created, Edits, New, Repository, create_all};
use serde_json::Value;

use super::super::agreement::Conflict;
use super::super::hand::last_hand;
use super::super::said::Said;
use super::made::{kept_elsewhere, path};
use super::{Build, Head, What, Work, Written, files};

/// An object that is to become a file.
pub(super) struct Adding {
    live: Object,
    /// What of it is to be in the file.
    meant: Object,
    lean: Option<Object>,
    /// What has changed of it since somebody has taken its file out: that this is made again is told.
    lost: Vec<Conflict>,
}

impl Adding {
    pub(super) fn new(
        live: Object,
        meant: Object,
        lean: Option<Object>,
        lost: Vec<Conflict>,
    ) -> Self {
        Self {
            live,
            meant,
            lean,
            lost,
        }
    }
}

/// Makes the files of all of them that can have one.
pub(super) fn write_all(work: &mut Work<'_>) {
    let mut adding = std::mem::take(&mut work.adding);
    adding.retain(|one| match kept_elsewhere(work, &one.meant) {
        Some(refused) => {
            work.refuse(&one.live, &refused);
            false
        }
        None => true,
    });
    if adding.is_empty() {
        return;
    }
    let Created { files, each } = created(work, &adding);
    let mut edits = Edits {
        files,
        placed: Vec::new(),
    };
    for (one, placed) in adding.iter().zip(each) {
        match placed {
            Ok(placed) => {
                // Both are the same with it.
                if let Ok(file) = path(work, &one.live) {
                    work.decision.agreed.insert(file);
                }
                work.decision.conflicts.extend(one.lost.iter().cloned());
                work.decision
                    .written
                    .push(written(&one.live, &placed.place));
                edits.placed.push(placed);
            }
            Err(refused) => work.refuse(&one.live, &refused),
        }
    }
    work.keep(edits);
}

fn written(live: &Object, place: &reeve_writeback::Place) -> Written {
    let by = last_hand(&Value::from(live.clone()));
    let Said { why, user } = Said::of(live, by.iter());
    Written {
        object: live.clone(),
        what: What::Made,
        // What was not there has no fields that could have changed.
        fields: Vec::new(),
        files: files(std::iter::once(place)),
        by,
        why,
        user,
    }
}

/// What the engine makes of them, as everybody says who builds where they lie.
fn created(work: &Work<'_>, adding: &[Adding]) -> Created {
    let head = work.head;
    let (tree, all) = (work.tree(), work.all());
    let (none, plain) = (Remotes::refused(), Options::default());
    let mut builders = builders(head);
    let own = builders.iter().position(|one| one.path == head.path);
    // Nobody may build the directory itself: then as anybody would.
    let own = own.map_or(
        Builder {
            path: head.path,
            remotes: &none,
            options: &plain,
        },
        |at| builders.remove(at),
    );
    let repository = Repository {
        tree: &tree,
        all: &all,
        remotes: own.remotes,
        path: head.path,
        options: own.options,
        others: head.others,
        within: head.path,
    };
    let news = adding.iter().map(|one| New {
        live: &one.meant,
        lean: one.lean.as_ref(),
        template: head.template,
    });
    let news: Vec<New<'_>> = news.collect();
    create_all(&repository, &builders, &news)
}

/// Everybody who builds anything, each once: what was applied at several revisions is built in one way.
pub(super) fn builders<'h>(head: &Head<'h>) -> Vec<Builder<'h>> {
    let is_same = |one: &Builder<'_>, build: &Build<'_>| {
        one.path == build.path
            && one.options.overlay == build.options.overlay
            && one.options.generate == build.options.generate
    };
    let mut builders: Vec<Builder<'h>> = Vec::new();
    for build in head.builds {
        if !builders.iter().any(|one| is_same(one, build)) {
            builders.push(Builder {
                path: build.path,
                remotes: build.remotes,
                options: build.options,
            });
        }
    }
    builders
}
