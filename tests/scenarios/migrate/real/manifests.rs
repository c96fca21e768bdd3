//! What is delivered: kinds with a generation and without, with a status and without, values that the API server fills in or
//! writes in another form, and whatever a build makes another of.

use super::settings;

/// What is in the Secret.
pub(super) const SECRET: &str = "b7c1e0a94f52d3860e1fa5";

/// What is applied, but for the map that the generator makes.
pub(super) const WHAT: [(&str, &str, &str); 14] = [
    ("v1", "ConfigMap", "settings"),
    ("v1", "ConfigMap", "sized"),
    ("apps/v1", "Deployment", "web"),
    ("v1", "Service", "web"),
    ("autoscaling/v2", "HorizontalPodAutoscaler", "web"),
    ("policy/v1", "PodDisruptionBudget", "web"),
    ("networking.k8s.io/v1", "NetworkPolicy", "web"),
    ("networking.k8s.io/v1", "Ingress", "web"),
    ("v1", "ServiceAccount", "web"),
    ("rbac.authorization.k8s.io/v1", "Role", "web:read"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", "web:read"),
    ("v1", "Secret", "login"),
    ("batch/v1", "Job", "once"),
    ("batch/v1", "CronJob", "nightly"),
];

const WEB: &str = r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      serviceAccountName: web
      containers:
        - name: web
          image: registry.example/web:1
          ports: [{containerPort: 8080}]
          env: [{name: EMPTY, value: ""}, {name: FIRST, value: "1"}]
          envFrom: [{configMapRef: {name: generated}}]
          resources: {limits: {memory: 1024Mi, cpu: 1000m}, requests: {cpu: "0.001"}}
---
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: web
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 1
  maxReplicas: 1
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: web
spec:
  maxUnavailable: 1
  selector: {matchLabels: {app: web}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: web
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{ports: [{port: 8080}]}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
spec:
  rules:
    - host: web.example
      http:
        paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]
"#;

/// The binding is of a role that is there: Flux rehearses a set at once, and the API server looks up what may not be bound freely.
const RIGHTS: &str = r#"apiVersion: v1
kind: ServiceAccount
metadata:
  name: web
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: web:read
rules:
  - {apiGroups: [""], resources: [configmaps], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: web:read
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: readers}]
"#;

const JOBS: &str = r#"apiVersion: batch/v1
kind: Job
metadata:
  name: once
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: once, image: registry.example/once:1}]
---
apiVersion: batch/v1
kind: CronJob
metadata:
  name: nightly
spec:
  schedule: "0 3 1 1 *"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers: [{name: nightly, image: registry.example/nightly:1}]
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: sized
data:
  size: ${size}
  kept: $${size}
"#;

/// The repository, by its colour.
pub(super) fn files(colour: &str) -> Vec<(&'static str, String)> {
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: login\nstringData:\n  token: {SECRET}\n"
    );
    let kustomization = format!(
        r#"apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [settings.yaml, web.yaml, rights.yaml, jobs.yaml, secret.yaml]
configMapGenerator:
  - name: generated
    literals: [colour={colour}]
labels:
  - pairs: {{team: delivery}}
images:
  - {{name: registry.example/web, newTag: "2"}}
patches:
  - target: {{kind: Deployment, name: web}}
    patch: |
      - {{op: add, path: /spec/template/metadata/annotations, value: {{patched: "yes"}}}}
"#
    );
    let reader = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: reader\ndata:\n  colour: {colour}\n"
    );
    vec![
        ("kustomization.yaml", kustomization),
        ("settings.yaml", settings(colour).to_string()),
        ("web.yaml", WEB.to_owned()),
        ("rights.yaml", RIGHTS.to_owned()),
        ("jobs.yaml", JOBS.to_owned()),
        ("secret.yaml", secret),
        ("reader/map.yaml", reader),
    ]
}
