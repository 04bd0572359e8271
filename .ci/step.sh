# Sourced by the gate. Needs OUT, the folder for logs and outcomes.

# step TITLE COMMAND...: runs it, keeps its log, shows the end of it when it fails, and notes the outcome.
step() {
  local title=$1 start=$SECONDS log code
  shift
  log=$OUT/$(printf '%s' "$title" | tr -c 'a-zA-Z0-9' '-').log
  printf '\n== %s\n' "$title"
  # What hangs is ended, with all it started, so that the count is always told. A shell of its own, because the
  # command may be one of the functions below; its arguments reach it as they are.
  # shellcheck disable=SC2016
  timeout --kill-after=30 "${LIMIT:-1500}" bash -c '"$@"' step "$@" >"$log" 2>&1
  code=$?
  if [ "$code" -eq 0 ]; then
    tail -n "${TAIL:-6}" "$log"
  else
    tail -n 150 "$log"
  fi
  printf '== %s: exit %s, %s s\n' "$title" "$code" "$((SECONDS - start))"
  printf '%s\t%s\t%s\n' "$code" "$((SECONDS - start))" "$title" >>"$OUT/steps.tsv"
  return "$code"
}
