# METADATA
# title: Sources are signed
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.source_is_verified

deny contains {"message": "sign the commits"} if {
	input.phase == "plan"
	not input.source.verified
}
