# METADATA
# title: Services name no other host
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.no_external_name

deny contains {"message": sprintf("%s/%s: remove externalName", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Service"
	one.object.spec.externalName
}
