//! The jobs of `.gitlab-ci.yml` on a real cluster, with the account that the generated README
//! creates for them.

use super::{Scene, with_every_kubectl};
use crate::pipeline::GitLab;
use crate::support::kubectls;
use std::fs;

impl Scene {
    /// Creates the account as in the README, and returns its kubeconfig.
    fn deployer(&self) -> String {
        let readme = fs::read_to_string(self.sandbox.hello("README.md")).unwrap();
        let wanted = |block: &&str| {
            block.contains("create serviceaccount") || block.contains("create token")
        };
        let blocks: Vec<_> = readme.split("\n\n").filter(wanted).collect();
        assert_eq!(blocks.len(), 2, "{blocks:?}");
        let newest = kubectls().pop().unwrap().display().to_string();
        self.kubectl_on_path(&newest);
        for block in blocks {
            let block = block.replace("/ENV/", "/production/");
            let script = self.sandbox.run("sh", &["-ec", &block]).cwd(self.sandbox.hello(""));
            script
                .env("PATH", self.sandbox.own_path())
                .env("KUBECONFIG", &self.kubeconfig)
                .success();
        }
        let file = self.sandbox.hello("deployer.kubeconfig");
        assert_eq!(crate::support::mode(&file), 0o600);
        assert_eq!(
            self.sandbox.git(&["status", "--porcelain"]).success().stdout,
            "",
            "git would take it"
        );
        fs::read_to_string(file).unwrap()
    }

    fn kubectl_on_path(&self, kubectl: &str) {
        self.sandbox.write_program(
            "kubectl",
            &format!("#!/bin/sh\nPATH=${{PATH#*:}}\nexec {kubectl} \"$@\"\n"),
        );
    }
}

#[test]
fn a_pipeline_shows_what_would_change_and_deploys_it() {
    with_every_kubectl(|scene| {
        let Some(gitlab) = GitLab::new(&scene.sandbox, &scene.deployer()) else { return };
        scene.kubectl_on_path(&scene.kubectl);
        assert!(gitlab.passes("diff-production").stdout.contains("+  name: hello"));
        assert!(gitlab.passes("deploy-production").stdout.contains("successfully rolled out"));
        assert!(!gitlab.passes("diff-production").stdout.contains("  name: hello"));
        let elsewhere = ["auth", "can-i", "get", "pods", "--namespace=default"];
        let deployer = scene.sandbox.hello("deployer.kubeconfig");
        let may =
            scene.sandbox.run(&scene.kubectl, &elsewhere).env("KUBECONFIG", deployer).output();
        assert_eq!((may.code, may.stdout.as_str()), (Some(1), "no\n"));
        scene.kubectl(&["delete", "rolebinding", "deployer"]).success();
        gitlab.fails("diff-production", "is forbidden");
    });
}
