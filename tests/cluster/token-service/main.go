// Command token-service is the part of GitLab that a container registry sends its clients to: GET /jwt/auth with a deploy
// token in HTTP Basic, answered with a signed token that says what the deploy token may do. It answers as GitLab does
// (app/services/auth/container_registry_authentication_service.rb), and a registry with `auth: token:` trusts it by --cert.
//
// It reads deploy tokens from JSON files at each request, so that a test rotates one by writing a file. It never writes or
// logs a password. It builds with the Go of Debian 12 (1.19).
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// deployToken is one file of --tokens. Several with one username are all valid: a rotation makes the new before it
// deletes the old.
type deployToken struct {
	Username string   `json:"username"`
	Password string   `json:"password"`
	Projects []string `json:"projects"` // "group/hello" owns itself and all below it
	Scopes   []string `json:"scopes"`   // read_registry, write_registry
}

// access is one entry of the token that the registry reads (distribution's docs/spec/auth/jwt.md).
type access struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

type service struct {
	tokens    string
	public    []string
	issuer    string
	key       *ecdsa.PrivateKey
	cert      []byte // DER
	delay     time.Duration
	ban       int64 // refused sign-ins until all are refused; 0: never
	banStatus int
	disabled  bool
	refused   atomic.Int64 // in a row
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("token-service: ")
	var s service
	listen := flag.String("listen", "127.0.0.1:0", "`address` to listen on; the real one is the first line of output")
	keyFile := flag.String("key", "token-service.key", "signing key, a PEM `file`; made together with --cert if missing")
	certFile := flag.String("cert", "token-service.crt", "its certificate, a PEM `file`: the registry's rootcertbundle")
	tlsCert := flag.String("tls-cert", "", "serve https with this PEM `file`")
	tlsKey := flag.String("tls-key", "", "and this key, a PEM `file`")
	flag.StringVar(&s.tokens, "tokens", ".", "`directory` with one JSON file a deploy token")
	flag.StringVar(&s.issuer, "issuer", "gitlab-issuer", "`name` that the registry knows as its issuer")
	flag.DurationVar(&s.delay, "delay", 0, "wait so long before each answer")
	flag.Int64Var(&s.ban, "ban", 0, "refuse every sign-in after `N` refused ones in a row")
	flag.IntVar(&s.banStatus, "ban-status", http.StatusForbidden, "the `status` that a banned client gets: 403 or 429")
	flag.BoolVar(&s.disabled, "disabled", false, "answer as GitLab does where the registry is not enabled")
	flag.Func("public", "`path` that may be pulled without credentials, with all below it; repeatable", func(path string) error {
		s.public = append(s.public, path)
		return nil
	})
	flag.Parse()

	var err error
	if s.key, s.cert, err = signingKey(*keyFile, *certFile); err != nil {
		log.Fatal(err)
	}
	if _, err = s.deployTokens(); err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())

	mux := http.NewServeMux()
	mux.HandleFunc("/jwt/auth", s.authenticate)
	mux.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	server := http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	go func() {
		<-stop.Done()
		server.Close()
	}()
	if *tlsCert != "" {
		err = server.ServeTLS(listener, *tlsCert, *tlsKey)
	} else {
		err = server.Serve(listener)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}

func (s *service) authenticate(w http.ResponseWriter, r *http.Request) {
	time.Sleep(s.delay)
	username, password, signedIn := r.BasicAuth()
	query := r.URL.Query()
	status, code, text := http.StatusOK, "", ""
	var granted []access
	tokens, err := s.deployTokens()
	token := find(tokens, username, password)
	switch {
	case err != nil:
		log.Print(err)
		status, code, text = http.StatusInternalServerError, "UNKNOWN", "deploy tokens cannot be read"
	case r.Method != http.MethodGet: // clients with credentials try OAuth's POST first, and fall back at this
		status, code, text = http.StatusNotFound, "UNSUPPORTED", "not found"
	case s.disabled:
		status, code, text = http.StatusNotFound, "UNAVAILABLE", "registry not enabled"
	case signedIn && s.ban > 0 && s.refused.Load() >= s.ban:
		status = s.banStatus
	case signedIn && token == nil:
		s.refused.Add(1)
		status, code, text = http.StatusUnauthorized, "UNAUTHORIZED", "HTTP Basic: Access denied. The provided password or token is incorrect."
	case signedIn && !token.mayUseRegistry():
		status, code, text = http.StatusForbidden, "DENIED", "access forbidden"
	default:
		if signedIn {
			s.refused.Store(0)
		}
		granted = s.grant(token, query["scope"])
		if !signedIn && len(granted) == 0 {
			status, code, text = http.StatusForbidden, "DENIED", "access forbidden"
		}
	}

	switch {
	case status == http.StatusOK:
		answer(w, status, map[string]string{"token": s.sign(username, query.Get("service"), granted)})
	case code == "": // what bans stands before GitLab and knows no JSON
		http.Error(w, http.StatusText(status), status)
	default:
		answer(w, status, map[string]any{"errors": []map[string]string{{"code": code, "message": text}}})
	}
	log.Printf("%s user=%q scope=%q %d", r.Method, username, query["scope"], status)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		log.Print(err)
	}
}

// grant answers what may be done of what is asked, "repository:PATH:pull,push" each. It leaves out where nothing may be done.
func (s *service) grant(token *deployToken, scopes []string) []access {
	granted := []access{} // encoded as [], never as null
	for _, scope := range strings.Fields(strings.Join(scopes, " ")) {
		kind, rest, _ := strings.Cut(scope, ":")
		colon := strings.LastIndex(rest, ":")
		if kind != "repository" || colon < 0 {
			continue
		}
		path, actions := rest[:colon], []string{}
		for _, action := range strings.Split(rest[colon+1:], ",") {
			if action == "pull" && owns(s.public, path) || token.may(action, path) {
				actions = append(actions, action)
			}
		}
		if len(actions) > 0 {
			granted = append(granted, access{kind, path, actions})
		}
	}
	return granted
}

func (t *deployToken) may(action, path string) bool {
	scope := map[string]string{"pull": "read_registry", "push": "write_registry"}[action]
	return t != nil && owns(t.Projects, path) && t.has(scope)
}

func (t *deployToken) mayUseRegistry() bool {
	return t.has("read_registry") || t.has("write_registry")
}

func (t *deployToken) has(scope string) bool {
	for _, own := range t.Scopes {
		if own == scope {
			return true
		}
	}
	return false
}

func owns(projects []string, path string) bool {
	for _, project := range projects {
		if path == project || strings.HasPrefix(path, project+"/") {
			return true
		}
	}
	return false
}

// deployTokens reads them all. Its errors name the file and leave out what a parser says: that quotes the file.
func (s *service) deployTokens() ([]deployToken, error) {
	if _, err := os.Stat(s.tokens); err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(s.tokens, "*.json"))
	if err != nil {
		return nil, err
	}
	var tokens []deployToken
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue // revoked since
		}
		if err != nil {
			return nil, err
		}
		var token deployToken
		if json.Unmarshal(text, &token) != nil {
			return nil, fmt.Errorf("%s: not a deploy token in JSON", file)
		}
		tokens = append(tokens, token)
	}
	return tokens, nil
}

func find(tokens []deployToken, username, password string) *deployToken {
	for i, t := range tokens {
		if t.Username == username && t.Password != "" && subtle.ConstantTimeCompare([]byte(t.Password), []byte(password)) == 1 {
			return &tokens[i]
		}
	}
	return nil
}

// sign makes the JSON web token (RFC 7515, ES256) with its certificate in the header, where the registry looks for it.
func (s *service) sign(subject, audience string, granted []access) string {
	now, id := time.Now(), make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		log.Fatal(err)
	}
	input := encode(map[string]any{"typ": "JWT", "alg": "ES256", "x5c": [][]byte{s.cert}}) + "." + encode(map[string]any{
		"iss": s.issuer, "sub": subject, "aud": audience, "jti": hex.EncodeToString(id), "access": granted,
		"iat": now.Unix(), "nbf": now.Add(-5 * time.Second).Unix(), "exp": now.Add(5 * time.Minute).Unix(),
	})
	digest := sha256.Sum256([]byte(input))
	r, v, err := ecdsa.Sign(rand.Reader, s.key, digest[:])
	if err != nil {
		log.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	v.FillBytes(signature[32:])
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func encode(part map[string]any) string {
	text, err := json.Marshal(part)
	if err != nil {
		log.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// signingKey reads the key and its certificate, or makes both where one is missing.
func signingKey(keyFile, certFile string) (*ecdsa.PrivateKey, []byte, error) {
	keyText, keyErr := os.ReadFile(keyFile)
	certText, certErr := os.ReadFile(certFile)
	if errors.Is(keyErr, os.ErrNotExist) || errors.Is(certErr, os.ErrNotExist) {
		return makeSigningKey(keyFile, certFile)
	}
	if keyErr != nil {
		return nil, nil, keyErr
	}
	if certErr != nil {
		return nil, nil, certErr
	}
	keyBlock, _ := pem.Decode(keyText)
	certBlock, _ := pem.Decode(certText)
	if keyBlock == nil || certBlock == nil {
		return nil, nil, fmt.Errorf("%s or %s is not PEM", keyFile, certFile)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok || key.Curve != elliptic.P256() {
		return nil, nil, fmt.Errorf("%s: not a P-256 key in PKCS #8", keyFile)
	}
	return key, certBlock.Bytes, nil
}

func makeSigningKey(keyFile, certFile string) (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: "token-service"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(1, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	keyText := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	if err := os.WriteFile(keyFile, keyText, 0o600); err != nil {
		return nil, nil, err
	}
	certText := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	return key, cert, os.WriteFile(certFile, certText, 0o644)
}
