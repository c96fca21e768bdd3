# METADATA
# title: Values of variables are short
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.env_is_short

deny contains {"message": sprintf("%s/%s: put it into a ConfigMap", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Deployment"
	some container in one.object.spec.template.spec.containers
	some variable in container.env
	count(variable.value) > 1024
}
