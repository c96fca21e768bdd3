package reeve.source_ownership_test

denied(source, tenant) := objections if {
	objections := data.reeve.source_ownership.deny with input as {
		"phase": "spec",
		"kustomization": {"metadata": {"namespace": "acme", "name": "web"}, "spec": {}},
		"source": source,
		"tenant": tenant,
		"platform": {"namespaces": ["flux-system"], "configNamespaces": ["config"]},
		"objects": [],
	}
}

from(namespace, name) := {"kind": "GitRepository", "namespace": namespace, "name": name}

alone := {"name": "acme", "namespaces": ["acme"]}

declared(sources) := {"name": "acme-corp", "namespaces": ["acme", "acme-dev"], "sources": sources}

test_a_source_in_the_tenants_namespaces_is_its_own if {
	count(denied(from("acme", "anything"), alone)) == 0
	count(denied(from("acme-dev", "anything"), declared([]))) == 0
}

test_without_a_tenant_the_source_bears_the_namespaces_name if {
	count(denied(from("config", "acme"), alone)) == 0
	count(denied(from("config", "acme2"), alone)) == 1
	count(denied(from("config", "ACME"), alone)) == 1
}

test_a_source_that_a_tenant_names_is_not_that_of_a_namespace_that_bears_its_name if {
	count(denied(from("config", "acme"), object.union(alone, {"sources": []}))) == 1
	count(denied(from("acme", "anything"), object.union(alone, {"sources": []}))) == 0
}

test_a_tenant_has_the_sources_it_names_and_no_others if {
	count(denied(from("config", "shared"), declared(["shared"]))) == 0
	count(denied(from("config", "other"), declared(["shared"]))) == 1

	# The name of the namespace is no reason any more.
	count(denied(from("config", "acme"), declared([]))) == 1
	count(denied(from("config", "acme"), declared(null))) == 1
	count(denied(from("config", "acme"), declared("acme"))) == 1
}

test_a_neighbours_source_is_denied if {
	some objection in denied(from("other", "acme"), alone)
	objection.message == "Kustomization acme/web: spec.sourceRef names GitRepository other/acme, which is not tenant acme's; use a source in namespace acme, or have the platform team name it in your Tenant"
	objection.object == "Kustomization/acme/web"
	objection.path == "spec.sourceRef"
}

test_a_name_counts_only_in_a_configuration_namespace if {
	count(denied(from("flux-system", "acme"), alone)) == 1
	count(denied(from("flux-system", "shared"), declared(["shared"]))) == 1
}

test_what_is_no_name_is_nobodys if {
	count(denied(from("", "acme"), {"name": "acme", "namespaces": ["acme", ""]})) == 1
	count(denied(from(null, "acme"), {"name": "acme", "namespaces": ["acme", null]})) == 1
	count(denied(from("config", 1), declared([1]))) == 1
	count(denied(from("acme", ""), alone)) == 1
	count(denied(null, alone)) == 1
	count(denied("acme", alone)) == 1
	count(denied(from("acme", "web"), null)) == 1
	count(denied(from("acme", "web"), {"name": "acme", "namespaces": "acme"})) == 1
}

test_an_empty_document_is_denied if {
	count(data.reeve.source_ownership.deny) == 1 with input as {}
}
