# METADATA
# title: A Kustomization names its ServiceAccount
# description: >-
#   Everything is applied as a ServiceAccount of the tenant. Without a name one would have to be guessed, and a
#   tenant would not know whose rights its manifests are held to.
# custom:
#   severity: high
#   hint: create a ServiceAccount in the Kustomization's namespace, bind a Role to it, and name it in spec.serviceAccountName
package reeve.service_account

deny contains objection if {
	not names_an_account
	objection := {
		"message": sprintf("Kustomization %s/%s: spec.serviceAccountName is missing; set it to an account in namespace %s", [namespace, name, namespace]),
		"object": sprintf("Kustomization/%s/%s", [namespace, name]),
		"path": "spec.serviceAccountName",
	}
}

# Said the way that cannot be undefined: whatever is not a text with something in it is no name.
names_an_account if {
	is_string(input.kustomization.spec.serviceAccountName)
	trim_space(input.kustomization.spec.serviceAccountName) != ""
}

namespace := object.get(input, ["kustomization", "metadata", "namespace"], "?")

name := object.get(input, ["kustomization", "metadata", "name"], "?")
