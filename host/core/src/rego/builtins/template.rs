//! OPA's `strings.render_template`: of Go's templates what puts values in places.
//!
//! Done are fields (`{{ .a.b }}`), `if`, `with` and `range` with their `else` and its variables, comments, and `-` for the
//! white space around. It deliberately knows no functions, pipelines, other variables, literals and templates in templates:
//! those are refused, when the policy is compiled where the template stands in it.

mod parse;

use regorus::Value;

use super::{Refusal, number, quote};
use parse::{Each, Node, Path};

/// What is written for a value that is not there.
const NOTHING: &str = "<undefined>";
/// The same in Go.
const GOS_NOTHING: &str = "<no value>";

/// A template with values in its places.
pub(super) fn render(arguments: &[Value]) -> Result<Value, Refusal> {
    let [Value::String(template), variables @ Value::Object(_)] = arguments else {
        return Err(Refusal::Argument(1, "a string, or 2 no object"));
    };
    if !is_json(variables) {
        return Err(Refusal::Argument(2, "an object that is JSON"));
    }
    let nodes = parse::parsed(template)?;
    let mut made = String::new();
    let all = Found::Value(variables);
    let mut here = vec![("", all)];
    render_all(&nodes, all, &mut here, &mut made)?;
    Ok(Value::from(made.replace(GOS_NOTHING, NOTHING)))
}

/// What a template that stands in a policy asks for, and is not done here.
pub(super) fn undone(template: &str) -> Option<&'static str> {
    match parse::parsed(template) {
        Err(Refusal::Undone(what)) => Some(what),
        _ => None,
    }
}

/// What there may be at a path.
#[derive(Clone, Copy)]
enum Found<'a> {
    Nothing,
    Value(&'a Value),
    /// The place of an item, which is a number to Go, where those of the variables are texts.
    Place(usize),
}

/// The variables by their names, the innermost last.
type Variables<'a, 'b> = Vec<(&'a str, Found<'b>)>;

fn render_all<'a, 'b>(
    nodes: &[Node<'a>],
    dot: Found<'b>,
    here: &mut Variables<'a, 'b>,
    made: &mut String,
) -> Result<(), Refusal> {
    for node in nodes {
        let before = made.len();
        match node {
            Node::Text(text) => made.push_str(text),
            Node::Field(path) => print_field(found(path, dot, here)?, made),
            Node::If(path, then, otherwise) => {
                let nodes = match is_true(found(path, dot, here)?) {
                    true => then,
                    false => otherwise,
                };
                render_all(nodes, dot, here, made)?;
            }
            Node::With(path, then, otherwise) => match found(path, dot, here)? {
                inner if is_true(inner) => render_all(then, inner, here, made)?,
                _ => render_all(otherwise, dot, here, made)?,
            },
            Node::Range(each, inner, otherwise) => {
                let items = items(found(&each.path, dot, here)?)?;
                for (place, item) in &items {
                    let known = here.len();
                    declare(each, *place, *item, here);
                    render_all(inner, *item, here, made)?;
                    here.truncate(known);
                }
                if items.is_empty() {
                    render_all(otherwise, dot, here, made)?;
                }
            }
        }
        let grown = made.len().saturating_sub(before) + 1;
        super::spend(u64::try_from(grown).unwrap_or(u64::MAX))?;
    }
    Ok(())
}

/// What is gone through, each with its place.
fn items(all: Found<'_>) -> Result<Vec<(Found<'_>, Found<'_>)>, Refusal> {
    match all {
        Found::Nothing | Found::Value(Value::Null) => Ok(Vec::new()),
        Found::Value(Value::Array(items)) => {
            let items = items.iter().enumerate();
            Ok(items
                .map(|(place, item)| (Found::Place(place), Found::Value(item)))
                .collect())
        }
        Found::Value(Value::Object(fields)) => {
            let fields = fields.iter_sorted();
            Ok(fields
                .map(|(key, item)| (Found::Value(key), Found::Value(item)))
                .collect())
        }
        _ => Err(Refusal::Argument(2, "an object with lists to go through")),
    }
}

fn declare<'a, 'b>(
    each: &Each<'a>,
    place: Found<'b>,
    item: Found<'b>,
    here: &mut Variables<'a, 'b>,
) {
    let named = [(each.place, place), (each.item, item)];
    here.extend(
        named
            .into_iter()
            .filter_map(|(name, value)| Some((name?, value))),
    );
}

/// What lies at a path; nothing where it isn't there.
fn found<'b>(
    path: &Path<'_>,
    dot: Found<'b>,
    here: &Variables<'_, 'b>,
) -> Result<Found<'b>, Refusal> {
    let mut found = match path.variable {
        None => dot,
        Some(name) => {
            let known = here.iter().rev().find(|(known, _)| *known == name);
            let no_variable = Refusal::Argument(1, "a template whose variables are all declared");
            known.map(|(_, value)| *value).ok_or(no_variable)?
        }
    };
    for name in &path.fields {
        found = match found {
            Found::Nothing => Found::Nothing,
            Found::Value(Value::Object(fields)) => {
                let field = fields.get(&Value::from(*name));
                field.map_or(Found::Nothing, Found::Value)
            }
            _ => return Err(Refusal::Argument(2, "an object that has such fields")),
        };
    }
    Ok(found)
}

/// Numbers are texts to Go here, and so zero is true.
fn is_true(value: Found<'_>) -> bool {
    match value {
        Found::Nothing => false,
        Found::Place(place) => place != 0,
        Found::Value(Value::Null | Value::Bool(false) | Value::Undefined) => false,
        Found::Value(Value::Bool(true) | Value::Number(_)) => true,
        Found::Value(Value::String(text)) => !text.is_empty(),
        Found::Value(Value::Array(items)) => !items.is_empty(),
        Found::Value(Value::Set(items)) => !items.is_empty(),
        Found::Value(Value::Object(fields)) => !fields.is_empty(),
    }
}

fn print_field(value: Found<'_>, made: &mut String) {
    match value {
        Found::Nothing | Found::Value(Value::Null) => made.push_str(NOTHING),
        Found::Place(place) => made.push_str(&place.to_string()),
        Found::Value(value) => print(value, made),
    }
}

/// A value as Go prints it.
fn print(value: &Value, made: &mut String) {
    match value {
        Value::Null | Value::Undefined => made.push_str("<nil>"),
        Value::Bool(is_true) => made.push_str(if *is_true { "true" } else { "false" }),
        Value::Number(_) => made.push_str(&number::text(value)),
        Value::String(text) => made.push_str(text),
        Value::Array(items) => print_all(items.iter(), made),
        Value::Set(items) => print_all(items.iter(), made),
        Value::Object(fields) => {
            made.push_str("map[");
            for (at, (key, value)) in fields.iter_sorted().enumerate() {
                if at > 0 {
                    made.push(' ');
                }
                print(key, made);
                made.push(':');
                print(value, made);
            }
            made.push(']');
        }
    }
}

fn print_all<'a>(items: impl Iterator<Item = &'a Value>, made: &mut String) {
    made.push('[');
    for (at, item) in items.enumerate() {
        if at > 0 {
            made.push(' ');
        }
        print(item, made);
    }
    made.push(']');
}

/// Whether OPA can hand a value to Go: by way of its text in Rego, which must be JSON.
fn is_json(value: &Value) -> bool {
    match value {
        Value::Set(_) | Value::Undefined => false,
        Value::String(text) => is_json_text(text),
        Value::Array(items) => items.iter().all(is_json),
        Value::Object(fields) => fields.iter().all(|(key, value)| {
            matches!(key, Value::String(text) if is_json_text(text)) && is_json(value)
        }),
        _ => true,
    }
}

fn is_json_text(text: &str) -> bool {
    text.chars().all(|c| match c {
        '\u{8}' | '\u{C}' | '\n' | '\r' | '\t' => true,
        c if c.is_ascii_control() => false,
        c => quote::is_printed(c) || u32::from(c) < 0x1_0000,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(template: &str, variables: &str) -> String {
        super::super::begin();
        let variables = Value::from_json_str(variables).unwrap();
        match render(&[Value::from(template), variables]) {
            Ok(Value::String(text)) => text.to_string(),
            Ok(other) => panic!("{other}"),
            Err(why) => format!("error: {why}"),
        }
    }

    const VARIABLES: &str = r#"{"a": 1, "b": {"c": "<x>", "n": null}, "l": [1.0, "a", null],
        "m": {"k": true, "n": null}, "z": 0, "e": "", "no": false, "none": []}"#;

    #[test]
    fn values_stand_in_their_places() {
        for (template, want) in [
            (
                "{{.a}} {{ .b.c }} {{.x}} {{.x.y.z}} {{.b.n}}",
                "1 <x> <undefined> <undefined> <undefined>",
            ),
            ("{{.l}} {{.m}}", "[1.0 a <nil>] map[k:true n:<nil>]"),
            ("a {{- .a -}} \n b {{- /* c */ -}} d", "a1bd"),
            ("a{{/* {{.a}} */}}b", "ab"),
            ("{{-1}}", "error: "),
            (
                "{{if .z}}T{{else}}F{{end}}{{if .x}}T{{end}}{{if .e}}T{{else if .no}}N{{else}}F{{end}}",
                "TF",
            ),
            (
                "{{with .b}}{{.c}}{{end}}{{with .x}}{{else}}{{.a}}{{end}}",
                "<x>1",
            ),
            (
                "{{range .m}}[{{.}}]{{end}}{{range .none}}{{else}}-{{end}}{{range .x}}x{{end}}",
                "[true][<undefined>]-",
            ),
            (
                "{{range $i, $e := .l}}{{if $i}},{{end}}{{$i}}={{$e}}{{$.a}}{{end}}{{range $k, $v := .m}}{{$k}}{{end}}{{range $e := .l}}{{$e}}{{end}}",
                "0=1.01,1=a1,2=<undefined>1kn1.0a<undefined>",
            ),
            ("<no value>} }}{", "<undefined>} }}{"),
            ("", ""),
        ] {
            let told = told(template, VARIABLES);
            assert!(
                told == want || !want.is_empty() && want == "error: " && told.starts_with(want),
                "{template}: {told}"
            );
        }
    }

    #[test]
    fn what_go_does_not_do_is_an_error() {
        for (template, variables) in [
            ("{{.b.c.d}}", VARIABLES),
            ("{{.b.n.d}}", VARIABLES),
            ("{{range .a}}{{end}}", VARIABLES),
            ("{{.a}", VARIABLES),
            ("{{end}}", VARIABLES),
            ("{{if .a}}", VARIABLES),
            ("{{$x}}", VARIABLES),
            ("{{if .x}}{{$x}}{{end}}", VARIABLES),
            ("{{range $e := .l}}{{end}}{{$e}}", VARIABLES),
            ("{{else}}", VARIABLES),
            ("{{range .l}}{{else if .a}}{{end}}", VARIABLES),
            ("{{.a}}", "{\"a\": \"\u{7f}\"}"),
        ] {
            let told = told(template, variables);
            assert!(told.starts_with("error: argument "), "{template}: {told}");
        }
    }

    #[test]
    fn what_is_not_done_is_said() {
        for template in [
            "{{printf \"a\"}}",
            "{{$x := .a}}",
            "{{.a | html}}",
            "{{1}}",
            "{{range $i .l}}{{end}}",
            "{{with $x := .a}}{{end}}",
            "{{range $i , $e := .l}}{{end}}",
            "{{template \"x\"}}",
            "{{len .l}}",
            "{{.a-b}}",
            "{{break}}",
            "{{(.a)}}",
            "{{.a .b}}",
            "{{}}",
        ] {
            assert!(undone(template).is_some(), "{template}");
            assert!(
                told(template, VARIABLES).contains(super::super::UNDONE),
                "{template}"
            );
        }
        assert_eq!(undone("{{.a}}"), None);
    }

    #[test]
    fn a_template_that_multiplies_itself_ends() {
        let list = format!("{{\"l\": [{}]}}", vec!["0"; 200].join(","));
        assert_eq!(told("{{range .l}}x{{end}}", &list).len(), 200);
        let deep = "{{if .l}}".repeat(200) + &"{{end}}".repeat(200);
        assert!(told(&deep, &list).contains(super::super::TOO_MUCH));
    }
}
