# METADATA
# title: ConfigMaps are small
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.small_config

deny contains {"message": sprintf("%s/%s: split it", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "ConfigMap"
	some _, value in one.object.data
	count(value) > 65536
}
