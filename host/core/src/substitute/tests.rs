//! What variables make of manifests: the rows of `tests/cases/substitute/`, and what no row can say.

use super::*;
use crate::failure::chain;
use serde_json::json;

fn object(value: Value) -> Object {
    Object::try_from(value).unwrap()
}

fn bundle(value: Value) -> Bundle<Rendered> {
    Bundle::built(vec![object(value)]).unwrap()
}

fn variables(set: &Value) -> Variables {
    let mut variables = Variables::default();
    let set = set.as_object().into_iter().flatten();
    let set = set.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
    variables.add(set).unwrap();
    variables
}

fn comes_to(
    bundle: Bundle<Rendered>,
    variables: &Variables,
    always: bool,
) -> Result<Bundle<Rendered>, Error> {
    substitute(bundle, variables, always).map(|done| done.bundle)
}

/// A text as the one value of a ConfigMap.
fn config_map(text: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"text": text}})
}

fn check(row: &Value, at: &str) {
    let base = json!({"region": "eu-west-1", "name": "Web", "empty": "", "path": "/usr/local/bin", "word": "aabcabb"});
    let set = match (row.get("variables"), row.get("object")) {
        (Some(own), Some(_)) => own.clone(),
        (own, _) => {
            let mut set = base;
            for (name, value) in own.and_then(Value::as_object).into_iter().flatten() {
                set[name] = value.clone();
            }
            set
        }
    };
    let (wanted, text) = match row.get("object") {
        Some(object) => (object.clone(), None),
        None => (config_map(&row["text"]), Some("/data/text")),
    };
    let always = row["always"] == true;
    let got = comes_to(bundle(wanted), &variables(&set), always);
    if let Some(message) = row.get("error") {
        assert_eq!(got.unwrap_err().to_string(), *message, "{at}");
        return;
    }
    let got = got.unwrap_or_else(|why| panic!("{at}: {}", chain(&why)));
    let [got] = got.objects() else {
        panic!("{at}: one object")
    };
    match text {
        // A text that looks like something else has become that.
        Some(text) => {
            let got = got.get(text).cloned().unwrap_or_default();
            let got = got.as_str().map_or_else(|| got.to_string(), str::to_owned);
            assert_eq!(json!(got), row["want"], "{at}");
        }
        None => assert_eq!(Value::from(got.clone()), row["want"], "{at}"),
    }
}

#[test]
fn every_row_comes_to_what_it_says() {
    let rows = crate::rows::rows("substitute");
    for (at, row) in &rows {
        check(row, at);
    }
    assert!(rows.len() > 60, "only {} rows were found", rows.len());
}

#[test]
fn a_definition_keeps_its_text() {
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "a"}, "description": "say ${name}",
    });
    let before = bundle(definition);
    let after = comes_to(before.clone(), &variables(&json!({"name": "b"})), true).unwrap();
    assert_eq!(before, after);
}

#[test]
fn the_digest_is_that_of_what_came_out() {
    let wanted = || bundle(config_map(&json!("${name}")));
    let with = |name| comes_to(wanted(), &variables(&json!({"name": name})), false).unwrap();
    assert_eq!(with("a").digest(), with("a").digest());
    assert_ne!(with("a").digest(), with("b").digest());
    assert_ne!(with("a").digest(), wanted().digest());
}

#[test]
fn what_takes_too_long_or_grows_too_large_is_refused() {
    let long = "a".repeat(1 << 20);
    let turned = "b".to_owned() + &"a*".repeat(100);
    let set = json!({"long": long, "pattern": "*a".repeat(100) + "b", "turned": turned});
    let set = variables(&set);
    for text in [
        "${long//a/${long}}",
        "${long##${pattern}}",
        "${long%%${turned}}",
        &"${long}".repeat(100),
    ] {
        let told = comes_to(bundle(config_map(&json!(text))), &set, false);
        let told = told.unwrap_err().to_string();
        assert!(told.contains("take more than"), "{told}");
    }
    let deep = "${a:=".repeat(40) + &"}".repeat(40);
    let told = comes_to(bundle(config_map(&json!(deep))), &set, false);
    let told = told.unwrap_err().to_string();
    assert!(told.contains("too deep"), "{told}");
}

#[test]
fn variables_print_their_names_and_never_their_values() {
    let set = variables(&json!({"password": "hunter2", "bad": "[hunter2"}));
    assert_eq!(format!("{set:?}"), r#"{"bad": "***", "password": "***"}"#);
    for text in ["${password} ${none}", "${password}${", "${bad}"] {
        let told = comes_to(bundle(config_map(&json!(text))), &set, false).unwrap_err();
        let told = format!("{} {told:?} {:?}", chain(&told), told.hint());
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn what_comes_of_a_secret_is_known_for_secret_whatever_a_function_made_of_it() {
    let mut set = variables(&json!({"plain": "nothing"}));
    set.add_secret([("key".to_owned(), "Hunter2Sesame".to_owned())])
        .unwrap();
    let text = "${plain} ${key:0:5} ${key^^} ${key//Sesame/Open} ${#key} ${plain:=x} ${none:=else}";
    let done = substitute(bundle(config_map(&json!(text))), &set, false).unwrap();
    let got = done
        .bundle
        .objects()
        .first()
        .and_then(|one| one.get("/data/text")?.as_str());
    let got = got.unwrap().to_owned();
    assert_eq!(
        got,
        "nothing Hunte HUNTER2SESAME Hunter2Open 13 nothing else"
    );
    for part in ["Hunte", "HUNTER2SESAME", "Hunter2Open"] {
        assert_eq!(done.secret.cover(format!("it is {part}")), "it is ***");
    }
    assert_eq!(done.secret.cover(format!("it is {got}")), "it is ***");
    // What is put over it in the spec is anybody's to read.
    set.put_over(&variables(&json!({"key": "Hunter2Sesame"})));
    let done = substitute(bundle(config_map(&json!("${key}"))), &set, false).unwrap();
    assert!(done.secret.is_nothing());
}

#[test]
fn objects_that_a_secret_variable_is_put_into_are_known_whatever_comes_of_it() {
    let mut set = variables(&json!({"open": "yes"}));
    let secret = ("key".to_owned(), "sesame".to_owned());
    set.add_secret([secret]).unwrap();
    let id = ObjectId {
        namespace: "anywhere".to_owned(),
        name: "a".to_owned(),
        group: String::new(),
        kind: "ConfigMap".to_owned(),
    };
    for (text, want) in [
        ("${key}", true),
        ("${#key}", true),
        ("${key:99:1}", true),
        ("${none:=${key}}", true),
        ("${open}", false),
        ("$${key}", false),
        ("plain", false),
    ] {
        let done = substitute(bundle(config_map(&json!(text))), &set, false).unwrap();
        assert_eq!(done.touched.has(&id), want, "{text}");
    }
}

#[test]
fn a_field_in_which_a_secret_value_is_taken_apart_is_covered_as_a_whole() {
    let mut set = variables(&json!({"plain": "nothing"}));
    let secret = [("key", "s3cr3t"), ("pin", "12"), ("empty", "")];
    set.add_secret(secret.map(|(name, value)| (name.to_owned(), value.to_owned())))
        .unwrap();
    for (text, made, told) in [
        ("evil/${key:0:3}:${key:3:3}", "evil/s3c:r3t", "***"),
        ("evil/${none:=${key:1:2}}", "evil/3c", "***"),
        ("pin ${pin}!", "pin 12!", "***"),
        ("evil/${key}", "evil/s3cr3t", "evil/***"),
        ("${#key} ${empty:0:1}${plain:0:3}", "6 not", "6 not"),
        (
            "$${key:0:3} ${plain^}",
            "${key:0:3} Nothing",
            "${key:0:3} Nothing",
        ),
    ] {
        let done = substitute(bundle(config_map(&json!(text))), &set, false).unwrap();
        let object = done.bundle.objects().first().unwrap();
        assert_eq!(object.get("/data/text").unwrap(), &json!(made), "{text}");
        assert_eq!(done.secret.cover(made.to_owned()), told, "{text}");
    }
    // A list that was a text, and a field that is all of a short piece.
    let text = json!("${list/x/one}");
    set.add_secret([("list".to_owned(), "[x, two, three]".to_owned())])
        .unwrap();
    let done = substitute(bundle(config_map(&text)), &set, false).unwrap();
    assert_eq!(done.secret.cover("three".to_owned()), "***");
    let done = substitute(bundle(config_map(&json!("${key:0:3}"))), &set, false).unwrap();
    assert!(done.secret.replace(&mut json!({"text": "s3c"})));
    assert!(!done.secret.replace(&mut json!({"text": "s3cr"})));
}

#[test]
fn only_what_is_a_name_is_one() {
    for name in ["a", "_", "A_1"] {
        assert_eq!(named(name), Ok(()), "{name}");
    }
    for name in ["", "1", "a-b", "a.b", "ä", "a b"] {
        assert!(named(name).is_err(), "{name}");
    }
}

#[test]
fn it_is_known_what_would_be_taken_for_a_variable() {
    let of = |meta: serde_json::Value, run: serde_json::Value| {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"run": run}});
        let object = Object::try_from(object).unwrap();
        takes(&object, &serde_json::Value::from(object.clone()))
    };
    let plain = json!({"name": "a"});
    for (run, want) in [
        ("echo ${HOME}", true),
        ("kill $$", true),
        ("costs 5 $", false),
        ("$HOME", false),
    ] {
        assert_eq!(of(plain.clone(), json!(run)), want, "{run}");
        assert_eq!(of(plain.clone(), json!([{"deep": run}])), want, "{run}");
    }
    assert!(of(plain, json!({"${key}": 1})));
    let off =
        json!({"name": "a", "annotations": {"kustomize.toolkit.fluxcd.io/substitute": "disabled"}});
    assert!(!of(off, json!("echo ${HOME}")));
}
