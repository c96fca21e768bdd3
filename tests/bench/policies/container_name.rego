# METADATA
# title: Containers have short names
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.container_name

deny contains {"message": sprintf("%s/%s: take a short name in lower case", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Deployment"
	some container in one.object.spec.template.spec.containers
	not regex.match(`^[a-z][a-z-]{1,20}$`, container.name)
}
