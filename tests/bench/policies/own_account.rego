# METADATA
# title: Pods do not run as default
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.own_account

deny contains {"message": sprintf("%s/%s: name an account", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Deployment"
	one.object.spec.template.spec.serviceAccountName in {"", "default"}
}
