//! What may become a bundle, and what is known of one.

use super::*;
use serde_json::json;

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
}

fn built(values: &[Value]) -> Result<Bundle<Rendered>, Error> {
    Bundle::built(
        values
            .iter()
            .map(|value| Object::try_from(value.clone()).unwrap())
            .collect(),
    )
}

#[test]
fn values_are_counted_before_they_are_read() {
    for (json, values) in [
        ("0", 1),
        (r#"{"a": "b,[{", "c": [1, 2]}"#, 5),
        (r#"{"\",": "\\", "b": {}}"#, 3),
    ] {
        let read: Value = serde_json::from_str(json).unwrap();
        let counted = written(&[json.to_owned()]);
        assert_eq!(count(&read), values, "{json}");
        assert!(
            (values..=values + 1).contains(&counted),
            "{json}: {counted}"
        );
    }
    let zeros = |count: usize| {
        let mut map = config_map("a");
        map["v"] = vec![0; count].into();
        vec![map.to_string()]
    };
    let few = built(&[]).unwrap().replaced(zeros(LARGE / 2)).unwrap();
    assert!(!few.is_large() && !are_large(&zeros(LARGE / 2)));
    let many = built(&[]).unwrap().replaced(zeros(LARGE * 2)).unwrap();
    assert!(many.is_large() && are_large(&zeros(LARGE * 2)));
    let error = built(&[]).unwrap().replaced(zeros(VALUES)).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the number of values in all manifests"),
        "{error}"
    );
}

#[test]
fn what_a_plugin_gives_back_replaces_the_objects_and_keeps_the_digest() {
    let bundle = built(&[config_map("a"), config_map("b")]).unwrap();
    let digest = bundle.digest();
    let mut manifests = bundle.to_manifests();
    manifests.pop();
    let bundle = bundle.replaced(manifests).unwrap();
    assert_eq!(bundle.objects().len(), 1);
    assert_eq!(bundle.digest(), digest);
    assert_eq!(bundle.settled().objects().len(), 1);
}

#[test]
fn what_is_not_a_bundle_is_refused_in_words() {
    let twice = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","name":"b"}}"#;
    for (manifests, message) in [
        (
            vec!["{".to_owned()],
            "manifest 1 is not a JSON object: it ends too early (line 1, column 1)",
        ),
        (
            vec!["[]".into()],
            "manifest 1 is not a JSON object: it is another kind of value",
        ),
        (
            vec![twice.into()],
            "manifest 1 is not a JSON object: a key is there twice (line 1, column 72)",
        ),
        (vec!["{}".into()], "manifest 1 has no apiVersion"),
        (
            vec![r#"{"apiVersion":"apps/","kind":"X","metadata":{"name":"a"}}"#.into()],
            "manifest 1 (X a) has no apiVersion",
        ),
        (
            vec![r#"{"apiVersion":"v1","metadata":{"name":"a"}}"#.into()],
            "manifest 1 (a) has no kind",
        ),
        (
            vec![r#"{"apiVersion":"v1","kind":"X","metadata":{"generateName":"a"}}"#.into()],
            "manifest 1 (X) has no metadata.name",
        ),
        (
            vec![r#"{"apiVersion":"v1","kind":"X","metadata":{"name":7}}"#.into()],
            "manifest 1 (X) has no metadata.name",
        ),
        (
            vec![config_map("a").to_string(), config_map("a").to_string()],
            "ConfigMap a is there twice",
        ),
        (
            vec![format!("{{\"a\":\"{}\"}}", "x".repeat(MANIFEST_SIZE))],
            "the size of manifest 1, 3145736 bytes, is more than the 3145728 allowed",
        ),
        (
            vec![String::new(); MANIFEST_LIMIT + 1],
            "a number of 50001 manifests is more than the 50000 allowed",
        ),
    ] {
        let bundle = built(&[config_map("a")]).unwrap();
        assert_eq!(bundle.replaced(manifests).unwrap_err().to_string(), message);
    }
}

#[test]
fn the_same_object_in_two_versions_is_there_twice() {
    let object = |version: &str| json!({"apiVersion": format!("apps/{version}"), "kind": "Deployment", "metadata": {"name": "a"}});
    assert!(matches!(
        built(&[object("v1"), object("v1beta1")]),
        Err(Error::Twice(_))
    ));
}

#[test]
fn a_bundle_does_not_print_what_is_in_it() {
    let mut secret = config_map("a");
    secret["data"] = json!({"key": "hunter2"});
    assert!(!format!("{:?}", built(&[secret]).unwrap()).contains("hunter2"));
}

#[test]
fn what_a_plugin_was_shown_of_secrets_is_known_of_what_it_gave_back() {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"},
        "stringData": {"password": "hunter2"},
    });
    let bundle = built(&[config_map("a"), secret]).unwrap();
    assert!(bundle.secret().is_nothing());
    assert_eq!(bundle.shown().cover("hunter2".to_owned()), "***");
    assert_eq!(shown(&bundle.to_manifests()), bundle.shown());
    let mut copy = config_map("copy");
    copy["data"] = json!({"colour": "hunter2"});
    let once = bundle.replaced(vec![copy.to_string()]).unwrap();
    // The next one is shown a value that stands in the clear by now.
    let twice = once.replaced(vec![copy.to_string()]).unwrap().settled();
    for told in ["hunter2", "aHVudGVyMg"] {
        assert_eq!(twice.secret().cover(told.to_owned()), "***");
    }
}
