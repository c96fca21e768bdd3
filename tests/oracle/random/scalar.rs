//! Names, texts and numbers, some of them spelled so that YAML readers fall out over them.

use super::dice::Dice;
use super::yaml::{Yaml, map, plain};

/// Few, so that references meet what they name.
const NAMES: [&str; 5] = ["web", "api", "db", "web-config", "my.app"];

const NAMESPACES: [&str; 4] = ["default", "shop", "kube-system", "team-a"];

const IMAGES: [&str; 10] = [
    "nginx",
    "nginx:1.25",
    "nginx:1.25@sha256:aabbccdd",
    "registry.example:5000/team/app:v1",
    "registry.example:5000/team/app",
    "team/app@sha256:aabbccdd",
    "app:latest",
    "docker.io/library/nginx:alpine",
    "\"busybox:1.36\"",
    "'app'",
];

/// Scalars that are not always what they look like.
const TRAPS: [&str; 64] = [
    "yes",
    "no",
    "on",
    "Off",
    "y",
    "N",
    "true",
    "True",
    "\"true\"",
    "null",
    "~",
    "Null",
    "\"\"",
    "''",
    "0x1F",
    "010",
    "0o17",
    "0b11",
    "1e3",
    "1E+3",
    "1.0",
    "1.10",
    "-0",
    "+5",
    ".5",
    "5.",
    "1_000",
    "0.1e-2",
    ".NaN1",
    "\"010\"",
    "'1e3'",
    "12345678901234567890",
    "9223372036854775807",
    "2026-01-02",
    "2026-01-02T03:04:05Z",
    "12:30:45",
    "1:2",
    "-1",
    "a b",
    "\"a: b\"",
    "'it''s'",
    "\"tab\\tx\"",
    "é",
    "\"\\u00e9\"",
    "\"two\\nlines\"",
    "\"two\\nlines\\n\"",
    "!!str 5",
    "!!int \"7\"",
    "!!float 3",
    "=",
    "<<x",
    "~x",
    "x#y",
    "\"#c\"",
    "'%x'",
    "\"- a\"",
    "a:b",
    "\"a \"",
    "\" a\"",
    "\"a\\\\b\"",
    "\"@x\"",
    "'`x`'",
    "\"\\x01\"",
    "👍",
];

const LINES: [&str; 6] = [
    "key=value\nother=thing\n",
    "one\n\ntwo\n",
    "{\"a\": {\"b\": [1, 2, \"x\"]}, \"c\": \"d\"}",
    "a: b\nc:\n- d\n- e\n",
    "not\n  indented\n",
    "trailing space \nnext\n",
];

pub(super) fn name(dice: &mut Dice) -> &'static str {
    dice.pick(&NAMES)
}

pub(super) fn namespace(dice: &mut Dice) -> &'static str {
    dice.pick(&NAMESPACES)
}

pub(super) fn image(dice: &mut Dice) -> Yaml {
    plain(dice.pick(&IMAGES))
}

/// The name of an image without registry trap: what `images` may name.
pub(super) fn image_name(dice: &mut Dice) -> Yaml {
    let names = [
        "nginx",
        "app",
        "registry.example:5000/team/app",
        "team/app",
        "busybox",
        "docker.io/library/nginx",
    ];
    plain(dice.pick(&names))
}

pub(super) fn number(dice: &mut Dice) -> Yaml {
    plain(dice.pick(&["0", "1", "2", "3", "80", "8080"]))
}

pub(super) fn flag(dice: &mut Dice) -> Yaml {
    plain(dice.pick(&["true", "false"]))
}

/// A text that is a text in every reader.
pub(super) fn word(dice: &mut Dice) -> Yaml {
    plain(dice.pick(&[
        "prod", "dev", "\"1\"", "'yes'", "blue", "a-b_c.d", "\"\"", "x1",
    ]))
}

/// Anything that fits on one line.
pub(super) fn trap(dice: &mut Dice) -> Yaml {
    plain(dice.pick(&TRAPS))
}

/// Any text: a word, a trap, long or of several lines.
pub(super) fn any(dice: &mut Dice) -> Yaml {
    match dice.below(10) {
        0..3 => word(dice),
        3..7 => trap(dice),
        7 => plain(format!("\"{}\"", "long words ".repeat(3 + dice.below(12)))),
        8 => Yaml::Block(dice.pick(&["|", "|-", "|+"]), dice.pick(&LINES).to_owned()),
        _ => Yaml::Block(
            dice.pick(&[">", ">-"]),
            "some words\nand more\n\nnext\n".to_owned(),
        ),
    }
}

/// A text with a `$(NAME)` in it now and then.
pub(super) fn variable(dice: &mut Dice) -> Yaml {
    if dice.chance(30) {
        plain(dice.pick(&[
            "$(SOME_VAR)",
            "http://$(SOME_VAR):80/$(OTHER)",
            "$$(SOME_VAR)",
            "$(SOME_VAR",
            "$(NONE)",
        ]))
    } else {
        word(dice)
    }
}

/// Labels or annotations.
pub(super) fn pairs(dice: &mut Dice, value: fn(&mut Dice) -> Yaml) -> Yaml {
    let keys = [
        "app",
        "tier",
        "example.com/part",
        "app.kubernetes.io/name",
        "note",
    ];
    let mut pairs = map([]);
    for _ in 0..=dice.below(3) {
        let value = value(dice);
        pairs.put(dice.pick(&keys), value);
    }
    pairs
}
