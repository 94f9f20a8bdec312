// Command gitlab-client does with GitLab's own Go client what client.py does with python-gitlab, and prints the same JSON.
//
// tests/it/gitlab/clients.rs starts it with the URL of its server, and sets up what the names below stand for.
package main

import (
	"encoding/json"
	"errors"
	"log"
	"os"
	"time"

	gitlab "gitlab.com/gitlab-org/api/client-go"
)

// answer is an error's status and body; the client keeps no body of a 404.
type answer struct {
	Status int             `json:"status"`
	Body   json.RawMessage `json:"body"`
}

func refused(response *gitlab.Response, err error) *answer {
	if err == nil {
		return nil
	}
	var refusal *gitlab.ErrorResponse
	if errors.As(err, &refusal) {
		return &answer{response.StatusCode, refusal.Body}
	}
	if errors.Is(err, gitlab.ErrNotFound) {
		return &answer{response.StatusCode, nil}
	}
	log.Fatal(err)
	return nil
}

func must[T any](value T, _ *gitlab.Response, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func done(_ *gitlab.Response, err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func client(credential string) *gitlab.Client {
	client, err := gitlab.NewClient(credential, gitlab.WithBaseURL(os.Args[1]))
	return must(client, nil, err)
}

type list func(gitlab.ListOptions) ([]*gitlab.DeployToken, *gitlab.Response, error)

// all follows the pages.
func all(page list) []*gitlab.DeployToken {
	var tokens []*gitlab.DeployToken
	for options := (gitlab.ListOptions{}); ; {
		more, response, err := page(options)
		tokens = append(tokens, must(more, response, err)...)
		if response.NextPage == 0 {
			return tokens
		}
		options.Page = response.NextPage
	}
}

func ofProject(client *gitlab.Client, id any) list {
	return func(options gitlab.ListOptions) ([]*gitlab.DeployToken, *gitlab.Response, error) {
		return client.DeployTokens.ListProjectDeployTokens(id, &gitlab.ListProjectDeployTokensOptions{ListOptions: options})
	}
}

func ofGroup(client *gitlab.Client, id any) list {
	return func(options gitlab.ListOptions) ([]*gitlab.DeployToken, *gitlab.Response, error) {
		return client.DeployTokens.ListGroupDeployTokens(id, &gitlab.ListGroupDeployTokensOptions{ListOptions: options})
	}
}

func wanted(name string, scopes ...string) *gitlab.CreateProjectDeployTokenOptions {
	scopes = append([]string{}, scopes...) // encoded as [], never as null
	return &gitlab.CreateProjectDeployTokenOptions{Name: &name, Scopes: &scopes}
}

func main() {
	log.SetFlags(0)
	got := map[string]any{}
	maintainer := client("glpat-maintainer")
	bearer, err := gitlab.NewOAuthClient("glpat-maintainer", gitlab.WithBaseURL(os.Args[1]))
	got["user"] = must(must(bearer, nil, err).Users.CurrentUser()).ID
	got["project"] = must(maintainer.Projects.GetProject("group/hello", nil)).ID

	tokens, project := maintainer.DeployTokens, "group/hello"
	plain := must(tokens.CreateProjectDeployToken(project, wanted("plain", "read_registry")))
	options := wanted("ends", "read_registry", "read_repository")
	username, end := "robot", time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	options.Username, options.ExpiresAt = &username, &end
	got["plain"] = plain
	got["ends"] = must(tokens.CreateProjectDeployToken(project, options))
	_, response, err := tokens.CreateProjectDeployToken(project, wanted("wrong", "read_everything"))
	got["wrong_scope"] = refused(response, err)
	_, response, err = tokens.CreateProjectDeployToken(project, wanted("none"))
	got["no_scope"] = refused(response, err)
	got["list"] = all(ofProject(maintainer, project))
	got["get"] = must(tokens.GetProjectDeployToken(project, plain.ID))
	done(tokens.DeleteProjectDeployToken(project, plain.ID))
	got["second_delete"] = refused(tokens.DeleteProjectDeployToken(project, plain.ID))
	_, response, err = tokens.GetProjectDeployToken(project, plain.ID)
	got["get_deleted"] = refused(response, err)

	name, scopes := "plain", []string{"read_registry"}
	ofTheGroup := &gitlab.CreateGroupDeployTokenOptions{Name: &name, Scopes: &scopes}
	owner := client("glpat-owner")
	groupToken := must(owner.DeployTokens.CreateGroupDeployToken("group", ofTheGroup))
	got["group_token"] = groupToken
	got["group_list"] = all(ofGroup(owner, "group"))
	done(owner.DeployTokens.DeleteGroupDeployToken("group", groupToken.ID))
	got["group_second_delete"] = refused(owner.DeployTokens.DeleteGroupDeployToken("group", groupToken.ID))
	groupMaintainer := client("glpat-group")
	got["group_maintainer_lists"] = len(all(ofGroup(groupMaintainer, "group")))
	_, response, err = groupMaintainer.DeployTokens.CreateGroupDeployToken("group", ofTheGroup)
	got["group_maintainer_creates"] = refused(response, err)

	_, response, err = client("glpat-wrong").Projects.GetProject(7, nil)
	got["wrong_credential"] = refused(response, err)
	_, response, err = client("glpat-reader").DeployTokens.CreateProjectDeployToken(7, wanted("plain", "read_registry"))
	got["reader_creates"] = refused(response, err)
	_, response, err = ofProject(maintainer, 8)(gitlab.ListOptions{})
	got["developer_lists"] = refused(response, err)
	_, response, err = maintainer.Projects.GetProject("group/unknown", nil)
	got["unknown_project"] = refused(response, err)
	got["moved"] = must(maintainer.Projects.GetProject("old/hello", nil)).ID
	got["moved_lists"] = len(all(ofProject(maintainer, "old/hello")))
	_, response, err = tokens.CreateProjectDeployToken("old/hello", wanted("plain", "read_registry"))
	got["moved_creates"] = refused(response, err)
	if err := json.NewEncoder(os.Stdout).Encode(got); err != nil {
		log.Fatal(err)
	}
}
