"""Renamed and wrongly spelled ids, and every error the Hub gives (lines 8 and 9)."""

import polars as pl
import pytest

TOKEN = "hf_valid"


@pytest.fixture(scope="module")
def renamed(day):
    """Old and new id of a model whose new id is its present one."""
    redirects = day.redirects.filter(kind="model")
    direct = redirects.join(day.models, left_on="new_id", right_on="id", how="semi")
    return direct.select("old_id", "new_id").row(0)


@pytest.mark.parametrize("rest", ["", "/likers", "/revision/main"])
def test_a_renamed_model_answers_307_with_a_relative_location_and_the_query(ask, renamed, rest):
    old, new = renamed
    answer = ask(f"/api/models/{old}{rest}", limit=3)
    prefix = "/" + ask.base.rsplit("/", 1)[1]
    assert answer.status_code == 307
    assert answer.headers["Location"] == f"{prefix}/api/models/{new}{rest}?limit=3"
    assert "RateLimit" in answer.headers
    assert ask(f"/api/models/{old}{rest}", follow=True).status_code == 200


def test_a_redirect_keeps_a_path_without_date_prefix(server, ask, renamed):
    old, new = renamed
    assert ask(f"{server.url}/api/models/{old}").headers["Location"] == f"/api/models/{new}"


def test_a_short_id_leads_to_the_namespaced_one(ask, day):
    short = day.redirects.filter(~pl.col("old_id").str.contains("/"), pl.col("kind") == "model")
    assert short.height > 0
    for old, new in short.select("old_id", "new_id").iter_rows():
        answer = ask(f"/api/models/{old}")
        assert answer.status_code == 307
        assert answer.headers["Location"].endswith(f"/api/models/{new}")


@pytest.mark.parametrize("rest", ["", "/likers"])
def test_a_wrong_case_leads_to_the_canonical_spelling(ask, open_model, rest):
    wrong = open_model["id"].swapcase()
    answer = ask(f"/api/models/{wrong}{rest}")
    assert answer.status_code == 307
    assert answer.headers["Location"].endswith(f"/api/models/{open_model['id']}{rest}")


def test_a_renamed_models_readme_moves_with_it(ask, renamed):
    old, new = renamed
    answer = ask(f"/{old}/resolve/main/README.md")
    assert answer.status_code == 307
    assert answer.headers["Location"].endswith(f"/{new}/resolve/main/README.md")


def test_a_users_name_in_another_case_is_redirected_and_an_organizations_is_not(ask, day):
    user = day.accounts.filter(pl.col("kind") == "user", pl.col("name").str.contains("[a-z]"))
    name = user["name"][0]
    answer = ask(f"/api/users/{name.swapcase()}/overview")
    assert answer.status_code == 307
    assert answer.headers["Location"].endswith(f"/api/users/{name}/overview")
    org = day.accounts.filter(kind="org")["name"][0]
    answer = ask(f"/api/organizations/{org.swapcase()}/overview")
    assert (answer.status_code, answer.json()["name"]) == (200, org)


def test_a_user_is_found_by_its_object_id(ask, day):
    user = day.accounts.filter(kind="user").row(0, named=True)
    assert ask(f"/api/users/{user['_id']}/overview").json()["user"] == user["name"]


def test_the_overview_of_the_other_kind_of_account_is_a_404(ask, day):
    user = day.accounts.filter(kind="user")["name"][0]
    org = day.accounts.filter(kind="org")["name"][0]
    answer = ask(f"/api/users/{org}/overview")
    assert (answer.status_code, answer.json()) == (404, {"error": "This user does not exist"})
    answer = ask(f"/api/organizations/{user}/overview")
    assert answer.status_code == 404
    assert answer.json()["error"].startswith("Sorry, we can't find the page")


@pytest.mark.parametrize(
    "path", ["/api/models/no/such", "/api/spaces/no/such/likers", "/no/such/resolve/main/a"]
)
def test_a_missing_repository_is_401_without_a_token_and_404_with_one(ask, path):
    answer = ask(path)
    assert (answer.status_code, answer.json()) == (401, {"error": "Invalid username or password."})
    assert "X-Error-Code" not in answer.headers
    answer = ask(path, token=TOKEN)
    assert answer.status_code == 404
    assert answer.headers["X-Error-Code"] == "RepoNotFound"
    assert answer.headers["X-Error-Message"] == answer.json()["error"] == "Repository not found"


@pytest.mark.parametrize("path", ["/api/models", "/api/whoami-v2", "/api/tasks", "/no/such/thing"])
def test_a_wrong_token_is_a_401_on_every_path(ask, path):
    answer = ask(path, token="hf_wrong")
    assert answer.status_code == 401
    assert answer.json()["error"] == "Invalid credentials in Authorization header"


def test_a_gated_repository_shows_its_metadata_but_not_its_files(ask, gated_model):
    repo_id = gated_model["id"]
    assert ask(f"/api/models/{repo_id}").json()["gated"] == gated_model["gated"]
    for path in (
        f"/{repo_id}/resolve/main/README.md",
        f"/api/resolve-cache/models/{repo_id}/{gated_model['sha']}/README.md",
    ):
        for token, status in ((None, 401), (TOKEN, 403)):
            answer = ask(path, token=token)
            assert answer.status_code == status
            assert answer.headers["X-Error-Code"] == "GatedRepo"


def test_a_disabled_repository_says_so_and_refuses_its_files(ask, day):
    repo_id = day.models.filter(disabled=True)["id"][0]
    assert ask(f"/api/models/{repo_id}").json()["disabled"] is True
    answer = ask(f"/{repo_id}/resolve/main/README.md")
    assert answer.status_code == 403
    assert answer.headers["X-Error-Message"] == "Access to this resource is disabled."


def test_an_unknown_revision_and_a_missing_file_have_codes_of_their_own(ask, open_model):
    repo_id = open_model["id"]
    for path in (f"/api/models/{repo_id}/revision/nope", f"/{repo_id}/resolve/nope/README.md"):
        answer = ask(path)
        assert (answer.status_code, answer.headers["X-Error-Code"]) == (404, "RevisionNotFound")
    answer = ask(f"/{repo_id}/resolve/main/nope.txt")
    assert (answer.status_code, answer.headers["X-Error-Code"]) == (404, "EntryNotFound")
    assert answer.headers["X-Repo-Commit"] == open_model["sha"]


@pytest.mark.parametrize(
    "path", ["/api/papers/0000.00000", "/api/nothing", "/nothing", "/2026-13-01/api/models"]
)
def test_what_does_not_exist_is_a_404_with_an_error_body(ask, path):
    answer = ask(path)
    assert answer.status_code == 404
    assert answer.json()["error"]


def test_every_answer_has_a_request_id_with_the_clients_trace(ask):
    for path in ("/api/models", "/api/models/no/such", "/nothing"):
        answer = ask(path, headers={"X-Amzn-Trace-Id": "trace-1"})
        assert answer.headers["X-Request-Id"].endswith(";trace-1")
