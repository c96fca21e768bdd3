# METADATA
# title: No image is one for debugging
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.no_debug_image

deny contains {"message": sprintf("%s/%s: take another image", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Deployment"
	some container in one.object.spec.template.spec.containers
	some word in words
	contains(container.image, word)
}

words := ["debug", "busybox", "alpine-tools"]
