//! Random manifests in all styles, random changes: what is written gives the object as it is on the cluster, and touches no line
//! that it need not touch.
//!
//! 500 rounds, or 20,000 with `REEVE_SOAK=1`; `REEVE_SEED=N` runs one again.
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

use std::fmt::Write as _;

use reeve_kustomize::{MemoryTree, Object, Options, Remotes, build};
use reeve_writeback::{Change, Edits, Place, Repository, write};
use serde_json::{Map, Value, json};

/// Numbers that look random and are the same for the same start (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % n.max(1) as u64).unwrap()
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

/// A value that was written: where its lines are, with its key, and how it can be changed.
struct Spot {
    pointer: String,
    lines: (usize, usize),
    /// Whether it is written without brackets.
    block: bool,
    /// Whether it shares its line with a dash.
    behind_dash: bool,
    /// What stands behind it on its only line.
    behind: &'static str,
}

/// Writes a random manifest, and remembers where everything stands.
struct Scribe<'d> {
    dice: &'d mut Dice,
    lines: Vec<String>,
    spots: Vec<Spot>,
    /// How far lists are indented below their key.
    list: usize,
    /// How far mappings are.
    step: usize,
    count: usize,
}

impl Scribe<'_> {
    fn comment(&mut self, indent: usize) {
        match self.dice.below(8) {
            0 => self
                .lines
                .push(format!("{}# note: \"x\" - y", " ".repeat(indent))),
            1 => self.lines.push(String::new()),
            _ => {}
        }
    }

    fn behind(&mut self) -> &'static str {
        self.dice.pick(&["", "", "", " # why", "   #", "  "])
    }

    fn word(&mut self) -> String {
        self.count += 1;
        let stem = self.dice.pick(&[
            "alpha",
            "Beta value",
            "x/y",
            "a.b",
            "ümlaut",
            "http://h:1/p",
        ]);
        format!("{stem}{}", self.count)
    }

    /// A scalar as text on one line, and what it means.
    fn scalar(&mut self, flow: bool) -> (String, Value) {
        let word = self.word();
        match self.dice.below(7) {
            0 => (self.count.to_string(), json!(self.count)),
            1 => ("true".to_owned(), json!(true)),
            2 => (format!("'it''s {word}'"), json!(format!("it's {word}"))),
            3 => (
                format!("\"tab\\t{word} \\\"q\\\"\""),
                json!(format!("tab\t{word} \"q\"")),
            ),
            4 => (format!("\"{}\"", self.count), json!(self.count.to_string())),
            _ if flow => (format!("\"{word}\""), json!(word)),
            _ => (word.clone(), json!(word)),
        }
    }

    /// A collection between brackets on one line.
    fn flow(&mut self, pointer: &str, depth: usize) -> (String, Value) {
        let items = 1 + self.dice.below(3);
        if self.dice.chance(50) {
            let mut texts = Vec::new();
            let mut values = Vec::new();
            for _ in 0..items {
                let (text, value) = self.flow_member(depth);
                texts.push(text);
                values.push(value);
            }
            self.spots.push(self.spot(pointer, false));
            return (format!("[{}]", texts.join(", ")), Value::Array(values));
        }
        let mut texts = Vec::new();
        let mut map = Map::new();
        for at in 0..items {
            let (text, value) = self.flow_member(depth);
            texts.push(format!("k{at}: {text}"));
            map.insert(format!("k{at}"), value);
        }
        self.spots.push(self.spot(pointer, false));
        (format!("{{{}}}", texts.join(", ")), Value::Object(map))
    }

    fn flow_member(&mut self, depth: usize) -> (String, Value) {
        match depth > 0 && self.dice.chance(25) {
            // What is deeper is part of what is around it.
            true => {
                let kept = self.spots.len();
                let inner = self.flow("", depth - 1);
                self.spots.truncate(kept);
                inner
            }
            false => self.scalar(true),
        }
    }

    /// The line that is written next, as a place.
    fn spot(&self, pointer: &str, block: bool) -> Spot {
        Spot {
            pointer: pointer.to_owned(),
            lines: (self.lines.len(), self.lines.len() + 1),
            block,
            behind_dash: false,
            behind: "",
        }
    }

    /// `lead` is what stands before the value on its first line.
    fn value(&mut self, lead: &str, indent: usize, pointer: &str, depth: usize) -> Value {
        let begin = self.lines.len();
        let dash = lead.trim_start().starts_with('-');
        let behind = self.behind();
        let (value, block) = match self.dice.below(10) {
            0..=2 if depth > 0 && !dash => {
                self.lines
                    .push(format!("{lead}{}", self.dice.pick(&["", " # below"])));
                (self.mapping(indent + self.step, pointer, depth - 1), true)
            }
            3 | 4 if depth > 0 && !dash => {
                self.lines.push(lead.to_owned());
                (self.sequence(indent + self.list, pointer, depth - 1), true)
            }
            5 => {
                let (text, value) = self.flow(pointer, 1);
                self.spots.pop();
                self.lines.push(format!("{lead} {text}{behind}"));
                (value, false)
            }
            6 => {
                self.lines.push(format!("{lead} |"));
                let mut text = String::new();
                for _ in 0..=self.dice.below(4) {
                    let word = self
                        .dice
                        .pick(&["a = 1", "# c", "", "\ttab", "  deep", "end"]);
                    let word = if text.is_empty() { "first" } else { word };
                    let space = if word.is_empty() { 0 } else { indent + 2 };
                    self.lines.push(format!("{}{word}", " ".repeat(space)));
                    writeln!(text, "{word}").unwrap();
                }
                self.lines.push(format!("{}last", " ".repeat(indent + 2)));
                (json!(format!("{text}last\n")), true)
            }
            _ => {
                let (text, value) = self.scalar(false);
                self.lines.push(format!("{lead} {text}{behind}"));
                (value, true)
            }
        };
        self.spots.push(Spot {
            pointer: pointer.to_owned(),
            lines: (begin, self.lines.len()),
            block,
            behind_dash: dash,
            behind: if self.lines.len() == begin + 1 {
                behind
            } else {
                ""
            },
        });
        value
    }

    fn mapping(&mut self, indent: usize, pointer: &str, depth: usize) -> Value {
        let mut map = Map::new();
        for at in 0..=self.dice.below(4) {
            self.comment(indent);
            let key = match self.dice.below(4) {
                0 => format!("example.com/k{at}"),
                _ => format!("key{at}"),
            };
            let lead = format!("{}{key}:", " ".repeat(indent));
            let below = format!("{pointer}/{}", key.replace('/', "~1"));
            let value = self.value(&lead, indent, &below, depth);
            map.insert(key, value);
        }
        Value::Object(map)
    }

    fn sequence(&mut self, indent: usize, pointer: &str, depth: usize) -> Value {
        let mut items = Vec::new();
        let named = depth > 0 && self.dice.chance(50);
        for at in 0..=self.dice.below(3) {
            self.comment(indent);
            let below = format!("{pointer}/{at}");
            let dash = format!("{}-", " ".repeat(indent));
            if !named {
                items.push(self.value(&dash, indent, &below, 0));
                continue;
            }
            let begin = self.lines.len();
            self.lines.push(format!("{dash} name: item{at}"));
            let rest = self.mapping(indent + 2, &below, depth - 1);
            let mut item = Map::new();
            item.insert("name".to_owned(), json!(format!("item{at}")));
            item.extend(rest.as_object().cloned().unwrap());
            items.push(Value::Object(item));
            self.spots.push(Spot {
                pointer: below,
                lines: (begin, self.lines.len()),
                block: true,
                behind_dash: false,
                behind: "",
            });
        }
        Value::Array(items)
    }
}

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

/// A manifest with `---` and comments around it, and its places.
fn manifest(dice: &mut Dice) -> (Vec<String>, Vec<Spot>) {
    let (list, step) = (2 * dice.below(2), 2 + 2 * dice.below(2));
    let head = [
        "# A thing.",
        "apiVersion: example.com/v1",
        "kind: Thing # of ours",
        "metadata: {name: thing}",
        "spec:",
    ];
    let mut scribe = Scribe {
        dice,
        lines: head.map(str::to_owned).to_vec(),
        spots: Vec::new(),
        list,
        step,
        count: 0,
    };
    let indent = scribe.step;
    scribe.mapping(indent, "/spec", 3);
    let mut lines = scribe.lines;
    let mut spots = scribe.spots;
    if scribe.dice.chance(30) {
        let other = [
            "apiVersion: v1",
            "kind: ConfigMap",
            "metadata: {name: first}",
            "---",
        ];
        lines.splice(0..0, other.map(str::to_owned));
        for spot in &mut spots {
            spot.lines = (spot.lines.0 + other.len(), spot.lines.1 + other.len());
        }
    }
    if scribe.dice.chance(30) {
        let other = [
            "--- # the last",
            "apiVersion: v1",
            "kind: ConfigMap",
            "metadata: {name: last}",
        ];
        lines.extend(other.map(str::to_owned));
    }
    (lines, spots)
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
    rounds().for_each(play_overlay);
}
