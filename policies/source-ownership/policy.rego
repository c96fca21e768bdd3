# METADATA
# title: A Kustomization builds from a source of its tenant
# description: >-
#   Where sources lie together in one namespace, a Kustomization could name the private repository of a neighbour, and
#   its manifests would show what is in it. A source is the tenant's when it lies in a namespace of the tenant, or in a
#   configuration namespace and the Tenant names it or, where there is no Tenant, it bears the namespace's name and no
#   other's Tenant names it.
# custom:
#   severity: critical
#   hint: use a source in your own namespace, or ask the platform team to name this one in your Tenant
# related_resources:
#   - https://fluxcd.io/flux/components/kustomize/kustomizations/#source-reference
package reeve.source_ownership

deny contains objection if {
	not is_owned
	objection := {
		"message": sprintf("Kustomization %s/%s: spec.sourceRef names %s, which is not tenant %s's; use a source in namespace %s, or have the platform team name it in your Tenant", [namespace, name, source, tenant, namespace]),
		"object": sprintf("Kustomization/%s/%s", [namespace, name]),
		"path": "spec.sourceRef",
	}
}

is_owned if {
	is_named
	input.source.namespace in input.tenant.namespaces
}

is_owned if {
	is_kept_for_tenants
	input.source.name in input.tenant.sources
}

# Where a Tenant names the source that bears the namespace's name, `sources` is there, and empty.
is_owned if {
	is_kept_for_tenants
	not "sources" in object.keys(input.tenant)
	input.source.name == input.kustomization.metadata.namespace
}

is_kept_for_tenants if {
	is_named
	input.source.namespace in input.platform.configNamespaces
}

# Only what is written out is compared: a name that is no text is nobody's.
is_named if {
	every part in [input.source.kind, input.source.namespace, input.source.name, input.kustomization.metadata.namespace] {
		is_string(part)
		part != ""
	}
	is_array(input.tenant.namespaces)
}

source := sprintf("%s %s/%s", [input.source.kind, input.source.namespace, input.source.name]) if {
	every part in [input.source.kind, input.source.namespace, input.source.name] {
		is_string(part)
	}
} else := "a source that cannot be read"

namespace := text(["kustomization", "metadata", "namespace"])

name := text(["kustomization", "metadata", "name"])

tenant := text(["tenant", "name"])

text(path) := told if {
	told := object.get(input, path, null)
	is_string(told)
} else := "?"
