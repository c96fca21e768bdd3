# METADATA
# title: Images have a tag
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.tag_is_pinned

deny contains {"message": sprintf("%s/%s: give each image a tag", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Deployment"
	some container in one.object.spec.template.spec.containers
	not contains(container.image, ":")
}
