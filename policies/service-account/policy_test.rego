package reeve.service_account_test

denied(spec) := objections if {
	objections := data.reeve.service_account.deny with input as {
		"phase": "spec",
		"kustomization": {"metadata": {"namespace": "acme", "name": "web"}, "spec": spec},
		"tenant": {"name": "acme", "namespaces": ["acme"]},
		"objects": [],
	}
}

test_a_named_account_is_allowed if {
	count(denied({"serviceAccountName": "flux"})) == 0
}

test_a_missing_account_is_denied if {
	count(denied({})) == 1
}

test_an_empty_account_is_denied if {
	count(denied({"serviceAccountName": ""})) == 1
	count(denied({"serviceAccountName": "  "})) == 1
}

test_an_account_that_is_no_text_is_denied if {
	count(denied({"serviceAccountName": null})) == 1
	count(denied({"serviceAccountName": {"name": "flux"}})) == 1
}

test_a_document_without_a_kustomization_is_denied if {
	count(data.reeve.service_account.deny) == 1 with input as {}
}

test_the_message_says_what_to_do_and_where if {
	some objection in denied({})
	objection.message == "Kustomization acme/web: spec.serviceAccountName is missing; set it to an account in namespace acme"
	objection.object == "Kustomization/acme/web"
	objection.path == "spec.serviceAccountName"
}
