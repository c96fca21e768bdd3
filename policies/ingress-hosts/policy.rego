# METADATA
# title: A tenant takes only hosts of its own domains
# description: >-
#   Whoever names a host first gets its traffic and its certificate. parameters.domains holds a tenant's domains by the
#   tenant's name: `web.acme.example` is that host, `*.acme.example` every host below it. Judged are Ingress, the routes,
#   Gateway and ListenerSet of the Gateway API, cert-manager's Certificate, and the annotations that name hosts. No host
#   is every host, and denied.
# custom:
#   severity: high
#   hint: name hosts of your own domains, or ask the platform team to add the domain to your tenant's
# related_resources:
#   - https://kubernetes.io/docs/concepts/services-networking/ingress/#ingress-rules
#   - https://gateway-api.sigs.k8s.io/reference/spec/#hostname
package reeve.ingress_hosts

deny contains objection if {
	some one in taken
	not is_own(one.host)
	objection := told(one.planned, sprintf("%s; %s", [shown(one.host), remedy]), one.path)
}

deny contains objection if {
	some planned in applied
	planned.kind == "Ingress"
	planned.group == "networking.k8s.io"
	object.get(planned.object, ["spec", "defaultBackend"], null) != null
	objection := told(subject(planned), "takes the traffic of every host that no other takes; remove defaultBackend and write rules with hosts", "spec.defaultBackend")
}

deny contains objection if {
	some planned in applied
	is_object(planned.object.metadata.annotations)
	some key, _ in planned.object.metadata.annotations
	endswith(key, "-snippet")
	contains(key, "ingress.kubernetes.io/")
	objection := told(subject(planned), sprintf("brings configuration of its own, which may serve every host; remove annotation %s", [key]), sprintf("metadata.annotations[%s]", [key]))
}

deny contains objection if {
	some planned in applied
	planned.kind == "Certificate"
	planned.group == "cert-manager.io"
	some field in ["ipAddresses", "literalSubject", "otherNames", "uris"]
	not object.get(planned.object, ["spec", field], null) in [null, [], ""]
	objection := told(subject(planned), sprintf("asks for a certificate of more than hosts; remove %s and name them in dnsNames", [field]), sprintf("spec.%s", [field]))
}

deny contains objection if {
	some i in ({n | some n, _ in objects} - judged)
	planned := objects[i]
	objection := {
		"message": sprintf("%s: the hosts that it takes cannot be read; write it as its API has it, and the items of a list one by one", [subject(planned)]),
		"object": subject(planned),
	}
}

deny contains objection if {
	not is_readable
	objection := {"message": "the objects of the plan cannot be read, so nothing of it is let through"}
}

objects := input.objects if {
	is_array(input.objects)
} else := []

is_readable if input.phase == "spec"

is_readable if {
	input.phase == "plan"
	is_array(input.objects)
}

judged := {i |
	some i, planned in objects
	planned.action == "prune"
} | {i |
	but := lists
	some i, planned in objects
	planned.action == "apply"
	is_string(planned.group)
	is_string(planned.kind)
	is_object(planned.object)
	not i in but
}

lists := {i |
	some i, planned in objects
	planned.object.items
	is_string(planned.object.kind)
	endswith(planned.object.kind, "List")
}

applied := [planned |
	some planned in objects
	planned.action == "apply"
	is_object(planned.object)
]

# Every host that an object takes: null is every host, false what cannot be read.
taken contains claim(planned, value(rule, "host"), sprintf("spec.rules[%v].host", [i])) if {
	some planned in applied
	planned.kind == "Ingress"
	planned.group == "networking.k8s.io"
	some i, rule in spec_list(planned, "rules")
}

taken contains claim(planned, host, sprintf("spec.tls[%v].hosts", [i])) if {
	some planned in applied
	planned.kind == "Ingress"
	planned.group == "networking.k8s.io"
	some i, tls in spec_list(planned, "tls")
	some host in or_every(list(value(tls, "hosts")))
}

taken contains claim(planned, host, "spec.hostnames") if {
	some planned in applied
	planned.kind in ["GRPCRoute", "HTTPRoute", "TLSRoute"]
	planned.group == "gateway.networking.k8s.io"
	some host in or_every(spec_list(planned, "hostnames"))
}

taken contains claim(planned, value(listener, "hostname"), sprintf("spec.listeners[%v].hostname", [i])) if {
	some planned in applied
	[planned.kind, planned.group] in gateways
	some i, listener in spec_list(planned, "listeners")
}

taken contains claim(planned, host, "spec.dnsNames") if {
	some planned in applied
	planned.kind == "Certificate"
	planned.group == "cert-manager.io"
	some host in spec_list(planned, "dnsNames")
}

taken contains claim(planned, host, "spec.commonName") if {
	some planned in applied
	planned.kind == "Certificate"
	planned.group == "cert-manager.io"
	host := object.get(planned.object, ["spec", "commonName"], null)
	not host in [null, ""]
}

taken contains claim(planned, host, sprintf("metadata.annotations[%s]", [key])) if {
	some planned in applied
	is_object(planned.object.metadata.annotations)
	some key in annotations
	some host in commas(object.get(planned.object, ["metadata", "annotations", key], null))
}

claim(planned, host, path) := {"planned": subject(planned), "host": host, "path": path}

gateways := [
	["Gateway", "gateway.networking.k8s.io"],
	["ListenerSet", "gateway.networking.k8s.io"],
	["XListenerSet", "gateway.networking.x-k8s.io"],
]

annotations := [
	"cert-manager.io/alt-names",
	"cert-manager.io/common-name",
	"cert-manager.io/ip-sans",
	"cert-manager.io/uri-sans",
	"external-dns.alpha.kubernetes.io/hostname",
	"external-dns.alpha.kubernetes.io/internal-hostname",
	"nginx.ingress.kubernetes.io/server-alias",
]

spec_list(planned, field) := list(object.get(planned.object, ["spec", field], null))

list(found) := [] if {
	found == null
} else := found if {
	is_array(found)
} else := [false]

value(thing, field) := object.get(thing, field, null) if {
	is_object(thing)
} else := false

or_every(hosts) := [null] if {
	count(hosts) == 0
} else := hosts

commas(text) := [] if {
	text == null
} else := [host |
	some part in split(text, ",")
	host := trim_space(part)
	host != ""
] if {
	is_string(text)
} else := [false]

is_own(host) if {
	is_string(host)
	regex.match(hostname, host)
	some domain in domains
	is_string(domain)
	covers(domain, host)
}

# As Kubernetes has it: lower case, and a wildcard only for the whole first label.
hostname := `^(?:\*\.)?[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$`

covers(domain, host) if domain == host

covers(domain, host) if {
	startswith(domain, "*.")
	endswith(host, trim_prefix(domain, "*"))
}

domains := data.parameters.domains[input.tenant.name] if {
	is_array(data.parameters.domains[input.tenant.name])
} else := []

shown(host) := "takes every host" if {
	host in [null, ""]
} else := sprintf("takes host %s, which is in none of your domains", [host]) if {
	is_string(host)
} else := "takes a host that cannot be read"

remedy := sprintf("name one under %s", [concat(", ", [domain | some domain in domains; is_string(domain)])]) if {
	count(domains) > 0
} else := "have the platform team give your tenant a domain in parameters.domains of ingress-hosts"

told(whom, what, path) := {
	"message": sprintf("%s %s", [whom, what]),
	"object": whom,
	"path": path,
}

subject(planned) := sprintf("%s/%s/%s", [planned.kind, planned.namespace, planned.name]) if {
	is_string(planned.kind)
	is_string(planned.namespace)
	is_string(planned.name)
} else := "an object that cannot be read"
