"""Does with python-gitlab what main.go does with GitLab's own client, and prints the same JSON.

tests/it/gitlab/clients.rs starts it with the URL of its server, and sets up what the names below stand for.
"""

import json
import sys

import gitlab

URL = sys.argv[1]


def refused(call, *args, **kwargs):
    """Status and body of an error; the Go client keeps no body of a 404."""
    try:
        call(*args, **kwargs)
    except gitlab.exceptions.GitlabError as error:
        status = error.response_code
        return {"status": status, "body": None if status == 404 else json.loads(error.response_body)}
    return None


def client(credential):
    return gitlab.Gitlab(URL, private_token=credential)


maintainer = client("glpat-maintainer")
bearer = gitlab.Gitlab(URL, oauth_token="glpat-maintainer")
bearer.auth()
project = maintainer.projects.get("group/hello")
tokens = project.deploytokens
wanted = {"name": "plain", "scopes": ["read_registry"]}
plain = tokens.create(wanted)
ends = tokens.create(
    {
        "name": "ends",
        "scopes": ["read_registry", "read_repository"],
        "username": "robot",
        "expires_at": "2027-03-01T12:00:00Z",
    }
)
got = {
    "user": bearer.user.id,
    "project": project.id,
    "plain": plain.asdict(),
    "ends": ends.asdict(),
    "wrong_scope": refused(tokens.create, {"name": "wrong", "scopes": ["read_everything"]}),
    "no_scope": refused(tokens.create, {"name": "none", "scopes": []}),
    "list": [token.asdict() for token in tokens.list(iterator=True)],
    "get": tokens.get(plain.id).asdict(),
}
tokens.delete(plain.id)
got["second_delete"] = refused(tokens.delete, plain.id)
got["get_deleted"] = refused(tokens.get, plain.id)

owner = client("glpat-owner").groups.get("group").deploytokens
group_token = owner.create(wanted)
got["group_token"] = group_token.asdict()
got["group_list"] = [token.asdict() for token in owner.list(iterator=True)]
owner.delete(group_token.id)
got["group_second_delete"] = refused(owner.delete, group_token.id)
group_tokens = client("glpat-group").groups.get("group").deploytokens
got["group_maintainer_lists"] = len(group_tokens.list(get_all=True))
got["group_maintainer_creates"] = refused(group_tokens.create, wanted)

got["wrong_credential"] = refused(client("glpat-wrong").projects.get, 7)
got["reader_creates"] = refused(client("glpat-reader").projects.get(7).deploytokens.create, wanted)
got["developer_lists"] = refused(maintainer.projects.get(8).deploytokens.list, get_all=True)
got["unknown_project"] = refused(maintainer.projects.get, "group/unknown")
got["moved"] = maintainer.projects.get("old/hello").id
moved = maintainer.projects.get("old/hello", lazy=True).deploytokens
got["moved_lists"] = len(moved.list(get_all=True))
got["moved_creates"] = refused(moved.create, wanted)
json.dump(got, sys.stdout)
