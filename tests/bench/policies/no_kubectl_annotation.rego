# METADATA
# title: No object was applied by hand
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.no_kubectl_annotation

deny contains {"message": sprintf("%s/%s: remove the annotation", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.object.metadata.annotations["kubectl.kubernetes.io/last-applied-configuration"]
}
