// Command keyring-check says which credentials the kubelet finds for an image in pull secrets, by the kubelet's own
// code, after the API server's own validation of the Secrets.
//
//	keyring-check SECRET_FILE... IMAGE
//	keyring-check - <CASES >ANSWERS
//
// The first form prints one answer. The second reads a case a line, {"secrets":[MANIFEST...],"image":IMAGE} with
// manifests as text, and prints an answer a line, in the same order. An answer is a JSON object: "credentials", the
// usernames and passwords in the order in which the kubelet tries them, or "refused", what the API server says of a
// Secret, or "failed", what the kubelet says of one, or "image", what it says of the image reference.
//
// Passwords are printed: this is a test tool for test secrets.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/go-logr/logr"
	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/apis/core"
	corev1 "k8s.io/kubernetes/pkg/apis/core/v1"
	"k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/credentialprovider"
	"k8s.io/kubernetes/pkg/credentialprovider/secrets"
	"k8s.io/kubernetes/pkg/util/parsers"
	"sigs.k8s.io/yaml"
)

type question struct {
	Secrets []string `json:"secrets"`
	Image   string   `json:"image"`
}

type answer struct {
	Credentials []credential `json:"credentials"`
	Refused     string       `json:"refused,omitempty"`
	Failed      string       `json:"failed,omitempty"`
	Image       string       `json:"image,omitempty"`
}

type credential struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

func main() {
	// The kubelet's code logs each key that it ignores.
	klog.SetLogger(logr.Discard())
	args := os.Args[1:]
	switch {
	case len(args) == 1 && args[0] == "-":
		stream()
	case len(args) >= 1:
		var asked question
		for _, file := range args[:len(args)-1] {
			text, err := os.ReadFile(file)
			exitOn(err)
			asked.Secrets = append(asked.Secrets, string(text))
		}
		asked.Image = args[len(args)-1]
		exitOn(json.NewEncoder(os.Stdout).Encode(ask(asked)))
	default:
		exitOn(fmt.Errorf("usage: keyring-check SECRET_FILE... IMAGE, or keyring-check - with cases on standard input"))
	}
}

// stream answers a case a line until the input ends.
func stream() {
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	out := bufio.NewWriter(os.Stdout)
	for in.More() {
		var asked question
		exitOn(in.Decode(&asked))
		exitOn(json.NewEncoder(out).Encode(ask(asked)))
	}
	exitOn(out.Flush())
}

func ask(asked question) answer {
	var found []v1.Secret
	for _, text := range asked.Secrets {
		secret, err := admit(text)
		if err != nil {
			return answer{Refused: err.Error()}
		}
		found = append(found, *secret)
	}
	keyring, err := secrets.MakeDockerKeyring(found, &credentialprovider.BasicDockerKeyring{})
	if err != nil {
		return answer{Failed: err.Error()}
	}
	// As the kubelet does it: the image reference without tag and digest, docker.io's names written out.
	repository, _, _, err := parsers.ParseImageName(asked.Image)
	if err != nil {
		return answer{Image: err.Error()}
	}
	result := answer{Credentials: []credential{}}
	matches, _ := keyring.Lookup(repository)
	for _, match := range matches {
		result.Credentials = append(result.Credentials, credential{match.Username, match.Password})
	}
	return result
}

// admit reads a manifest as the API server does: strictly, with defaults, and validated.
func admit(text string) (*v1.Secret, error) {
	var secret v1.Secret
	if err := yaml.UnmarshalStrict([]byte(text), &secret); err != nil {
		return nil, err
	}
	if secret.Namespace == "" {
		secret.Namespace = "default"
	}
	corev1.SetDefaults_Secret(&secret)
	var internal core.Secret
	if err := corev1.Convert_v1_Secret_To_core_Secret(&secret, &internal, nil); err != nil {
		return nil, err
	}
	if faults := validation.ValidateSecret(&internal); len(faults) > 0 {
		return nil, faults.ToAggregate()
	}
	return &secret, nil
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "keyring-check:", err)
		os.Exit(1)
	}
}
