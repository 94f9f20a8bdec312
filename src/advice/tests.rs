use super::*;

#[test]
fn every_program_is_told_its_repository_in_its_own_way() {
    let root = Path::new("/srv/it's/");
    let and = Advice::git("add a").and(Advice::git("commit -m 'A' -- a"));
    for (advice, here, elsewhere) in [
        (
            Advice::make("diff").for_env(Some("qa")).with("CHANGES=ok"),
            "make diff ENV=qa CHANGES=ok",
            r"make -C '/srv/it'\''s' diff ENV=qa CHANGES=ok",
        ),
        (
            Advice::makeinfra("secret set a B").for_env(Some("qa")).with("--stdin"),
            "makeinfra secret set a B --env qa --stdin",
            r"makeinfra secret set a B '/srv/it'\''s' --env qa --stdin",
        ),
        (
            and,
            "git add a && git commit -m 'A' -- a",
            r"git -C '/srv/it'\''s' add a && git -C '/srv/it'\''s' commit -m 'A' -- a",
        ),
        (
            Advice::at_top("rm a").and(Advice::makeinfra("rotate")),
            "rm a && makeinfra rotate",
            r"cd '/srv/it'\''s' && rm a && makeinfra rotate",
        ),
        ("--env qa".into(), "--env qa", "--env qa"),
        (
            Advice::makeinfra("new").arg("it's"),
            r"makeinfra new 'it'\''s'",
            r"makeinfra new 'it'\''s'",
        ),
    ] {
        assert_eq!(advice.typed(None), here);
        assert_eq!(advice.typed(Some(root)), elsewhere);
    }
    let why = Advice::git("status").why("look first").aside("or not");
    assert_eq!(why.line(None), "look first: git status; or not");
}

#[test]
fn commands_among_words_stand_in_braces() {
    let root = Path::new("/srv/qa");
    for (words, here, elsewhere) in [
        (
            "make a token, then: {makeinfra rotate --commit} && {make deploy}",
            "make a token, then: makeinfra rotate --env qa --commit && make deploy ENV=qa",
            "make a token, then: makeinfra rotate /srv/qa --env qa --commit && make -C /srv/qa \
             deploy ENV=qa",
        ),
        (
            "{make set-image TAG=1}",
            "make set-image ENV=qa IMAGE=a TAG=1",
            "make -C /srv/qa set-image ENV=qa IMAGE=a TAG=1",
        ),
        (
            "{makeinfra check}, or [{name: a}]",
            "makeinfra check, or [{name: a}]",
            "makeinfra check /srv/qa, or [{name: a}]",
        ),
    ] {
        let advice = Advice::from(words).for_env(Some("qa")).with_variable("set-image", "IMAGE=a");
        assert_eq!(
            (advice.typed(None), advice.typed(Some(root))),
            (here.to_owned(), elsewhere.to_owned())
        );
    }
}

#[test]
fn a_command_is_a_list_of_arguments() {
    for (advice, lists) in [
        (
            Advice::makeinfra("secret set a KEY").for_env(Some("qa")).with("--from-file 'a b'"),
            vec![vec![
                "makeinfra",
                "secret",
                "set",
                "a",
                "KEY",
                "--env",
                "qa",
                "--from-file",
                "a b",
            ]],
        ),
        (
            Advice::at_top(
                "echo 'a && b' >> c && K=\"kubectl -n x\" kubectl get pods | grep image: >d",
            ),
            vec![vec!["echo", "a && b"], vec!["kubectl", "get", "pods"], vec!["grep", "image:"]],
        ),
        (
            Advice::git("add").arg("it's").and(Advice::make("deploy").with("TAG=1")),
            vec![vec!["git", "add", "it's"], vec!["make", "deploy", "TAG=1"]],
        ),
        ("{kubectl get pods}, or wait".into(), vec![vec!["kubectl", "get", "pods"]]),
        ("[{name: a}]".into(), vec![]),
    ] {
        assert_eq!(advice.argument_lists(), lists);
    }
    let advice = Advice::from("push it, then: {make deploy}").aside("or not");
    assert_eq!(advice.words(), ["", "push it, then: ", "or not"]);
}

#[test]
fn what_comes_next_is_said_once() {
    let deploy = || Advice::make("deploy");
    for (words, all) in [
        ("", "make deploy"),
        ("{makeinfra rotate} && {make deploy}", "makeinfra rotate && make deploy"),
        ("{makeinfra rotate}", "makeinfra rotate && make deploy"),
        ("list it", "list it, then: make deploy"),
    ] {
        assert_eq!(Advice::from(words).aside("or not").then(deploy()).line(None), all);
    }
}
