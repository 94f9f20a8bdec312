//! The hosts of a new environment.

use super::super::environments::{built, with_environments};
use super::super::support::Sandbox;
use std::fs;

#[test]
fn production_has_the_host_itself() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--ingress", "hello.example.com", "--env", "staging"]).success();
    let output = sandbox.agreed(&["env", "add", "production", "--commit"]).success();
    output.prints("protected    yes: make asks for confirmation\nhost         hello.example.com\n");
    // The patch of staging, with the host in the base.
    let Some(built) = built(&sandbox, "kubernetes/overlays/production") else { return };
    let ingress = built.iter().find(|one| one["kind"] == "Ingress").unwrap();
    assert_eq!(ingress["spec"]["rules"][0]["host"], "hello.example.com");
    sandbox.is_sound();
}

#[test]
fn the_host_of_an_ingress_of_ones_own_changes_wherever_it_is_patched() {
    let sandbox = with_environments(&["--ingress", "hello.example.com"]);
    let ingress = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: admin}\nspec:\n  rules: [{host: admin.example.com}]\n";
    sandbox.put("kubernetes/base/admin.yaml", ingress);
    sandbox.edit(
        "kubernetes/base/kustomization.yaml",
        "resources:\n",
        "resources:\n  - admin.yaml\n",
    );
    let patch = "patches:\n  - target: {kind: Ingress, name: admin}\n    patch: |-\n      - op: replace\n        path: /spec/rules/0/host\n        value: staging.admin.example.com\n";
    sandbox.edit("kubernetes/overlays/staging/kustomization.yaml", "patches:\n", patch);
    sandbox.agreed(&["env", "add", "qa", "--like", "staging"]).success();
    let copy =
        fs::read_to_string(sandbox.hello("kubernetes/overlays/qa/kustomization.yaml")).unwrap();
    assert!(copy.contains("value: qa.admin.example.com\n"), "{copy}");
    assert!(!copy.contains("staging"), "{copy}");
}

#[test]
fn a_host_without_room_for_a_name_is_told() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--ingress", "hello.example.com"]).success();
    sandbox.edit(
        "kubernetes/base/ingress.yaml",
        "- host: hello.example.com",
        "- host: \"*.example.com\"",
    );
    sandbox.commit_all();
    sandbox
        .agreed(&["env", "add", "staging"])
        .failure(2)
        .says("cannot prepend `staging` to the host `*.example.com`")
        .says("hint: makeinfra env add staging --ingress HOST");
    sandbox.agreed(&["env", "add", "staging", "--ingress", "s.example.com"]).success();
}

#[test]
fn hosts_that_both_would_serve_are_told() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--ingress", "hello.example.com"]).success();
    let more = "    - host: www.example.com\n      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: hello, port: {name: http}}}}]}\n";
    sandbox.append("kubernetes/base/ingress.yaml", more);
    sandbox.agreed(&["env", "add", "staging"]).success().prints(
        "- `kubernetes/base` has the host `www.example.com`, which staging would also use: patch \
         it in `kubernetes/overlays/staging/kustomization.yaml`\n",
    );
    sandbox
        .agreed(&["env", "add", "qa", "--ingress", "hello.example.com"])
        .success()
        .says("several Ingresses in the same cluster have the host `hello.example.com`");
}
