# METADATA
# title: A tenant takes only hosts of its own domains
# description: >-
#   Whoever names a host first gets its traffic and its certificate. A tenant's domains are those in spec.domains of its
#   Tenant, and beside them those that parameters.domains holds by the tenant's name: `web.acme.example` is that host,
#   `*.acme.example` every host below it. Judged are the kinds and the
#   annotations in the tables of this file: those of Kubernetes, the Gateway API, cert-manager (orders and challenges too),
#   external-dns, Knative, OpenShift and of the usual ingress controllers, with the annotations of pod templates and of
#   what a Gateway makes (parameters.templates names where other kinds hold a pod template). No host is every host, and denied. So is
#   configuration that a proxy takes as it is written, what of a certificate is no host, and, unless
#   parameters.certificateRequests is true, a request for a certificate that is already encoded. What takes a port or an
#   address of a proxy and no host (TCPRoute, UDPRoute, IngressRouteUDP, a VirtualService's tcp, a ServiceEntry's addresses)
#   is not judged here; allowed-kinds keeps kinds out.
# custom:
#   severity: high
#   hint: name hosts of your own domains, or ask the platform team to add the domain to your tenant's
# related_resources:
#   - https://kubernetes.io/docs/concepts/services-networking/ingress/#ingress-rules
#   - https://gateway-api.sigs.k8s.io/reference/spec/#hostname
#   - https://kubernetes-sigs.github.io/external-dns/latest/docs/annotations/annotations/
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
	some one in annotated
	"configuration" in readings[one.key]
	objection := told(subject(one.planned), sprintf("brings configuration of its own, which may serve every host; remove annotation %s", [one.key]), one.path)
}

deny contains objection if {
	some planned in applied
	some place in configurations[planned.kind]
	place.group == planned.group
	some found in found_in(planned, place)
	not found.value in [null, ""]
	objection := told(subject(planned), sprintf("brings configuration of its own, which may serve every host; remove %s", [found.path]), found.path)
}

deny contains objection if {
	some planned in applied
	planned.group in unread[planned.kind]
	objection := told(subject(planned), "brings configuration of its own, which may serve every host; leave it out", "spec")
}

deny contains objection if {
	some planned in applied
	some place in no_hosts[planned.kind]
	place.group == planned.group
	some field in place.fields
	not object.get(planned.object, ["spec", field], null) in [null, [], "", false, {}]
	objection := told(subject(planned), sprintf("asks for a certificate of more than hosts; remove %s and name hosts in dnsNames", [field]), sprintf("spec.%s", [field]))
}

# Who may sign certificates signs for every host.
deny contains objection if {
	some planned in applied
	planned.kind == "Certificate"
	planned.group == "cert-manager.io"
	usages := object.get(planned.object, ["spec", "usages"], null)
	not are_of_hosts(usages)
	objection := told(subject(planned), "asks for a certificate that is for more than hosts; leave usages out, or name those of a server or client", "spec.usages")
}

deny contains objection if {
	some one in annotated
	one.key == "cert-manager.io/usages"
	not are_of_hosts(commas(one.value))
	objection := told(subject(one.planned), "asks for a certificate that is for more than hosts; leave usages out, or name those of a server or client", one.path)
}

deny contains objection if {
	some one in annotated
	"more" in readings[one.key]
	not one.value in [null, ""]
	objection := told(subject(one.planned), sprintf("asks for a certificate of more than hosts; remove annotation %s", [one.key]), one.path)
}

deny contains objection if {
	some planned in applied
	planned.group in requests[planned.kind]
	not may_request
	objection := told(subject(planned), "asks for a certificate of names that cannot be read here; write a Certificate instead, or have the platform team allow it", "spec.request")
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
taken contains claim(planned, host, found.path) if {
	some planned in applied
	some place in places[planned.kind]
	planned.group == place.group
	some found in found_in(planned, place)
	some host in hosts_in(found.value, place)
}

taken contains claim(one.planned, host, one.path) if {
	some one in annotated
	"hosts" in readings[one.key]
	some host in commas(one.value)
}

taken contains claim(one.planned, host, one.path) if {
	some one in annotated
	"conditions" in readings[one.key]
	some host in conditions(one.value)
}

# nginx answers for the other of web.acme.example and www.web.acme.example too, to lead from there.
taken contains claim(one.planned, host, one.path) if {
	some one in annotated
	"twin" in readings[one.key]
	not one.value in ["0", "F", "FALSE", "False", "f", "false"]
	some rule in spec_list(one.planned, "rules")
	is_string(rule.host)
	host := twin(rule.host)
}

taken contains claim(planned, planned.name, "metadata.name") if {
	some planned in applied
	planned.group in called_like_a_host[planned.kind]
}

# The router serves every neighbour of its host.
taken contains claim(planned, host, "spec.wildcardPolicy") if {
	some planned in applied
	planned.kind == "Route"
	planned.group == "route.openshift.io"
	not object.get(planned.object, ["spec", "wildcardPolicy"], null) in [null, "", "None"]
	host := neighbours(planned.object.spec.host)
}

# A challenge names what is below a star by the rest.
taken contains claim(planned, sprintf("*.%s", [planned.object.spec.dnsName]), "spec.wildcard") if {
	some planned in applied
	planned.kind == "Challenge"
	planned.group == "acme.cert-manager.io"
	not object.get(planned.object, ["spec", "wildcard"], null) in [null, false]
	is_string(planned.object.spec.dnsName)
}

claim(planned, host, path) := {"planned": subject(planned), "host": host, "path": path}

# Where a kind names hosts: `field`, of each of `items` where it lies in a list. It holds one `host` or a list of `hosts`, is
# read `as` something else where it is no bare host, and where it says nothing, that is `every` host or none.
places := {
	"Certificate": [
		{"group": "cert-manager.io", "field": ["spec", "commonName"], "holds": "host"},
		{"group": "cert-manager.io", "field": ["spec", "dnsNames"], "holds": "hosts"},
		{"group": "networking.internal.knative.dev", "field": ["spec", "dnsNames"], "holds": "hosts"},
		{"group": "networking.internal.knative.dev", "field": ["spec", "domain"], "holds": "host"},
	],
	"Challenge": [{"group": "acme.cert-manager.io", "field": ["spec", "dnsName"], "holds": "host", "every": true}],
	"DNSEndpoint": [{"group": group, "items": ["spec", "endpoints"], "field": ["dnsName"], "holds": "host", "every": true} | some group in ["externaldns.k8s.io", "externaldns.nginx.org"]],
	"GRPCRoute": routes,
	"Gateway": array.concat(listeners, [{"group": "networking.istio.io", "items": ["spec", "servers"], "field": ["hosts"], "holds": "hosts", "as": "scoped", "every": true}]),
	"HTTPProxy": [{"group": "projectcontour.io", "field": ["spec", "virtualhost", "fqdn"], "holds": "host"}],
	"HTTPRoute": routes,
	"Ingress": [
		{"group": "networking.k8s.io", "items": ["spec", "rules"], "field": ["host"], "holds": "host", "every": true},
		{"group": "networking.k8s.io", "items": ["spec", "tls"], "field": ["hosts"], "holds": "hosts", "every": true},
		{"group": "networking.internal.knative.dev", "items": ["spec", "rules"], "field": ["hosts"], "holds": "hosts", "every": true},
	],
	"IngressRoute": traefik,
	"IngressRouteTCP": traefik,
	"ListenerSet": listeners,
	"ManagedCertificate": [{"group": "networking.gke.io", "field": ["spec", "domains"], "holds": "hosts"}],
	"Order": [
		{"group": "acme.cert-manager.io", "field": ["spec", "commonName"], "holds": "host"},
		{"group": "acme.cert-manager.io", "field": ["spec", "dnsNames"], "holds": "hosts"},
	],
	"Route": [
		{"group": "route.openshift.io", "field": ["spec", "host"], "holds": "host"},
		{"group": "route.openshift.io", "field": ["spec", "subdomain"], "holds": "host", "as": "unreadable"},
	],
	"RouteGroup": [{"group": "zalando.org", "field": ["spec", "hosts"], "holds": "hosts", "every": true}],
	"ServiceEntry": [{"group": "networking.istio.io", "field": ["spec", "hosts"], "holds": "hosts", "every": true}],
	"TCPIngress": [
		{"group": "configuration.konghq.com", "items": ["spec", "rules"], "field": ["host"], "holds": "host"},
		{"group": "configuration.konghq.com", "items": ["spec", "tls"], "field": ["hosts"], "holds": "hosts"},
	],
	"TLSRoute": routes,
	"TransportServer": [{"group": "k8s.nginx.org", "field": ["spec", "host"], "holds": "host"}],
	"VirtualServer": [{"group": "k8s.nginx.org", "field": ["spec", "host"], "holds": "host", "every": true}],
	"VirtualServerRoute": [{"group": "k8s.nginx.org", "field": ["spec", "host"], "holds": "host", "every": true}],
	"VirtualService": [{"group": "networking.istio.io", "field": ["spec", "hosts"], "holds": "hosts", "as": "service", "every": true}],
	"XListenerSet": listeners,
}

routes := [{"group": "gateway.networking.k8s.io", "field": ["spec", "hostnames"], "holds": "hosts", "every": true}]

listeners := [{"group": group, "items": ["spec", "listeners"], "field": ["hostname"], "holds": "host", "every": true} |
	some group in ["gateway.networking.k8s.io", "gateway.networking.x-k8s.io"]
]

traefik := [place |
	some group in ["traefik.io", "traefik.containo.us"]
	some place in [
		{"group": group, "items": ["spec", "routes"], "field": ["match"], "holds": "host", "as": "rule", "every": true},
		{"group": group, "items": ["spec", "tls", "domains"], "field": ["main"], "holds": "host"},
		{"group": group, "items": ["spec", "tls", "domains"], "field": ["sans"], "holds": "hosts"},
	]
]

# Kinds whose name is the host.
called_like_a_host := {
	"ClusterDomainClaim": ["networking.internal.knative.dev"],
	"DomainMapping": ["serving.knative.dev"],
}

# Where a kind holds what a proxy takes into its configuration as it is written.
configurations := {
	"TransportServer": [{"group": "k8s.nginx.org", "field": ["spec", field]} | some field in ["server-snippets", "stream-snippets"]],
	"VirtualServer": array.concat(
		[{"group": "k8s.nginx.org", "field": ["spec", field]} | some field in ["http-snippets", "server-snippets"]],
		[{"group": "k8s.nginx.org", "items": ["spec", "routes"], "field": ["location-snippets"]}],
	),
	"VirtualServerRoute": [{"group": "k8s.nginx.org", "items": ["spec", "subroutes"], "field": ["location-snippets"]}],
}

# Kinds that are nothing else.
unread := {
	"EnvoyFilter": ["networking.istio.io"],
	"EnvoyPatchPolicy": ["gateway.envoyproxy.io"],
	"SnippetsFilter": ["gateway.nginx.org"],
	"SnippetsPolicy": ["gateway.nginx.org"],
}

# Kinds that hold an encoded request.
requests := {
	"CertificateRequest": ["cert-manager.io"],
	"CertificateSigningRequest": ["certificates.k8s.io"],
	"Order": ["acme.cert-manager.io"],
}

# Where a certificate is asked for of what is no host.
no_hosts := {
	"Certificate": [{"group": "cert-manager.io", "fields": ["emailAddresses", "ipAddresses", "isCA", "literalSubject", "otherNames", "subject", "uris"]}],
	"Order": [{"group": "acme.cert-manager.io", "fields": ["ipAddresses"]}],
}

may_request if data.parameters.certificateRequests == true

are_of_hosts(usages) if usages == null

are_of_hosts(usages) if {
	is_array(usages)
	every usage in usages {
		usage in ["client auth", "digital signature", "key agreement", "key encipherment", "server auth"]
	}
}

# What annotations say, whatever object they are on. The prefix is part of the name where others use the name too; controllers
# let the platform choose another prefix, so that some names count behind any. Read are `hosts` as a list with commas, the
# `conditions` of a load balancer, whether a host's `twin` is taken; `configuration`, and `more` than hosts, are denied.
annotations := [
	{"starts": "cert-manager.io/", "ends": "/alt-names", "says": "hosts"},
	{"starts": "cert-manager.io/", "ends": "/common-name", "says": "hosts"},
	{"starts": "cert-manager.io/", "ends": "/email-sans", "says": "more"},
	{"starts": "cert-manager.io/", "ends": "/ip-sans", "says": "more"},
	{"starts": "cert-manager.io/", "ends": "/uri-sans", "says": "more"},
	{"starts": "cert-manager.io/", "ends": "/literal-subject", "says": "more"},
	{"starts": "cert-manager.io/subject-", "ends": "", "says": "more"},
	{"starts": "external-dns.", "ends": "/hostname", "says": "hosts"},
	{"starts": "", "ends": "/internal-hostname", "says": "hosts"},
	{"starts": "dns.alpha.kubernetes.io/", "ends": "/external", "says": "hosts"},
	{"starts": "dns.alpha.kubernetes.io/", "ends": "/internal", "says": "hosts"},
	{"starts": "zalando.org/", "ends": "/dnsname", "says": "hosts"},
	{"starts": "", "ends": "/server-alias", "says": "hosts"},
	{"starts": "", "ends": "/server-alias-regex", "says": "configuration"},
	{"starts": "", "ends": "/from-to-www-redirect", "says": "twin"},
	{"starts": "", "ends": "/redirect-from", "says": "hosts"},
	{"starts": "", "ends": "/redirect-from-regex", "says": "configuration"},
	{"starts": "", "ends": "-snippet", "says": "configuration"},
	{"starts": "", "ends": "-snippets", "says": "configuration"},
	{"starts": "haproxy-ingress.github.io/config-", "ends": "", "says": "configuration"},
	{"starts": "ingress.kubernetes.io/config-", "ends": "", "says": "configuration"},
	{"starts": "alb.ingress.kubernetes.io/conditions.", "ends": "", "says": "conditions"},
	{"starts": "appgw.ingress.kubernetes.io/", "ends": "/hostname-extension", "says": "hosts"},
	{"starts": "konghq.com/", "ends": "/host-aliases", "says": "hosts"},
	{"starts": "konghq.com/", "ends": "/snis", "says": "hosts"},
	{"starts": "traefik.ingress.kubernetes.io/router.tls.domains.", "ends": ".main", "says": "hosts"},
	{"starts": "traefik.ingress.kubernetes.io/router.tls.domains.", "ends": ".sans", "says": "hosts"},
]

# By each name that occurs: most occur often.
readings[key] contains annotation.says if {
	some key in {one.key | some one in annotated}
	some annotation in annotations
	startswith(key, annotation.starts)
	endswith(key, annotation.ends)
}

annotated := [{"planned": planned, "key": key, "value": text, "path": sprintf("%s.annotations[%s]", [concat(".", metadata), key])} |
	by_kind := templates
	some planned in applied
	some metadata in array.concat(
		metadatas,
		[array.concat(path, ["metadata"]) | path := by_kind[[planned.group, planned.kind]]],
	)
	all := object.get(planned.object, array.concat(metadata, ["annotations"]), null)
	is_object(all)
	some key, text in all
]

# An object's own, those of its pods, and those of the Services that a Gateway makes.
metadatas := [
	["metadata"],
	["spec", "template", "metadata"],
	["spec", "jobTemplate", "spec", "template", "metadata"],
	["template", "metadata"],
	["spec", "infrastructure"],
]

templates := {[group, kind]: split(dotted, ".") |
	is_object(data.parameters.templates)
	some name, dotted in data.parameters.templates
	is_string(dotted)
	not dotted in ["", "spec.template", "spec.jobTemplate.spec.template", "template"]
	kind := substring(name, 0, indexof(name, "."))
	group := substring(name, indexof(name, ".") + 1, -1)
}

found_in(planned, place) := [{"value": object.get(planned.object, place.field, null), "path": concat(".", place.field)}] if {
	not place.items
} else := [{"value": value(item, place.field), "path": sprintf("%s[%v].%s", [concat(".", place.items), i, concat(".", place.field)])} |
	some i, item in list(object.get(planned.object, place.items, null))
]

# What a field holds: one of them, or none, or several.
hosts_in(found, place) := [null] if {
	found in [null, "", []]
	place.every
} else := [] if {
	found in [null, "", []]
} else := rule_hosts(found) if {
	place.as == "rule"
} else := [false] if {
	place.as == "unreadable"
} else := [unscoped(host) | some host in list(found)] if {
	place.as == "scoped"
} else := [host | some host in list(found); not is_of_a_namespace(host)] if {
	place.as == "service"
} else := [found] if {
	place.holds == "host"
} else := list(found)

# The namespaces in front of a host say whose routes it takes, and `*` is every host.
unscoped(host) := split(host, "/")[1] if {
	is_string(host)
	count(split(host, "/")) == 2
} else := host

# In a mesh: a Service by its bare name, or one of the tenant's by its whole name.
is_of_a_namespace(host) if {
	is_string(host)
	regex.match(`^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$`, host)
}

is_of_a_namespace(host) if {
	is_string(host)
	some namespace in input.tenant.namespaces
	regex.match(`^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.`, host)
	is_string(namespace)
	substring(host, indexof(host, "."), -1) in [sprintf(".%s.svc", [namespace]), sprintf(".%s.svc.cluster.local", [namespace])]
}

# Of a rule such as Host(`web.acme.example`) && PathPrefix(`/shop`): each way through it has to name a host. Read are names,
# brackets, backticks, && and ||; what else such a language has would let a host look like one that it is not.
rule_hosts(rule) := [false] if {
	not is_plain(rule)
} else := [null] if {
	some way in {each | some each in split(words(rule), "||")}
	not regex.match(begun, way)
} else := [text |
	some call in regex.find_all_string_submatch_n(quoted, rule, -1)
	some i, text in split(call[1], "`")
	i % 2 == 1
]

is_plain(rule) if {
	is_string(rule)
	count(split(rule, "`")) % 2 == 1
	regex.match("^[A-Za-z0-9\\s(),&|`]*$", words(rule))
}

# What is not between backticks.
words(rule) := concat("`", [text | some i, text in split(rule, "`"); i % 2 == 0])

begun := "(?i)(?:^|[^a-z0-9])(?:host|hostheader|hostsni)\\s*\\(\\s*`"

# All that is between backticks, from left to right, and the names of one matcher together: so nothing begins within them.
quoted := "(?i)\\b(?:host|hostheader|hostsni)\\s*\\(((?:\\s*`[^`]*`\\s*,)*\\s*`[^`]*`)|`[^`]*`"

# Of [{"field": "host-header", "hostHeaderConfig": {"values": ["web.acme.example"]}}]: they count beside a rule's own host.
conditions(text) := [false] if {
	not is_json_list(text)
} else := [host |
	some condition in json.unmarshal(text)
	some host in condition_hosts(condition)
]

is_json_list(text) if {
	is_string(text)
	json.is_valid(text)
	is_array(json.unmarshal(text))
}

# Whoever reads it takes names in whatever case, the last one of each.
condition_hosts(condition) := [false] if {
	not is_object(condition)
} else := [] if {
	is_string(condition.field)
	lower(condition.field) != "host-header"
	count(named(condition, "hostheaderconfig")) == 0
	count(named(condition, "field")) == 1
} else := condition.hostHeaderConfig.values if {
	count(named(condition, "hostheaderconfig")) == 1
	count(condition.hostHeaderConfig) == 1
	is_array(condition.hostHeaderConfig.values)
} else := [false]

named(thing, name) := {field |
	some field, _ in thing
	lower(field) == name
}

twin(host) := trim_prefix(host, "www.") if {
	startswith(host, "www.")
} else := sprintf("www.%s", [host])

neighbours(host) := sprintf("*%s", [substring(host, indexof(host, "."), -1)]) if {
	is_string(host)
	contains(host, ".")
} else := null

spec_list(planned, field) := list(object.get(planned.object, ["spec", field], null))

list(found) := [] if {
	found == null
} else := found if {
	is_array(found)
} else := [false]

value(thing, field) := object.get(thing, field, null) if {
	is_object(thing)
} else := false

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

# Both are the platform's words, so that what either names is the tenant's.
domains := array.concat(listed, [domain | some domain in declared; not domain in listed])

listed := data.parameters.domains[input.tenant.name] if {
	is_array(data.parameters.domains[input.tenant.name])
} else := []

declared := input.tenant.domains if {
	is_array(input.tenant.domains)
} else := []

shown(host) := "takes every host" if {
	host in [null, ""]
} else := sprintf("takes host %s, which is in none of your domains", [host]) if {
	is_string(host)
} else := "takes a host that cannot be read"

remedy := sprintf("name one under %s", [concat(", ", [domain | some domain in domains; is_string(domain)])]) if {
	count(domains) > 0
} else := "have the platform team give your tenant a domain, in spec.domains of its Tenant or parameters.domains of ingress-hosts"

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
