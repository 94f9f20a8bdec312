# shellcheck shell=sh disable=SC2154
# Why a rollout or a Job failed, in the cluster's words and in those of somebody who knows what to do about it.
# kubernetes.sh reads this: functions and variables that are not made here are made there.

# Narrows a selector to the pods of the last rollout: what earlier ones failed of may still hang around.
newest() {
    at='{.metadata.annotations.deployment\.kubernetes\.io/revision}'
    revision=$(kube get "$1" --output="jsonpath=$at" 2>/dev/null) && [ -n "$revision" ] &&
        kube get replicasets --selector="$2" \
            --output="jsonpath={range .items[*]}$at {.metadata.labels.pod-template-hash}{\"\n\"}{end}" 2>/dev/null |
        awk -v revision="$revision" '$1 == revision && NF == 2 { print ",pod-template-hash=" $2 }'
}

# explain WORKLOAD FAILURE: why it failed: the pods, what their containers wait for, their events, and what to do about it.
explain() {
    pods=$(selector "$1") || exit 1
    say "" "pods"
    kube get pods --selector="$pods" --output=wide || fail "$2, and the cluster does not tell why"
    pods=$pods$(newest "$1" "$pods")
    state='{.state.waiting.reason} {.state.waiting.message} {.state.terminated.reason} {.lastState.terminated.reason}'
    line="{.name}: $state{\"\n\"}"
    reasons="{range .items[*]}{range .status.initContainerStatuses[*]}$line{end}"
    reasons="$reasons{range .status.containerStatuses[*]}$line{end}{end}"
    reasons=$(kube get pods --selector="$pods" --output="jsonpath=$reasons" | awk 'NF > 1' | sort -u)
    owners="${1#*/} $(kube get replicasets,pods --selector="$pods" --output='jsonpath={.items[*].metadata.name}')"
    columns=LAST:.lastTimestamp,OBJECT:.involvedObject.name,REASON:.reason,MESSAGE:.message
    events=$(kube get events --sort-by=.metadata.creationTimestamp --output="custom-columns=$columns" |
        owners=$owners awk '
            BEGIN { split(ENVIRON["owners"], names, " "); for (n in names) ours[names[n]] = 1 }
            NR == 1 || $2 in ours' | tail -n 25)
    case $1 in
    job/*)
        say "" "last lines"
        kube logs --selector="$pods" --all-containers --prefix --ignore-errors --tail=20 2>&1 ;;
    esac
    say "" "containers that do not run" "${reasons:-none}" "" "recent events" "$events" ""
    about "$1"
    advise "$reasons $events"
    fail "$2${cause:+: $cause}" "$advice"
}

# about WORKLOAD: where somebody changes it, and what it pulls.
about() {
    manifest=$base/${1%%/*}.yaml
    [ "${1#*/}" = "$project" ] || manifest=$base/${1#*/}-${1%%/*}.yaml
    [ -f "$manifest" ] || manifest="the manifest of $1"
    # Where replicas and resources are.
    sizes=$manifest
    [ -z "$known" ] || sizes=$overlay/kustomization.yaml
    pulled=$(kube get "$1" --output='jsonpath={.spec.template.spec.containers[0].image}' 2>/dev/null) || pulled=
    pulled=${pulled:-$image$(version)}
    name=$(untagged "$pulled")
    set_image="make set-image$env"
    [ "$name" = "$image" ] || set_image="make set-image$env IMAGE=$name"
    only=" APP=${1#*/}"
}

# advise TEXT: sets $cause and $advice. The most telling text wins: a refusal says more than the back-off after it.
advise() {
    case $1 in
    *"runAsNonRoot and image will run as root"*)
        cause="the image runs as root, which the pods' security context refuses"
        advice="give the image a numeric USER; or allow root: edit securityContext in $manifest and the
      label in $overlay/namespace.yaml, or begin with \`makeinfra new ... --pod-security baseline\`" ;;
    *"non-numeric user"*)
        cause="the image's USER is a name, and the kubelet cannot tell whether that is root"
        advice="set its number as runAsUser beside runAsNonRoot in $manifest" ;;
    *"violates PodSecurity"*)
        cause="the namespace refuses the pods: they ask for more than its pod security level allows"
        advice="follow the event above, or have an administrator relax the level:
      kubectl label namespace $namespace pod-security.kubernetes.io/enforce=baseline --overwrite" ;;
    *"exceeded quota"*)
        cause="the namespace's quota is used up"
        advice="lower the replicas or the requests in $sizes, or ask for a larger quota" ;;
    # A kubelet that has not heard of a new Secret yet says so, too: what counts is that the pull failed.
    *ErrImagePull*FailedToRetrieveImagePullSecret* | *FailedToRetrieveImagePullSecret*ErrImagePull* | \
        *ImagePullBackOff*FailedToRetrieveImagePullSecret* | *FailedToRetrieveImagePullSecret*ImagePullBackOff*)
        cause="the Secret that $manifest names in imagePullSecrets is not in namespace $namespace"
        advice="make gitlab-secret$env" ;;
    *"illegal base64"* | *"unable to parse auth field"*)
        cause="an entry of a pull secret is malformed"
        advice=$rotate ;;
    *"anonymous token"*403* | *"invalid status code from registry 403"*)
        cause="403, anonymous: the kubelet found no pull secret that matches the image's registry and path"
        advice="compare the registry key in $file with $name, then \`$rotate\` and \`make deploy$env\`" ;;
    *"401 Unauthorized"*)
        cause="401: the registry refused the token: wrong, revoked or expired"
        advice="make a new deploy token in GitLab, then \`$rotate\` and \`make deploy$env\`" ;;
    *"oauth token"*"403 Forbidden"*)
        cause="403, signed in: the token lacks the scope read_registry"
        advice="make a deploy token with read_registry in GitLab, then \`$rotate\` and \`make deploy$env\`" ;;
    *insufficient_scope*)
        cause="the token is valid, but not for this image: it is of another project, or the image's path is wrong"
        advice="make a deploy token in the project of $name, then \`$rotate\` and \`make deploy$env\`" ;;
    *"Failed to pull image"*"failed to do request"* | *"oauth token: Get \""* | *"anonymous token: Get \""*)
        cause="the node cannot reach the registry of $name, or does not trust it"
        advice="the last words of \"Failed to pull image\" above say why: a name, a certificate, a proxy, a firewall" ;;
    *InvalidImageName* | *InspectFailed*)
        cause="the image reference is malformed: $pulled"
        advice="correct it in $overlay/kustomization.yaml and $manifest" ;;
    *ErrImagePull*": not found"* | *": not found"*ErrImagePull* | *"code = NotFound"*)
        cause="the registry has no $pulled"
        advice="$set_image TAG=..., with a tag that exists" ;;
    *OOMKilled*)
        cause="a container needs more memory than its limit"
        advice="raise resources.limits.memory in $sizes" ;;
    *CrashLoopBackOff*)
        cause="the application starts and ends again"
        advice="make logs$env$only; \"Read-only file system\" there means that it writes outside /tmp" ;;
    *FailedScheduling*)
        cause="no node has room for the pods"
        advice="lower resources.requests or replicas in $sizes" ;;
    *)
        cause=
        advice="make status$env, make logs$env$only; what is slow needs ROLLOUT_TIMEOUT=5m" ;;
    esac
}
