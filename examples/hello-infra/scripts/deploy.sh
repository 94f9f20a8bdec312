# What kubectl alone does not do. The Makefile puts a step before a kubectl command that it shows:
#     sh scripts/deploy.sh STEP kubectl ARGUMENTS
# shellcheck shell=sh disable=SC2046,SC2086 # KUBECTL and lists of names are split into words on purpose
set -uf
export LC_ALL=C
: "${NAMESPACE?is set by the Makefile: use make}"
case $ENVIRONMENTS in *" "*) env=$ENVIRONMENT ;; *) env= ;; esac
unlock='git-crypt unlock KEY_FILE, or git-crypt unlock if your GPG key was added'
object='jsonpath={range .items[*]}{.kind}/{.metadata.name} '

say() { printf '%s\n' "$@"; }
kubectl() { env $KUBECTL "$@"; }
kube() { kubectl --namespace="$NAMESPACE" ${CONTEXT:+"--context=$CONTEXT"} "$@"; }
fail() { # ERROR [HINT]
    say "error: $1" ${2:+"hint: $2"} >&2
    exit 1
}

mask() { # Copies what kubectl says. A line ends at a value of secrets/, or after 1,000 characters.
    find secrets -type f -exec sh -c 'awk "$0" "$@" says=1 -' '
        says {
            for (value in secret) if (at = index($0, value)) $0 = substr($0, 1, at - 1) "***"
            gsub(/[[][0-9]+ [0-9 ]+/, "[***")  # bytes as numbers
            print substr($0, 1, 1000)
            next
        }
        FNR == 1 || /^[a-zA-Z]/ { data = FILENAME !~ /[.]ya?ml$/ || /^(data|stringData):/ }
        data || /^ *- .*=/ {
            value = $0
            sub(/^ *[A-Za-z0-9_.-]+(=|: *)/, "", value)
            if (/=/ && value ~ /^=*$/) value = $0  # a pasted line looks like a key
            sub(/\r$/, "", value)
            if (length(value) > 3) secret[value]
            for (i = split(value, piece, /[^ -~]+|["\047\\=}{]+|: /); i; i--)
                if (length(piece[i]) > 3) secret[piece[i]]
        }' {} +
}

refuse() { # TEXT of kubectl
    say "$1" | mask >&2
    exit 1
}

locked() { # Prints files that are not decrypted. In a clone others could read them: git knows no mode 0600.
    find "${SECRETS:-secrets}" -type f ! -perm 0600 -exec chmod 0600 {} +
    find "${SECRETS:-secrets}" -type f | while IFS= read -r file; do
        [ "$(head -c 10 "$file" | tr '\000' @)" != @GITCRYPT@ ] || say "$file"
    done
}

ready() { # Checks what the overlay is built from.
    locked=$(locked)
    [ -z "$locked" ] || fail "locked: $locked" "$unlock"
    grep -rq 'component: pull-secret' "$SECRETS" ||
        fail "no pull secret yet" "makeinfra rotate${env:+ --env $env}"
    found=$(sed -n "s/^namespace: *[\"']*\([a-z0-9-]*\).*/\1/p" "$OVERLAY/kustomization.yaml")
    [ "$found" = "$NAMESPACE" ] ||
        fail "two namespaces: \`$found\` in $OVERLAY/kustomization.yaml, \`$NAMESPACE\` in its environment.mk"
}

agree() { # QUESTION
    case $YES in 1 | y | yes) return 0 ;; esac
    [ -t 0 ] || fail "cannot ask \"$1\": not a terminal" "YES=1 confirms"
    printf '%s [y/N] ' "$1"
    read -r reply
    case $reply in y | yes) ;; *) fail "nothing was changed" ;; esac
}

confirm() { # Says where, and asks before a protected environment.
    case $ROLLOUT_TIMEOUT in 0 | [0-9]*[hms]) ;; *) fail "ROLLOUT_TIMEOUT= must be like 90s or 5m" ;; esac
    context=$(kube config view --minify --output='jsonpath={.current-context}' 2>/dev/null)
    say "environment $ENVIRONMENT${PROTECTED:+ (protected)}, namespace $NAMESPACE, context ${context:-none}"
    [ -z "$PROTECTED" ] || agree "Change $ENVIRONMENT?"
}

namespace() { # Creates a missing namespace. Without the right to look, it is assumed to exist.
    found=$(kube get namespace "$NAMESPACE" --ignore-not-found --output=name 2>&1) ||
        case $found in *"(Forbidden)"*) ;; *) refuse "$found" ;; esac
    [ -n "$found" ] || "$@"
}

rehearse() { # KUBECTL apply: a dry run, so that it cannot fail halfway. Sets $old to what must be replaced.
    said=$("$@" --dry-run=server 2>&1) && old= || old=$(say "$said" | sed '
        / serverside-applied/d; /^Warning: /d
        s/^[^"]* Job[.a-z]* "\([^"]*\)" is invalid: spec\.[a-z]*: .*field is immutable$/job\/\1/
        s/^[^"]* Secret "\([^"]*\)" is invalid: type: .*field is immutable$/secret\/\1/')
    case $old in *" "*) refuse "$(say "$said" | grep -v ' serverside-applied')" ;; esac
}

applied() { # Prints KIND/NAME of what the apply in $said lists.
    say "$said" | sed -n '/ serverside-applied/{s/ .*//;s/\.[^/]*\//\//;p;}'
}

stuck() { # NAMES: prints the Jobs of these that failed or hang, and pods of these that wait for an image.
    owner='{.metadata.ownerReferences[0].kind}/{.metadata.ownerReferences[0].name}'
    state='{..waiting.reason} {.status.conditions[?(@.status=="True")].type}'
    list=$(kube get jobs,pods --output="$object$owner $state"'{"\n"}{end}') || exit 1
    say "$@" '' "$list" | tr '[:upper:]' '[:lower:]' | awk '
        !NF { listed = 1 }
        !NF || !listed { ours[$1]; next }
        sub(/^replicaset/, "deployment", $2) { sub(/-[^-]*$/, "", $2) }
        /imagepull/ && $2 in ours { print ($2 ~ /^job/) ? $2 : $1 }
        /^job.* fail/ && $1 in ours { print $1 }' | sort -u
}

apply() { # KUBECTL apply ...
    rehearse "$@"
    stuck=$(stuck $(applied)) || exit 1
    old="$old $(say "$stuck" | grep '^job/')"
    [ "$old" = " " ] || kube delete --ignore-not-found $old || exit 1
    said=$("$@" 2>&1) || refuse "$said"
    say "$said"
    # Left alone, a pod tries to pull again in up to five minutes.
    pods=$(say "$stuck" | grep '^pod/')
    [ -z "$pods" ] || kube delete --ignore-not-found --wait=false $pods || exit 1
    for job in $(applied | grep '^job/'); do
        kube wait "$job" --for='jsonpath={.status.conditions[0].status}=True' --timeout="$ROLLOUT_TIMEOUT" ||
            explain "error: $job is not complete"
        case $(kube get "$job" --output='jsonpath={..type}') in *Fail*) explain "error: $job failed" ;; esac
    done
}

explain() { # ERROR: fails, and shows what the cluster says about it.
    kube get pods >&2
    kube events --types=Warning 2>&1 | tail -n 10 | mask >&2
    say "$1" "hint: makeinfra diagnose${env:+ --env $env}" | mask >&2
    exit 1
}

await() { # Waits for a rollout. OnDelete workloads have none; that is not an error.
    { said=$("$@" 2>&1 >&3 3>&-) && return; } 3>&1
    case $said in *"only available for RollingUpdate"*) ;; *) explain "${said:-error: no rollout}" ;; esac
    said=$(say "$said" | grep -v 'only available for RollingUpdate')
    [ -z "$said" ] || explain "$said"
}

some() { # KUBECTL ...: fails if that finds nothing.
    said=$("$@" 2>&1) || refuse "$said"
    say "$said"
    case $said in *"No resources found"*) fail "nothing here is named \`$APP\`" "make status" ;; esac
}

differences() { # KUBECTL diff: fails on objects that must be replaced. Lists these, compares the rest.
    said=$("$@" 2>&1)
    code=$?
    case $said in *namespaces*"not found"*) code=1 said="namespace $NAMESPACE is missing" ;; esac
    if [ $code -gt 1 ]; then
        differs=$said
        rehearse kube apply --server-side --force-conflicts --field-manager=makeinfra --kustomize="$OVERLAY"
        [ -n "$old" ] || refuse "$differs"
        say "to be replaced:" "$old"
        said=$(kube kustomize "$OVERLAY" | old="$old
" awk '
            /^---/ { show() }
            /^[a-z]/ { section = $1 }
            /^kind:/ { kind = tolower($2) }
            section == "metadata:" && /^  name:/ { name = $2 }
            { text = text $0 "\n" }
            END { show() }
            function show() {
                if (!index(ENVIRON["old"], kind "/" name "\n")) printf "%s", text
                text = ""
            }' | kube diff --server-side --force-conflicts --field-manager=makeinfra --filename=- 2>&1)
        [ $? -le 1 ] || refuse "$said"
    fi
    # kubectl masks Secrets, but not the copy of one in an old annotation.
    say "$said" | sed 's/[{]\\*"apiVersion.*/***/'
    [ $code -eq 0 ] || [ "$CHANGES" = ok ]
}

ours() { # KUBECTL get KINDS: prints what makeinfra applied and nothing owns; labels alone get copied.
    by='{.metadata.managedFields[?(@.manager=="makeinfra")].operation}'
    said=$("$@" --output="$object"'owner:{.metadata.ownerReferences[*].uid} by:'"$by"'{"\n"}{end}' 2>&1) ||
        case $(say "$said" | grep -v -e ' owner:' -e 'cannot list resource') in ?*) refuse "$said" ;; esac
    say "$said" | sed -n 's/.*cannot list resource "\([^"]*\)".*/skipped, no permission to list: \1/p' >&2
    say "$said" | sed -n 's/ owner: by:.*Apply.*//p' | tr '[:upper:]' '[:lower:]'
}

leftovers() { # KUBECTL get KINDS: prints which of ours git no longer has.
    here=$(kube annotate --local --kustomize="$OVERLAY" --output=name makeinfra/none- 2>&1) || refuse "$here"
    # A rollback needs what an old revision names.
    used=$(kube get replicasets,controllerrevisions,pods,jobs --output='jsonpath={..name} {..secretName}') ||
        return 0
    ours=$(ours "$@") || exit 1
    left=
    for name in $(say "$ours" | grep -vxF "$(say "$here" | sed 's/\.[^/]*\//\//')"); do
        case "$name $used " in secret/*" ${name#*/} "* | configmap/*" ${name#*/} "*) continue ;; esac
        if [ "${name%%/*}" = statefulset ] &&
            kube get "$name" --output='jsonpath={.spec}' | grep -q '"whenDeleted":"Delete"'; then
            say "$name stays, because deleting it would delete its volume claims" >&2
            continue
        fi
        say "$name"
        left=yes
    done
    [ -z "$left" ] || say "no longer in git; to delete from the cluster: make prune${env:+ ENV=$env}" >&2
}

delete() { # KUBECTL delete NAMES: shows what goes and what stays, and asks.
    names=$(say "$@" | sed '1,/^delete$/d')
    [ -n "$names" ] || exec echo "nothing to delete"
    PROTECTED='' confirm
    say "$names"
    owner='{.metadata.ownerReferences[?(@.kind=="StatefulSet")].name}'
    kube get persistentvolumeclaims --output="$object"'statefulset/'"$owner"'{"\n"}{end}' |
        names="$names/" awk '{ print tolower($1), match(ENVIRON["names"], $2 "[\n/]") ? "goes" : "stays" }'
    agree "Delete these objects? Namespace $NAMESPACE is kept."
    "$@"
}

image() { # OVERLAY: prints "LINE: newTag: ..." or "LINE: digest: ..." of IMAGE.
    awk '
        { sub(/\r$/, ""); if (/^[^ #-]/) images = /^images:/ }
        $1 == "-" { name = ($2 == "name:") ? $3 : "" }
        { gsub(/["\047]/, "", name) }
        images && name == ENVIRON["IMAGE"] && /^ +(newTag|digest):/ { print NR ": " $1 " " $2 }
    ' "$1/kustomization.yaml"
}

set_image() { # Writes a copy and renames it: the file is the old one or the new one.
    case $TAG,$DIGEST,$FROM in
    *[!A-Za-z0-9_.:,-]*) new= ;;
    ?*,,) new="newTag: \"$TAG\"" ;;
    ,?*,) new="digest: $DIGEST" ;;
    ,,?*) new=$(image "kubernetes/overlays/$FROM" 2>/dev/null) && new=${new#*: } ;;
    *) fail "one of TAG=, DIGEST= and FROM= is required" "make set-image${env:+ ENV=$env} TAG=1.2.3" ;;
    esac
    say "$new" | grep -Eqx 'newTag: "?[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"?|digest: sha256:[0-9a-f]{64}' ||
        fail "not a tag, digest or environment: \`$TAG$DIGEST$FROM\`"
    line=$(image "$OVERLAY")
    [ "$(say "$line" | grep -c .)" -eq 1 ] || fail "no single newTag or digest of \`$IMAGE\` in $OVERLAY"
    # A comment behind a digest is its tag, and goes with it.
    edit="s/\(digest: [^ ]*\) *#[^$(printf '\r')]*/\1/;s/[a-zA-Z]*: *[\"'A-Za-z0-9_.:-]*/$new/"
    file=$OVERLAY/kustomization.yaml
    copy=$OVERLAY/.kustomization.yaml.makeinfra-$$
    trap 'rm -f "$copy"; exit' EXIT HUP INT TERM
    cp -p "$file" "$copy" &&
        sed "${line%%:*}{$edit;}" "$file" >"$copy" &&
        mv "$copy" "$file" && say "$IMAGE $new" "next: make deploy${env:+ ENV=$env}, and commit $file"
}

check_expiry() { # Prints when each deploy token ends, and fails if one does within 30 days.
    locked=$(SECRETS=secrets locked)
    [ -z "$locked" ] || fail "locked: $locked" "$unlock"
    soon=$(($(date +%s) + 30 * 86400))
    soon=$(date -u -d "@$soon" +%Y-%m-%d 2>/dev/null || date -u -r "$soon" +%Y-%m-%d) || exit 1
    ends=$(grep -rl 'component: pull-secret' secrets | sort | while IFS= read -r file; do
        awk -v soon="$soon" '
            { gsub(/[\r"\047]| #.*/, "") }
            $1 == "makeinfra/expires-at:" { own = $2 }
            $1 == "makeinfra/other-expiries:" { others = $0; sub(/.*expiries:/, "", others) }
            END {
                count = split((own ? own : "unknown") others, dates, " ")
                for (i = 1; i <= count; i++) {
                    date = dates[i]
                    sub(/.*=/, "", date)  # another registry: HOST=DATE
                    is_later = date ~ /^....-[01][0-9]-[0-3][0-9]/ && substr(date, 1, 10) > soon
                    lasts = is_later || date ~ /^(never|unknown)$/
                    print FILENAME ": expires-at " dates[i] (lasts ? "" : ", not after " soon)
                }
            }' "$file"
    done)
    [ -n "$ends" ] || fail "no pull secret yet" "makeinfra rotate"
    say "$ends"
    case $ends in *", not after "*) fail "a token expires within 30 days" "makeinfra rotate" ;; esac
}

setup() { # Prepares a clone.
    above=$(git rev-parse --show-prefix) || exit 1
    if [ -n "$above" ]; then
        say "the hook of the parent repository requires this line: sh ${above}.githooks/pre-commit || exit 1"
    else
        git config core.hooksPath .githooks && say "commits with plaintext under secrets/ are refused"
    fi
    case $(locked) in
    '') say "secrets/ is unlocked" ;;
    *) say "secrets/ is locked: $unlock" ;;
    esac
}

"$@"
