//! Whatever ends `--from-gitlab`, at any time: no token is lost, and none is deleted that a Secret
//! has.

use super::super::faults::calls::{begin_at, faults, is_killed, numbered, traced_run};
use super::super::faults::some;
use super::super::gitlab::Fault;
use super::super::gitlab_bed::{GitlabBed, MAINTAINER};
use super::super::support::{Output, Run, SECRET, Sandbox, files_below, have, mode, needles};
use super::World;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// The token numbers that a Secret's text has, and those that it lists as superseded.
fn named(text: &str) -> (Vec<u64>, Vec<u64>) {
    let secret: Value = serde_yaml::from_str(text).unwrap_or_default();
    let notes = &secret["metadata"]["annotations"];
    let numbers = |name: &str| -> Vec<u64> {
        let words = notes[name].as_str().unwrap_or_default().split_whitespace();
        words.filter_map(|word| word.rsplit(['/', '-']).next()?.parse().ok()).collect()
    };
    (numbers("makeinfra/token"), numbers("makeinfra/superseded-tokens"))
}

impl World {
    /// The Secret files of the work tree, the index and everything that a reference points to.
    fn secrets(&self) -> Vec<String> {
        let mut texts: Vec<_> =
            fs::read_to_string(self.sandbox.hello(SECRET)).into_iter().collect();
        if !self.sandbox.hello(".git").exists() {
            return texts;
        }
        let tips = self.sandbox.git(&["for-each-ref", "--format=%(objectname)"]).success().stdout;
        for tip in tips.lines().map(str::to_owned).chain([String::new()]) {
            let show = "git cat-file blob \"$0\" | git-crypt smudge";
            let text = self.sandbox.run("sh", &["-c", show, &format!("{tip}:{SECRET}")]);
            texts.extend(
                Some(text.cwd(self.sandbox.hello("")).output().stdout)
                    .filter(|text| !text.is_empty()),
            );
        }
        texts
    }

    /// The journals in and next to the repository.
    fn journals(&self) -> Vec<PathBuf> {
        let dirs = [self.sandbox.hello(".git/makeinfra"), self.sandbox.work(".hello-infra.tokens")];
        let found = dirs.iter().flat_map(|dir| fs::read_dir(dir).into_iter().flatten());
        found.map(|entry| entry.unwrap().path()).collect()
    }

    /// The journal's entries.
    pub fn entries(&self) -> Vec<String> {
        self.journals().iter().map(|file| fs::read_to_string(file).unwrap_or_default()).collect()
    }

    /// Adds a journal entry as if a killed run had requested `token`.
    pub fn note(&self, id: u64, folder: &str) {
        let token = self.bed.gitlab.token(id).unwrap();
        let entry = json!({
            "name": token.name, "gitlab": self.bed.gitlab.url(), "kind": "project", "number": token.place,
            "path": "group/hello", "id": id, "since": "2026-01-01T00:00:00Z", "folder": folder, "fellows": [],
        });
        fs::create_dir_all(self.sandbox.hello(".git/makeinfra")).unwrap();
        fs::write(self.sandbox.hello(".git/makeinfra/killed.json"), entry.to_string()).unwrap();
    }

    /// Fails if a live token is lost, a Secret has a deleted one, or a value is where it must not
    /// be.
    #[track_caller]
    pub fn account(&self, what: &str) {
        let (live, secrets, entries) = (self.bed.gitlab.tokens(), self.secrets(), self.entries());
        let (held, superseded): (Vec<_>, Vec<_>) = secrets.iter().map(|text| named(text)).unzip();
        let (held, superseded) = (held.concat(), superseded.concat());
        for token in &live {
            let is_known = held.contains(&token.id)
                || superseded.contains(&token.id)
                || entries.iter().any(|entry| entry.contains(&token.name))
                || token.name == "by hand"
                || token.name.starts_with("makeinfra hello-infra ");
            assert!(is_known, "{what}: {} is lost track of", token.name);
        }
        for id in held {
            assert!(
                live.iter().any(|token| token.id == id),
                "{what}: token {id} is held, and deleted"
            );
        }
        let values: Vec<_> =
            live.iter().map(|token| token.token.clone()).chain([MAINTAINER.to_owned()]).collect();
        for file in self.files() {
            let bytes = fs::read(&file).unwrap_or_default();
            for needle in values.iter().flat_map(|value| needles(value)) {
                if bytes.windows(needle.len()).any(|window| window == needle.as_bytes()) {
                    let (name, mode) = (file.display().to_string(), mode(&file));
                    assert!(
                        name.ends_with(SECRET) || name.contains(".makeinfra-"),
                        "{what}: {name}"
                    );
                    assert!(!needle.contains("glpat"), "{what}: {name}");
                    assert!(name.contains("/linked/") || mode % 0o100 == 0, "{what}: {name}");
                }
            }
        }
    }

    /// All files of the working directory, including git's.
    fn files(&self) -> Vec<PathBuf> {
        let work = self.sandbox.work("");
        let dirs = [work.clone(), self.sandbox.hello(".git")];
        dirs.iter()
            .filter(|dir| dir.exists())
            .flat_map(|dir| files_below(dir).into_iter().map(|name| dir.join(name)))
            .collect()
    }

    /// Fails unless everything is done, and nothing is left in progress.
    #[track_caller]
    pub fn is_settled(&self, what: &str) {
        self.account(what);
        let (held, superseded) = named(&self.secret());
        let live = self.ids();
        let orphans: Vec<_> = live
            .iter()
            .filter(|id| **id != 1 && !held.contains(id) && !superseded.contains(id))
            .collect();
        assert!(orphans.is_empty(), "{what}: {orphans:?} of {live:?}");
        let left: Vec<_> = self.files().into_iter().filter(|file| is_left(file)).collect();
        assert!(left.is_empty(), "{what}: {left:?}");
        assert!(!self.sandbox.hello(".git/makeinfra").exists(), "{what}");
        assert!(!self.sandbox.work(".hello-infra.tokens").exists(), "{what}");
        assert_eq!(self.sandbox.git(&["status", "--porcelain"]).success().stdout, "", "{what}");
    }
}

fn is_left(file: &Path) -> bool {
    let file = file.display().to_string();
    // A file that cannot be reverted stays, and was named.
    let is_temporary = file.contains(".makeinfra-") && !file.contains(".makeinfra-old-");
    is_temporary || file.contains(".git/makeinfra") || file.contains(".tokens/")
}

/// A command with a GitLab, run repeatedly from the same state.
pub struct Bed {
    pub world: World,
    is_new: bool,
}

impl Bed {
    pub fn rotate() -> Option<Self> {
        World::start().map(|world| Self::of(world, false))
    }

    pub fn new() -> Option<Self> {
        let world = World { bed: GitlabBed::start()?, sandbox: Sandbox::new() };
        world.sandbox.write_private("api", MAINTAINER);
        Some(Self::of(world, true))
    }

    fn of(world: World, is_new: bool) -> Self {
        world.sandbox.run("cp", &["-a", ".", "../work-pristine"]).success();
        Self { world, is_new }
    }

    pub fn reset(&self) {
        let world = &self.world;
        world
            .sandbox
            .run(
                "sh",
                &["-c", "cd ../work && find . -mindepth 1 -delete && cp -a ../work-pristine/. ."],
            )
            .cwd(world.sandbox.path("home"))
            .success();
        world.bed.gitlab.heal().forget_requests();
        for id in world.ids() {
            if id != 1 {
                world.bed.gitlab.remove_token(id);
            }
        }
    }

    pub fn run(&self) -> Run {
        let world = &self.world;
        let run = match self.is_new {
            false => world.rotate(&["--commit"]),
            true => {
                let image = world.image();
                let args =
                    ["new", "hello", "--image", &image, "--from-gitlab", "--expires-in", "90d"];
                let run = world.sandbox.makeinfra(&args);
                run.env("GITLAB_HOST", world.bed.gitlab.url()).env("GITLAB_TOKEN", MAINTAINER)
            }
        };
        run.without_env("MAKEINFRA_TEST_ADVICE")
    }

    /// Judges the state after a run that `what` has ended, and repeats the command until it
    /// finishes.
    #[track_caller]
    pub fn judge(&self, what: &str, output: Option<&Output>) {
        let said = output
            .map_or(String::new(), |output| format!("exit {:?}, {}", output.code, output.stderr));
        let what = format!("{what}: {said}");
        assert!(!said.contains("panicked"), "{what}");
        if let Some(output) = output {
            self.world.assert_no_secret_said(output);
        }
        self.world.account(&what);
        let moves = output.and_then(|output| {
            output.stderr.lines().find_map(|line| line.strip_prefix("hint: mv "))
        });
        if let Some(moves) = moves {
            self.world.shell(&format!("mv {moves}"));
        }
        let is_done = self.is_new && self.world.sandbox.hello("").exists();
        let again = self.run().output();
        let what = format!("{what}\nagain: {}", again.stderr);
        match is_done {
            true => assert!(again.stderr.contains("it already exists and is not empty"), "{what}"),
            false => assert_eq!(again.code, Some(0), "{what}"),
        }
        if is_done {
            return;
        }
        // For an hour, it is undetermined whether a requested token will still appear.
        let entries = self.world.entries();
        if !entries.is_empty() {
            let is_made = self
                .world
                .bed
                .gitlab
                .tokens()
                .iter()
                .any(|token| entries.concat().contains(&token.name));
            assert!(!is_made && entries.concat().contains("\"id\":null"), "{what}: {entries:?}");
            for file in self.world.journals() {
                let mut entry: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
                entry["since"] = "2020-01-01T00:00:00Z".into();
                fs::write(&file, entry.to_string()).unwrap();
            }
            self.world.rotate(&["--commit"]).success();
        }
        self.world.is_settled(&what);
    }
}

#[test]
fn killed_at_each_request() {
    for bed in [Bed::rotate(), Bed::new()].into_iter().flatten() {
        let gitlab = &bed.world.bed.gitlab;
        bed.reset();
        bed.run().success();
        let mut requests: Vec<_> = gitlab.requests();
        requests.dedup_by_key(|request| request.target.clone());
        let mut targets: Vec<_> = requests
            .iter()
            .map(|request| (request.method.clone(), request.target.clone()))
            .collect();
        targets.push(("GET".to_owned(), "/jwt/auth".to_owned()));
        for (method, target) in targets {
            let method = if method == "POST" { "POST" } else { "GET" };
            for is_done in [false, true] {
                bed.reset();
                let fault = if is_done { Fault::HoldAfter } else { Fault::HoldBefore };
                gitlab.next(method, &target, fault);
                let mut run = bed
                    .run()
                    .command()
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap();
                gitlab.wait_for_held();
                run.kill().unwrap();
                run.wait().unwrap();
                bed.world.account(&target);
                gitlab.release();
                let what = format!("{method} {target}, {is_done}");
                // A pending request has completed.
                while method == "POST" && bed.world.ids().len() < 2 {
                    std::thread::yield_now();
                }
                bed.judge(&what, None);
            }
        }
    }
}

fn sweep(bed: Option<Bed>) {
    let Some(bed) = bed.filter(|_| have("strace")) else { return };
    let log = bed.world.sandbox.path("trace");
    bed.reset();
    let (output, calls) = traced_run(bed.run(), &log, &[]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let all = faults(&numbered(&calls, begin_at(&bed.world.sandbox.path(""), &calls)));
    eprintln!("{} faults", all.len());
    for fault in some(all, 0) {
        bed.reset();
        let (output, _) = traced_run(bed.run(), &log, std::slice::from_ref(&fault));
        is_killed(&fault, &output);
        bed.judge(&fault, Some(&output));
    }
}

#[test]
fn rotate_at_each_system_call() {
    sweep(Bed::rotate());
}

#[test]
fn new_at_each_system_call() {
    sweep(Bed::new());
}

/// Creates an unlocked linked work tree.
const LINK: &str = "git-crypt export-key ../key; git worktree add -q --detach --no-checkout ../linked; \
    (cd ../linked; own=$(git rev-parse --absolute-git-dir); mkdir -p $own/git-crypt/keys; \
    cp $own/../../git-crypt/keys/default $own/git-crypt/keys/; git checkout -q --force)";

/// Where a token of a killed run can be while the work tree has another one.
const PLACES: [(&str, &str); 7] = [
    ("a stash", "git stash -q"),
    ("an older stash", "git stash -q; echo >> README.md; git stash -q"),
    (
        "a stash of new files",
        "git rm -q --cached -r secrets; git commit -qm x; git stash -qu; git reset -q --hard HEAD^",
    ),
    ("the index", "git add secrets; git restore --worktree --source=HEAD secrets"),
    ("a branch", "git switch -qc other; git commit -qam other; git switch -q -"),
    ("a linked work tree", "$LINK; cp $SECRET ../linked/$SECRET; git checkout -q ."),
    (
        "the HEAD of a linked work tree",
        "git switch -q --detach; git commit -qam other; $LINK; git switch -q -",
    ),
];

impl World {
    fn shell(&self, script: &str) {
        let run = self.sandbox.run("sh", &["-ec", &script.replace("$LINK", LINK)]);
        run.env("SECRET", SECRET).cwd(self.sandbox.hello("")).success();
    }
}

#[test]
fn what_any_place_of_git_holds_is_not_deleted() {
    let Some(bed) = Bed::rotate() else { return };
    let world = &bed.world;
    for (place, commands) in PLACES {
        bed.reset();
        world.rotate(&[]).success();
        let id = world.ids()[1];
        world.shell(commands);
        assert_ne!(named(&world.secret()).0, [id], "{place}");
        world.note(id, "");
        world.rotate(&[]).output();
        assert!(world.ids().contains(&id), "{place}");
        assert_eq!(world.journal(), [""; 0], "{place}");
        let _ = fs::remove_dir_all(world.sandbox.work("linked"));
    }
    // Nowhere.
    bed.reset();
    world.rotate(&[]).success();
    let id = world.ids()[1];
    world.sandbox.git(&["checkout", "-q", "."]).success();
    world.note(id, "");
    world
        .rotate(&[])
        .success()
        .says(&format!("deleted the deploy token {id}, left in GitLab by an earlier run"));
    assert!(!world.ids().contains(&id));
    // Of another repository within the same git repository.
    let id = world.ids()[1];
    world.sandbox.git(&["checkout", "-q", "."]).success();
    world.note(id, "other-infra/");
    world.rotate(&["--commit"]).success();
    assert!(world.ids().contains(&id) && world.journal().len() == 1);
}

#[test]
fn of_two_runs_at_once_one_goes_first() {
    for bed in [Bed::rotate(), Bed::new()].into_iter().flatten() {
        bed.reset();
        let (gitlab, sandbox) = (&bed.world.bed.gitlab, &bed.world.sandbox);
        if !bed.is_new {
            bed.world.shell("$LINK");
        }
        gitlab.next("POST", "/deploy_tokens", Fault::HoldAfter);
        let first =
            bed.run().command().stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        gitlab.wait_for_held();
        bed.run().failure(1).says("another makeinfra");
        if !bed.is_new {
            bed.run().cwd(sandbox.work("linked")).failure(1).says("another makeinfra");
        }
        bed.run().output();
        gitlab.release();
        let first = first.wait_with_output().unwrap();
        assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
        bed.world.is_settled("two at once");
    }
}

#[test]
fn a_repository_that_somebody_else_makes_meanwhile_is_not_taken_for_its_own() {
    let Some(bed) = Bed::new() else { return };
    let (gitlab, sandbox) = (&bed.world.bed.gitlab, &bed.world.sandbox);
    gitlab.next("POST", "/deploy_tokens", Fault::HoldAfter);
    let run = bed.run().command().stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    gitlab.wait_for_held();
    sandbox.new_hello(&["--image", &bed.world.image()]).output();
    sandbox.write("work/hello-infra/notes.txt", "ours");
    gitlab.release();
    let output = run.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("deleted the new deploy token 2 in GitLab"), "{said}");
    assert_eq!((bed.world.ids(), bed.world.entries()), (vec![1], Vec::new()));
}

#[test]
fn what_is_gone_in_gitlab_is_in_no_way() {
    let Some(bed) = Bed::rotate() else { return };
    let world = &bed.world;
    world.rotate(&[]).success();
    let id = world.ids()[1];
    world.sandbox.git(&["checkout", "-q", "."]).success();
    // Somebody has deleted it.
    world.note(id, "");
    world.bed.gitlab.remove_token(id);
    world.rotate(&["--commit"]).success();
    bed.world.is_settled("deleted by hand");
    // Its project is gone, and a group issues the next one.
    world.rotate(&["--commit"]).success();
    world.note(*world.ids().last().unwrap(), "");
    world.sandbox.git(&["reset", "-q", "--hard", "HEAD^"]).success();
    world.bed.gitlab.remove_project(7);
    let group = world.rotate(&["--gitlab-group", "group"]).env("GITLAB_TOKEN", super::OWNER);
    group
        .success()
        .says("cannot determine whether the deploy token")
        .says("project 7 not found at");
    assert_eq!(world.journal().len(), 1);
}

#[test]
fn what_cannot_be_committed_is_known_before_a_token_is_made() {
    let Some(bed) = Bed::rotate() else { return };
    let world = &bed.world;
    // Only the index has it: the work tree's would become part of the new file.
    world.shell("cp $SECRET mine; echo '# ours' >> $SECRET; git add $SECRET; mv mine $SECRET");
    world
        .rotate(&["--commit"])
        .failure(1)
        .says("it has staged changes, which the commit would discard");
    assert!(world.bed.gitlab.log().iter().all(|line| line.starts_with("GET")));
    assert_eq!(world.entries(), [""; 0]);
}
