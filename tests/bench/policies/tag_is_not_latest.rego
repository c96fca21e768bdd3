# METADATA
# title: Images are not latest
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.tag_is_not_latest

deny contains {"message": sprintf("%s/%s: name a version", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Deployment"
	some container in one.object.spec.template.spec.containers
	endswith(container.image, ":latest")
}
