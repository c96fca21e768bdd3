# METADATA
# title: No password lies in the environment
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.no_secret_in_env

deny contains {"message": sprintf("%s/%s: take it from a Secret", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Deployment"
	some container in one.object.spec.template.spec.containers
	some variable in container.env
	regex.match(`(?i)(password|token|secret)`, variable.name)
	variable.value
}
