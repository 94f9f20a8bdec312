# What kubectl alone does not do. The Makefile puts a step before a kubectl command that it shows:
#     sh scripts/deploy.sh STEP kubectl ARGUMENTS
# shellcheck shell=sh disable=SC2046,SC2086 # KUBECTL and lists of names are split into words on purpose
set -uf
export LC_ALL=C
: "${NAMESPACE?is set by the Makefile: use make}"
case $ENVIRONMENTS in *" "*) env=$ENVIRONMENT ;; *) env= ;; esac
object='jsonpath={range .items[*]}{.kind}/{.metadata.name} '

say() { printf '%s\n' "$@"; }

fail() { # ERROR [HINT]
    say "error: $1" ${2:+"hint: $2"} >&2
    exit 1
}

kubectl() { env $KUBECTL "$@"; }

kube() { kubectl --namespace="$NAMESPACE" ${CONTEXT:+"--context=$CONTEXT"} "$@"; }

mask() { # Copies what kubectl says. A line ends where it quotes a value of secrets/, or after 1,000 characters.
    find Makefile secrets -type f -exec awk '
        FNR == 1 || /^[a-zA-Z]/ { data = FILENAME !~ /[.]ya?ml$/ || /^(data|stringData):/ }
        FILENAME != "Makefile" && (data || /^ *- .*=/) {
            value = $0
            sub(/^ *[A-Za-z0-9_.-]+(=|: +)/, "", value)
            if (value ~ /^=*$/) value = $0  # a pasted line looks like a key
            for (i = split(value, piece, /[^ -~]+|["\047\\=}{]+|: /); i; i--)
                if (length(piece[i]) > 3) secret[piece[i]]
        }
        END {
            while ((getline line <"/dev/stdin") > 0) {
                for (value in secret)
                    if (at = index(line, value)) line = substr(line, 1, at - 1) "***"
                gsub(/[0-9]+,? [0-9]+,? [0-9]+,? [0-9, ]+/, "***", line)  # bytes as numbers
                sub(/[{]\\*"apiVersion.*/, "***", line)  # an old copy in an annotation
                print substr(line, 1, 1000)
            }
        }' {} +
}

refuse() { # TEXT of kubectl
    say "$1" | mask >&2
    exit 1
}

locked() { # Prints the files that git-crypt has not decrypted.
    find "${SECRETS:-secrets}" -type f | while IFS= read -r file; do
        [ "$(head -c 10 "$file" | tr '\000' @)" != @GITCRYPT@ ] || say "$file"
    done
}

close_to_others() { # git knows no mode 0600.
    find "${SECRETS:-secrets}" -type f ! -perm 0600 -exec chmod 0600 {} +
}

ready() { # Checks what the overlay is built from.
    locked=$(locked)
    [ -z "$locked" ] || fail "locked: $locked" "git-crypt unlock"
    close_to_others
    found=$(sed -n "s/^namespace: *[\"']*\([a-z0-9-]*\).*/\1/p" "$OVERLAY/kustomization.yaml")
    [ "$found" = "$NAMESPACE" ] || fail "$OVERLAY has two namespaces: \`$found\`, \`$NAMESPACE\` in environment.mk"
}

agree() { # QUESTION
    case $YES in 1 | y | yes) return ;; esac
    [ -t 0 ] || fail "cannot ask \"$1\": not a terminal" "YES=1 agrees"
    printf '%s [y/N] ' "$1"
    read -r reply
    case $reply in y | yes) ;; *) fail "nothing was changed" ;; esac
}

confirm() { # Says where, and asks before a protected environment.
    case $ROLLOUT_TIMEOUT in 0 | *[0-9][hms]) ;; *) fail "not a duration: ROLLOUT_TIMEOUT=" "ROLLOUT_TIMEOUT=5m" ;; esac
    context=$(kube config view --minify --output='jsonpath={.current-context}' 2>/dev/null)
    say "environment $ENVIRONMENT${PROTECTED:+ (protected)}, namespace $NAMESPACE, context ${context:-none}"
    [ -z "$PROTECTED" ] || agree "Change $ENVIRONMENT?"
}

namespace() { # Creates a missing namespace. An account that may not look at it was given one.
    found=$(kube get namespace "$NAMESPACE" --ignore-not-found --output=name 2>&1) ||
        case $found in *"(Forbidden)"*) ;; *) refuse "$found" ;; esac
    [ -n "$found" ] || "$@"
}

immutable() { # TEXT: turns errors about what can only be replaced into KIND/NAME, and leaves others as they are.
    say "$1" | sed '/ serverside-applied/d; /^Warning: /d
        s/^[^"]* Job[.a-z]* "\([^"]*\)" is invalid: .*field is immutable.*/job\/\1/
        s/^[^"]* Secret "\([^"]*\)" is invalid: type: .*field is immutable.*/secret\/\1/'
}

applied() { # TEXT: prints KIND/NAME of what an apply lists.
    say "$1" | sed -n '/ serverside-applied/{s/ .*//;s/\.[^/]*\//\//;p;}'
}

stuck() { # NAMES: prints those of the Jobs that failed or hang, and the pods of the others that wait for an image.
    owner='{.metadata.ownerReferences[0].kind}/{.metadata.ownerReferences[0].name}'
    state='{..waiting.reason} {.status.conditions[?(@.status=="True")].type}'
    list=$(kube get jobs,pods --output="$object$owner $state"'{"\n"}{end}') || exit 1
    list=$(say "$list" | tr '[:upper:]' '[:lower:]' | sed 's/ replicaset\/\(.*\)-[^-]* / deployment\/\1 /')
    for name; do
        case $name in
        job/*) say "$list" | grep -q -e "^$name / .*fail" -e " $name .*imagepull" && say "$name" ;;
        *) say "$list" | sed -n "s| $name .*imagepull.*||p" ;;
        esac
    done
}

apply() { # An apply changes some objects and fails at others: a dry run tells before anything is changed.
    said=$("$@" --dry-run=server 2>&1) && old= || old=$(immutable "$said")
    case $old in *" "*) refuse "$said" ;; esac
    stuck=$(stuck $(applied "$said")) || exit 1
    old="$old $(say "$stuck" | grep '^job/')"
    [ "$old" = " " ] || kube delete --ignore-not-found $old || exit 1
    said=$("$@" 2>&1) || refuse "$said"
    say "$said"
    # Left alone, a pod tries to pull again in up to five minutes.
    pods=$(say "$stuck" | grep '^pod/')
    [ -z "$pods" ] || kube delete --ignore-not-found --wait=false $pods || exit 1
    for job in $(applied "$said" | grep '^job/'); do
        kube wait "$job" --for=jsonpath='{.status.conditions[0].status}'=True --timeout="$ROLLOUT_TIMEOUT" &&
            ! kube get "$job" --output='jsonpath={.status.conditions}' | grep -q '"Fail' || explain "$job failed"
    done
}

explain() { # ERROR: fails, and shows what the cluster says about it.
    kube get pods >&2
    kube get events --field-selector=type=Warning --sort-by=.lastTimestamp 2>&1 | tail -n 10 | mask >&2
    say "$1" | mask >&2
    fail "not everything runs" "makeinfra diagnose${env:+ --env $env}"
}

await() { # Waits for a rollout. An OnDelete workload has none, which is no failure.
    { said=$("$@" 2>&1 >&3 3>&-) && return; } 3>&1
    said=$(say "$said" | grep -v 'only available for RollingUpdate')
    [ -z "$said" ] || explain "$said"
}

differences() { # kubectl compares nothing if an object can only be replaced: name that one, compare the rest.
    said=$("$@" 2>&1)
    code=$? old=
    case $said in *"namespaces \"$NAMESPACE\" not found"*) code=1 said="namespace $NAMESPACE is missing" ;; esac
    while [ $code -gt 1 ]; do
        more=$(immutable "$said")
        case "$old $more" in *" $more"*" $more"* | *[!\ ]*" is "*) refuse "$said" ;; esac
        old="$old $more"
        said=$(kube kustomize "$OVERLAY" | awk -v names="$old " '
            /^---/ { show() }
            /^[a-z]/ { section = $1 }
            /^kind:/ { kind = tolower($2) }
            section == "metadata:" && /^  name:/ { name = $2 }
            { text = text $0 "\n" }
            END { show() }
            function show() {
                if (!index(names, " " kind "/" name " ")) printf "%s", text
                text = ""
            }' | kube diff --server-side --force-conflicts --field-manager=makeinfra --filename=- 2>&1)
        code=$?
    done
    say "$said" ${old:+"would be replaced:$old"} | mask
    [ "$code$old" = 0 ] || [ "$CHANGES" = ok ]
}

ours() { # KUBECTL get KINDS: prints what makeinfra applied and nothing owns. People copy labels: they prove little.
    marks='owner:{.metadata.ownerReferences[*].uid} by:{.metadata.managedFields[?(@.manager=="makeinfra")].operation}'
    said=$("$@" --output="$object$marks"'{"\n"}{end}' 2>&1) ||
        case $(say "$said" | grep -v -e ' owner:' -e 'cannot list resource') in ?*) refuse "$said" ;; esac
    say "$said" | sed -n 's/.*cannot list resource "\([^"]*\)".*/not looked at, no right to list: \1/p' >&2
    say "$said" | sed -n 's/ owner: by:.*Apply.*//p' | tr '[:upper:]' '[:lower:]'
}

leftovers() { # KUBECTL get KINDS: prints which of ours git no longer has. A rollback needs what old revisions name.
    here=$(kube annotate --local --kustomize="$OVERLAY" --output=name makeinfra/none- 2>&1) || refuse "$here"
    used=$(kube get replicasets,controllerrevisions,pods,jobs --output='jsonpath={..name} {..secretName}') || exit 1
    ours=$(ours "$@") || exit 1
    for name in $ours; do
        case "$name $used " in secret/*" ${name#*/} "* | configmap/*" ${name#*/} "*) continue ;; esac
        say "$here" | sed 's/\.[^/]*\//\//' | grep -qxF "$name" || say "$name"
    done
}

remind() { # The end of a deploy.
    names=$(leftovers "$@") && [ -z "$names" ] || say "no longer in git; to delete: make prune${env:+ ENV=$env}" "$names"
}

delete() { # KUBECTL delete NAMES: shows what goes and what stays, and asks.
    names=$(say "$@" | sed '1,/^delete$/d; /^-/d')
    [ -n "$names" ] || fail "nothing to delete"
    PROTECTED='' confirm
    say "$names"
    owner='{.metadata.ownerReferences[?(@.kind=="StatefulSet")].name}'
    kube get persistentvolumeclaims --output="$object"'of statefulset/'"$owner"'{"\n"}{end}' | names=$names awk '{
        goes = index("\n" ENVIRON["names"] "\n", "\n" $3 "\n")
        print tolower($1), goes ? "goes with " $3 : "stays"
    }'
    agree "Delete these from namespace $NAMESPACE, which stays?"
    "$@"
}

each() { # KUBECTL get KINDS: prints the names of all, or of the one that APP= names.
    found=$("$@" --output=name) || exit 1
    [ -z "$APP" ] || found=$(say "$found" | awk -F / '$2 == ENVIRON["APP"]')
    [ -n "$found" ] || fail "nothing found${APP:+ named \`$APP\`}" "make status${env:+ ENV=$env}"
    say "$found"
}

one() {
    found=$(each "$@") || exit 1
    [ "$(say "$found" | wc -l)" -eq 1 ] || fail "several found, APP= must choose one: $(say "$found" | tr '\n' ' ')"
    say "$found"
}

image() { # OVERLAY: prints "LINE: newTag: ..." or "LINE: digest: ..." of IMAGE.
    awk '
        /^[^ #-]/ { images = /^images:/ }
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
    ,,?*) new=$(image "kubernetes/overlays/$FROM") && new=${new#*: } ;;
    *) fail "one of TAG=, DIGEST= and FROM= is required" "make set-image${env:+ ENV=$env} TAG=1.2.3" ;;
    esac
    say "$new" | grep -Eqx 'newTag: "?[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"?|digest: sha256:[0-9a-f]{64}' ||
        fail "not a tag, digest or environment: \`$TAG$DIGEST$FROM\`" "make set-image${env:+ ENV=$env} TAG=1.2.3"
    line=$(image "$OVERLAY")
    [ "$(say "$line" | grep -c .)" -eq 1 ] || fail "$OVERLAY has not one newTag or digest of \`$IMAGE\`" "IMAGE=NAME"
    file=$OVERLAY/kustomization.yaml
    copy=$OVERLAY/.kustomization.yaml.makeinfra-$$
    trap 'rm -f "$copy"' EXIT
    cp -p "$file" "$copy" &&
        sed "${line%%:*}{s/digest: .*/newTag: x/;s/newTag: *[^ ]*/$new/;}" "$file" >"$copy" &&
        mv "$copy" "$file" && say "$IMAGE $new" "next: make deploy${env:+ ENV=$env}, and commit $file"
}

setup() { # Prepares a clone.
    above=$(git rev-parse --show-prefix) || exit 1
    if [ -n "$above" ]; then
        say "the hook of the repository above needs this line: sh ${above}.githooks/pre-commit || exit 1"
    else
        git config core.hooksPath .githooks && say "commits with plaintext below secrets/ are refused"
    fi
    [ -z "$(locked)" ] || fail "secrets/ is locked" "git-crypt unlock, or: git-crypt unlock KEY_FILE"
    close_to_others && say "secrets/ is unlocked"
}

"$@"
