//! Whether references between objects are valid: names, labels, ports and volumes within one stage,
//! and what a pod may do. No schema and no API server reports a dangling name; it only shows when
//! nothing works.

use super::{Stage, Tree, matrix};
use serde_json::{Value, json};

/// The items of a list; empty if it is not a list.
pub fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// The template of a workload's pods.
pub fn pod_template(object: &Value) -> Option<&Value> {
    match object["kind"].as_str()? {
        "Deployment" | "StatefulSet" | "DaemonSet" | "Job" => Some(&object["spec"]["template"]),
        "CronJob" => Some(&object["spec"]["jobTemplate"]["spec"]["template"]),
        _ => None,
    }
}

struct Judge<'s> {
    stage: &'s Stage,
    wrong: Vec<String>,
}

impl<'s> Judge<'s> {
    fn has(&self, kind: &str, name: &Value) -> bool {
        self.stage
            .documents()
            .any(|object| object["kind"] == kind && object["metadata"]["name"] == *name)
    }

    fn must(&mut self, holds: bool, what: &str, of: &Value) {
        if !holds {
            self.wrong.push(format!("{}/{}: {what}", of["kind"], of["metadata"]["name"]));
        }
    }

    /// The pods that a Service's labels select.
    fn selected(&self, selector: &Value) -> Vec<&'s Value> {
        let wanted = selector.as_object().cloned().unwrap_or_default();
        let has = |template: &&Value| {
            wanted.iter().all(|(label, value)| template["metadata"]["labels"][label] == *value)
        };
        self.stage.built.iter().filter_map(pod_template).filter(has).collect()
    }

    fn service(&mut self, service: &Value) {
        let pods = self.selected(&service["spec"]["selector"]);
        self.must(!pods.is_empty(), "it selects no pod", service);
        for port in items(&service["spec"]["ports"]) {
            let target =
                if port["targetPort"].is_null() { &port["port"] } else { &port["targetPort"] };
            let opens = |pod: &&Value| {
                items(&pod["spec"]["containers"]).any(|container| opens(container, target))
            };
            self.must(
                pods.iter().all(opens),
                &format!("its pods do not open port {target}"),
                service,
            );
        }
    }

    fn ingress(&mut self, ingress: &Value) {
        let paths = items(&ingress["spec"]["rules"]).flat_map(|rule| items(&rule["http"]["paths"]));
        for backend in paths.map(|path| &path["backend"]["service"]) {
            let is_it = |object: &&Value| {
                object["kind"] == "Service" && object["metadata"]["name"] == backend["name"]
            };
            let service = self.stage.built.iter().find(is_it);
            let (name, number) = (&backend["port"]["name"], &backend["port"]["number"]);
            let port = |service: &Value| {
                items(&service["spec"]["ports"]).any(|port| {
                    (!name.is_null() && port["name"] == *name) || port["port"] == *number
                })
            };
            self.must(
                service.is_some_and(port),
                &format!("no Service has the port of {backend}"),
                ingress,
            );
        }
        for secret in items(&ingress["spec"]["tls"]).map(|tls| &tls["secretName"]) {
            self.must(secret.is_string(), "it has TLS without a Secret", ingress);
        }
    }

    fn workload(&mut self, workload: &Value, template: &Value, tree: &Tree) {
        let pod = &template["spec"];
        for (label, value) in
            workload["spec"]["selector"]["matchLabels"].as_object().into_iter().flatten()
        {
            self.must(
                template["metadata"]["labels"][label] == *value,
                "its selector finds none of its pods",
                workload,
            );
        }
        for secret in items(&pod["imagePullSecrets"]) {
            let there = self.has("Secret", &secret["name"]) || tree.row.has("token", "none");
            self.must(there, &format!("pull secret {} does not exist", secret["name"]), workload);
        }
        let account = &pod["serviceAccountName"];
        let there =
            account.is_null() || account == "default" || self.has("ServiceAccount", account);
        self.must(there, &format!("there is no service account {account}"), workload);
        for (field, kind, name) in
            [("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName")]
        {
            for volume in items(&pod["volumes"])
                .map(|volume| &volume[field])
                .filter(|volume| !volume.is_null())
            {
                let there = volume["optional"] == true || self.has(kind, &volume[name]);
                self.must(there, &format!("there is no {kind} {}", volume[name]), workload);
            }
        }
        for host in ["hostNetwork", "hostPID", "hostIPC"] {
            self.must(pod[host].is_null(), host, workload);
        }
        self.must(
            items(&pod["volumes"]).all(|volume| volume["hostPath"].is_null()),
            "hostPath",
            workload,
        );
        self.must(
            pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault",
            "no seccomp profile",
            workload,
        );
        let restricted = tree.row.has("pod-security", "restricted");
        self.must(
            pod["securityContext"]["runAsNonRoot"] == restricted || !restricted,
            "it may be root",
            workload,
        );
        for container in items(&pod["containers"]).chain(items(&pod["initContainers"])) {
            self.container(workload, container, pod, restricted);
        }
    }

    fn container(&mut self, workload: &Value, container: &Value, pod: &Value, restricted: bool) {
        let security = &container["securityContext"];
        self.must(
            security["allowPrivilegeEscalation"] == false,
            "it may gain privileges",
            workload,
        );
        let none = security["capabilities"]["drop"] == json!(["ALL"])
            && security["capabilities"]["add"].is_null();
        self.must(none || !restricted, "it keeps capabilities", workload);
        self.must(container["resources"]["requests"].is_object(), "it requests nothing", workload);
        for probe in
            ["startupProbe", "readinessProbe", "livenessProbe"].map(|probe| &container[probe])
        {
            for port in ["httpGet", "tcpSocket"]
                .map(|how| &probe[how]["port"])
                .into_iter()
                .filter(|port| !port.is_null())
            {
                self.must(opens(container, port), &format!("a probe asks port {port}"), workload);
            }
        }
        for mount in items(&container["volumeMounts"]) {
            let there = items(&pod["volumes"]).any(|volume| volume["name"] == mount["name"]);
            self.must(there, &format!("there is no volume {}", mount["name"]), workload);
        }
        let sources = items(&container["envFrom"]).flat_map(|from| {
            [("ConfigMap", &from["configMapRef"]), ("Secret", &from["secretRef"])]
        });
        let variables =
            items(&container["env"]).map(|variable| &variable["valueFrom"]).flat_map(|from| {
                [("ConfigMap", &from["configMapKeyRef"]), ("Secret", &from["secretKeyRef"])]
            });
        for (kind, from) in sources.chain(variables).filter(|(_, from)| !from.is_null()) {
            let there = from["optional"] == true || self.has(kind, &from["name"]);
            self.must(there, &format!("there is no {kind} {}", from["name"]), workload);
        }
    }
}

/// Whether a container opens a port, given by name or number.
fn opens(container: &Value, port: &Value) -> bool {
    items(&container["ports"]).any(|open| open["name"] == *port || open["containerPort"] == *port)
}

/// The problems of a stage.
fn judge(tree: &Tree, stage: &Stage) -> Vec<String> {
    let mut judge = Judge { stage, wrong: Vec::new() };
    for object in &stage.built {
        match object["kind"].as_str().unwrap() {
            "Service" => judge.service(object),
            "Ingress" => judge.ingress(object),
            _ => {}
        }
        if let Some(template) = pod_template(object) {
            judge.workload(object, template, tree);
        }
    }
    judge.wrong
}

#[test]
fn nothing_refers_to_what_is_not_there() {
    let trees = matrix();
    let mut wrong = String::new();
    for tree in trees.iter() {
        for stage in &tree.stages {
            for what in judge(tree, stage) {
                wrong += &format!("{}\n    {}: {what}\n", tree.row.line(), stage.dir);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn what_dangles_is_found() {
    let trees = matrix();
    let tree = trees
        .iter()
        .find(|tree| tree.row.has("ingress", "host") && tree.row.has("token", "file"))
        .unwrap();
    let whole = &tree.stages[0];
    if whole.built.is_empty() {
        return; // no kubectl, which was said
    }
    for (kind, path, wrong, said) in [
        (
            "Service",
            "/spec/selector",
            json!({"app.kubernetes.io/name": "other"}),
            "it selects no pod",
        ),
        ("Service", "/spec/ports/0/targetPort", json!("web"), "its pods do not open port \"web\""),
        (
            "Ingress",
            "/spec/rules/0/http/paths/0/backend/service/name",
            json!("other"),
            "no Service has the port",
        ),
        (
            "Deployment",
            "/spec/template/spec/imagePullSecrets/0/name",
            json!("other"),
            "pull secret \"other\" does not exist",
        ),
        (
            "Deployment",
            "/spec/template/spec/containers/0/livenessProbe/tcpSocket",
            json!({"port": 1}),
            "port 1",
        ),
        (
            "Deployment",
            "/spec/template/spec/containers/0/livenessProbe/httpGet",
            json!({"port": 1}),
            "port 1",
        ),
        (
            "Deployment",
            "/spec/selector/matchLabels",
            json!({"a": "b"}),
            "its selector finds none of its pods",
        ),
    ] {
        let mut built = whole.built.clone();
        let object = built.iter_mut().find(|object| object["kind"] == kind).unwrap();
        let Some(place) = object.pointer_mut(path) else { continue };
        *place = wrong;
        let stage = Stage {
            dir: String::new(),
            built,
            beside: whole.beside.clone(),
            file: whole.file.clone(),
        };
        let found = judge(tree, &stage).join("\n");
        assert!(found.contains(said), "{path}: {found}");
    }
}
