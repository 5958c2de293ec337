#!/usr/bin/env bash
# Runs `simulate check` for the action in this folder, and ends with its exit code.
#
# Inputs come as environment variables only, so that nothing in them is taken for code:
#   INPUT_SCENARIOS  scenario files, separated by spaces or lines; patterns such as scenarios/*.toml are expanded
#   INPUT_BASELINE   the baseline file
#   INPUT_LIMIT      values of --limit, separated by spaces or lines; may be empty
#   INPUT_ARGS       further arguments, separated by spaces or lines; may be empty
#   INPUT_BINARY     path of `simulate`; empty builds it from the repository that this action is part of
#   INPUT_REPORTS    folder for check.md and junit.xml
# Outputs go to $GITHUB_OUTPUT: verdict, exit-code, reports.
set -uo pipefail

fail() {
    echo "::error title=simulate check::$1"
    finish error "$2"
}

finish() { # VERDICT CODE
    if [ -n "${GITHUB_OUTPUT:-}" ]; then
        printf '%s\n' "verdict=$1" "exit-code=$2" "reports=$reports" >>"$GITHUB_OUTPUT"
    fi
    exit "$2"
}

reports=${INPUT_REPORTS:-simulate-check}
mkdir -p "$reports" || exit 1

binary=${INPUT_BINARY:-}
if [ -z "$binary" ]; then
    project=$(cd "$(dirname "$0")/../../.." && pwd) || exit 1
    cargo build --release --locked --manifest-path "$project/Cargo.toml" || fail "simulate could not be built" 1
    binary=${CARGO_TARGET_DIR:-$project/target}/release/simulate
fi

# Without a last separator `read` ends with an error, but has read all the same.
read -r -d '' -a patterns <<<"${INPUT_SCENARIOS:-}" || true
read -r -d '' -a limits <<<"${INPUT_LIMIT:-}" || true
read -r -d '' -a further <<<"${INPUT_ARGS:-}" || true

scenarios=()
for pattern in "${patterns[@]}"; do
    mapfile -t found < <(compgen -G "$pattern" | LC_ALL=C sort)
    # A pattern that fits nothing stays as it is, and simulate says that there is no such file.
    scenarios+=("${found[@]:-$pattern}")
done
[ ${#scenarios[@]} -gt 0 ] || fail "the input scenarios is empty" 2
[ -n "${INPUT_BASELINE:-}" ] || fail "the input baseline is empty" 2

arguments=(check --baseline "$INPUT_BASELINE" --github
    --export-junit "$reports/junit.xml" --export-md "$reports/check.md")
for limit in "${limits[@]}"; do arguments+=(--limit "$limit"); done
arguments+=("${further[@]}" -- "${scenarios[@]}")

"$binary" "${arguments[@]}"
code=$?
case $code in
    0) finish pass 0 ;;
    3) finish invalid-scenario 3 ;;
    4) finish not-comparable 4 ;;
    10) finish fail 10 ;;
    11) finish inconclusive 11 ;;
    130) finish interrupted 130 ;;
    *) finish error "$code" ;;
esac
