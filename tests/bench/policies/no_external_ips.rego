# METADATA
# title: Services take no foreign address
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.no_external_ips

deny contains {"message": sprintf("%s/%s: remove externalIPs", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Service"
	count(one.object.spec.externalIPs) > 0
}
