# METADATA
# title: Variables are in upper case
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.env_is_upper_case

deny contains {"message": sprintf("%s/%s: write the variable in upper case", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Deployment"
	some container in one.object.spec.template.spec.containers
	some variable in container.env
	upper(variable.name) != variable.name
}
