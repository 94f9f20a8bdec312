//! Renders arbitrary answers with any readable changes, and reads them back.

use super::super::{answers_in, parsed};
use super::{DIGEST, answers, files, record, texts};
use crate::answers::{Answers, PodSecurity, Record, Workload};
use proptest::prelude::*;

/// One of several texts, by number.
fn pick<'t>(from: &[&'t str], number: u8) -> &'t str {
    from[usize::from(number) % from.len()]
}

/// A sheet in which most answers have one of several values each.
fn sheet(by: [u8; 12]) -> String {
    let image = format!("group/shop:1.0@{DIGEST}");
    let images = [
        "registry.gitlab.com/group/shop:1.0.0",
        &image,
        "me/shop:1e3",
        "r.example.com:5050/a/b:1.10",
    ];
    let main = [
        "port: ~\nargs: ['--queue=$(x) a', '#b', \"null\"]\n",
        "workload: cronjob\nschedule: '*/5 1-3 * * MON'\n",
        "workload: cronjob\nschedule: '@every 6h'\ntime-zone: Etc/GMT+5\n",
        "workload: job\nargs: [migrate]\n",
        "",
        "port: 80\nreplicas: 0\n",
        "replicas: 5\n",
        "port: 65535\nargs: ['1.0']\n",
    ];
    let serves = by[1] % 8 > 3;
    let (has_ingress, mut text) =
        (!by[2].is_multiple_of(4), format!("project: {}\n", pick(&["shop", "on"], by[0])));
    text += &format!("image: '{}'\n{}", pick(&images, by[3]), main[usize::from(by[1] % 8)]);
    if serves {
        text +=
            pick(&["", "health-path: /healthz\n", "health-path: \"/up?a=1&b=%20:'!~\"\n"], by[4]);
        text += pick(&["", "ingress: shop.example.com\n"], u8::from(has_ingress));
        if has_ingress {
            text += pick(&["", "tls: yes\n", "tls-issuer: letsencrypt\n"], by[5]);
        }
    }
    text += pick(&["", "service-account: yes\n", "config: yes\n"], by[6]);
    text += pick(&["", "pod-security: baseline\n"], by[7]);
    text += pick(&["", "context: kind-kind\n", "namespace: '{project}-{env}-ns'\n"], by[8]);
    let one = ["", "environments: {production: {}}\n"]
        [usize::from(by[8] % 3 == 2 || by[9].is_multiple_of(2))];
    let three = if serves {
        "environments: {on: {replicas: 1}, qa: {context: eu/qa, protect: yes}, live: {protect: \
         yes}}\n"
    } else {
        "environments: {on: {}, qa: {context: eu/qa, protect: yes}, live: {secrets: \
         secrets/kubernetes}}\n"
    };
    text += [one, "environments: {staging: {}, production: {}}\n", three][usize::from(by[9] % 3)];
    text + pick(
        &[
            "",
            "components: {worker: {port: ~}}\n",
            "components: {worker: {port: ~, image: 'a/worker:2', replicas: 1}, c: {workload: \
             cronjob, schedule: '@daily'}}\n",
            "components: {api: {ingress: api.example.com, tls: yes}, migrate: {workload: job, \
             image: 'a/migrate:1'}}\n",
        ],
        by[10],
    )
}

/// Changes `answers` as users change files.
fn change(answers: &mut Answers, by: [u8; 12]) {
    let hosts = ["a.example.com", "b.example.org", "c.example.net"];
    for (place, component) in answers.components.iter_mut().enumerate() {
        let turn = by[place % 12].wrapping_add(by[11]);
        let is_cronjob = component.workload == Workload::CronJob;
        component.args = parsed(pick(&["[\"a\"]", "[\"b c\",\"1\"]"], turn)).unwrap_or_default();
        component.port = component.port.map(|port| port.wrapping_add(u16::from(turn)).max(1));
        component.ingress = component.ingress.as_ref().and_then(|_| parsed(pick(&hosts, turn)));
        if is_cronjob {
            component.schedule = parsed(pick(&["0 1 * * *", "@weekly"], turn));
            component.time_zone = parsed(pick(&["UTC", "-"], turn));
        } else if component.workload == Workload::Deployment {
            component.replicas = u32::from(turn % 9);
        }
        if component.port.is_some() {
            component.health_path = parsed(pick(&["/", "-", "/up"], turn));
        }
    }
    answers.pod_security = [PodSecurity::Baseline, PodSecurity::Restricted][usize::from(by[4] % 2)];
    let components = answers.components.clone();
    for (number, environment) in answers.environments.iter_mut().enumerate() {
        let turn = by[3].wrapping_add(by[number % 12]);
        environment.namespace = parsed(&format!("ns-{number}-{}", turn % 3)).unwrap();
        environment.context = parsed(pick(&["", "gke_a_b", "me@c"], turn));
        environment.protect = turn.is_multiple_of(2);
        let tags = ["3.0", "1e3", "latest"];
        for (component, deployed) in components.iter().zip(&mut environment.deployed) {
            let tag = pick(&tags, turn);
            deployed.image = parsed(&format!("{}:{tag}", component.image.name())).unwrap();
            if component.workload == Workload::Deployment {
                deployed.replicas = [None, Some(u32::from(turn))][usize::from(turn % 2)];
            }
            if component.ingress.is_some() {
                deployed.host = parsed(pick(&["x.example.com", "-", "*.example.com"], turn));
                let is_patched = deployed.host.is_some();
                deployed.tls = if is_patched { turn % 4 > 1 } else { component.tls };
            }
        }
        let (main, deployed) = (&components.first, &environment.deployed[0]);
        environment.ingress = deployed.host.clone().or_else(|| main.ingress.clone());
        if main.workload == Workload::Deployment {
            environment.replicas = deployed.replicas.unwrap_or(main.replicas);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_rendered_is_read_back(picks: [u8; 12], changes: Option<[u8; 12]>) {
        let mut known = answers(&sheet(picks));
        let before = texts(&known);
        let record = record(&before);
        known = record.answers.clone();
        if let Some(changes) = changes {
            change(&mut known, changes);
        }
        let after = texts(&known);
        let current = answers_in(&files(&after), &record);
        prop_assert_eq!(&current.answers, &known);
        prop_assert!(Record::parse(after[Record::FILE].clone()).is_ok());
        prop_assert_eq!(current.differences.is_empty(), known == record.answers);
    }
}
