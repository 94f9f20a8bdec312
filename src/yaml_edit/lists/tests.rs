use super::Step::{Item, Key};
use super::*;

const TEXT: &str = "\
# mine
resources:
  - a.yaml  # first

  # of b
  - b.yaml
secretGenerator:
  - name: database  # main
    envs:
      - database.env
    # none yet
  - name: mail
    files: []
images: []
";

fn pushed(text: &str, path: &[Step], item: &str) -> String {
    push(text, path, item).unwrap().to_string()
}

fn removed(text: &str, path: &[Step]) -> Result<String, Refusal> {
    remove_item(text, path).map(|text| text.to_string())
}

#[test]
fn reads_what_stands_in_lists() {
    let document = Document::parse(TEXT).unwrap();
    assert_eq!(document.count(&[Key("resources")]), 2);
    assert_eq!(document.scalar_at(&[Key("resources"), Item(1)]), Some("b.yaml"));
    let database = [Key("secretGenerator"), Item(0)];
    assert_eq!(document.keys_at(&database), ["name", "envs"]);
    assert_eq!(
        document.scalar_at(&[&database[..], &[Key("envs"), Item(0)]].concat()),
        Some("database.env")
    );
    for path in [&[Key("resources"), Item(2)][..], &[Item(0)], &[Key("images"), Key("x")]] {
        assert_eq!((document.scalar_at(path), document.count(path)), (None, 0), "{path:?}");
    }
}

#[test]
fn adds_an_item_at_the_end_of_a_list_and_keeps_every_other_byte() {
    let generator = |at| [Key("secretGenerator"), Item(at)];
    for (path, item, old, new) in [
        (&[Key("resources")][..], "c.yaml", "  - b.yaml\n", "  - b.yaml\n  - c.yaml\n"),
        (
            &[Key("secretGenerator")],
            "name: x\nenvs:\n  - x.env",
            "    files: []\n",
            "    files: []\n  - name: x\n    envs:\n      - x.env\n",
        ),
        (
            &[&generator(0)[..], &[Key("envs")]].concat(),
            "b.env",
            "database.env\n",
            "database.env\n      - b.env\n",
        ),
        (
            &[&generator(0)[..], &[Key("files")]].concat(),
            "database.d/A",
            "database.env\n",
            "database.env\n    files:\n      - database.d/A\n",
        ),
        (
            &[&generator(1)[..], &[Key("files")]].concat(),
            "m",
            "    files: []\n",
            "    files:\n      - m\n",
        ),
        (&[Key("images")], "name: x", "images: []\n", "images:\n  - name: x\n"),
        (&[Key("more")], "x", "images: []\n", "images: []\nmore:\n  - x\n"),
    ] {
        assert_eq!(TEXT.matches(old).count(), 1, "{old}");
        assert_eq!(pushed(TEXT, path, item), TEXT.replace(old, new), "{path:?}");
    }
    // In the style of the document, including its line breaks.
    assert_eq!(
        pushed("a:\r\n- x\r\n", &[Key("b")], "k: v\nl: w"),
        "a:\r\n- x\r\nb:\r\n- k: v\r\n  l: w\r\n"
    );
    assert_eq!(pushed("a: null", &[Key("a")], "x"), "a:\n  - x");
    let two = push_all("a:\r\n- x\r\n", &[Key("a")], &["k: v\nl: w", "y"]).unwrap();
    assert_eq!(*two, "a:\r\n- x\r\n- k: v\r\n  l: w\r\n- y\r\n");
    assert_eq!(pushed("a:\n  b#: []\n", &[Key("a"), Key("b#")], "x"), "a:\n  b#:\n    - x\n");
    assert_eq!(pushed("\u{feff}a:  # none\n", &[Key("b")], "x"), "\u{feff}a:  # none\nb:\n  - x\n");
}

#[test]
fn refuses_to_add_where_it_is_not_sure() {
    for (text, path) in [
        ("a: [x]\n", &[Key("a")][..]),
        ("a: text\n", &[Key("a")]),
        ("a:\n  # here\n  []\n", &[Key("a")]),
        ("a: {b: c}\n", &[Key("a"), Key("d")]),
        ("a:\n  - {b: c}\n", &[Key("a"), Item(0), Key("d")]),
        ("a: x\n", &[Key("b"), Key("c")]),
        ("a:\n  -\n    - x\n", &[Key("a"), Item(0)]),
        ("a:\n  - x\na:\n  - y\n", &[Key("a")]),
    ] {
        assert!(push(text, path, "new").is_err(), "{text}");
    }
}

#[test]
fn takes_an_item_out_and_the_list_with_its_last() {
    let list = [Key("resources")];
    assert_eq!(
        removed(TEXT, &[list[0], Item(0)]).unwrap(),
        TEXT.replace("  - a.yaml  # first\n", "")
    );
    assert_eq!(removed(TEXT, &[list[0], Item(1)]).unwrap(), TEXT.replace("  - b.yaml\n", ""));
    let database = "  - name: database  # main\n    envs:\n      - database.env\n";
    assert_eq!(
        removed(TEXT, &[Key("secretGenerator"), Item(0)]).unwrap(),
        TEXT.replace(database, "")
    );
    let envs = [Key("secretGenerator"), Item(0), Key("envs"), Item(0)];
    assert_eq!(
        removed(TEXT, &envs).unwrap(),
        TEXT.replace("    envs:\n      - database.env\n", "")
    );
    assert_eq!(removed("a: b\nc:\n- x", &[Key("c"), Item(0)]).unwrap(), "a: b\n");
}

#[test]
fn refuses_to_take_out_what_is_not_on_lines_of_its_own() {
    for (text, path) in [
        ("a: [x, y]\n", &[Key("a"), Item(0)][..]),
        ("a:\n  - x\n", &[Key("a"), Item(1)]),
        ("a:\n  - x\n", &[Key("a"), Item(0)]),
        ("a:\n  - b:\n      - x\n    c: d\n", &[Key("a"), Item(0), Key("b"), Item(0)]),
        ("a:\n  - x\n", &[Key("a")]),
        ("a:\n  -\n    b: c\n  - d\n", &[Key("a"), Item(0)]),
    ] {
        assert!(removed(text, path).is_err(), "{text}");
    }
}
