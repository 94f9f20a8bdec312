//! One night after another: the state that earlier ones left is known from the branch and from
//! GitLab alone.

use super::super::gitlab::Fault;
use super::super::gitlab_bed::MAINTAINER;
use super::super::small_server::SmallServer;
use super::super::support::{SECRET, needles};
use super::{BRANCH, Shared};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Fails unless every new token was deleted before the next one was created, so that there is never
/// more than one besides those in use.
#[track_caller]
fn one_at_a_time(writes: &[String], nights: usize) {
    let methods: Vec<_> = writes.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(methods, ["POST", "DELETE"].repeat(nights), "{writes:?}");
}

#[test]
fn nothing_is_made_in_three_nights_where_a_push_cannot_be_rehearsed() {
    let Some(shared) = Shared::start() else { return };
    shared.git_in("shared.git", &["config", "receive.advertisePushOptions", "false"]);
    for night in 1..=3 {
        let output = shared.night(&[]).failure(1);
        output.says("cannot push to the branch").says("no token was created").says("push options");
        shared.is_untouched(&format!("night {night}"));
        shared.propose(&["--push-to", "../nowhere.git"]).failure(1).says("cannot read the branch");
        shared.assert_no_secret(&output);
    }
    assert_eq!(
        (shared.ids(), shared.writes(), shared.branch()),
        (vec![1], Vec::new(), String::new())
    );
}

#[test]
fn no_token_is_left_of_three_nights_whose_push_is_refused() {
    let Some(shared) = Shared::start() else { return };
    shared.hook("pre-receive", "#!/bin/sh\necho 'not at night' >&2\nexit 1\n");
    for night in 1..=3 {
        let output = shared.night(&[]).failure(1);
        output
            .says(&format!("`origin` refused the branch `{BRANCH}`"))
            .says("pre-receive hook declined")
            .says("not at night")
            .says(&format!("deleted the new deploy token {}", night + 1));
        assert_eq!(shared.ids(), [1], "night {night}");
        shared.is_untouched(&format!("night {night}"));
        // As git itself would leave it, with a reflog entry.
        shared.git_in("night", &["fsck", "--strict"]);
        shared.assert_no_secret(&output);
    }
    one_at_a_time(&shared.writes(), 3);
    assert_eq!(shared.branch(), "");
    // The same clone can continue once it may push.
    fs::remove_file(shared.world.sandbox.work("shared.git/hooks/pre-receive")).unwrap();
    shared.propose(&[]).success();
    assert_eq!(shared.ids(), [1, 5]);
}

#[test]
fn what_a_killed_night_has_left_is_named_and_nothing_is_made_beside_it() {
    let Some(shared) = Shared::start() else { return };
    let gitlab = &shared.world.bed.gitlab;
    gitlab.next("POST", "/deploy_tokens", Fault::HoldAfter);
    let mut run =
        shared.night(&[]).command().stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
    gitlab.wait_for_held();
    run.kill().unwrap();
    run.wait().unwrap();
    gitlab.release();
    assert_eq!(shared.ids(), [1, 2]);
    for night in 2..=3 {
        let output = shared.night(&[]).failure(1);
        output
            .says("no token was created: GitLab still has the deploy token 2 `makeinfra hello-infra production ")
            .says(&format!(
                "hint: run this in a clone, on a terminal, to delete it: makeinfra rotate --finish \
                 --gitlab-host {}",
                gitlab.url()
            ));
        assert_eq!(shared.ids(), [1, 2], "night {night}");
        shared.is_untouched(&format!("night {night}"));
    }
    assert_eq!(shared.writes().len(), 1);
    // Somebody has deleted it.
    gitlab.remove_token(2);
    shared.night(&[]).success();
    assert_eq!(shared.ids(), [1, 3]);
}

#[test]
fn what_a_night_has_pushed_that_was_killed_meanwhile_is_taken_up() {
    let Some(shared) = Shared::start() else { return };
    let wait =
        "#!/bin/sh\n: >\"$HOME/../pushing\"\nwhile [ ! -e \"$HOME/../go\" ]; do sleep 0.05; done\n";
    shared.hook("pre-receive", wait);
    let mut run =
        shared.night(&[]).command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let until = |is_so: &dyn Fn() -> bool| {
        let start = Instant::now();
        while !is_so() {
            assert!(start.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    until(&|| shared.world.sandbox.path("pushing").exists());
    run.kill().unwrap();
    run.wait().unwrap();
    // The git that it started continues on its own.
    shared.world.sandbox.write("go", "");
    until(&|| !shared.branch().is_empty());
    // Also in the same clone, whose journal has the token.
    for clone in ["", "anew"] {
        if !clone.is_empty() {
            shared.clone("night");
        }
        shared.git_in("night", &["checkout", "-q", "--detach", "origin/main"]);
        shared.propose(&[]).success().prints("has the deploy token 2");
        assert_eq!(shared.ids(), [1, 2]);
    }
}

#[test]
fn a_token_that_was_replaced_and_never_deleted_keeps_a_third_from_being_made() {
    let Some(shared) = Shared::start() else { return };
    shared.night(&[]).success();
    shared.merge("--no-ff");
    let output = shared.night(&["--due-in", "100d"]).failure(1);
    output.says("GitLab still has the deploy token 1 `by hand`").says("production had it before");
    assert_eq!(shared.ids(), [1, 2]);
    // An expired token does not matter.
    let past = "2026-01-01T00:00:00Z".parse().unwrap();
    shared.world.bed.gitlab.change_token(1, |token| token.expires_at = Some(past));
    shared.night(&["--due-in", "100d"]).success();
}

#[test]
fn three_nights_make_one_token_and_one_merge_request() {
    for how in ["--no-ff", "--ff-only", "--squash"] {
        let Some(shared) = Shared::start() else { return };
        shared.night(&[]).success();
        let first = shared.branch();
        for night in 2..=3 {
            let output = shared.night(&[]).success();
            output.prints(&format!(
                "Nothing was created: the branch {BRANCH} has the deploy token 2"
            ));
            assert_eq!(
                (shared.ids(), shared.branch()),
                (vec![1, 2], first.clone()),
                "night {night}"
            );
            // The next jobs take the token from there.
            assert_eq!(shared.git_in("night", &["rev-parse", "HEAD"]).stdout.trim(), first);
            shared.assert_no_secret(&output);
        }
        let requests =
            || shared.pushes().iter().filter(|push| push.contains("merge_request")).count();
        assert_eq!(requests(), 1, "{how}");
        // It is merged, and the branch stays.
        shared.merge(how);
        shared.night(&[]).success().prints("Nothing to do");
        // It expires soon again, and the first one no longer exists.
        shared.world.bed.gitlab.remove_token(1);
        shared.night(&["--due-in", "100d"]).success();
        assert_ne!(shared.branch(), first, "{how}");
        assert_eq!((shared.ids(), requests()), (vec![2, 3], 2), "{how}");
        let parent = shared.git_in("shared.git", &["rev-parse", &format!("{BRANCH}^")]).stdout;
        assert_eq!(parent, shared.git_in("shared.git", &["rev-parse", "main"]).stdout, "{how}");
    }
}

#[test]
fn a_branch_with_the_work_of_others_is_left_alone() {
    let Some(shared) = Shared::start() else { return };
    let on_branch = |script: &str| {
        shared.clone("people");
        let checkout = format!(
            "git switch -q -C {BRANCH} $(git rev-parse -q --verify origin/{BRANCH} || echo HEAD)"
        );
        let script = format!("{checkout} && {script} && git push -q -f origin HEAD:{BRANCH}");
        let dir = shared.world.sandbox.work("people");
        shared.world.sandbox.run("sh", &["-ec", &script]).cwd(dir).success();
        shared.branch()
    };
    let refused = |before: &str, cause: &str| {
        let output = shared.night(&[]).failure(1);
        output
            .says(&format!("the branch `{BRANCH}` already exists; no token was created"))
            .says(cause);
        output.says(&format!("git push origin --delete {BRANCH}"));
        assert_eq!(shared.branch(), before);
        shared.is_untouched(cause);
    };
    let commit = |what: &str| format!("{what} && git commit -q -a -m edited");
    let tip = on_branch(&commit("echo edited >>README.md"));
    refused(&tip, "it also changes `README.md`");
    // A Secret that others encrypt, or leave in plaintext, is not a token of this repository.
    let plain = format!("git -c filter.git-crypt.clean=cat add {SECRET}; git commit -q -m plain");
    let tip = on_branch(&format!("echo '# edited' >>{SECRET} && {plain}"));
    refused(&tip, "is not encrypted with the key of this repository");
    shared.git_in("shared.git", &["branch", "-D", BRANCH]);
    let tip = on_branch(&commit(&format!("echo '# edited' >>{SECRET}")));
    refused(&tip, "has no token that replaces the one in HEAD");
    assert_eq!(shared.ids(), [1]);
    // Commits that users add to an open rotation leave it open.
    shared.git_in("shared.git", &["branch", "-D", BRANCH]);
    shared.night(&[]).success();
    let tip = on_branch(&commit("echo edited >>README.md"));
    shared.night(&[]).success().prints("has the deploy token 2");
    assert_eq!(shared.branch(), tip);
    // Somebody has changed the Secret on main in the meantime.
    let secret = shared.world.secret() + "# edited\n";
    fs::write(shared.world.sandbox.hello(SECRET), secret).unwrap();
    shared.git_in("hello-infra", &["commit", "-q", "-a", "-m", "edited"]);
    shared.git_in("hello-infra", &["push", "-q"]);
    refused(&tip, "has changed in HEAD since then");
    assert_eq!(shared.ids(), [1, 2]);
}

#[test]
fn a_branch_whose_token_is_gone_is_not_taken_up() {
    let Some(shared) = Shared::start() else { return };
    shared.night(&[]).success();
    shared.world.bed.gitlab.remove_token(2);
    shared.night(&[]).failure(1).says("its deploy token 2 was deleted in GitLab");
    shared.is_untouched("a token that is gone");
}

#[test]
fn a_push_whose_answer_is_lost_is_looked_for() {
    let Some(shared) = Shared::start() else { return };
    // git dies after or before the push, and the remote's state tells.
    let real = shared.world.sandbox.run("sh", &["-c", "command -v git"]).success().stdout;
    let git = |push: &str, rest: &str| {
        let real = real.trim();
        let dry = format!("*' --dry-run '*) exec {real} \"$@\" ;;");
        let script = format!(
            "case \" $* \" in {dry} *' push '*) {push} kill -9 $$ ;; {rest} esac\nexec {real} \"$@\"\n"
        );
        shared.world.sandbox.write_program("git", &format!("#!/bin/sh\n{script}"));
    };
    let run = |shared: &Shared| shared.propose(&[]).env("PATH", shared.world.sandbox.own_path());
    shared.clone("night");
    git("", "");
    run(&shared).failure(1).says("refused the branch").says("deleted the new deploy token 2");
    shared.is_untouched("not arrived");
    let real_push = format!("{} \"$@\";", real.trim());
    // Undetermined: the token stays, and so does the commit.
    git(
        &real_push,
        &format!(
            "*' ls-remote '*) [ ! -e ../seen ] || exit 1; : >../seen; exec {} \"$@\" ;;",
            real.trim()
        ),
    );
    let output = run(&shared).failure(3);
    output.says("cannot determine whether `origin` has the new token").says("the token is kept");
    assert_eq!(shared.ids(), [1, 3]);
    assert_eq!(shared.branch(), shared.git_in("night", &["rev-parse", "HEAD"]).stdout.trim());
    // The next night continues with it.
    shared.night(&[]).success().prints("has the deploy token 3");
    // It has arrived.
    shared.git_in("shared.git", &["branch", "-D", BRANCH]);
    shared.world.bed.gitlab.remove_token(3);
    git(&real_push, "");
    shared.clone("night");
    run(&shared).success().prints(&format!("to the branch {BRANCH}"));
    assert_eq!(shared.ids(), [1, 4]);
}

#[test]
fn somebody_who_pushes_first_is_not_overwritten() {
    let Some(shared) = Shared::start() else { return };
    shared.clone("night");
    shared.world.bed.gitlab.next("POST", "/deploy_tokens", Fault::HoldAfter);
    let run =
        shared.propose(&[]).command().stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    shared.world.bed.gitlab.wait_for_held();
    shared.git_in("hello-infra", &["push", "-q", "origin", &format!("main:{BRANCH}")]);
    shared.world.bed.gitlab.release();
    let output = run.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("stale info") || said.contains("somebody has pushed to it meanwhile"),
        "{said}"
    );
    assert!(said.contains("deleted the new deploy token 2"), "{said}");
    assert_eq!(shared.branch(), shared.git_in("shared.git", &["rev-parse", "main"]).stdout.trim());
    shared.is_untouched("a push between");
}

#[test]
fn the_access_token_is_in_no_argument_and_goes_to_its_gitlab_alone() {
    let Some(shared) = Shared::start() else { return };
    let real = shared.world.sandbox.run("sh", &["-c", "command -v git"]).success().stdout;
    let record = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$*\" >>\"$HOME/../arguments\"\nexec {} \"$@\"\n",
        real.trim()
    );
    shared.world.sandbox.write_program("git", &record);
    shared.clone("night");
    let asks =
        || SmallServer::saying("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"GitLab\"");
    let (own, other) = (asks(), asks());
    let url = |server: &SmallServer| format!("http://{}/group/hello-infra.git", server.address);
    let run = |to: &str| {
        let run = shared.propose_at(&format!("http://{}", own.address), &["--push-to", to]);
        run.env("PATH", shared.world.sandbox.own_path())
    };
    let basic = STANDARD.encode(format!("oauth2:{MAINTAINER}"));
    // The GitLab that was typed asks for a password and gets it; another host does not.
    let output = run(&url(&own)).failure(13);
    output.says("cannot read the branch").says("Authentication failed");
    assert!(own.heads().iter().any(|head| head.contains(&basic)), "{:?}", own.heads());
    shared.assert_no_secret(&output);
    let output = run(&url(&other)).failure(1);
    output.says("cannot read the branch").says("terminal prompts disabled");
    assert!(
        !other.heads().is_empty() && !other.heads().concat().contains("Authorization"),
        "{:?}",
        other.heads()
    );
    shared.propose(&[]).env("PATH", shared.world.sandbox.own_path()).success();
    let arguments = fs::read_to_string(shared.world.sandbox.path("arguments")).unwrap();
    assert!(arguments.contains(" push ") && arguments.contains("$ROTATE_TOKEN"), "{arguments}");
    for needle in needles(MAINTAINER) {
        assert!(!arguments.contains(&needle), "{arguments}");
    }
}

#[test]
fn of_several_tokens_the_first_to_end_is_replaced_and_no_other_secret_grows_old() {
    let Some(shared) = Shared::start() else { return };
    let sandbox = &shared.world.sandbox;
    let run = |args: &[&str]| sandbox.makeinfra(args).cwd(sandbox.work("hello-infra")).success();
    let other = sandbox.write_private("other", super::super::support::TOKEN).display().to_string();
    let days = |count: i64| {
        (Timestamp::now() + SignedDuration::from_hours(24 * count)).strftime("%Y-%m-%d").to_string()
    };
    let own = [
        "--token-username",
        "gitlab+deploy-token-9",
        "--token-file",
        &other,
        "--expires-at",
        &days(3),
    ];
    run(&[&["env", "add", "staging", "--yes", "--commit"][..], &own].concat());
    shared.git_in("hello-infra", &["push", "-q"]);
    let secret = "secrets/kubernetes/staging/gitlab.secret.yaml";
    shared.night(&[]).success().prints(&format!("Rotated {secret}, committed as "));
    let tip = shared.branch();
    // The other environment has its turn once this one is merged; also if it is named, there is
    // only one merge request at a time.
    shared.night(&[]).success().prints("has the deploy token 2");
    shared.night(&["--env", "production"]).success().prints("has the deploy token 2");
    // A pull Secret that is newer than that of the branch must not be overwritten.
    run(&["rotate", "--env", "production", "--keep-token", "--expires-at", &days(9), "--commit"]);
    shared.git_in("hello-infra", &["push", "-q"]);
    shared.night(&[]).failure(1).says(&format!("`{SECRET}` has changed in HEAD since then"));
    assert_eq!((shared.ids(), shared.branch()), (vec![1, 2], tip));
}
