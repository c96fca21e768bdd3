# METADATA
# title: Few objects are deleted at once
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.few_prunes

deny contains {"message": sprintf("%d objects would be deleted; do it in steps", [count(gone)])} if count(gone) > 20

gone := [one.id | some one in input.objects; one.action == "prune"]
