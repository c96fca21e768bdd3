#!/usr/bin/env python3
"""Write `schema.txt` and `fieldspecs.txt` from the Go modules of kustomize (Apache-2.0), which hold Kubernetes' OpenAPI
document and kustomize's default field lists.

  generate.py KYAML API      the directories of sigs.k8s.io/kustomize/{kyaml,api}, as `go list -m -f '{{.Dir}}'` prints them

schema.txt keeps only what a strategic merge needs: which kinds there are, which live in no namespace, and on the way to a
list that merges by key, the fields and keys. Equal shapes are written once.

  T <type> <field>:<type> <field>{}:<type> <field>[]<key,key>:<type>      {} a map of, [] a list merged by key; `-` no type
  R <apiVersion> <kind> <n|c|?> <type>                                    namespaced, cluster-scoped, unknown
  D <definition> <type>                                                   what the OpenAPI document calls a type
"""
import gzip, json, glob, os, re, sys
import yaml

kyaml, api = sys.argv[1], sys.argv[2]
here = os.path.dirname(os.path.abspath(__file__))


def schema():
    bundle = json.load(gzip.open(glob.glob(f"{kyaml}/openapi/kubernetesapi/data/*.json.gz")[0]))
    defs = bundle["definitions"]

    def resolve(s):
        while "$ref" in s:
            s = defs[s["$ref"].rsplit("/", 1)[-1]]
        return s

    # which definitions reach a list that merges; a fixpoint, for definitions may be recursive
    def merges(s):
        return s.get("type") == "array" and "merge" in s.get("x-kubernetes-patch-strategy", "").split(",")

    def ref(s):
        return s.get("$ref", "").rsplit("/", 1)[-1]

    useful = set()

    def reaches(s):
        if "$ref" in s:
            return ref(s) in useful
        if merges(s):
            return True
        extra = s.get("additionalProperties")
        return any(reaches(p) for p in s.get("properties", {}).values()) or (isinstance(extra, dict) and reaches(extra))

    while True:
        more = {n for n, d in defs.items() if n not in useful and reaches(d)}
        if not more:
            break
        useful |= more

    types, lines = {}, []

    def shape(s, stack=()):
        if "$ref" in s:
            if ref(s) in stack:
                return "-"
            stack += (ref(s),)
            s = resolve(s)
        fields = []
        for name, p in sorted(s.get("properties", {}).items()):
            q = resolve(p)
            extra = q.get("additionalProperties")
            if merges(p):
                strategy_keys = p.get("x-kubernetes-list-map-keys") or [p.get("x-kubernetes-patch-merge-key", "")]
                fields.append(f"{name}[]{','.join(k for k in strategy_keys if k)}:{shape(p['items'], stack)}")
            elif isinstance(extra, dict) and reaches(extra):
                fields.append(f"{name}{{}}:{shape(extra, stack)}")
            elif reaches(p):
                t = shape(p, stack)
                if t != "-":
                    fields.append(f"{name}:{t}")
        if not fields:
            return "-"
        key = " ".join(fields)
        if key not in types:
            types[key] = str(len(types))
            lines.append(f"T {types[key]} {key}")
        return types[key]

    table = open(f"{kyaml}/openapi/openapi.go").read()
    scopes = {(a, k): ("n" if v == "true" else "c") for a, k, v in re.findall(
        r'\{APIVersion: "([^"]*)", Kind: "([^"]*)"\}: +(true|false)', table)}
    kinds = {}
    for r in bundle["resources"]:
        t = shape({"$ref": "/" + r["definition"]}) if r.get("definition") else "-"
        scope = {"Namespaced": "n", "Cluster": "c"}.get(r.get("scope", ""), "?")
        kinds[(r["apiVersion"], r["kind"])] = (scope, t)
    for key, scope in scopes.items():
        kinds[key] = (scope, kinds.get(key, ("?", "-"))[1])
    for (a, k), (scope, t) in sorted(kinds.items(), key=lambda kind: (kind[0][1], kind[0][0])):
        if scope != "?" or t != "-":
            lines.append(f"R {a} {k} {scope} {t}")
    # a document of `openapi.path` may refer to these by name
    for name in sorted(useful):
        t = shape({"$ref": "/" + name})
        if t != "-":
            lines.append(f"D {name} {t}")
    return lines


FIRST = """Namespace ResourceQuota StorageClass CustomResourceDefinition ServiceAccount PodSecurityPolicy Role ClusterRole
RoleBinding ClusterRoleBinding ConfigMap Secret Endpoints Service LimitRange PriorityClass PersistentVolume
PersistentVolumeClaim Deployment StatefulSet CronJob PodDisruptionBudget""".split()


def gvk_order(x):
    kind = x.get("kind", "")
    index = FIRST.index(kind) - len(FIRST) if kind in FIRST else {
        "MutatingWebhookConfiguration": 1, "ValidatingWebhookConfiguration": 2}.get(kind, 0)
    return index, f"{x.get('group') or '~G'}_{x.get('version') or '~V'}_{kind or '~K'}"


def fieldspecs():
    """One line a field: <list> <group|-> <version|-> <kind|-> <c|-> <path>, and for name references first whose name it is."""
    consts, lines = {}, []
    for f in sorted(glob.glob(f"{api}/internal/konfig/builtinpluginconsts/*.go")):
        text = open(f).read()
        for name, body in re.findall(r"(\w+)\s*=\s*((?:`[^`]*`|\w+)(?:\s*\+\s*(?:`[^`]*`|\w+))*)", text):
            consts[name] = body

    def value(expr):
        return "".join(p[1:-1] if p.startswith("`") else value(consts[p]) for p in re.findall(r"`[^`]*`|\w+", expr))

    def gvk(x):
        return " ".join(x.get(k) or "-" for k in ("group", "version", "kind"))

    for name, expr in sorted(consts.items()):
        if not re.match(r"`\s*\w+:", expr):
            continue
        for field, entries in yaml.safe_load(value(expr)).items():
            if field == "nameReference":
                for target in sorted(entries, key=gvk_order):
                    lines.append(f"nameReference {gvk(target)}")
                    for s in sorted(target["fieldSpecs"], key=gvk_order):
                        lines.append(f"  {gvk(s)} - {s['path']}")
            elif field in ("commonLabels", "templateLabels", "volumeClaimTemplateLabels", "commonAnnotations", "namespace", "images",
                           "replicas", "varReference", "namePrefix", "nameSuffix"):
                lines.append(field)
                for s in sorted(entries, key=gvk_order):
                    lines.append(f"  {gvk(s)} {'c' if s.get('create') else '-'} {s['path']}")
    return lines


for name, lines in (("schema.txt", schema()), ("fieldspecs.txt", fieldspecs())):
    with open(f"{here}/{name}", "w") as out:
        out.write("# Written by generate.py from sigs.k8s.io/kustomize/{kyaml,api} v0.21.2 (Apache-2.0); do not edit.\n")
        out.write("\n".join(lines) + "\n")
