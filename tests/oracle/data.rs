//! Data beside a policy, read by `opa` and by us: what a text in YAML is where nobody put quotes round it.
//!
//! What is refused is in the unit tests of the reader: two documents and a key that stands there twice, where OPA takes one of
//! them without a word.

use std::process::Command;

use super::rego::same;

/// Values as they are written, in a list of each.
const TEXTS: &str = r#"
2026-12-24
2026-1-2
2001-12-14t21:59:43.10-05:00
2001-12-14 21:59:43
!!timestamp 2026-12-24
!!timestamp 2001-12-14 21:59:43.10
!!timestamp 2026-12-24T01:02:03.1200+05:30
yes
No
on
y
true
False
0o14
014
018
0o8
-017
0x1F
-0x10
0b101
0b
1_000
1_000.5
0x_f
_1
1__0
+12
1e3
1E+2
1.50
.5
5.
-.5
1.5e400
18446744073709551615
18446744073709551616
+18446744073709551615
-9223372036854775809
0.1000000000000000055511151231257827
1e21
1:30
190:20:30
~
null
''
=
! 12
!x 12
!!str 12
!!int "0x1_0"
!!float 5_0
!!binary aGVsbG8=
{a: , b, c: []}
{8080: a, 0x10: b, "1.0": c, yes: d}
{<<: {a: 1, b: 2}, b: 3}
{'<<': 1}
[*b, !!null '']
[' #no', "\u00e9\n"]
"#;

/// Those that lines can't hold.
const BLOCKS: &str = r#"
folded: >
  a
  b

  c
    d
  e
stripped: >-
  x


  y
literal: |+
  z

quoted: "a
  b

  c"
"#;

#[test]
fn opa_reads_data_as_we_do() {
    let Some(opa) = super::program("opa") else {
        return;
    };
    let texts = TEXTS.lines().filter(|text| !text.is_empty());
    // What an alias names stands before it.
    let lines = texts.map(|text| match text.contains('*') {
        true => format!("- &b 1\n- {text}\n"),
        false => format!("- {text}\n"),
    });
    let document = format!("texts:\n{}{BLOCKS}", lines.collect::<String>());
    let ours = reeve_kustomize::parse_data(document.as_bytes(), "data.yaml");
    let [ours] = <[_; 1]>::try_from(ours.expect("it is data")).expect("it is one document");
    let scratch = tempfile::tempdir().expect("there is room");
    let file = scratch.path().join("data.yaml");
    std::fs::write(&file, &document).expect("it can be written");
    let mut command = Command::new(opa);
    command.args(["eval", "--format", "json", "--data"]);
    let output = command.arg(&file).arg("data").output();
    let output = output.expect("opa was found and runs");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}");
    let told: serde_json::Value = serde_json::from_str(&told).expect("opa writes JSON");
    let theirs = told.pointer("/result/0/expressions/0/value");
    let theirs = theirs.expect("there is a value");
    assert!(same(theirs, &ours), "to OPA {theirs:#}, to us {ours:#}");
}
