# METADATA
# title: Every app has a Service
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.app_has_service

deny contains {"message": sprintf("%s has no Service", [app])} if {
	some app in apps
	not app in served
}

apps := {one.object.spec.selector.matchLabels.app | some one in input.objects; one.kind == "Deployment"}

served := {one.object.spec.selector.app | some one in input.objects; one.kind == "Service"}
