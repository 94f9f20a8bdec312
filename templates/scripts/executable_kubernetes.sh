#!/bin/sh
# The steps behind the Makefile's targets: ../Makefile calls this with the target's name and those of the steps to take one
# after the other, from the top of the repository, and hands over what is chosen there as variables. It needs a POSIX
# shell, git and kubectl.
set -u

: "${kubectl:?is set by the Makefile: call make}" "${timeout?}" "${project:?}" "${namespace?}" "${image?}" "${secret:?}"
: "${file?}" "${base:?}" "${overlay:?}" "${context?}"
: "${tag?}" "${digest?}" "${tail?}" "${follow?}" "${revision?}" "${yes?}" "${changes?}" "${component?}"
goal=${1:?is the name of a target: call make}
shift
# All that is of this repository has this label.
ours=app.kubernetes.io/part-of=$project
# What kustomize makes of the manifests, once it was asked.
built=
# Texts are matched below, and bytes are bytes.
export LC_ALL=C

# The environment, where there are some. One that is protected is changed only on request.
environment=${wanted:-}
known=${known:-}
protected=${protected:-}
outside=${outside:-}
# shellcheck disable=SC2034 # secrets.sh and explain.sh use it
rotate="makeinfra rotate${environment:+ --env $environment}"

# word TEXT: as one word of a command.
word() {
    case $1 in
    '' | *[!A-Za-z0-9_./:@%+=-]*) printf "'%s'" "$(printf '%s\n' "$1" | sed "s/'/'\\\\''/g")" ;;
    *) printf '%s' "$1" ;;
    esac
}

# again NAME...: those of these variables that stood on make's command line, as they have to stand there again.
again() {
    for name; do
        case " ${typed:-} " in *" $name "*) ;; *) continue ;; esac
        case $name in
        CONTEXT) value=$context ;;
        KUBECTL) value=$kubectl ;;
        ROLLOUT_TIMEOUT) value=$timeout ;;
        APP) value=$component ;;
        IMAGE) value=$image ;;
        TAG) value=$tag ;;
        DIGEST) value=$digest ;;
        REVISION) value=$revision ;;
        TAIL) value=$tail ;;
        FOLLOW) value=$follow ;;
        esac
        printf ' %s=%s' "$name" "$(word "$value")"
    done
}

# Where all this is: every hint has it. With what it is done to and how, where the same is to be typed once more.
env=${environment:+ ENV=$environment}$(again CONTEXT)
kubectl_again=$(again KUBECTL)
more=$kubectl_again$(again ROLLOUT_TIMEOUT APP IMAGE TAG DIGEST REVISION TAIL FOLLOW)

# kubectl as the user calls it: with options, and quotes around them.
cluster() {
    eval "$kubectl ${context:+--context=\"\$context\"} \"\$@\""
}

kube() {
    cluster --namespace="$namespace" "$@"
}

# Server-side: a client-side apply would keep a copy of the token in an annotation, which `kubectl describe` prints.
apply() {
    cluster apply --server-side --force-conflicts --field-manager=makeinfra "$@"
}

say() {
    printf '%s\n' "$@"
}

# What kubectl logs on its way to an error is left out, and so is its own "error:".
error() {
    text=$(printf '%s\n' "$1" | sed '/^[EIW][0-9]\{4\} /d')
    # Some errors are in the log alone.
    [ -n "$text" ] || text=$(printf '%s\n' "$1" | sed 's/^[EIW][0-9]\{4\} .* err="\(.*\)"$/\1/')
    printf '%s\n' "$text" | sed 's/^[Ee]rror: //; s/^Error from server[^:]*: //; s/^/error: /
        # Without a cluster nothing can be validated, and that is no reason not to.
        s/error validating ".*": error validating data: //; s/; if you choose to ignore these errors.*//' |
        awk '!said[$0]++' >&2
}

hint() {
    printf 'hint: %s\n' "$@" >&2
}

# fail ERROR [HINT...]
fail() {
    error "$1"
    case $1 in
    *"connection to the server"* | *"Unable to connect"* | *"no such host"* | *"i/o timeout"* | *": connect: "* | \
        *"context was not found"* | *"context \""*"\" does not exist"*)
        set -- "$@" "kubectl config get-contexts; another one: make $goal${environment:+ ENV=$environment}$more CONTEXT=NAME" ;;
    esac
    shift
    [ $# -eq 0 ] || hint "$@"
    exit 1
}

# number NAME VALUE: fails unless VALUE is one.
number() {
    case $2 in
    '' | *[!0-9]*)
        fail "$1 must be a number" "make $goal$env$kubectl_again$(again ROLLOUT_TIMEOUT APP) $1=3" ;;
    esac
}

# images [NAME]: prints every image that has its tag here, or the ":tag" or "@digest" of one.
images() {
    only=${1:-} awk '
        { gsub(/["\047\r]/, "") }
        $1 == "-" { name = ($2 == "name:") ? $3 : "" }
        name != "" && /^ +newTag:/ { found = ":" $2 }
        name != "" && /^ +digest:/ { found = "@" $2 }
        found { print((ENVIRON["only"] == "") ? name found : (ENVIRON["only"] == name) ? found : ""); found = "" }
    ' "$overlay/kustomization.yaml" | sed '/^$/d'
}

# line: the lines of standard input, as one.
line() {
    tr '\n' ' ' | sed 's/ *$//'
}

version() {
    images "$image"
}

# untagged IMAGE: its name alone.
untagged() {
    printf '%s\n' "$1" | sed 's/@.*//; s/:[^/:]*$//'
}

# Manifests that cannot be read are found before anything is changed.
run_build() {
    built=$(cluster kustomize "$overlay" 2>&1) && return
    fail "$built" "kubectl kustomize $overlay"
}

# workloads [KIND...]: "kind/name" of everything in the manifests, those that somebody added included, or of these kinds.
workloads() {
    [ -n "$built" ] || run_build
    printf '%s\n' "$built" | kinds=" $* " awk '
        function tell() {
            if (name && (ENVIRON["kinds"] == "  " || index(ENVIRON["kinds"], " " kind " "))) print kind "/" name
            kind = name = ""
        }
        /^---/ { tell() }
        /^[a-z]/ { section = $1 }
        /^kind:/ { kind = tolower($2) }
        section == "metadata:" && /^  name:/ { name = $2; gsub(/["\047]/, "", name) }
        END { tell() }'
}

# What runs all the time.
rolled() {
    workloads deployment statefulset daemonset
}

# chosen LIST: the workload in LIST that APP= names; without it all of them.
chosen() {
    [ -n "$component" ] || { say "$1"; return; }
    [ -n "$1" ] || fail "nothing here runs all the time" "make status$env"
    printf '%s\n' "$1" | awk -F/ '$2 == ENVIRON["component"] { print; found = 1 } END { exit !found }' ||
        fail "make $goal knows no \`$component\`" "APP= is one of: $(printf '%s\n' "$1" | sed 's|.*/||' | line)"
}

# selector WORKLOAD: which pods are its own.
selector() {
    # shellcheck disable=SC2016 # the variables are the template's
    labels=$(ask get "$1" --ignore-not-found \
        --output='go-template={{range $key, $value := .spec.selector.matchLabels}}{{$key}}={{$value}},{{end}}') || exit 1
    labels=${labels%,}
    say "${labels:-app.kubernetes.io/name=${1#*/}}"
}

run_where() {
    current=$(cluster config view --minify --output='jsonpath={.current-context}' 2>/dev/null) || current=
    [ -z "$environment" ] || say "environment $environment${protected:+, protected}"
    say "context     ${current:-none}" "namespace   $namespace"
    images | sed 's/^/image       /'
}

# What is protected changes only if somebody says so.
run_confirm() {
    [ -n "$protected" ] || return 0
    consent "Change $environment?" "$environment is protected, and there is no terminal to ask on"
}

# consent QUESTION ERROR: asks, unless YES=1 is the answer; ERROR is for where nobody can be asked.
consent() {
    case $yes in 1 | y | yes | true) return 0 ;; esac
    [ -t 0 ] || fail "$2" "make $goal$env$more YES=1"
    printf '%s [y/N] ' "$1"
    read -r reply || reply=
    case $reply in y | Y | yes) ;; *) fail "nothing was changed" ;; esac
}

run_help() {
    say "usage: make TARGET [VARIABLE=value]"
    awk '
        /^##@ / { printf "\n%s\n", substr($0, 5) }
        /^[a-z-]+:.*## / {
            target = text = $0
            sub(/:.*/, "", target)
            sub(/^.*## /, "", text)
            printf "  %-14s %s\n", target, text
        }
    ' Makefile
    say ""
    if is_environment; then
        run_where
    elif [ -n "$environment" ]; then
        say "there is no environment \`$environment\`; there are: $known"
    else
        say "environments: $known; every target but setup and check-secrets takes ENV=NAME"
    fi
}

# outside ERROR: kubectl said that something is not there or not allowed, and whose business that is.
outside() {
    error "$1"
    case $1 in
    *"being terminated"*)
        hint "namespace \`$namespace\` is being deleted: wait until it is gone, then run \`make deploy$env\` again" ;;
    *)
        error "namespace \`$namespace\` is missing or out of reach for this user"
        hint "make namespace$env$kubectl_again, or ask an administrator: kubectl apply -f $overlay/namespace.yaml" \
            "for rights in it: kubectl -n $namespace create rolebinding $project --clusterrole=admin --user=USER" ;;
    esac
    exit 1
}

# ask KUBECTL-ARGUMENTS: prints what kubectl answers, as it comes, and explains why it refuses.
ask() {
    { answer=$(kube "$@" 2>&1 >&3); } 3>&1 || refused
    [ -z "$answer" ] || say "$answer" >&2
}

# Why kubectl refused, as it says in $answer.
refused() {
    case $answer in
    *"(Forbidden)"* | *"namespaces \"$namespace\" not found"*) outside "$answer" ;;
    *"(NotFound)"*) fail "$answer" "make deploy$env" ;;
    *) fail "$answer" ;;
    esac
}

run_namespace() {
    if answer=$(cluster get namespace "$namespace" --ignore-not-found --output=name 2>&1); then
        case $answer in *"namespace/$namespace"*) return 0 ;; esac
        answer=$(apply --filename="$overlay/namespace.yaml" 2>&1) && say "$answer" && return 0
    else
        # Whoever owns just the namespace may not ask for it where it is missing: the next step will tell.
        case $answer in *"(Forbidden)"*) say "namespace/$namespace taken as given: no right to look at it"; return 0 ;; esac
    fi
    case $answer in
    *"(Forbidden)"*) outside "$answer" ;;
    *) fail "$answer" ;;
    esac
}

# delete KUBECTL-ARGUMENTS: deletes what is there.
delete() {
    ask delete --ignore-not-found "$@"
}

# began WORKLOADS: a line for each, which is another one when its pods are to be replaced.
began() {
    for workload in $1; do
        template=$(ask get "$workload" --ignore-not-found --output='jsonpath={.spec.template}') || exit 1
        say "$workload $(say "$template" | cksum)"
    done
}

# A container reads the variables that it has from a Secret when it starts, and never again. The workload keeps which
# versions of the Secrets its pods began with, so that `make deploy` makes good for one that was interrupted.
run_manifests() {
    list=$(rolled) && jobs=$(workloads job) && before=$(began "$list") && secrets_now || exit 1
    for job in $jobs; do
        state=$(state "$job") || exit 1
        case " $state " in *" Failed "*) say "$job: it failed: once more"; delete "$job" ;; esac
    done
    if ! apply_manifests; then
        stuck=$(unchangeable "$answer")
        [ -n "$stuck" ] || fail "$answer"
        for job in $stuck; do
            say "$job: its template changed, which only a new Job can have: replacing it"
            delete "$job"
        done
        apply_manifests || fail "$answer"
    fi
    [ -z "$answer" ] || say "$answer" >&2
    after=$(began "$list") || exit 1
    for workload in $list; do
        # Its line stands in both.
        if [ -n "$(printf '%s\n' "$before" "$after" | grep "^$workload " | uniq -d)" ]; then
            if secrets_known "$workload"; then
                retry "$workload"
            else
                say "Secrets changed: replacing the pods of $workload, which read variables only at their start"
                ask rollout restart "$workload"
            fi
        fi
        remember_secrets "$workload"
    done
}

# What kubectl says on its way goes on; what it complains of is in $answer.
apply_manifests() {
    { answer=$(apply --namespace="$namespace" --kustomize="$overlay" 2>&1 >&3); } 3>&1
}

# unchangeable ERROR: the Jobs whose template the cluster refused to change: it never does.
unchangeable() {
    printf '%s\n' "$1" | awk '
        / is invalid:/ {
            job = ""
            if (match($0, /Job(\.batch)? "[^"]*" is invalid:/)) {
                split(substr($0, RSTART, RLENGTH), words, "\"")
                job = "job/" words[2]
            }
        }
        job && /field is immutable/ { print job; job = "" }'
}

# A failed image pull waits up to five minutes, and a rollout past its deadline stays failed even when the reason is
# gone, as after a rotated token. Where nothing else makes new pods, this does.
retry() {
    pods=$(selector "$1") || exit 1
    now=$(kube get "$1" --ignore-not-found --output='jsonpath={.status}')
    now=$now$(kube get pods --selector="$pods" --output='jsonpath={.items[*].status}')
    case $now in
    *ImagePullBackOff* | *ErrImagePull* | *ProgressDeadlineExceeded*) ask rollout restart "$1" ;;
    esac
}

run_status() {
    expires=$(kube get secret "$secret" --ignore-not-found \
        --output='jsonpath={.metadata.annotations.makeinfra/expires-at}' 2>/dev/null) || expires=
    [ -z "$expires" ] || say "token       expires $expires"
    ask get deployments,statefulsets,daemonsets,cronjobs,jobs,pods,services,ingresses --selector="$ours" --output=wide
}

run_logs() {
    tail=${tail:-100}
    number TAIL "$tail"
    case $follow in 1 | y | yes | true) follow=true ;; *) follow=false ;; esac
    pods=$ours
    if [ -n "$component" ]; then
        list=$(workloads deployment statefulset daemonset cronjob job) && chosen "$list" >/dev/null || exit 1
        pods=$ours,app.kubernetes.io/name=$component
    fi
    ask logs --selector="$pods" --all-containers --prefix --ignore-errors --max-log-requests=50 \
        --tail="$tail" --follow="$follow"
}

run_restart() {
    list=$(rolled) && list=$(chosen "$list") && secrets_now || exit 1
    [ -n "$list" ] || fail "nothing here runs all the time" "make status$env"
    for workload in $list; do
        ask rollout restart "$workload"
        remember_secrets "$workload"
    done
}

# Without APP= it is the project's own, or the only one.
rolled_back() {
    list=$(rolled) || exit 1
    [ -n "$list" ] || fail "nothing here runs all the time" "make status$env"
    case $list in *"
"*) component=${component:-$project} ;; esac
    chosen "$list"
}

run_rollback() {
    revision=${revision:-0}
    number REVISION "$revision"
    workload=$(rolled_back) || exit 1
    ask rollout undo "$workload" --to-revision="$revision"
}

# What was restarted or rolled back; after a deployment all of it.
run_rollout() {
    case $goal in
    restart) list=$(rolled) && list=$(chosen "$list") ;;
    rollback) list=$(rolled_back) ;;
    *) list=$(rolled) ;;
    esac || exit 1
    for workload in $list; do
        kube rollout status "$workload" --timeout="$timeout" || explain "$workload" "the rollout of $workload failed"
    done
}

run_rolled_back() {
    workload=$(rolled_back) || exit 1
    running=$(kube get "$workload" --output='jsonpath={.spec.template.spec.containers[*].image}')
    name=$(untagged "$running")
    name=${name:-$image}
    say "running    $running" "in git     $name$(images "$name")"
    [ "$running" = "$name$(images "$name")" ] ||
        say "The next \`make deploy$env\` brings back what is in git: \`make set-image$env\` and commit."
}

# state JOB: "Complete", "Failed" or nothing, among other conditions that it is in.
state() {
    ask get "$1" --ignore-not-found --output='jsonpath={.status.conditions[?(@.status=="True")].type}'
}

# How many seconds ROLLOUT_TIMEOUT is, as kubectl reads it: 90s, 1m30s, 2h; 0: there is no limit.
seconds() {
    printf '%s\n' "$timeout" | awk '{
        if ($0 == "0") $0 = "0s"
        while (match($0, /^([0-9]+(\.[0-9]*)?|\.[0-9]+)(ms|h|m|s)/)) {
            unit = part = substr($0, 1, RLENGTH)
            $0 = substr($0, RLENGTH + 1)
            gsub(/[0-9.]/, "", unit)
            total += part * (unit == "h" ? 3600 : unit == "m" ? 60 : unit == "s" ? 1 : 0.001)
        }
        if (unit == "" || $0 != "") exit 1
        print((total > 0 && total < 1) ? 1 : int(total))
    }' || fail "ROLLOUT_TIMEOUT is no time" "make $goal$env$kubectl_again$(again APP REVISION) ROLLOUT_TIMEOUT=5m"
}

# Before anything is changed.
run_timeout() {
    seconds >/dev/null
}

# A Job that fails is worth more than a rollout that waits for it in vain: these are waited for first.
run_jobs() {
    jobs=$(workloads job) && left=$(seconds) || exit 1
    # At 0 it never ends.
    pace=1
    [ "$left" -gt 0 ] || pace=0 left=1
    for job in $jobs; do
        while state=$(state "$job") || exit 1; do
            case " $state " in
            *" Complete "*) say "$job is complete"; break ;;
            *" Failed "*) explain "$job" "$job failed" ;;
            esac
            [ "$left" -gt 0 ] || explain "$job" "$job is not complete after $timeout, and goes on"
            left=$((left - pace))
            sleep 1
        done
    done
}

# Starts a CronJob once, now.
run_run() {
    list=$(workloads cronjob) && list=$(chosen "$list") || exit 1
    case $list in
    '') fail "there is no CronJob here" ;;
    *"
"*) fail "there are several CronJobs" "make run$env APP=NAME, one of: $(say "$list" | sed 's|.*/||' | line)" ;;
    esac
    name=${list#*/}
    # A Job's name has room for ten characters more than a CronJob's, and a `-`.
    ask create job "$name-$(date -u +%m%d%H%M%S)" --from="$list"
    say "next: make logs$env APP=$name"
}

# differs KUBECTL-DIFF-ARGUMENTS: keeps what it prints in $answer; 0 same, 1 different, more: failed.
differs() {
    answer=$(kube diff --server-side --force-conflicts --field-manager=makeinfra "$@" 2>&1)
}

# compare KUBECTL-DIFF-ARGUMENTS: shows what differs.
compare() {
    differs "$@"
    case $? in
    0) ;;
    1) changed=1; say "$answer" ;;
    *) return 1 ;;
    esac
}

# without JOBS: what was built, but for these.
without() {
    printf '%s\n' "$built" | jobs=" $(say "$1" | tr '\n' ' ')" awk '
        function tell() {
            if (kind != "Job" || !index(ENVIRON["jobs"], " job/" name " ")) printf "%s", text
            text = kind = name = ""
        }
        /^---/ { tell() }
        /^[a-z]/ { section = $1 }
        /^kind:/ { kind = $2 }
        section == "metadata:" && /^  name:/ { name = $2; gsub(/["\047]/, "", name) }
        { text = text $0 "\n" }
        END { tell() }'
}

run_differences() {
    changed=0
    if answer=$(cluster get namespace "$namespace" --ignore-not-found --output=name 2>&1); then
        case $answer in *"namespace/$namespace"*) ;; *) all_new ;; esac
    else
        case $answer in *"(Forbidden)"*) ;; *) fail "$answer" ;; esac
    fi
    if ! compare --kustomize="$overlay"; then
        stuck=$(unchangeable "$answer")
        [ -n "$stuck" ] || failed_diff "$answer"
        changed=1
        for job in $stuck; do
            say "$job: its template changed: make deploy$env would replace it"
        done
        # One that kubectl cannot compare keeps it from showing all others.
        [ -n "$built" ] || run_build
        rest=$(without "$stuck")
        [ -z "$rest" ] || compare --filename=- <<EOF || failed_diff "$answer"
$rest
EOF
    fi
    secret_differs
    further secret_differs
    [ $changed -eq 0 ] || would_change
    say "no differences"
}

# Differences that were asked for with CHANGES=ok are no failure: only a diff that could not be made is one.
would_change() {
    [ "$changes" = ok ]
    exit
}

all_new() {
    say "namespace $namespace does not exist: everything would be created" "namespace/$namespace" "secret/$secret"
    further say_secret
    workloads
    would_change
}

failed_diff() {
    case $1 in
    *"namespaces \"$namespace\" not found"*) all_new ;;
    *"(Forbidden)"*) outside "$1" ;;
    *) fail "$1" ;;
    esac
}

# Only the line of our image changes, and the file is either the old one or the new one.
run_set_image() {
    # One that is typed beats what the environment has of the other.
    case " ${typed:-} " in
    *" TAG "*" DIGEST "*) ;;
    *" TAG "*) digest= ;;
    *" DIGEST "*) tag= ;;
    esac
    case $tag,$digest in
    ,) fail "no tag given" "make set-image$env$(again IMAGE) TAG=1.2.3" ;;
    ,*)
        printf '%s\n' "$digest" | awk 'NR > 1 || length($0) != 71 || !/^sha256:[0-9a-f]+$/ { exit 1 }' ||
            fail "this is no image digest" "DIGEST=sha256: and 64 digits of 0-9a-f"
        line="digest: $digest" ;;
    *,)
        printf '%s\n' "$tag" | awk 'NR > 1 || length($0) > 128 || !/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/ { exit 1 }' ||
            fail "this is no image tag" "TAG=1.2.3: letters, digits, _ . and -, at most 128, and neither . nor - first"
        line="newTag: \"$tag\"" ;;
    *) fail "a tag and a digest given" "make set-image$env$(again IMAGE) TAG=1.2.3, or DIGEST=sha256:..." ;;
    esac
    kustomization=$overlay/kustomization.yaml
    [ ! -L "$kustomization" ] || fail "$kustomization is a link" "edit the file that it leads to"
    new=$overlay/.kustomization.yaml.makeinfra-$$
    trap 'rm -f "$new"' EXIT
    trap 'exit 1' HUP INT TERM
    # cp brings the file's mode along.
    cp -p "$kustomization" "$new" || exit 1
    [ -n "$(images)" ] ||
        fail "$kustomization has no images: the tag stands in the manifests below $base" "\$EDITOR $base"
    line=$line awk '
        { end = sub(/\r$/, "") ? "\r" : "" }
        $1 == "-" { name = $3; gsub(/["\047]/, "", name); ours = $2 == "name:" && name == ENVIRON["image"] }
        ours && /^ +(newTag|digest):/ {
            # A comment stays, unless it is the tag of a digest.
            comment = (/newTag:/ && match($0, / +#.*/)) ? substr($0, RSTART) : ""
            sub(/[^ ].*/, ENVIRON["line"])
            $0 = $0 comment
            edited++
        }
        { print $0 end }
        END { exit edited != 1 }
    ' "$kustomization" >"$new" ||
        fail "$kustomization has no single newTag or digest for $image" \
            "\$EDITOR $kustomization; or make set-image$env IMAGE=NAME, one of: $(untagged "$(images)" | line)"
    if cmp -s "$new" "$kustomization"; then
        say "image      $image$(version), as before"
        return
    fi
    mv -f "$new" "$kustomization" || exit 1
    say "image       $image$(version)" "next: make deploy$env, and commit $kustomization"
}

run_undeploy() {
    further deletable
    say_secret
    further say_secret
    consent "Delete $project and these Secrets there?" "undeploy deletes $project, and there is no terminal to ask on"
    delete --kustomize="$overlay"
    delete_secret
    further delete_secret
    # Those of earlier settings are in no manifest any more.
    [ -z "$(workloads configmap)" ] ||
        delete configmaps --selector="$ours,app.kubernetes.io/managed-by=makeinfra"
    say "namespace $namespace stays"
}

run_setup() {
    command -v git >/dev/null || fail "git is not installed" "apt-get install git, or brew install git"
    if ! inside=$(git rev-parse --show-prefix 2>&1); then
        case $inside in *dubious*) todo="git config --global --add safe.directory $PWD" ;; *) todo="git init" ;; esac
        fail "$(printf '%s\n' "${inside#fatal: }" | sed 1q)" "$todo"
    fi
    [ -z "$inside" ] || fail "this is a folder of another repository, whose hooks stay as they are" "git init"
    git config core.hooksPath .githooks || exit 1
    say "core.hooksPath is .githooks: a commit with plaintext under secrets/ is refused"
    command -v git-crypt >/dev/null ||
        hint "git-crypt is not installed: apt-get install git-crypt, or brew install git-crypt"
    if git config --get filter.git-crypt.clean >/dev/null; then
        say "secrets/ is unlocked"
        # git knows no mode 0600: others could read what was decrypted.
        [ ! -d secrets ] || close_to_others secrets
    else
        hint "secrets/ is locked: git-crypt unlock, if your GPG key was added; else git-crypt unlock /path/to/KEY"
    fi
}

# Without kubectl one clear error, and not each step's own. It may have variables before it.
# shellcheck disable=SC2120 # its arguments are those of KUBECTL
need_kubectl() {
    eval "set -- $kubectl"
    while case ${1:-} in *=*) true ;; *) false ;; esac; do shift; done
    command -v "${1:-}" >/dev/null ||
        fail "cannot run ${1:-kubectl}" "install kubectl, or say where it is: make $goal$env$(
            again ROLLOUT_TIMEOUT APP IMAGE TAG DIGEST REVISION TAIL FOLLOW) KUBECTL=/path/to/kubectl"
}

# Everything but help and what is about this clone is done to one environment.
is_environment() {
    case " $known " in *" $environment "*) [ -n "$environment" ] && [ -f "$overlay/kustomization.yaml" ] ;; *) false ;; esac
}

no_environment() {
    [ -n "$known" ] || fail "there is no environment below kubernetes/overlays" "git status -- kubernetes"
    [ -n "$environment" ] ||
        fail "there are several environments: $known" "make $goal ENV=${known%% *}$(again CONTEXT)$more"
    for name in $known; do
        [ "$name" != "$environment" ] ||
            fail "there is no $overlay/kustomization.yaml" "git status; git log --oneline -- $overlay"
    done
    fail "there is no environment \`$environment\`" "make $goal ENV=${known%% *}$(again CONTEXT)$more; there are: $known"
}

# shellcheck source=/dev/null
. "${0%/*}/secrets.sh"
# shellcheck source=/dev/null
. "${0%/*}/explain.sh"
for step; do
    case $step in
    help | setup) ;;
    *)
        # ENV came from the environment: refuse instead of guessing.
        [ -z "$outside" ] || fail "ENV=$outside is set, and not on make's command line" "make $goal ENV=$outside$(again CONTEXT)$more"
        is_environment || no_environment ;;
    esac
    case $step in
    where | help | setup | set_image | secret_file | timeout | confirm) ;;
    *) need_kubectl "" ;;
    esac
    "run_$step" || exit
done
