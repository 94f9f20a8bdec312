use super::*;
use MisleadingLine::*;

fn traps(text: &str) -> Vec<(usize, MisleadingLine)> {
    EnvFile::parse(text.as_bytes()).traps().collect()
}

fn keys(text: &str) -> Vec<&str> {
    EnvFile::parse(text.as_bytes()).keys().collect()
}

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

fn value(text: impl AsRef<[u8]>) -> Value {
    Value::new(Zeroizing::new(text.as_ref().to_owned())).unwrap()
}

fn set(text: &str, name: &str, new: &str) -> String {
    String::from_utf8(EnvFile::parse(text.as_bytes()).set(&key(name), &value(new)).to_vec())
        .unwrap()
}

fn unset(text: &str, name: &str) -> Option<String> {
    let text = EnvFile::parse(text.as_bytes()).unset(&key(name));
    text.map(|text| String::from_utf8(text.to_vec()).unwrap())
}

#[test]
fn a_line_that_kustomize_misreads_is_named_by_its_number() {
    for (text, found) in [
        ("A=1\n\n# c\n  B=2 3=\"4\"\n", &[][..]),
        ("A=1\nabc\n", &[(2, NoEquals)]),
        ("export A=1\n", &[(1, Export)]),
        ("A=1\n=x\n", &[(2, EmptyKey)]),
        ("A =1\nb/c=1\n..x=1\n", &[(1, BadKey), (2, BadKey), (3, BadKey)]),
        ("A=1\nB=2\nA=3\n", &[(3, Repeated)]),
        ("A=\"1\"\nB='x'\nC=\"\n", &[(1, Quotes), (2, Quotes)]),
        ("A=1 \nB= 2\nC=\t\"x\"\n", &[(1, Blanks), (2, Blanks), (3, Blanks), (3, Quotes)]),
        ("\u{feff}A=1\r\nB=2\r\n", &[(1, CarriageReturn), (1, ByteOrderMark), (2, CarriageReturn)]),
        (
            "K=-----BEGIN X-----\nab=\nabc\n-----END X-----\nB=1\n",
            &[(2, Continued), (3, Continued), (4, Continued)],
        ),
        ("A=1\nQUJD\nREVG=\nB=1\n", &[(2, NoEquals), (3, Continued)]),
    ] {
        assert_eq!(traps(text), found, "{text}");
    }
    assert_eq!(EnvFile::parse(b"A=\xff\n").traps().collect::<Vec<_>>(), [(1, NotUtf8)]);
    assert_eq!(traps(&format!("A={}\nB=1\n", "x".repeat(MAX_LINE - 2))), []);
    assert_eq!(traps(&format!("A={}\nB=1\n", "x".repeat(MAX_LINE - 1))), [(1, TooLong)]);
}

#[test]
fn no_line_without_an_equals_sign_is_a_key() {
    assert_eq!(keys("A=\nhunter2\n B=x\n#C=1\nexport D=1\n=y\nE F=1\n"), ["A", "B"]);
    assert_eq!(keys("K=-----BEGIN X-----\nMIIE=\nab=\n-----END X-----\nB=1\n"), ["K", "B"]);
    assert_eq!(keys("A=QUJD\nREVG\nREVGRw==\n"), ["A"]);
    assert_eq!(keys("gldt-Marker=\n"), Vec::<&str>::new());
}

#[test]
fn sets_a_line_and_keeps_every_other_byte() {
    let text = "# mine\n\n A=1\nB=2 \n";
    assert_eq!(set(text, "A", "x=#$'\""), "# mine\n\nA=x=#$'\"\nB=2 \n");
    assert_eq!(set(text, "C", "ä"), "# mine\n\n A=1\nB=2 \nC=ä\n");
    assert_eq!(set("A=1", "B", "2"), "A=1\nB=2\n");
    assert_eq!(set("", "B", "2"), "B=2\n");
    assert_eq!(set("A=1\nB=2\nA=3\n", "A", "4"), "A=4\nB=2\n");
    assert!(EnvFile::parse(b"A=1\n").holds(&key("A"), &value("1")));
    assert!(!EnvFile::parse(b"A=1\nA=1\n").holds(&key("A"), &value("1")), "kustomize refuses it");
}

#[test]
fn takes_a_key_out_and_says_when_none_is_left() {
    assert_eq!(unset("# c\nA=1\nB=2\n", "A").unwrap(), "# c\nB=2\n");
    assert_eq!(unset("A=1\nB=2\nA=3", "A").unwrap(), "B=2\n");
    assert_eq!(unset("# c\nA=1\n", "A"), None);
    assert_eq!(unset("A=1\nlost\n", "A").unwrap(), "lost\n", "it may be a value");
}

#[test]
fn a_value_that_a_line_would_change_fits_none() {
    for fits in [
        "x",
        "a=b",
        "#c",
        "$HOME",
        "it's \"it\"",
        "a b",
        "ä☃",
        "\\n",
        "\"",
        "-----BEGIN X-----\\nYQ==\\n-----END X-----",
        &"x".repeat(MAX_VALUE),
    ] {
        assert!(value(fits).fits_a_line(), "{fits}");
    }
    for not in [
        "a\nb",
        "a\n",
        "\r",
        "a\0",
        " a",
        "a\t",
        "\u{a0}a",
        "\"a\"",
        "'a'",
        "\u{feff}a",
        "-----BEGIN X-----",
        &"x".repeat(MAX_VALUE + 1),
    ] {
        assert!(!value(not).fits_a_line(), "{not:?}");
    }
    assert!(!value(b"\xff").fits_a_line());
}
