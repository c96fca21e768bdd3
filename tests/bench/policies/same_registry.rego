# METADATA
# title: Images come from one registry
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.same_registry

deny contains {"message": sprintf("%s/%s: take the image from the first registry", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Deployment"
	some container in one.object.spec.template.spec.containers
	not startswith(container.image, data.parameters.registries[0])
}
