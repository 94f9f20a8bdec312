use super::*;
use crate::answers::Answer;

const HEAD: &str =
    "# ours\napiVersion: v1\nkind: Secret\nmetadata:\n  name: db  # its file's\n  namespace: hello\n";

fn set(text: &str, key: &str, value: &[u8]) -> Result<Option<String>, Refusal> {
    let (name, namespace) = (DnsLabel::parse("db").unwrap(), DnsLabel::parse("hello").unwrap());
    let value = Value::new(Zeroizing::new(value.to_owned())).unwrap();
    let set = Manifest::parse(text, &name, &namespace)?.set(&Key::parse(key).unwrap(), &value)?;
    Ok(set.map(|text| text.expose().to_owned()))
}

#[test]
fn a_key_is_one_that_kubernetes_takes() {
    for good in ["PASSWORD", "tls.key", "a-b_c.1", "1", ".hidden", &"k".repeat(253)] {
        assert!(Key::parse(good).is_ok(), "{good}");
    }
    for bad in ["", "a b", "a/b", "a=b", "ä", ".", "..", "..a", "a\n", "gldt-Ab1", &"k".repeat(254)] {
        assert!(Key::parse(bad).is_err(), "{bad}");
    }
    for (key, is) in [("A_1", true), ("_", true), ("1A", false), ("a.b", false), ("a-b", false)] {
        assert_eq!(Key::parse(key).unwrap().is_variable(), is, "{key}");
    }
}

#[test]
fn sets_one_key_and_keeps_every_other_byte() {
    let text = format!("{HEAD}data:\n  A: YQ==  # one\n\n  # two\n  B: Yg==\n");
    assert_eq!(set(&text, "A", b"x").unwrap().unwrap(), text.replace("YQ==", "eA=="));
    assert_eq!(set(&text, "C", b"c").unwrap().unwrap(), format!("{text}  C: Yw==\n"));
    assert_eq!(set(&text, "A", b"a").unwrap(), None);
    let folded = text.replace("YQ==  # one", "|\n    Y\n    Q==");
    assert_eq!(set(&folded, "A", b"a").unwrap(), None, "readers allow line breaks in base64");
    // What base64 could be taken for.
    assert!(set(&text, "K", &[0xd7, 0x6d, 0xf8]).unwrap().unwrap().ends_with("  K: \"1234\"\n"));
    assert!(set(&text, "on", b"a").unwrap().unwrap().ends_with("  \"on\": YQ==\n"));
    for empty in ["data: {}\n", "data:\n", ""] {
        assert!(set(&format!("{HEAD}{empty}"), "A", b"a").unwrap().unwrap().ends_with("data:\n  A: YQ==\n"));
    }
}

#[test]
fn a_value_in_string_data_is_replaced_there() {
    let text = format!("{HEAD}stringData:\n  A: old\n  B: 'b'\n");
    assert_eq!(set(&text, "A", b"a: \"b\"\n").unwrap().unwrap(), text.replace("old", r#""a: \"b\"\n""#));
    assert_eq!(set(&text, "B", b"b").unwrap(), None);
    assert_eq!(set(&text, "C", b"c").unwrap().unwrap(), format!("{text}data:\n  C: Yw==\n"));
    // Bytes that are no text have no place there.
    let bytes = set(&text, "A", b"\xff").unwrap().unwrap();
    assert_eq!(bytes, format!("{HEAD}stringData:\n  B: 'b'\ndata:\n  A: /w==\n"));
    // stringData counts, and the other one is not left behind.
    let both = format!("{text}data:\n  A: b2xk\n  C: Yw==\n");
    let set = set(&both, "A", b"new").unwrap().unwrap();
    assert_eq!(set, both.replace("A: old", "A: new").replace("  A: b2xk\n", ""));
}

#[test]
fn refuses_what_is_not_this_repositorys_secret() {
    let good = format!("{HEAD}data:\n  A: YQ==\n");
    for (text, word) in [
        (good.replace("kind: Secret", "kind: ConfigMap"), "kind: Secret"),
        (good.replace("v1", "v2"), "apiVersion: v1"),
        (good.replace("name: db", "name: other"), "metadata.name"),
        (good.replace("namespace: hello", "namespace: other"), "metadata.namespace"),
        (good.replace("namespace: hello", "namespace:"), "metadata.namespace"),
        (format!("{good}type: kubernetes.io/dockercfg\n"), "makeinfra rotate"),
        (format!("{good}immutable: true\n"), "immutable"),
        (format!("{good}---\n{good}"), "one YAML document"),
        (good.replace("A: YQ==", "A: &a YQ=="), "anchors"),
        (good.replace("A: YQ==", "A: YQ==\n  A: YQ=="), "twice"),
        (good.replace("data:\n  A: YQ==", "data: {A: YQ==}"), "lines of their own"),
        (good.replace("A: YQ==", "A: [YQ==]"), "a list or keys"),
        (String::new(), ""),
        ("\u{1b}".into(), ""),
    ] {
        let fault = set(&text, "A", b"x").unwrap_err();
        assert!(fault.contains(word), "{fault}:\n{text}");
    }
    assert!(set(&good.replace("  namespace: hello\n", ""), "A", b"x").is_ok(), "make gives it one");
}

#[test]
fn a_secret_has_a_mebibyte_at_most() {
    assert!(Value::check(&vec![0; MAX_SIZE]).is_ok());
    assert!(Value::check(&vec![0; MAX_SIZE + 1]).is_err() && Value::check(b"").is_err());
    let text = format!("{HEAD}data:\n  A: YQ==\nstringData:\n  B: bb\n");
    assert!(set(&text, "C", &vec![b'c'; MAX_SIZE - 3]).is_ok());
    assert!(set(&text, "C", &vec![b'c'; MAX_SIZE - 2]).unwrap_err().contains("1048576 bytes"));
    assert!(set(&text, "A", &vec![b'c'; MAX_SIZE - 2]).is_ok());
}
