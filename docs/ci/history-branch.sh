#!/usr/bin/env bash
# Keeps the nights of a CI without a database on a git branch of their own, one JSON file a night:
#
#   history-branch.sh fetch    before the night: take in what the branch has
#   history-branch.sh push     after it, whatever it ended with: add what the branch lacks, and draw the page
#
# Runs in the checkout in which `harness nightly` runs. Each file is written by one night and has a name of its
# own, so the nights of several runners never conflict: who comes second begins again from what the first one
# pushed. Nothing is ever forced, or removed.
set -euo pipefail

branch=${HARNESS_HISTORY_BRANCH:-harness-history}
remote=${HARNESS_HISTORY_REMOTE:-origin}
attempts=${HARNESS_HISTORY_ATTEMPTS:-20}
export GIT_AUTHOR_NAME=${GIT_AUTHOR_NAME:-harness} GIT_AUTHOR_EMAIL=${GIT_AUTHOR_EMAIL:-harness@localhost}
export GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL

tree=$(mktemp -d)
trap 'rm -rf "$tree"; git worktree prune' EXIT

# The branch as the remote has it, in a work tree; an empty one where there is none yet.
check_out() {
  local found=0 tip
  git ls-remote --quiet --exit-code --heads "$remote" "$branch" >/dev/null || found=$?
  if [ "$found" -eq 0 ]; then
    git fetch --quiet --depth=1 "$remote" "refs/heads/$branch" || return
    tip=$(git rev-parse FETCH_HEAD)
  elif [ "$found" -eq 2 ]; then
    tip=$(git commit-tree -m "The history of the nights" "$(git mktree </dev/null)")
  else
    return 1
  fi
  if [ -e "$tree/.git" ]; then
    git -C "$tree" reset --quiet --hard "$tip"
  else
    git worktree add --quiet --detach "$tree" "$tip"
  fi
  mkdir -p "$tree/nights"
}

# A command of the history. Where it ends with 3 it has named a damaged document, and done all the rest.
ask() {
  local code=0
  harness history "$@" || code=$?
  [ "$code" -eq 0 ] || [ "$code" -eq 3 ]
}

# Another moment for everybody who waits.
pause() { sleep "$((RANDOM % 3)).$((RANDOM % 10))"; }

fetch() {
  for _ in $(seq "$attempts"); do
    if check_out; then
      ask import "$tree/nights"
      return
    fi
    pause
  done
  echo "history-branch: the remote could not be reached in $attempts attempts" >&2
  # a runner that keeps its folder goes on with the nights it knows; another one would count from 1 again
  harness history --max-age 36500d
}

push() {
  for _ in $(seq "$attempts"); do
    if check_out; then
      ask import "$tree/nights"
      ask export "$tree/nights"
      ask page --output "$tree/index.html" || echo "history-branch: no page yet" >&2
      touch "$tree/.nojekyll"
      git -C "$tree" add --all
      git -C "$tree" diff --cached --quiet && return
      git -C "$tree" commit --quiet -m "Nights up to $(ls "$tree/nights" | grep '^night-' | tail -n 1)"
      # from here, where a remote may be a relative path
      git push --quiet "$remote" "$(git -C "$tree" rev-parse HEAD):refs/heads/$branch" && return
    fi
    pause
  done
  echo "history-branch: not pushed in $attempts attempts" >&2
  return 1
}

case ${1:-} in
  fetch | push) "$1" ;;
  *) echo "usage: history-branch.sh fetch|push" >&2 && exit 2 ;;
esac
