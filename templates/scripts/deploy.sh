#!/bin/sh
# What kubectl alone would get wrong. The Makefile puts a verb of this script before a kubectl command, as in
# `sh scripts/deploy.sh apply kubectl apply --kustomize=DIR`, and exports the variables that are used here.
set -euf
export LC_ALL=C
ours=makeinfra/project=$PROJECT,makeinfra/environment=$ENVIRONMENT
pods=app.kubernetes.io/part-of=$PROJECT

kubectl() { # KUBECTL may be several words: a program with options, or with variables before it.
    # shellcheck disable=SC2086 # a list of words
    env $KUBECTL ${CONTEXT:+"--context=$CONTEXT"} --namespace="$NAMESPACE" "$@"
}

die() { # ERROR [HINT]
    printf 'error: %s\n' "$1" >&2
    [ $# -lt 2 ] || printf 'hint: %s\n' "$2" >&2
    exit 1
}

try() { # COMMAND...: what it writes to standard error is in $said.
    { said=$("$@" 2>&1 >&3 3>&-); } 3>&1
}

tell() { # Prints $said. kubectl may quote a secret, even as decimal bytes: a line ends where one begins.
    # shellcheck disable=SC2016 # the variables are those of the inner shell
    printf '%s\n' "$said" | find "$SECRETS" -type f -exec sh -c 'awk "$0" "$@" errors=1 -' '
        BEGIN { for (i = 1; i < 256; i++) code[sprintf("%c", i)] = i }
        errors && /^[EIW][0-9][0-9][0-9][0-9] / { next }
        errors {
            end = length($0) + 1
            for (value in secret) if ((at = index($0, value)) && at < end) end = at
            text = text substr($0, 1, end - 1) (end > length($0) ? "\n" : "...\n")
            next
        }
        FILENAME ~ /yaml$/ && /^[A-Za-z]/ { data = /^(data|stringData):/ }
        FILENAME ~ /yaml$/ && !(data && sub(/^ +[^:]*: */, "")) { next }
        FILENAME ~ /env$/ { sub(/^[^=]*=/, "") }
        { gsub(/^["\047 \t]+|["\047 \t\r]+$/, "") }
        length($0) > 3 {
            bytes = ""
            for (i = 1; i <= length($0); i++) bytes = bytes " " code[substr($0, i, 1)]
            secret[$0]
            secret[substr(bytes, 2)]
        }
        END { printf "%s", substr(text, 1, 1000) }' {} + >&2
}

run() {
    try "$@" || { tell && exit 1; }
    [ -z "$said" ] || tell
}

locked() { # Prints the files in a directory that are still encrypted: their first ten bytes tell.
    # shellcheck disable=SC2016 # the variables are those of the inner shell
    find "$1" -type f -exec sh -c 'for file; do
        [ "$(od -An -tx1 -N10 "$file" | tr -d " \n")" != 00474954435259505400 ] || printf "%s\n" "$file"
    done' sh {} +
    find "$1" -type f ! -perm 600 -exec chmod 600 {} +
}

check() {
    [ -z "$(locked "$SECRETS")" ] || die "$SECRETS is locked" "git-crypt unlock"
    [ -f "$SECRETS/$SECRET.secret.yaml" ] || die "no pull secret yet" "makeinfra rotate --env $ENVIRONMENT"
    declared=$(sed -n "s/^namespace:[ \"']*\([a-z0-9-]*\).*/\1/p" "$OVERLAY/kustomization.yaml")
    [ "$declared" = "$NAMESPACE" ] ||
        die "$OVERLAY has two namespaces: $declared in kustomization.yaml, $NAMESPACE in environment.mk"
}

ask() { # QUESTION
    case $YES in 1 | y | yes | true) return 0 ;; esac
    [ -t 0 ] || die "cannot ask for confirmation: not a terminal" "repeat the command with YES=1"
    printf '%s [y/N] ' "$1"
    read -r reply || reply=
    case $reply in y | Y | yes) ;; *) die "nothing was changed" ;; esac
}

confirm() {
    check
    context=$(kubectl config view --minify --output='jsonpath={.current-context}' 2>/dev/null) || context=none
    echo "environment $ENVIRONMENT, namespace $NAMESPACE, context $context"
    [ -z "$PROTECTED" ] || ask "Change $ENVIRONMENT, which is protected?"
}

namespace() { # Runs the command if the namespace is missing. Its users may not be allowed to look at it.
    found=$(kubectl get namespace "$NAMESPACE" --ignore-not-found --output=name 2>&1) || case $found in
    *"(Forbidden)"*) ;;
    *) die "$found" "kubectl config get-contexts" ;;
    esac
    [ -n "$found" ] || run "$@"
}

immutable() { # Prints the Jobs and Secrets that $said wants replaced, and "other" for any other error.
    printf '%s\n' "$said" | awk '
        function tell() {
            if (text) print((name && text ~ /field is immutable/) ? name : "other")
            text = name = ""
        }
        /^(The |Error |error)/ { tell() }
        { text = text $0 }
        match($0, /(Job|Job\.batch|Secret) "[^"]*" is invalid/) {
            split(substr($0, RSTART, RLENGTH), part, "\"")
            name = (part[1] ~ /Job/ ? "job.batch/" : "secret/") part[2]
        }
        END { tell() }'
}

hanging() { # Prints the pods, or their Jobs, that cannot pull their image, and the Jobs that failed.
    owner='{.metadata.ownerReferences[0].kind}/{.metadata.ownerReferences[0].name}'
    state='{..waiting.reason} {.status.conditions[?(@.status=="True")].type}'
    object="{.kind} {.metadata.name} $owner $state"
    kubectl get pods,jobs --selector="$pods" --output="jsonpath={range .items[*]}$object{\"\n\"}{end}" | awk '
        $1 == "Pod" && /ErrImagePull|ImagePullBackOff/ { print sub(/^Job/, "job.batch", $3) ? $3 : "pod/" $2 }
        $1 == "Job" && / Failed/ { print "job.batch/" $2 }'
}

apply() { # An apply is no transaction: the server is asked for its objections before anything changes.
    replace=
    if ! names=$("$@" --dry-run=server --output=name 2>&1); then
        said=$(printf '%s\n' "$names" | grep -v '^[a-z.]*/[a-z0-9.-]*$') || true
        replace=$(immutable)
        case $replace in '' | *other*) tell && exit 1 ;; esac
    fi
    renew=
    for item in $(hanging); do
        case $item in
        pod/*) renew="$renew $item" ;;
        *) ! printf '%s\n' "$names" | grep -qxF "$item" || replace="$replace $item" ;;
        esac
    done
    # shellcheck disable=SC2086 # a list of words
    [ -z "$replace" ] || run kubectl delete --ignore-not-found $replace
    run "$@"
    # The kubelet waits minutes before it pulls again, and a rollout past its deadline stays failed.
    # shellcheck disable=SC2086 # a list of words
    [ -z "$renew" ] || run kubectl delete --ignore-not-found --wait=false $renew
}

finish() { # ERROR: shows what the pods say.
    [ -z "$said" ] || tell
    kubectl get pods --selector="$pods"
    kubectl get events --field-selector=type=Warning --sort-by=.lastTimestamp | tail -n 10
    die "$1" "makeinfra diagnose --env $ENVIRONMENT"
}

jobs() {
    try "$@" || case $said in *"no matching resources"*) return 0 ;; *) finish "a Job is not complete" ;; esac
    ! kubectl get jobs --selector="$ours" --output='jsonpath={..type}' | grep -q Fail || finish "a Job failed"
}

rollout() { # A workload with OnDelete has no rollout to wait for.
    try "$@" || case $said in
    *"only available for RollingUpdate"*) tell ;;
    *) finish "the rollout is not complete" ;;
    esac
}

diff() { # kubectl compares nothing if one object cannot be changed: such objects are named, and left out.
    check
    code=0
    try "$@" || code=$?
    case $code,$said in
    [01],*) ;;
    *"namespaces \"$NAMESPACE\" not found"*)
        echo "namespace $NAMESPACE is missing: everything would be new"
        code=1
        ;;
    *)
        replace=$(immutable)
        case $replace in '' | *other*) tell && exit 2 ;; esac
        printf 'to be replaced: %s\n' "$replace" && code=1
        run kubectl kustomize "$OVERLAY" | replace=$replace awk '
            BEGIN { RS = "---\n"; split(ENVIRON["replace"], names) }
            {
                for (i in names) {
                    split(names[i], part, /(\.batch)?\//)
                    if (tolower($0) ~ "\nkind: " part[1] "\n" && $0 ~ "\n  name: " part[2] "\n") next
                }
                print "---\n" $0
            }' | kubectl diff --server-side --force-conflicts --field-manager=makeinfra --filename=- || true
        ;;
    esac
    [ "$code" = 0 ] || [ "$CHANGES" = ok ]
}

applied() { # Prints "KIND/NAME CLAIMS" of what was applied from here: a label alone is soon copied by people.
    kinds=deployments,statefulsets,daemonsets,cronjobs,jobs,services,ingresses,configmaps,secrets
    kinds=$kinds,serviceaccounts,horizontalpodautoscalers,poddisruptionbudgets,networkpolicies
    by='by={.metadata.managedFields[?(@.manager=="makeinfra")].operation}'
    by="$by owner={.metadata.ownerReferences[0].kind}"
    object="{.kind}/{.metadata.name} $by {.spec.persistentVolumeClaimRetentionPolicy.whenDeleted}"
    object="jsonpath={range .items[*]}= $object{\"\\n\"}{end}"
    list=$(kubectl get "$kinds" --selector="$ours" --output="$object" 2>&1) || case $list in
    *"(Forbidden)"*) printf '%s\n' "$list" | sed -n 's/.*(Forbidden): \([^ ]*\).*/not looked at: \1/p' >&2 ;;
    *) die "$list" ;;
    esac
    printf '%s\n' "$list" | awk '$1 == "=" && /by=.*Apply/ && $4 == "owner=" { print $2, $5 }'
}

left() { # Prints what was applied and is no longer in git, without what old pods and revisions still use.
    old=$(applied)
    new=$(run kubectl annotate --local --kustomize="$OVERLAY" --output=name makeinfra/none-)
    list=$(printf '%s\n' "$new" = "$old" | awk '
        $1 == "=" { applied = 1; next }
        { split($1, part, /[.\/]/); name = tolower(part[1]) substr($1, index($1, "/")) }
        !applied { kept[name] }
        applied && NF && !(name in kept)')
    case $list in *Secret/* | *ConfigMap/*)
        users=replicasets,controllerrevisions,pods,jobs
        used=$(run kubectl get $users --output='jsonpath={..name} {..secretName}')
        list=$(printf '%s\n' "$list" | used=" $used " awk '
            !/^(Secret|ConfigMap)/ || !index(ENVIRON["used"], " " substr($1, index($1, "/") + 1) " ")')
        ;;
    esac
    printf '%s\n' "$list"
}

leftovers() {
    left | sed -n 's/^[A-Z].*/left over: &/p' | sed 's/ Delete$/, whose volume claims would go with it/'
}

prune() { # A StatefulSet that takes its volume claims along is left to people.
    delete "$(left | sed '/ Delete$/d')"
}

undeploy() {
    delete "$(applied)"
}

delete() { # LIST
    [ -n "$1" ] || die "nothing to delete"
    printf '%s\n' "$1" | sed 's/^/to delete: /; s/ Delete$/ and its volume claims/'
    kubectl get persistentvolumeclaims --output=name | sed 's/^/stays: /'
    ask "Delete this from namespace $NAMESPACE, which stays?"
    # shellcheck disable=SC2046 # a list of words
    run kubectl delete --ignore-not-found $(printf '%s\n' "$1" | sed 's/ .*//')
}

set_image() {
    export image="${IMAGE:-$IMAGES}"
    # shellcheck disable=SC2016 # the fields are those of awk
    entry='{ sub(/\r$/, "") }
        $1 == "-" { name = $3; gsub(/["\047]/, "", name); mine = $2 name == "name:" ENVIRON["image"] }'
    from=kubernetes/overlays/$FROM/kustomization.yaml
    case ${TAG:+t}${DIGEST:+d}${FROM:+f} in
    t) line="newTag: \"$TAG\"" ;;
    d) line="digest: $DIGEST" ;;
    f) line=$(awk "$entry"' mine && /^ +(newTag|digest):/ && sub(/^ +/, "")' "$from") ;;
    *) die "one of TAG=, DIGEST= and FROM= is required" "make set-image ENV=$ENVIRONMENT TAG=1.2.3" ;;
    esac
    tag='newTag: "?[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"?( *#.*)?|digest: sha256:[0-9a-f]{64}( *#.*)?'
    ! printf '%s\n' "$line" | grep -Evqx "$tag" || die "this is neither a tag nor a digest"
    export line
    new=$OVERLAY/.kustomization.yaml.new
    trap 'rm -f "$new"' EXIT
    cp -p "$OVERLAY/kustomization.yaml" "$new"
    awk "$entry"' mine && /^ +(newTag|digest):/ { sub(/[^ ].*/, ENVIRON["line"]); edits++ }
        { print }
        END { exit edits != 1 }' "$OVERLAY/kustomization.yaml" >"$new" ||
        die "$OVERLAY/kustomization.yaml has no single newTag or digest of $image"
    mv "$new" "$OVERLAY/kustomization.yaml"
    echo "$OVERLAY: $image, $line"
}

setup() {
    above=$(git rev-parse --show-prefix)
    if [ -n "$above" ]; then
        echo "add to the pre-commit hook of the repository above: sh $above.githooks/pre-commit || exit 1"
    else
        git config core.hooksPath .githooks
        echo "the commit hook is installed"
    fi
    [ -z "$(locked secrets)" ] && echo "secrets/ is unlocked" || echo "secrets/ is locked: run git-crypt unlock"
}

case $1 in
kubectl) run "$@" ;;
set-image) set_image ;;
*) "$@" ;;
esac
