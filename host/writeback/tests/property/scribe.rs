//! Random manifests in all styles of YAML, and where each value of them is written.
//!
//! What is written is always valid; what becomes of it is `main.rs`'s.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

/// Numbers that look random and are the same for the same start (splitmix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % n.max(1) as u64).unwrap()
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

/// A value that was written: where its lines are, with its key, and how it can be changed.
pub(crate) struct Spot {
    pub(crate) pointer: String,
    pub(crate) lines: (usize, usize),
    /// Whether it is written without brackets.
    pub(crate) block: bool,
    /// Whether it shares its line with a dash.
    pub(crate) behind_dash: bool,
    /// What stands behind it on its only line.
    pub(crate) behind: &'static str,
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

/// A manifest with `---` and comments around it, and its places.
pub(crate) fn manifest(dice: &mut Dice) -> (Vec<String>, Vec<Spot>) {
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
