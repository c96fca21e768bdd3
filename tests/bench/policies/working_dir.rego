# METADATA
# title: No container works in the root
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.working_dir

deny contains {"message": sprintf("%s/%s: name a directory", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Deployment"
	some container in one.object.spec.template.spec.containers
	container.workingDir == "/"
}
