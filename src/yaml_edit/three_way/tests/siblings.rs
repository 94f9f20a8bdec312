use super::merged;

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn keys_and_items_come_and_go() {
    for (base, ours, theirs, expected) in [
        // After the key that precedes it, or at the end.
        (
            "a: 1\nb: 2\n",
            "u: 0\na: 1 # a\n\nb: 2\n",
            "a: 1\nn: # why\n    # own\n    - x\nb: 2\n",
            "u: 0\na: 1 # a\nn: # why\n    # own\n    - x\n\nb: 2\n",
        ),
        ("a: 1\nb: 2\n", "b: 2\nu: 0\n", "a: 1\nn: 3\nb: 2\nm: 4\n", "b: 2\nm: 4\nu: 0\nn: 3\n"),
        ("a: 1", "a: 1\nu: 2", "n: 3\na: 1", "a: 1\nu: 2\nn: 3"),
        // Added by both.
        (
            "k: 1\n",
            "k: 1\na:\n  b: 1\n",
            "k: 1\na:\n    c: 2\n    b: 1\n",
            "k: 1\na:\n  b: 1\n  c: 2\n",
        ),
        (
            "k: 1\n",
            "components:\n- a\nk: 1\n",
            "k: 1\ncomponents: [b, a]\n",
            "components:\n- a\n- b\nk: 1\n",
        ),
        (
            "k: 1\n",
            "images:\n- name: a\nk: 1\n",
            "k: 1\nimages:\n  # new\n  - name: b\n    newTag: \"1\"\n",
            "images:\n# new\n- name: b\n  newTag: \"1\"\n- name: a\nk: 1\n",
        ),
        // The first key of an item is removed: a comment that a different key order had moved
        // inside returns above it.
        (
            "images:\n# n\n- name: a\n  p: 1\n",
            "images:\n- p: 1\n  # n\n  name: a\n",
            "images:\n# m\n- name: a\n",
            "images:\n# m\n- name: a\n",
        ),
        // Removed by theirs, with the comment that came with it and no other.
        (
            "# h\na: 1\n# b\nb:\n  c: 1\nd: 1\n",
            "# h\na: 1\n# b\nb:\n  c: 1\nd: 1\nu: 1\n",
            "# h\na: 1\nd: 1\n",
            "# h\na: 1\nd: 1\nu: 1\n",
        ),
        (
            "# h\na: 1\n# b\nb:\n  c: 1\nd: 1\n",
            "# h\na: 1\n# mine\nb:\n  c: 1\nd: 1\n",
            "# h\na: 1\nd: 1\n",
            "# h\na: 1\n# mine\nd: 1\n",
        ),
        (
            "a:\n  b: 1\n  c: 1\nd: 1\n",
            "a:\n  b: 1\n  c: 1\nd: 1\nu: 1\n",
            "a:\n  b: 1\nn:\n  x: 1\nd: 1\n",
            "a:\n  b: 1\nn:\n  x: 1\nd: 1\nu: 1\n",
        ),
        (
            "a:\n  b: 1\n  c: 1\nd: 1\n",
            "a:\n  b: 1\n\nd: 1\n",
            "a:\n  c: 1\nd: 1\n",
            "a: {}\n\nd: 1\n",
        ),
        (
            "a:\n  b: 1\nd: 1\n",
            "a: # mine\n  b: 1\nd: 1\n",
            "a:\n  c: 1\nd: 1\n",
            "a: # mine\n  c: 1\nd: 1\n",
        ),
        (
            "resources:\n  - a\n  - b\n",
            "resources:\n  - a\n",
            "resources:\n  - b\n  - c\n",
            "resources:\n  - c\n",
        ),
        (
            "resources:\n  - a\n  - b\n",
            "resources:\n  - a\n  - b\n  - u\n",
            "resources: []\n",
            "resources:\n  - u\n",
        ),
        ("files:  # f\n  - a\n  - b\n", "files:  # f\n  - a\n", "files:\n  - b\n", "files: []\n"),
        // Removed by ours.
        ("a: 1\nb:\n  c: 1\n", "a: 2\n", "a: 1\nb:\n  c: 1\nn: 1\n", "a: 2\nn: 1\n"),
        // The first key of an item.
        (
            "volumes:\n- emptyDir: {}\n  name: x\n",
            "volumes:\n- emptyDir: {}\n  name: x\n- name: u\n",
            "volumes:\n- name: x\n  secret:\n    secretName: s\n",
            "volumes:\n- name: x\n  secret:\n    secretName: s\n- name: u\n",
        ),
        // The first item of a list whose order is significant.
        (
            "env:\n  # a\n  - name: a\n",
            "env:\n  # a\n  - name: a\n  - name: u\n",
            "env:\n  - name: n\n  # a\n  - name: a\n",
            "env:\n  - name: n\n  # a\n  - name: a\n  - name: u\n",
        ),
        (
            "env:\n  - name: a\n  - name: b\n",
            "env: # mine\n  - name: a\n  - name: b\n",
            "env:\n  - name: b\n  - name: a\n",
            "conflict: env",
        ),
        (
            "env:\n  - name: a\n  - name: b\n",
            "u: 1\nenv:\n- name: a\n- name: b\n",
            "env:\n  - name: b\n  - name: a\n",
            "u: 1\nenv:\n  - name: b\n  - name: a\n",
        ),
        // From `{…}` to lines, and the reverse.
        (
            "a: 1\n",
            "a: 1\nl:\n  x: 1\n",
            "a: 1\nl: {x: 1, 'y': \"2\"}\n",
            "a: 1\nl:\n  x: 1\n  'y': \"2\"\n",
        ),
        ("a: 1\n", "a: 1\nl:\n  x: 1\n", "a: 1\nl: {x: 1, y: }\n", "a: 1\nl:\n  x: 1\n  y:\n"),
        ("l: {x: 1}\n", "l: {x: 1, u: 2}\n", "l:\n  x: 3\n", "l: {x: 3, u: 2}\n"),
        ("l: {x: 1}\n", "l: {x: 1} # mine\n", "l: {y: 1}\n", "l: {y: 1} # mine\n"),
    ] {
        assert_eq!(merged(base, ours, theirs), expected, "{ours}");
    }
}

#[test]
fn items_are_recognised_by_what_identifies_them() {
    for (list, template, news, own) in [
        (
            "volumeMounts",
            "- mountPath: /t\n  name: x",
            "- mountPath: /n\n  name: x",
            "- name: x\n  mountPath: /o",
        ),
        ("patches", "- path: t.yaml", "- path: n.yaml", "- path: o.yaml"),
        (
            "patches",
            "- path: t.yaml",
            "- target:\n    kind: A\n    name: x\n  patch: |-\n    p",
            "- patch: q\n  target: {kind: A, name: y}",
        ),
        (
            "labels",
            "- pairs:\n    t: x",
            "- pairs:\n    n: x",
            "- includeSelectors: true\n  pairs: {o: x}",
        ),
        ("rules", "- host: t.test", "- host: n.test", "- host: o.test"),
        ("hosts", "- name: t", "- name: n", "- name: o"),
        ("hosts", "- t", "- n", "- o"),
        ("files", "- t=b.txt", "- n=b.txt", "- \"c d\""),
    ] {
        let text = |items: &[&str]| format!("{list}:\n{}\nk: 1\n", items.join("\n"));
        let result = merged(&text(&[template]), &text(&[template, own]), &text(&[template, news]));
        assert_eq!(result, text(&[template, news, own]), "{list}");
    }
    // The single entry of `labels` is the same entry, whatever its labels are.
    let labels = |pairs: &str| format!("labels:\n  - pairs:\n      a: b\n{pairs}");
    let [own, news] = [labels("      own: x\n"), labels("      news: x\n")];
    assert_eq!(merged(&labels(""), &own, &news), labels("      news: x\n      own: x\n"));
}
