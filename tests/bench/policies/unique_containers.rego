# METADATA
# title: Containers have names of their own
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.unique_containers

deny contains {"message": sprintf("%s/%s: name each container differently", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Deployment"
	names := [container.name | some container in one.object.spec.template.spec.containers]
	count(names) != count({name | some name in names})
}
