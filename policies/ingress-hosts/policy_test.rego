package reeve.ingress_hosts_test

denied(objects, domains) := objections if {
	objections := data.reeve.ingress_hosts.deny with input as {
		"phase": "plan",
		"tenant": {"name": "acme", "namespaces": ["acme"]},
		"objects": objects,
	}
		with data.parameters as {"domains": domains}
}

own := {"acme": ["acme.example", "*.acme.example"], "other": ["other.example"]}

planned(kind, group, object) := {"action": "apply", "group": group, "kind": kind, "namespace": "acme", "name": "web", "object": object}

ingress(spec) := planned("Ingress", "networking.k8s.io", {"kind": "Ingress", "spec": spec})

for_host(host) := ingress({"rules": [{"host": host}]})

route(kind, spec) := planned(kind, "gateway.networking.k8s.io", {"kind": kind, "spec": spec})

certificate(spec) := planned("Certificate", "cert-manager.io", {"kind": "Certificate", "spec": spec})

kind_of(kind, group, spec) := planned(kind, group, {"kind": kind, "spec": spec})

leading(host, on) := planned("Ingress", "networking.k8s.io", {
	"kind": "Ingress",
	"metadata": {"annotations": {"nginx.ingress.kubernetes.io/from-to-www-redirect": on}},
	"spec": {"rules": [{"host": host}]},
})

annotated(key, value) := planned("Service", "", {"kind": "Service", "metadata": {"annotations": {key: value}}})

test_hosts_of_the_tenants_domains_are_allowed if {
	every host in ["acme.example", "web.acme.example", "a.b.acme.example", "*.acme.example", "*.a.acme.example"] {
		count(denied([for_host(host)], own)) == 0
	}
}

test_hosts_of_others_are_denied if {
	every host in [
		"other.example", "evilacme.example", "acme.example.evil.com", "*.example", "*", "ACME.example", "acme.example.",
		"evil.com/.acme.example", "~^.*.acme.example", ".acme.example", "*.*.acme.example", "a.*.acme.example",
		"evil.com .acme.example", "-.acme.example", "evil.com\n.acme.example", "web.acme.example:443",
	] {
		count(denied([for_host(host)], own)) == 1
	}
}

test_a_domain_without_a_star_is_that_host_alone if {
	count(denied([for_host("acme.example")], {"acme": ["acme.example"]})) == 0
	count(denied([for_host("web.acme.example")], {"acme": ["acme.example"]})) == 1
	count(denied([for_host("*.acme.example")], {"acme": ["acme.example"]})) == 1
	count(denied([for_host("acme.example")], {"acme": ["*.acme.example"]})) == 1
}

test_no_host_is_every_host if {
	count(denied([ingress({"rules": [{}]})], own)) == 1
	count(denied([ingress({"rules": [{"host": ""}]})], own)) == 1
	count(denied([ingress({"defaultBackend": {"service": {"name": "web"}}})], own)) == 1
	count(denied([ingress({"tls": [{"secretName": "web"}]})], own)) == 1
	every kind in ["HTTPRoute", "GRPCRoute", "TLSRoute"] {
		count(denied([route(kind, {})], own)) == 1
		count(denied([route(kind, {"hostnames": []})], own)) == 1
		count(denied([route(kind, {"hostnames": [""]})], own)) == 1
	}
	count(denied([route("Gateway", {"listeners": [{"name": "http"}]})], own)) == 1
}

test_every_place_of_a_host_is_judged if {
	every host, count_of in {"web.acme.example": 0, "web.other.example": 1} {
		count(denied([ingress({"tls": [{"hosts": ["acme.example", host]}]})], own)) == count_of
		count(denied([ingress({"rules": [{"host": "acme.example"}, {"host": host}]})], own)) == count_of
		count(denied([route("HTTPRoute", {"hostnames": [host]})], own)) == count_of
		count(denied([route("GRPCRoute", {"hostnames": [host]})], own)) == count_of
		count(denied([route("TLSRoute", {"hostnames": [host]})], own)) == count_of
		count(denied([route("Gateway", {"listeners": [{"hostname": host}]})], own)) == count_of
		count(denied([route("ListenerSet", {"listeners": [{"hostname": host}]})], own)) == count_of
		count(denied([certificate({"dnsNames": [host]})], own)) == count_of
		count(denied([certificate({"commonName": host})], own)) == count_of
		count(denied([annotated("external-dns.alpha.kubernetes.io/hostname", host)], own)) == count_of
		count(denied([annotated("nginx.ingress.kubernetes.io/server-alias", sprintf("acme.example, %s", [host]))], own)) == count_of
		count(denied([annotated("cert-manager.io/common-name", host)], own)) == count_of
	}
}

test_a_certificate_is_of_hosts_alone if {
	every field, value in {
		"emailAddresses": ["a@acme.example"],
		"ipAddresses": ["10.0.0.1"],
		"uris": ["spiffe://a"],
		"literalSubject": "CN=a",
		"otherNames": [{}],
	} {
		count(denied([certificate({"dnsNames": ["acme.example"], field: value})], own)) == 1
	}
	every key in ["email-sans", "ip-sans", "uri-sans"] {
		count(denied([annotated(sprintf("cert-manager.io/%s", [key]), "acme.example")], own)) == 1
		count(denied([annotated(sprintf("cert-manager.io/%s", [key]), "")], own)) == 0
	}
	count(denied([certificate({"dnsNames": ["acme.example"], "uris": [], "literalSubject": "", "isCA": false, "subject": {}})], own)) == 0
}

test_a_certificate_that_signs_others_or_names_a_holder_is_denied if {
	every field, value in {"isCA": true, "subject": {"organizations": ["system:masters"]}, "usages": ["cert sign"]} {
		count(denied([certificate({"dnsNames": ["acme.example"], field: value})], own)) == 1
	}
	count(denied([certificate({"dnsNames": ["acme.example"], "usages": ["server auth", "digital signature"]})], own)) == 0
	count(denied([certificate({"dnsNames": ["acme.example"], "usages": "any"})], own)) == 1
	every key, value in {"subject-organizations": "system:masters", "literal-subject": "CN=a", "usages": "server auth,cert sign"} {
		count(denied([annotated(sprintf("cert-manager.io/%s", [key]), value)], own)) == 1
	}
	count(denied([annotated("cert-manager.io/usages", "server auth, client auth")], own)) == 0
}

test_an_encoded_request_needs_the_platforms_leave if {
	every request in [
		planned("CertificateRequest", "cert-manager.io", {"kind": "CertificateRequest", "spec": {"request": "LS0="}}),
		planned("CertificateSigningRequest", "certificates.k8s.io", {"kind": "CertificateSigningRequest", "spec": {"request": "LS0="}}),
		planned("Order", "acme.cert-manager.io", {"kind": "Order", "spec": {"request": "LS0="}}),
	] {
		count(denied([request], own)) == 1
		every leave, count_of in {true: 0, false: 1, "true": 1, null: 1} {
			objections := data.reeve.ingress_hosts.deny with input as {"phase": "plan", "tenant": {"name": "acme", "namespaces": ["acme"]}, "objects": [request]}
				with data.parameters as {"certificateRequests": leave}
			count(objections) == count_of
		}
	}
}

acme(kind, spec) := objections if {
	objections := data.reeve.ingress_hosts.deny with input as {
		"phase": "plan",
		"tenant": {"name": "acme", "namespaces": ["acme"]},
		"objects": [kind_of(kind, "acme.cert-manager.io", spec)],
	}
		with data.parameters as {"domains": {"acme": ["acme.example", "*.web.acme.example"]}, "certificateRequests": true}
}

test_what_is_made_of_a_certificate_on_its_way_is_held_to_the_same if {
	every row in [
		["Challenge", {"dnsName": "acme.example"}, 0],
		["Challenge", {"dnsName": "acme.example", "wildcard": false}, 0],
		["Challenge", {"dnsName": "a.web.acme.example", "wildcard": true}, 0],
		["Challenge", {"dnsName": "acme.example", "wildcard": true}, 1],
		["Challenge", {"dnsName": "acme.example", "wildcard": "true"}, 1],
		["Challenge", {"dnsName": "other.example"}, 1],
		["Challenge", {"dnsName": ["acme.example"], "wildcard": true}, 1],
		["Challenge", {}, 1],
		["Order", {"request": "LS0=", "dnsNames": ["acme.example", "*.web.acme.example"], "commonName": "acme.example"}, 0],
		["Order", {"request": "LS0=", "dnsNames": ["acme.example", "other.example"]}, 1],
		["Order", {"request": "LS0=", "commonName": "other.example"}, 1],
		["Order", {"request": "LS0=", "dnsNames": ["acme.example"], "ipAddresses": ["10.0.0.1"]}, 1],
	] {
		[kind, spec, count_of] := row
		count(acme(kind, spec)) == count_of
	}
}

naming := [
	"appgw.ingress.kubernetes.io/hostname-extension",
	"cert-manager.io/alt-names",
	"cert-manager.io/common-name",
	"dns.alpha.kubernetes.io/external",
	"dns.alpha.kubernetes.io/internal",
	"external-dns.alpha.kubernetes.io/hostname",
	"external-dns.alpha.kubernetes.io/internal-hostname",
	"external-dns.kubernetes.io/hostname",
	"external-dns.kubernetes.io/internal-hostname",
	"haproxy-ingress.github.io/redirect-from",
	"haproxy-ingress.github.io/server-alias",
	"konghq.com/host-aliases",
	"konghq.com/snis",
	"nginx.example/server-alias",
	"nginx.ingress.kubernetes.io/server-alias",
	"traefik.ingress.kubernetes.io/router.tls.domains.0.main",
	"traefik.ingress.kubernetes.io/router.tls.domains.10.sans",
	"zalando.org/dnsname",
]

test_every_annotation_that_names_a_host_is_judged if {
	every value in ["acme.example", " acme.example , web.acme.example,", ""] {
		count(denied([annotated(key, value) | some key in naming], own)) == 0
	}
	every value in ["other.example", "acme.example,other.example", "~^(.+)$", "*", ["acme.example"]] {
		objections := denied([annotated(key, value) | some key in naming], own)
		{objection.path | some objection in objections} == {sprintf("metadata.annotations[%s]", [key]) | some key in naming}
	}
	others := ["kubernetes.io/hostname", "example.com/internal-hostnames", "checksum/config-map", "external-dns.kubernetes.io/target"]
	count(denied([annotated(key, "other.example") | some key in others], own)) == 0
}

test_annotations_are_judged_wherever_a_controller_finds_them if {
	metadata := {"annotations": {"external-dns.kubernetes.io/hostname": "other.example"}}
	every object in [
		planned("Pod", "", {"kind": "Pod", "metadata": metadata}),
		planned("Node", "", {"kind": "Node", "metadata": metadata}),
		planned("TCPRoute", "gateway.networking.k8s.io", {"kind": "TCPRoute", "metadata": metadata}),
		planned("Deployment", "apps", {"kind": "Deployment", "spec": {"template": {"metadata": metadata}}}),
		planned("CronJob", "batch", {"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"metadata": metadata}}}}}),
		planned("PodTemplate", "", {"kind": "PodTemplate", "template": {"metadata": metadata}}),
		planned("Gateway", "gateway.networking.k8s.io", {"kind": "Gateway", "spec": {"infrastructure": metadata}}),
	] {
		count(denied([object], own)) == 1
	}
	fleet := planned("Fleet", "game.example", {"kind": "Fleet", "spec": {"pods": {"metadata": metadata}}})
	count(denied([fleet], own)) == 0
	objections := data.reeve.ingress_hosts.deny with input as {"phase": "plan", "tenant": {"name": "acme", "namespaces": ["acme"]}, "objects": [fleet]}
		with data.parameters as {"domains": own, "templates": {"Fleet.game.example": "spec.pods"}}
	some objection in objections
	objection.path == "spec.pods.metadata.annotations[external-dns.kubernetes.io/hostname]"
}

test_the_other_of_www_is_taken_too_where_it_leads_here if {
	every row in [
		["web.acme.example", ["*.acme.example"], "true", 0],
		["web.acme.example", ["web.acme.example"], "true", 1],
		["web.acme.example", ["web.acme.example"], "false", 0],
		["web.acme.example", ["web.acme.example", "www.web.acme.example"], "T", 0],
		["www.acme.example", ["*.acme.example"], "1", 1],
		["www.acme.example", ["*.acme.example", "acme.example"], "1", 0],
	] {
		[host, of, on, count_of] := row
		count(denied([leading(host, on)], {"acme": of})) == count_of
	}
}

test_configuration_of_ones_own_is_denied if {
	keys := [
		"haproxy-ingress.github.io/config-backend",
		"haproxy-ingress.github.io/config-frontend-early",
		"haproxy-ingress.github.io/redirect-from-regex",
		"haproxy-ingress.github.io/server-alias-regex",
		"haproxy.org/backend-config-snippet",
		"haproxy.org/frontend-config-snippet",
		"ingress.kubernetes.io/config-backend",
		"nginx.ingress.kubernetes.io/auth-snippet",
		"nginx.ingress.kubernetes.io/configuration-snippet",
		"nginx.ingress.kubernetes.io/server-snippet",
		"nginx.ingress.kubernetes.io/stream-snippet",
		"nginx.org/http-snippets",
		"nginx.org/location-snippets",
		"nginx.org/server-snippets",
		"nginx.org/stream-snippets",
	]
	count(denied([annotated(key, "x") | some key in keys], own)) == count(keys)
	count(denied([annotated("nginx.ingress.kubernetes.io/rewrite-target", "/")], own)) == 0
	every row in [
		["TransportServer", {"server-snippets": "x"}],
		["TransportServer", {"stream-snippets": "x"}],
		["VirtualServer", {"host": "acme.example", "http-snippets": "x"}],
		["VirtualServer", {"host": "acme.example", "server-snippets": "x"}],
		["VirtualServer", {"host": "acme.example", "routes": [{"path": "/"}, {"location-snippets": "x"}]}],
		["VirtualServerRoute", {"host": "acme.example", "subroutes": [{"location-snippets": "x"}]}],
	] {
		[kind, spec] := row
		count(denied([kind_of(kind, "k8s.nginx.org", spec)], own)) == 1
	}
	count(denied([kind_of("VirtualServer", "k8s.nginx.org", {"host": "acme.example", "routes": [{"path": "/"}]})], own)) == 0
	every row in [
		["EnvoyFilter", "networking.istio.io"],
		["EnvoyPatchPolicy", "gateway.envoyproxy.io"],
		["SnippetsFilter", "gateway.nginx.org"],
	] {
		[kind, group] := row
		count(denied([kind_of(kind, group, {})], own)) == 1
	}
}

test_hosts_of_other_controllers_are_judged if {
	every host, count_of in {"web.acme.example": 0, "web.other.example": 1, "*": 1, "other.example/acme.example": 1} {
		every row in [
			["DNSEndpoint", "externaldns.k8s.io", {"endpoints": [{"dnsName": "acme.example"}, {"dnsName": host}]}],
			["DNSEndpoint", "externaldns.nginx.org", {"endpoints": [{"dnsName": host}]}],
			["Certificate", "networking.internal.knative.dev", {"dnsNames": ["acme.example", host]}],
			["Certificate", "networking.internal.knative.dev", {"dnsNames": ["acme.example"], "domain": host}],
			["HTTPProxy", "projectcontour.io", {"virtualhost": {"fqdn": host}}],
			["Ingress", "networking.internal.knative.dev", {"rules": [{"hosts": [host]}]}],
			["IngressRoute", "traefik.io", {"routes": [{"match": sprintf("Host(`%s`)", [host])}]}],
			["IngressRoute", "traefik.io", {"tls": {"domains": [{"main": "acme.example", "sans": [host]}]}}],
			["IngressRouteTCP", "traefik.containo.us", {"routes": [{"match": sprintf("HostSNI(`%s`)", [host])}]}],
			["ManagedCertificate", "networking.gke.io", {"domains": [host]}],
			["Route", "route.openshift.io", {"host": host}],
			["RouteGroup", "zalando.org", {"hosts": [host]}],
			["ServiceEntry", "networking.istio.io", {"hosts": [host]}],
			["TCPIngress", "configuration.konghq.com", {"rules": [{"port": 443, "host": host}]}],
			["TCPIngress", "configuration.konghq.com", {"rules": [{"port": 443}], "tls": [{"hosts": [host]}]}],
			["TransportServer", "k8s.nginx.org", {"host": host}],
			["VirtualServer", "k8s.nginx.org", {"host": host}],
			["VirtualServerRoute", "k8s.nginx.org", {"host": host}],
			["VirtualService", "networking.istio.io", {"hosts": ["acme.example", host]}],
		] {
			[kind, group, spec] := row
			count(denied([kind_of(kind, group, spec)], own)) == count_of
		}
		count(denied([object.union(kind_of("DomainMapping", "serving.knative.dev", {}), {"name": host})], own)) == count_of
	}
	every row in [
		["HTTPProxy", "projectcontour.io", {"routes": []}],
		["TCPIngress", "configuration.konghq.com", {"rules": [{"port": 9000}]}],
		["Route", "route.openshift.io", {"host": "web.acme.example", "wildcardPolicy": "Subdomain"}],
		["Route", "route.openshift.io", {"wildcardPolicy": "None"}],
		["VirtualService", "networking.istio.io", {"hosts": ["reviews", "reviews.acme.svc.cluster.local"]}],
	] {
		[kind, group, spec] := row
		count(denied([kind_of(kind, group, spec)], own)) == 0
	}
	every row in [
		["IngressRoute", "traefik.io", {"routes": [{}]}],
		["RouteGroup", "zalando.org", {"backends": []}],
		["Route", "route.openshift.io", {"host": "acme.example", "wildcardPolicy": "Subdomain"}],
		["Route", "route.openshift.io", {"subdomain": "other"}],
		["VirtualServer", "k8s.nginx.org", {}],
		["VirtualService", "networking.istio.io", {"hosts": ["reviews.other.svc.cluster.local"]}],
		["VirtualService", "networking.istio.io", {"hosts": []}],
	] {
		[kind, group, spec] := row
		count(denied([kind_of(kind, group, spec)], own)) == 1
	}
}

test_a_route_without_a_host_hides_no_other if {
	route := kind_of("Route", "route.openshift.io", {"host": "acme.example", "wildcardPolicy": "Subdomain"})
	other := object.union(
		kind_of("Route", "route.openshift.io", {"wildcardPolicy": "Subdomain"}),
		{"name": "z"},
	)
	count(denied([route, other], own)) == 1
}

test_a_gateways_hosts_are_read_behind_the_namespace if {
	every host, count_of in {"acme/acme.example": 0, "./web.acme.example": 0, "*/*.acme.example": 0, "*/*": 1, "acme/other.example": 1, "a/b/acme.example": 1} {
		count(denied([kind_of("Gateway", "networking.istio.io", {"servers": [{"hosts": [host]}]})], own)) == count_of
	}
}

test_every_way_through_a_rule_names_a_host if {
	every rule, count_of in {
		"Host(`acme.example`) && PathPrefix(`/shop`)": 0,
		"Host(`acme.example`, `web.acme.example`)": 0,
		"(host(`acme.example`) || Host( `web.acme.example` )) && (PathPrefix(`/a`) && Method(`GET`))": 0,
		"Host(`acme.example`) || Host(`other.example`)": 1,
		"Host(`acme.example`, `other.example`)": 1,
		"Host(`acme.example`) || PathPrefix(`/`)": 1,
		"PathPrefix(`/`)": 1,
		"PathPrefix(`Host(acme.example)`)": 1,
		"HostRegexp(`^.*$`)": 1,
		"Host()": 1,
		"!Host(`acme.example`)": 1,
		"Path(\"Host(`acme.example`)\")": 1,
		"/* Host(`acme.example`) */ PathPrefix(`/`)": 1,
		"Host(`acme.example": 1,
		"PathPrefix(`Host(`) && Host(`other.example`)": 1,
		"`a`Host(`other.example`)": 1,
		"PathPrefix(`, Host(`) && Host(`acme.example`, `web.acme.example` )": 0,
		"Host(`acme.example`,`web.acme.example`,\n`other.example`)": 1,
	} {
		count(denied([kind_of("IngressRoute", "traefik.io", {"routes": [{"match": rule}]})], own)) == count_of
	}
}

test_the_hosts_in_a_load_balancers_conditions_are_judged if {
	every value, count_of in {
		`[{"field":"host-header","hostHeaderConfig":{"values":["web.acme.example"]}}]`: 0,
		`[{"field":"http-header","httpHeaderConfig":{"httpHeaderName":"a","values":["b"]}}]`: 0,
		`[]`: 0,
		`[{"field":"host-header","hostHeaderConfig":{"values":["acme.example","other.example"]}}]`: 1,
		`[{"field":"host-header","hostHeaderConfig":{"regexValues":[".*"]}}]`: 1,
		`[{"field":"host-header","hostHeaderConfig":{"values":["acme.example"],"regexValues":[".*"]}}]`: 1,
		`[{"field":"host-header","hostHeaderConfig":{"values":["acme.example"]},"HostHeaderConfig":{"values":["other.example"]}}]`: 1,
		`[{"field":"path-pattern","Field":"host-header","hostHeaderConfig":{"values":["other.example"]}}]`: 1,
		`[{"HostHeaderConfig":{"values":["acme.example"]}}]`: 1,
		`{"field":"host-header"}`: 1,
		`not JSON`: 1,
	} {
		count(denied([annotated("alb.ingress.kubernetes.io/conditions.web", value)], own)) == count_of
	}
}

test_a_tenant_without_domains_takes_none if {
	every domains in [{}, null, {"acme": "acme.example"}, {"acme": null}, {"acme": []}, {"other": ["acme.example"]}, {"acme": [null, "*"]}] {
		count(denied([for_host("acme.example")], domains)) == 1
	}
}

# With these of its Tenant, and those of the parameters.
declared(host, of_tenant, of_parameters) := objections if {
	objections := data.reeve.ingress_hosts.deny with input as {
		"phase": "plan",
		"tenant": {"name": "acme", "namespaces": ["acme"], "domains": of_tenant},
		"objects": [for_host(host)],
	}
		with data.parameters as of_parameters
}

test_domains_of_the_tenant_and_of_the_parameters_are_its_own if {
	every host, count_of in {"acme.example": 0, "web.acme.example": 0, "shop.example": 0, "other.example": 1} {
		count(declared(host, ["*.acme.example", "shop.example"], {"domains": own})) == count_of
	}
	count(declared("shop.example", ["shop.example"], {})) == 0
	count(declared("acme.example", [], {"domains": own})) == 0
	every of_tenant in [[], null, "shop.example", {"acme": ["shop.example"]}, [null, ["shop.example"], "*"]] {
		count(declared("shop.example", of_tenant, {})) == 1
	}
	some objection in declared("other.example", ["acme.example", "shop.example"], {"domains": own})
	objection.message == "Ingress/acme/web takes host other.example, which is in none of your domains; name one under acme.example, *.acme.example, shop.example"
}

test_the_message_says_what_and_what_to_do if {
	some objection in denied([for_host("other.example")], own)
	objection.message == "Ingress/acme/web takes host other.example, which is in none of your domains; name one under acme.example, *.acme.example"
	objection.path == "spec.rules[0].host"
	some other in denied([route("HTTPRoute", {})], {})
	other.message == "HTTPRoute/acme/web takes every host; have the platform team give your tenant a domain, in spec.domains of its Tenant or parameters.domains of ingress-hosts"
	other.path == "spec.hostnames"
}

test_what_cannot_be_read_is_denied if {
	every spec in [
		{"rules": "acme.example"},
		{"rules": {"host": "acme.example"}},
		{"rules": [null]},
		{"rules": ["acme.example"]},
		{"rules": [{"host": ["acme.example"]}]},
		{"tls": ["acme.example"]},
		{"tls": [{"hosts": "acme.example"}]},
		{"tls": [{"hosts": [null]}]},
	] {
		count(denied([ingress(spec)], own)) == 1
	}
	count(denied([route("HTTPRoute", {"hostnames": "acme.example"})], own)) == 1
	count(denied([route("Gateway", {"listeners": {"hostname": "acme.example"}})], own)) == 1
	count(denied([certificate({"dnsNames": "acme.example"})], own)) == 1
	count(denied([annotated("external-dns.alpha.kubernetes.io/hostname", 1)], own)) == 1
	count(denied([planned("IngressList", "networking.k8s.io", {"kind": "IngressList", "items": []})], own)) == 1
	count(denied([planned("Ingress", "networking.k8s.io", null)], own)) == 1
	count(denied([null, "text", 1, []], own)) == 1
	count(denied(null, own)) == 1
	count(data.reeve.ingress_hosts.deny) == 1 with input as {}
}

test_what_is_deleted_takes_no_host if {
	count(denied([object.union(for_host("other.example"), {"action": "prune"})], own)) == 0
}

test_other_kinds_take_no_host if {
	count(denied([planned("Ingress", "evil.example", {"kind": "Ingress", "spec": {"rules": [{"host": "other.example"}]}})], own)) == 0
}
