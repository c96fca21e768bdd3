# METADATA
# title: Deployments have at most ten replicas
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.few_replicas

deny contains {"message": sprintf("%s/%s: ask for fewer replicas", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Deployment"
	one.object.spec.replicas > object.get(data.parameters, "replicas", 10)
}
