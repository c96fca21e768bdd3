# METADATA
# title: No version is an old beta
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.no_beta

deny contains {"message": sprintf("%s/%s: use a newer version", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	endswith(one.version, "beta1")
}
