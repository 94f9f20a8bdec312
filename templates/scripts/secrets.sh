# shellcheck shell=sh disable=SC2034,SC2154
# What the targets do with Secrets: the pull secret, and every NAME.secret.yaml beside its file.
# kubernetes.sh reads this: functions and variables that are not made here are made there.

# Only where it must be: git takes a file whose mode was set, even to the same, for one that may have changed.
close_to_others() {
    find "$1" -type f \( -perm -040 -o -perm -004 \) -exec chmod go= {} +
}

locked() {
    [ "$(head -c 10 "$file" | tr '\000' '@')" = @GITCRYPT@ ]
}

open_file() {
    [ -r "$file" ] || fail "cannot read $file" "ls -l $file"
    ! locked || fail "$file is locked" "git-crypt unlock KEY_FILE; without it, if your GPG key was added"
    close_to_others "$file" || hint "others can read $file: chmod 600 $file"
}

# The file must be there and unlocked before kubectl sees it. An encrypted file begins with NUL GITCRYPT NUL. git knows
# no mode 0600: in a clone others could read what git-crypt has decrypted.
run_secret_file() {
    [ -s "$file" ] || fail "there is no pull secret in $file" "$rotate"
    open_file
}

# further STEP: runs it for every other Secret here, NAME.secret.yaml beside the pull secret's file, with $secret and
# $file set to that.
further() {
    pull_secret=$secret pull_file=$file
    for file in "${pull_file%/*}"/*.secret.yaml; do
        # Where there is none, the pattern stays.
        [ -e "$file" ] || continue
        [ "$file" != "$pull_file" ] || continue
        secret=${file##*/}
        secret=${secret%.secret.yaml}
        "$@"
    done
    secret=$pull_secret file=$pull_file
}

run_further_files() {
    further further_file
}

# What is called by its file's name can be found, and deleted, even where the file is locked.
further_file() {
    [ -f "$file" ] || fail "$file is no regular file" "ls -l $file"
    [ -s "$file" ] ||
        fail "there is no Secret in $file" "makeinfra secret set $secret KEY${environment:+ --env $environment}"
    open_file
    [ "$(named 2>/dev/null)" = "secret/$secret" ] && return
    answer=$(named 2>&1 >/dev/null)
    # What is wrong with the file is not shown: a value may stand there.
    case $answer in *"loading config"*) fail "$(printf '%s\n' "$answer" | grep "loading config")" "kubectl config view" ;; esac
    fail "$file must hold a Secret called $secret, of namespace $namespace, and nothing else" "\$EDITOR $file"
}

# named: what kind and name the object in the file has.
named() {
    kube annotate --local --filename="$file" --output=name makeinfra/none-
}

# A locked file is taken at its name; any other must not make us delete what was never ours.
deletable() {
    locked || further_file
}

say_secret() {
    say "secret/$secret"
}

# Applied over what is there, the Secret keeps its UID, by which the kubelet trusts images that it has pulled.
run_pull_secret() {
    bring_secret
}

run_secrets() {
    further bring_secret
}

bring_secret() {
    if ! apply_secret; then
        type_changed "$answer" || failed_secret
        say "secret/$secret: its type changed, which only a new Secret can have: replacing it"
        delete_secret
        apply_secret || failed_secret
    fi
    say "$answer"
    # Left by an earlier client-side apply, it holds the old token. Not there: nothing changes.
    answer=$(kube annotate secret "$secret" kubectl.kubernetes.io/last-applied-configuration- 2>&1) || failed_secret
}

apply_secret() {
    answer=$(apply --namespace="$namespace" --filename="$file" 2>&1)
}

# True if nothing is wrong but the type, which cannot be changed.
type_changed() {
    case $1 in
    *"data["*) return 1 ;;
    *" type: Invalid value: "*"field is immutable"*) return 0 ;;
    *) return 1 ;;
    esac
}

delete_secret() {
    delete secret "$secret"
}

failed_secret() {
    answer=$(redact "$answer")
    case $answer in
    *"(Forbidden)"* | *"(NotFound)"*) outside "$answer" ;;
    *) fail "$answer" ;;
    esac
}

# kubectl and the API server quote what they cannot parse: nothing as long as a token gets through.
redact() {
    printf '%s\n' "$1" | sed 's/error validating ".*": error validating data: //; s/, got .*/, got ***/; s/gldt-[A-Za-z0-9_-]*/***/g
        s|[A-Za-z0-9+/=_]\{20,\}|***|g; s/[A-Za-z0-9+=_]\{18,\}/***/g'
}

secret_differs() {
    differs --filename="$file"
    case $? in
    0) ;;
    1) changed=1; redact "$answer" | masked ;;
    *)
        type_changed "$answer" || failed_diff "$(redact "$answer")"
        changed=1
        say "secret/$secret: its type changed: make deploy$env would replace it" ;;
    esac
}

# kubectl 1.20 masks only one side of a Secret's data, and none the copy of it that a client-side apply has left.
masked() {
    awk '
        # What stands above may be left out.
        /^@@/ { data = 1 }
        /^.[a-z]/ { data = /^.(data|stringData):/ }
        data && /^.  / { sub(/: .*/, ": ***") }
        /last-applied-configuration: *[^| ]/ { sub(/: *[^ ].*/, ": ***") }
        /^.[ "\047]*[{]/ { sub(/[{].*/, "***") }
        { print }'
}

secrets_now() {
    versions=$(further secret_version)
}

secret_version() {
    ask get secret "$secret" --ignore-not-found --output='jsonpath={.metadata.name}={.metadata.resourceVersion} '
}

secrets_known() {
    [ -z "$versions" ] || [ "$versions" = "$(kube get "$1" --ignore-not-found \
        --output='jsonpath={.metadata.annotations.makeinfra/secrets}')" ]
}

remember_secrets() {
    [ -z "$versions" ] || secrets_known "$1" ||
        ask annotate --overwrite "$1" "makeinfra/secrets=$versions" >/dev/null
}
