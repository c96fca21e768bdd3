package reeve.required_labels_test

denied(objects, parameters) := objections if {
	objections := data.reeve.required_labels.deny with input as {"phase": "plan", "objects": objects} with data.parameters as parameters
}

labelled(labels) := {
	"action": "apply",
	"group": "apps",
	"kind": "Deployment",
	"namespace": "acme",
	"name": "web",
	"object": {"metadata": {"labels": labels}},
}

asked := {"labels": {"team": "", "cost-centre": `[0-9]{4}`}}

test_an_object_with_all_labels_is_allowed if {
	count(denied([labelled({"team": "web", "cost-centre": "1234", "more": "x"})], asked)) == 0
}

test_each_label_that_is_missing_is_told if {
	count(denied([labelled({})], asked)) == 2
	some objection in denied([labelled({"cost-centre": "1234"})], asked)
	objection.message == "Deployment/acme/web: label team is missing; add it"
	objection.object == "Deployment/acme/web"
	objection.path == "metadata.labels[team]"
}

test_a_pattern_holds_for_the_whole_value if {
	some objection in denied([labelled({"team": "web", "cost-centre": "12345"})], asked)
	objection.message == "Deployment/acme/web: label cost-centre is 12345; give it a value that matches [0-9]{4}"
	count(denied([labelled({"team": "web", "cost-centre": "x1234"})], asked)) == 1
	count(denied([labelled({"team": "web", "cost-centre": "b"})], {"labels": {"cost-centre": "a|b"}})) == 0
	count(denied([labelled({"team": "web", "cost-centre": "bc"})], {"labels": {"cost-centre": "a|b"}})) == 1
}

test_an_empty_value_is_none if {
	count(denied([labelled({"team": "", "cost-centre": "1234"})], asked)) == 1
}

test_only_the_kinds_named_are_asked if {
	count(denied([labelled({})], object.union(asked, {"kinds": ["ConfigMap"]}))) == 0
	count(denied([labelled({})], object.union(asked, {"kinds": ["Deployment.apps"]}))) == 2
	count(denied([labelled({})], object.union(asked, {"kinds": "ConfigMap"}))) == 2
}

test_what_is_deleted_is_not_asked if {
	count(denied([object.union(labelled({}), {"action": "prune"})], asked)) == 0
}

test_in_force_without_labels_it_denies if {
	count(denied([], {})) == 1
	count(denied([], {"labels": ["team"]})) == 1
	count(denied([labelled({"team": "web"})], {"labels": {"team": 1}})) == 2
	count(data.reeve.required_labels.deny) == 1 with input as {"phase": "plan", "objects": []}
}

test_what_cannot_be_read_is_denied if {
	count(denied([labelled(null)], asked)) == 2
	count(denied([labelled({"team": 1, "cost-centre": 1234})], asked)) == 2
	count(denied([object.union(labelled({}), {"object": "text"})], asked)) == 2
	count(denied([null], {"labels": {"team": ""}})) == 1
	count(denied(["text"], {"labels": {"team": ""}})) == 1
	count(denied(null, asked)) == 1
	count(data.reeve.required_labels.deny) == 1 with input as {}
}
