# METADATA
# title: No key lies in a ConfigMap
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.no_key_in_config

deny contains {"message": sprintf("%s/%s: put it into a Secret", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "ConfigMap"
	some _, value in one.object.data
	contains(value, "PRIVATE KEY")
}
