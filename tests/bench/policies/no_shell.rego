# METADATA
# title: Containers run no shell
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.no_shell

deny contains {"message": sprintf("%s/%s: run the program itself", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Deployment"
	some container in one.object.spec.template.spec.containers
	container.command[0] in shells
}

shells := {"sh", "bash", "/bin/sh", "/bin/bash"}
