//! Random manifests in all styles, random overlays, random changes: what is written gives the object as it is on the cluster, and
//! touches no line that it need not touch.
//!
//! 500 rounds, or 20,000 with `REEVE_SOAK=1`; a part of them where each is many builds. `REEVE_SEED=N` runs one again.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panic"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "which rounds are played comes from the environment"
)]

mod layers;
mod scribe;

use reeve_kustomize::{MemoryTree, Object, Options, Remotes, build};
use reeve_writeback::{Change, Edits, Place, Repository, write};
use serde_json::{Value, json};

use scribe::{Dice, Spot, manifest};

/// A change of one value: which lines it may touch, and whether all lines stay.
struct Play {
    live: Value,
    lines: (usize, usize),
    only_adds: bool,
    /// What still stands at the end of the first line.
    behind: &'static str,
}

fn parent(pointer: &str) -> (&str, String) {
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    (parent, last.replace("~1", "/"))
}

/// Changes the value at a place in some way.
fn change(dice: &mut Dice, object: &Value, spot: &Spot) -> Play {
    let mut live = object.clone();
    let lines = spot.lines;
    let played = |live: Value, only_adds: bool| Play {
        live,
        lines,
        only_adds,
        behind: spot.behind,
    };
    let removed = |live: Value| Play {
        behind: "",
        ..played(live, false)
    };
    if dice.chance(20) && !spot.behind_dash {
        let (above, last) = parent(&spot.pointer);
        match live.pointer_mut(above) {
            Some(Value::Object(map)) if map.len() > 1 => {
                map.shift_remove(&last);
                return removed(live);
            }
            Some(Value::Array(items)) if items.len() > 1 => {
                items.remove(last.parse().unwrap());
                return removed(live);
            }
            _ => {}
        }
    }
    let new = match dice.below(4) {
        0 => json!(dice.below(100)),
        1 => json!("other: \"value\" # none"),
        2 => json!("yes"),
        _ => json!(format!("plain{}", dice.below(100))),
    };
    match live.pointer_mut(&spot.pointer).unwrap() {
        Value::Object(map) => {
            map.insert("added".to_owned(), new);
            played(live, spot.block)
        }
        Value::Array(items) => {
            items.push(new);
            played(live, spot.block)
        }
        Value::String(text) if text.contains('\n') => {
            text.push_str("more\n");
            played(live, true)
        }
        value => {
            *value = new;
            played(live, false)
        }
    }
}

/// A manifest as a file, an object that comes out of it, and what becomes of it.
struct Round {
    text: String,
    applied: Object,
    play: Play,
}

impl Round {
    fn of(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let (lines, spots) = manifest(&mut dice);
        let end = if dice.chance(25) { "\r\n" } else { "\n" };
        let last = if dice.chance(80) { end } else { "" };
        let text = lines.join(end) + last;
        let tree = [("kustomization.yaml", LISTED), ("thing.yaml", &text)];
        let built = built(&tree.into_iter().collect(), "");
        let built = built.unwrap_or_else(|why| panic!("seed {seed}: {why}\n{text}"));
        let applied = built.into_iter().find(|one| one.kind() == "Thing").unwrap();
        let spot = &spots[dice.below(spots.len())];
        let play = change(&mut dice, &Value::from(applied.clone()), spot);
        Self {
            text,
            applied,
            play,
        }
    }

    /// Writes it, and proves that it is the object that comes out then, and that no other is another.
    fn write(&self, seed: u64, files: &[(&str, &str)], path: &str) -> Edits {
        let tree: MemoryTree = files.iter().copied().collect();
        let repository = Repository {
            tree: &tree,
            all: &tree,
            remotes: &Remotes::refused(),
            path,
            options: &Options::default(),
            others: &[],
            within: "",
        };
        let live = Object::try_from(self.play.live.clone()).unwrap();
        let change = Change {
            applied: self.applied.clone(),
            defaulted: None,
            live: live.clone(),
        };
        let edits = write(&repository, &[change]);
        let edits = edits.unwrap_or_else(|why| panic!("seed {seed}: {why}\n{}", self.text));
        let old = files
            .iter()
            .map(|(file, text)| (*file, text.as_bytes().to_vec()));
        let new = edits.files.iter();
        let new = new.map(|(file, bytes)| (file.as_str(), bytes.clone().unwrap()));
        let after = built(&old.chain(new).collect(), path).unwrap();
        let before = built(&tree, path).unwrap();
        for (old, new) in before.iter().zip(&after) {
            let want = if old.kind() == "Thing" { &live } else { old };
            assert_eq!(new, want, "seed {seed}\n{}", self.text);
        }
        assert_eq!(before.len(), after.len(), "seed {seed}");
        edits
    }
}

const LISTED: &str = "resources:\n- thing.yaml\n";

fn built(tree: &MemoryTree, path: &str) -> Result<Vec<Object>, reeve_kustomize::Error> {
    build(tree, path, &Options::default())
}

/// Plays one round; whether it was written in its place.
fn play(seed: u64) -> bool {
    let round = Round::of(seed);
    let files = [("kustomization.yaml", LISTED), ("thing.yaml", &round.text)];
    let edits = round.write(seed, &files, "");
    let mut placed = edits.placed.iter();
    if !placed.all(|one| matches!(one.place, Place::Manifest { .. })) {
        return false;
    }
    if let Some(Some(bytes)) = edits.files.get("thing.yaml") {
        let new = String::from_utf8(bytes.clone()).unwrap();
        check_lines(seed, &round.text, &new, &round.play);
    }
    true
}

/// Plays one round in an overlay of a base that another overlay uses too.
fn play_overlay(seed: u64) {
    let round = Round::of(seed);
    let overlay = "# ours\nresources: [../base]\n";
    let files = [
        ("base/kustomization.yaml", LISTED),
        ("base/thing.yaml", &round.text),
        ("prod/kustomization.yaml", overlay),
        ("stage/kustomization.yaml", overlay),
    ];
    let edits = round.write(seed, &files, "prod");
    let mut written = edits.files.keys();
    assert!(
        written.all(|file| file.starts_with("prod/")),
        "seed {seed}: {:?}",
        edits.placed
    );
}

/// No line is touched but those of the value, and none of those if something was only added.
fn check_lines(seed: u64, old: &str, new: &str, play: &Play) {
    let (before, after): (Vec<&str>, Vec<&str>) =
        (old.split('\n').collect(), new.split('\n').collect());
    let (first, end) = play.lines;
    let same = before
        .iter()
        .zip(&after)
        .take_while(|(a, b)| a == b)
        .count();
    let tail = before.iter().rev().zip(after.iter().rev());
    let tail = tail.take_while(|(a, b)| a == b).count();
    let told = || format!("seed {seed}, lines {first}..{end}\n{old}\n=====\n{new}");
    let is_at_the_end = end >= before.len() && !old.ends_with('\n');
    assert!(same >= first, "{}", told());
    assert!(
        tail >= before.len().saturating_sub(end) || is_at_the_end,
        "{}",
        told()
    );
    let line = after.get(first).map(|line| line.trim_end_matches('\r'));
    assert!(
        line.is_some_and(|line| line.ends_with(play.behind)),
        "{}",
        told()
    );
    if play.only_adds && !is_at_the_end {
        let mut rest = after.iter();
        let all = before.iter().all(|line| rest.any(|one| one == line));
        assert!(all, "{}", told());
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The rounds to play.
fn rounds() -> std::ops::Range<u64> {
    match (number("REEVE_SEED"), number("REEVE_SOAK")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(_)) => 0..20_000,
        (None, None) => 0..500,
    }
}

#[test]
fn what_is_written_gives_the_live_object_and_touches_only_its_lines() {
    let (in_place, elsewhere): (Vec<u64>, Vec<u64>) = rounds().partition(|round| play(*round));
    println!("{} in place, {} elsewhere", in_place.len(), elsewhere.len());
    assert!(
        in_place.len() >= 19 * elsewhere.len(),
        "elsewhere: {elsewhere:?}"
    );
}

#[test]
fn what_others_use_is_patched_and_gives_the_live_object() {
    // Each is many builds: one that is asked for, or every fourth.
    rounds().step_by(4).for_each(play_overlay);
}

#[test]
fn what_layers_set_is_written_where_it_is_set_and_nobody_else_gets_it() {
    let (mut refused, mut written) = (Vec::new(), Vec::new());
    for seed in rounds().step_by(5) {
        match layers::play(seed) {
            Ok(places) => written.extend(places),
            Err(why) => refused.push(format!("{seed}: {why}")),
        }
    }
    println!("{} written, {} refused", written.len(), refused.len());
    // To refuse is never wrong; to refuse what has one place is of no use.
    assert!(
        refused.len() * 10 <= written.len().max(10),
        "refused: {refused:#?}"
    );
    let is_there = |is: fn(&Place) -> bool| written.iter().any(is);
    if rounds().count() > 1 {
        assert!(is_there(|one| matches!(one, Place::Manifest { .. })));
        assert!(is_there(|one| matches!(one, Place::Patch { .. })));
        assert!(is_there(|one| matches!(one, Place::Entry { .. })));
        assert!(is_there(|one| matches!(one, Place::Generator { .. })));
        assert!(is_there(|one| matches!(one, Place::NewPatch { .. })));
    }
}
