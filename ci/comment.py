"""Write a plan as the pull request's one comment: made at first, rewritten ever after.

    GITHUB_TOKEN=… python3 comment.py PLAN.md STACK

The standard library only: the runner's own Python is enough. GitHub's REST API for issue comments,
by the variables that every job has. A token that may not write (a pull request from a fork) is told
as a warning and fails nothing: the plan is in the job's summary too.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

LIMIT = 65_000
"""Characters of a comment; GitHub takes 65,536."""


def main(file: str, stack: str) -> int:
    event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
    number = event["pull_request"]["number"]
    marker = f"<!-- provision plan: {stack} -->"
    body = {"body": comment(Path(file).read_text(encoding="utf-8"), marker)}
    path = f"repos/{os.environ['GITHUB_REPOSITORY']}/issues"
    try:
        known = find(f"{path}/{number}/comments", marker, whose())
        if known is None:
            ask("POST", f"{path}/{number}/comments", body)
        else:
            ask("PATCH", f"{path}/comments/{known}", body)
    except urllib.error.HTTPError as error:
        if error.code not in (401, 403, 404):
            raise
        sys.stdout.write(f"::warning::the plan is in no comment: GitHub answered {error.code}\n")
    return 0


def comment(plan: str, marker: str) -> str:
    """The comment's text; a plan that is too long is cut at a line."""
    if len(plan) > LIMIT:
        plan = (
            plan[:LIMIT].rpartition("\n")[0]
            + "\n\n… cut; the whole plan is in the job's summary.\n"
        )
    return f"{marker}\n{plan}"


def whose() -> str | None:
    """The login that this token writes as; None for an app's, such as the job's own token."""
    try:
        return str(ask("GET", "user")["login"])
    except urllib.error.HTTPError as error:
        if error.code not in (401, 403, 404):
            raise
        return None


def find(path: str, marker: str, login: str | None) -> int | None:
    """The id of our comment, if there is one.

    Whoever may comment can write our marker, and could go on editing what we would put there; so
    it counts only under our own name, or an app's: people write as no app.
    """
    page = 1
    while True:
        found: list[dict[str, Any]] = ask("GET", f"{path}?per_page=100&page={page}")
        for one in found:
            author = one.get("user") or {}
            ours = author.get("login") == login if login else author.get("type") == "Bot"
            if ours and str(one.get("body", "")).startswith(marker):
                return int(one["id"])
        if len(found) < 100:
            return None
        page += 1


def ask(method: str, path: str, body: object = None) -> Any:
    request = urllib.request.Request(  # noqa: S310 - GitHub's own address
        f"{os.environ['GITHUB_API_URL']}/{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}",
            **({} if body is None else {"Content-Type": "application/json"}),
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        },
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
