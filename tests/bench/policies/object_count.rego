# METADATA
# title: A plan has at most 500 objects
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.object_count

deny contains {"message": "the plan has too many objects; split it"} if count(input.objects) > 500
