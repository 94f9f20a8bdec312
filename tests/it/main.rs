//! All tests that run the program, in one binary. Real git, git-crypt, make and kubectl: a missing
//! one is a loud skip at home and a failure in CI.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

mod add;
mod adopt;
mod adopt_cases;
mod adopt_next;
mod adopt_secrets;
mod adopt_update;
mod ansible;
mod architecture;
mod aside;
mod atomic;
mod bad_input;
mod bad_tokens;
mod by_hand;
mod changed;
mod check;
mod check_environments;
mod check_formats;
mod check_git;
mod check_kustomize;
mod check_manifests;
mod check_online;
mod check_running;
mod check_world;
mod cluster;
mod conversion;
mod deploying;
mod diagnose;
mod diagnose_cluster;
mod diagnose_join;
mod diagnose_layers;
mod diagnose_over;
mod differential;
mod edited;
mod env_add;
mod env_remove;
mod env_token;
mod environments;
mod examples;
mod exit_codes;
mod exposed;
mod failing_rollouts;
mod faults;
mod finish;
mod foreign_keys;
mod from_gitlab;
mod further_secrets;
mod fuzz;
mod generated_readme;
mod generated_size;
mod git_calls;
mod git_state;
mod gitlab;
mod gitlab_bed;
mod gitlab_network;
mod hints;
mod hints_typed;
mod json;
mod layout;
mod logins;
mod make_environments;
mod makefile;
mod manifests;
mod matrix;
mod model;
mod nested;
mod new;
mod new_git;
mod older;
mod outputs;
mod picture;
mod pipeline;
mod places;
mod printed;
mod promises;
mod prompts;
mod prompts_gitlab;
mod propose;
mod readme;
mod registry_bed;
mod releases;
mod remove;
mod rotate;
mod rotate_again;
mod screen;
mod screen_several;
mod second_registry;
mod secret_set;
mod secret_unset;
mod secrets_guard;
mod set_image;
mod several;
mod shells;
mod sign_in;
mod sign_in_network;
mod small_server;
mod stand_in;
mod support;
mod token_sources;
mod typed;
mod unsupported;
mod update;
mod update_answers;
mod update_edits;
mod update_places;
mod vendors;
mod workload_targets;
mod workloads;
