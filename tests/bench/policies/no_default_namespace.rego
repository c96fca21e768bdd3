# METADATA
# title: Nothing lies in default
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.no_default_namespace

deny contains {"message": sprintf("%s/%s: choose a namespace", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.namespace == "default"
}
