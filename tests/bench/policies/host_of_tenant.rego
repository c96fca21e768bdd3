# METADATA
# title: Hosts are the tenant's
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.host_of_tenant

deny contains {"message": sprintf("%s/%s: take a host of your own", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Ingress"
	some rule in one.object.spec.rules
	not endswith(rule.host, sprintf(".%s.example", [input.tenant.name]))
}
