//! `make check-expiry`, with every kind of `date`.

use super::super::environments::with_environments;
use super::super::support::Sandbox;
use super::{Stage, play, shells, shells_and_awks};
use std::fs;

/// `date` of GNU, of busybox and of BSD, each at noon of 2027-01-01.
const DATES: [&str; 3] = [
    "exec /bin/date \"$@\"",
    "exec busybox date \"$@\"",
    "case $2 in -r) exec /bin/date -u -d \"@$3\" \"$4\" ;; esac\nexit 1",
];
const NOON: &str = "#!/bin/sh\n[ \"$1\" != +%s ] || exec echo 1798804800\n";

#[test]
fn every_posix_shell_and_awk_reads_when_tokens_end_the_same() {
    play(&shells_and_awks(), Sandbox::with_hello, |stage| {
        let path = "secrets/kubernetes/gitlab.secret.yaml";
        let found = format!("{path}: expires-at ");
        let made = fs::read_to_string(stage.cluster.sandbox.hello(path)).unwrap();
        let ends = |stage: &Stage, line: &str| {
            let text = made.replace("    makeinfra/expires-at: never\n", &format!("    {line}\n"));
            fs::write(stage.cluster.sandbox.hello(path), text).unwrap();
        };
        for date in DATES {
            stage.cluster.sandbox.write_program("date", &format!("{NOON}{date}\n"));
            for (written, read) in [
                ("never", "never"),
                ("'never'  # as of 2026", "never"),
                ("\"2027-02-01\"\r", "2027-02-01"),
                ("2027-02-01T00:00:00Z", "2027-02-01T00:00:00Z"),
                ("2031-12-31", "2031-12-31"),
            ] {
                ends(stage, &format!("makeinfra/expires-at: {written}"));
                stage.succeeds("check-expiry", &[], &format!("\n{found}{read}\n--\n"));
            }
            for written in [
                "2027-01-31",
                "2027-01-01",
                "2026-12-31",
                "2027-01-31T23:00:00+02:00",
                "31.12.2027",
                "2027-2-28",
                "soon",
            ] {
                ends(stage, &format!("makeinfra/expires-at: {written}"));
                let text = format!(
                    "{found}{written}, not after 2027-01-31\n--\n\
                     error: a token expires within 30 days\nhint: makeinfra rotate\n"
                );
                stage.fails("check-expiry", &[], &text);
            }
        }
        // Without a recorded expiry, it is unknown.
        ends(stage, "");
        stage.succeeds("check-expiry", &[], &format!("{found}unknown\n"));
        ends(
            stage,
            "makeinfra/other-expiries: ghcr.io=2027-01-05 https://index.docker.io/v1/=never",
        );
        let text = format!(
            "{found}unknown\n{found}ghcr.io=2027-01-05, not after 2027-01-31\n\
             {found}https://index.docker.io/v1/=never\n--\nerror: "
        );
        stage.fails("check-expiry", &[], &text);
        fs::write(stage.cluster.sandbox.hello(path), "").unwrap();
        stage.fails("check-expiry", &[], "--\nerror: no pull secret yet\nhint: makeinfra rotate\n");
        stage.git(&["checkout", "-q", "HEAD", "--", path]);
        stage.run("git", &["clone", "-q", ".", "../clone"]).success();
        stage.enter("clone");
        stage.fails("check-expiry", &[], &format!("error: locked: {path}\n"));
    });
}

#[test]
fn every_posix_shell_reads_the_tokens_of_all_environments() {
    play(
        &shells(),
        || with_environments(&[]),
        |stage| {
            stage.cluster.sandbox.edit(
                "secrets/kubernetes/staging/gitlab.secret.yaml",
                "at: never",
                "at: 2020-01-01",
            );
            let text = "\nsecrets/kubernetes/production/gitlab.secret.yaml: expires-at never\n\
                    secrets/kubernetes/staging/gitlab.secret.yaml: expires-at 2020-01-01, not after 20";
            stage.fails("check-expiry", &[], text);
            fs::write(
                stage.dir.join("secrets/kubernetes/staging/gitlab.secret.yaml"),
                "\0GITCRYPT\0",
            )
            .unwrap();
            let text = "error: locked: secrets/kubernetes/staging/gitlab.secret.yaml\n";
            for more in ["", " ENV=production", " status ENV=production"] {
                stage.fails(&format!("check-expiry{more}"), &[], text);
            }
        },
    );
}
