# METADATA
# title: Images are not pulled each time
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.no_always_pull

deny contains {"message": sprintf("%s/%s: remove imagePullPolicy", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Deployment"
	some container in one.object.spec.template.spec.containers
	container.imagePullPolicy == "Always"
}
