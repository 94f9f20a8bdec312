use super::*;

mod edges;
mod properties;
mod siblings;
mod versions;

const KUSTOMIZATION: &str = "\
---
# What all environments share.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - deployment.yaml
  - service.yaml
images:
  - name: registry.test/hello
    newTag: \"1.0.0\"  # from make set-image
";

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: hello
spec:
  replicas: 2
  # Old pods go last.
  strategy:
    type: RollingUpdate
  template:
    spec:
      containers:
        - name: hello
          image: registry.test/hello
          args: [serve, --port, \"8080\"]
          # A minute to start.
          startupProbe:
            httpGet:
              path: /healthz
              port: http
            failureThreshold: 30
          resources:
            requests:
              cpu: 50m
              memory: 64Mi
      volumes:
        - name: tmp
          emptyDir: {}
";

/// `text` with each of `changes` applied; each must match exactly once.
fn with(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (old, new)| {
        assert_eq!(text.matches(old).count(), 1, "{old}");
        text.replace(old, new)
    })
}

/// The merged text, or the conflicting fields, one per line.
fn merged(base: &str, ours: &str, theirs: &str) -> String {
    match three_way(base, ours, theirs).unwrap() {
        Merged::Clean(text) => text.to_string(),
        Merged::Conflict(paths) => format!("conflict: {}", paths.join(", ")),
    }
}

#[test]
fn the_template_adds_a_resource_beside_one_of_the_user() {
    let ours = with(
        KUSTOMIZATION,
        &[
            ("kind: Kustomization\n", "kind: Kustomization\nnamePrefix: my-  # mine\n"),
            ("  - service.yaml\n", "  # Our own.\n  - redis.yaml\n  - service.yaml\n"),
            ("\"1.0.0\"", "'2.1.0'"),
        ],
    );
    let theirs = with(
        KUSTOMIZATION,
        &[
            (
                "# What all environments share.\n",
                "# What all environments share. Tags are in the overlays.\n",
            ),
            (
                "  - deployment.yaml\n",
                "  - deployment.yaml\n  # For its token.\n  - serviceaccount.yaml\n",
            ),
            (
                "images:\n",
                "# So that a change restarts pods.\nconfigMapGenerator:\n  - name: hello\n    envs:\n      - hello.env\nimages:\n",
            ),
        ],
    );
    assert_eq!(
        merged(KUSTOMIZATION, &ours, &theirs),
        "\
---
# What all environments share. Tags are in the overlays.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namePrefix: my-  # mine
resources:
  - deployment.yaml
  # For its token.
  - serviceaccount.yaml
  # Our own.
  - redis.yaml
  - service.yaml
# So that a change restarts pods.
configMapGenerator:
  - name: hello
    envs:
      - hello.env
images:
  - name: registry.test/hello
    newTag: '2.1.0'  # from make set-image
"
    );
}

#[test]
fn the_template_changes_a_probe_beside_a_container_and_resources_of_the_user() {
    let sidecar = "        - image: registry.test/proxy\n          name: proxy\n";
    let mine = [
        ("      containers:\n", &*format!("      containers:\n{sidecar}")),
        ("cpu: 50m\n", "cpu: 250m  # measured\n"),
        ("  replicas: 2\n", "  replicas: 9\n"),
    ];
    let news = [
        ("# A minute to start.", "# Five minutes to start."),
        ("failureThreshold: 30\n", "failureThreshold: 150\n            periodSeconds: 2\n"),
        (" [serve, --port, \"8080\"]", "\n            - serve"),
        ("          emptyDir: {}\n", "          emptyDir:\n            sizeLimit: 64Mi\n"),
        ("  # Old pods go last.\n  strategy:\n    type: RollingUpdate\n", ""),
    ];
    let ours = with(DEPLOYMENT, &mine);
    let theirs = with(DEPLOYMENT, &news);
    let both = with(&ours, &news);
    assert_eq!(merged(DEPLOYMENT, &ours, &theirs), both);
    let crlf = |text: &str| text.replace('\n', "\r\n");
    assert_eq!(merged(DEPLOYMENT, &crlf(&ours), &theirs), crlf(&both));
    assert_eq!(merged(&crlf(DEPLOYMENT), &ours, &crlf(&theirs)), both);
}

#[test]
fn a_field_that_both_changed_differently_is_a_conflict() {
    let replicas = |count: &str| DEPLOYMENT.replace("replicas: 2", &format!("replicas: {count}"));
    assert_eq!(merged(DEPLOYMENT, &replicas("9"), &replicas("5")), "conflict: spec.replicas");
    assert_eq!(merged(DEPLOYMENT, &replicas("9"), DEPLOYMENT), replicas("9"));
    assert_eq!(merged(DEPLOYMENT, DEPLOYMENT, &replicas("5")), replicas("5"));
    assert_eq!(merged(DEPLOYMENT, &replicas("5 # five"), &replicas("5")), replicas("5 # five"));
    for (base, ours, theirs, expected) in [
        // A list whose items have no identity is a single value.
        ("args: [a]", "args: [a, b]", "args: [c, a]", "conflict: args"),
        ("args: [a]", "args: [a, b]", "args:\n  - a\n  - 'b'", "args: [a, b]"),
        (
            "env:\n  - name: a\n  - name: a",
            "env:\n  - name: a\n",
            "env:\n  - name: b\n",
            "conflict: env",
        ),
        ("rules:\n  - http: 1", "rules:\n  - http: 2", "rules:\n  - http: 3", "conflict: rules"),
        // Removed by ours, changed by theirs.
        ("k: 1\na:\n  b: 1", "k: 1\na:\n  b: 2", "k: 1", "conflict: a"),
        ("k: 1\na:\n  b: 1", "k: 1", "k: 1\na:\n  b: 2", "conflict: a"),
        ("k: 1\na:\n  b: 1", "k: 1\na:\n  b: 1  # mine", "k: 1", "conflict: a"),
        (
            "env:\n  - name: a\n    value: x\n  - name: b",
            "env:\n  - name: a\n    value: y\n  - name: b",
            "env:\n  - name: b",
            "conflict: env[0]",
        ),
        (
            "env:\n  - name: a\n    value: x\n  - name: b",
            "env:\n  - name: b",
            "env:\n  - name: b\n  - name: a\n    value: y",
            "conflict: env[1]",
        ),
        // Added by both.
        ("k: 1", "k: 1\na: 1", "k: 1\na: 2", "conflict: a"),
        ("k: 1", "k: 1\na: 1", "a: \"1\"\nk: 1", "conflict: a"),
        ("k: 1", "k: 1\na:\n  b: 1", "k: 1\na:\n  b: 2\n  c: 3", "conflict: a.b"),
        // Different kinds of value: every field is named, and no value.
        (
            "a: 1\nb: 2\nc.d/e: 3",
            "a: s3\nb: s4\nc.d/e: s5",
            "a: [t6]\nb:\n  x: t7\nc.d/e: t8",
            "conflict: a, b, [\"c.d/e\"]",
        ),
        ("a:\n  - b\n", "a:\n  - b # mine\n", "a:\n  - c\n", "conflict: a"),
        (
            "images:\n- a: 1\n  b: 2\n  name: c",
            "images:\n- a: 1\n  # mine\n  b: 2\n  name: c",
            "images:\n- name: c",
            "conflict: images[0].a",
        ),
        // The order may be significant.
        (
            "env:\n  - name: a\n  - name: b",
            "env:\n  - name: a\n  - name: b\n  - name: c",
            "env:\n  - name: b\n  - name: a",
            "conflict: env",
        ),
        // Two entries would set the same label.
        (
            "labels:\n  - pairs:\n      a: b\n  - pairs: {x: y}",
            "labels:\n  - pairs:\n      a: b\n      c: d\n  - pairs: {x: y}",
            "labels:\n  - pairs:\n      a: b\n      c: e\n      f: g\n  - pairs: {x: y}",
            "conflict: labels",
        ),
    ] {
        assert_eq!(merged(base, ours, theirs), expected, "{base}");
    }
}

#[test]
fn values_are_written_as_theirs_writes_them() {
    for (base, ours, theirs, expected) in [
        ("a: 1\n", "a:   1  # mine\nu: 1\n", "a: \"2\"\n", "a:   \"2\"  # mine\nu: 1\n"),
        ("a: 1  # one\n", "a: 1 # one\nu: 1\n", "a: 2  # two\n", "a: 2  # two\nu: 1\n"),
        ("a: 1  # one\n", "a: 3 # one\n", "a: 1  # two\n", "a: 3  # two\n"),
        ("a: 1 # one\n", "a: 1 # one\nu: 1\n", "a: 1\n", "a: 1\nu: 1\n"),
        ("a:\n", "a:\nu: 1\n", "a: 1 # one\n", "a: 1 # one\nu: 1\n"),
        ("a: 1\n", "a: 1\nu: 1\n", "a:\n", "a:\nu: 1\n"),
        (
            "a: 1\n",
            "a: 1\nu: 1\n",
            "a:\n    # why\n    - b: |\n        # text\n\n        x\n      c: 1\n",
            "a:\n    # why\n    - b: |\n        # text\n\n        x\n      c: 1\nu: 1\n",
        ),
        ("a:\n  - b  # b\n", "a:\n  - b  # b\nu: 1\n", "a: []  # none\n", "a: []  # none\nu: 1\n"),
        (
            "a: # old\n  b: 1\n",
            "a: # old\n  b: 1\n  u: 1\n",
            "a: # new\n  b: 2\n",
            "a: # new\n  b: 2\n  u: 1\n",
        ),
        (
            "k:\n  patch: |-\n    - a\n",
            "k:\n      u: 1\n      patch: |-\n        - a\n",
            "k:\n  patch: |-\n    - a\n\n    - b\n",
            "k:\n      u: 1\n      patch: |-\n        - a\n\n        - b\n",
        ),
        (
            "a: |+\n  x\n\nb: 1\n",
            "a: |+\n  x\n\nb: 1\nu: 1\n",
            "a: |+\n  y\n\n\nb: 1\n",
            "a: |+\n  y\n\n\nb: 1\nu: 1\n",
        ),
        (
            "a: \"x\"\nb: nginx\n",
            "a: 'x'\nb: \"nginx\"\n",
            "a: y\nb: nginx\n",
            "a: y\nb: \"nginx\"\n",
        ),
        // The parts above the first key and below the last value.
        (
            "# h\n\na: 1\n# t\n",
            "# h\n\na: 1\nu: 1\n# t\n",
            "# H\n---\na: 1\n",
            "# H\n---\na: 1\nu: 1\n",
        ),
        (
            "# h\na: 1\n# t\n",
            "# mine\na: 1\n# mine\n",
            "# H\na: 1\n# T\n",
            "# mine\na: 1\n# mine\n",
        ),
        (
            "# h\nb: 1\n",
            "# h\nb: 1\nu: 1\n",
            "# h\na: 1\n# b\nb: 1\n",
            "# h\n# b\nb: 1\nu: 1\na: 1\n",
        ),
        ("\u{feff}a: 1\n", "\u{feff}a: 1\nu: ä\n", "a: 2\n", "\u{feff}a: 2\nu: ä\n"),
    ] {
        assert_eq!(merged(base, ours, theirs), expected, "{ours}");
    }
}

#[test]
fn refuses_what_it_would_have_to_guess() {
    for text in [
        "a: 1\n---\nb: 1\n",
        "a: &x 1\n",
        "a: !t 1\n",
        "a: *x\n",
        "- a\n",
        "{a: 1}\n",
        "",
        "a: 1\na: 1\n",
        "b:\n  - x: 1\n    x: 2\n",
        "? [a]\n: 1\n",
    ] {
        for [base, ours, theirs] in [
            [text, "a: 1", "a: 2"],
            ["a: 1", text, "a: 2"],
            ["a: 1", "a: 2", text],
            [text, text, text],
        ] {
            assert!(three_way(base, ours, theirs).is_err(), "{text}");
        }
    }
    for (base, ours, theirs) in [
        ("l: {x: 1}\n", "l: {x: 1, u: 2}\n", "l: {x: 1, y: 1}\n"),
        ("l: {x: 1, y: 1}\n", "l: {x: 1, y: 1, u: 2}\n", "l: {x: 1}\n"),
        ("files: [a]\n", "files: [a, u]\n", "files: [a, b]\n"),
        ("a: 1\n", "l: {}\na: 1\n", "a: 1\nl: {b: 1}\n"),
        ("l: {\n  x: 1,\n  y: 2}\n", "l: {\n  x: 1,\n  y: 2, u: 3}\n", "l: {\n  y: 2}\n"),
        ("? x\n: a: 1\n", "? x\n: a: 1\nu: 1\n", "? x\n: a: 1\n  b: 2\n"),
        ("a: 1\n", "u: 1\n", "b: {\n}\na: 1\nc: {d: {\n  e: 1}}\nu: 2\n"),
    ] {
        assert!(!matches!(three_way(base, ours, theirs), Ok(Merged::Clean(_))), "{ours}");
    }
}
