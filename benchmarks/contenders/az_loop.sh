#!/bin/sh
# The Azure CLI in a loop, as a pipeline without this project would do it.
# az_loop.sh apply|find URL CA AZ WORKSPACES MODELS EACH   (model ids on stdin, one a line)
set -eu
job=$1 url=$2 ca=$3 az=$4 workspaces=$5 models=$6 each=$7
version="api-version=2024-10-01"
sub=11111111-1111-1111-1111-111111111111
export REQUESTS_CA_BUNDLE="$ca" AZURE_CONFIG_DIR="$PWD/az-config" AZURE_CORE_COLLECT_TELEMETRY=0

if [ ! -d "$AZURE_CONFIG_DIR" ]; then
  "$az" config set core.instance_discovery=false --only-show-errors >/dev/null
  "$az" cloud register -n Bench --endpoint-resource-manager "$url" --only-show-errors >/dev/null
  "$az" cloud set -n Bench --only-show-errors >/dev/null
  "$az" login --service-principal -u bbbbbbbb-0000-4000-8000-000000000001 \
    -p emulator-only-secret --tenant aaaaaaaa-0000-4000-8000-000000000001 >/dev/null
fi
ids=$(cat)
start=$(date +%s.%N)
base="$url/subscriptions/$sub/resourceGroups/rg-bench/providers/Microsoft.MachineLearningServices"

call() { "$az" rest --resource "$url" --only-show-errors "$@"; }
wait_for() {
  while [ "$(call -m get --url "$1" --query properties.provisioningState -o tsv)" != Succeeded ]; do
    sleep 1
  done
}

mkdir -p az-out
w=0
while [ "$w" -lt "$workspaces" ]; do
  name=$(printf 'mlw-%03d' "$w")
  ws="$base/workspaces/$name"
  if [ "$job" = find ]; then
    for kind in marketplaceSubscriptions serverlessEndpoints onlineEndpoints; do
      call -m get --url "$ws/$kind?$version" >/dev/null
    done
    w=$((w + 1))
    continue
  fi
  m=0
  while [ "$m" -lt "$models" ]; do
    model=$(printf '%s\n' "$ids" | sed -n "$((m + 1))p")
    place="$ws/marketplaceSubscriptions/model-$m?$version"
    call -m put --url "$place" --body "{\"properties\":{\"modelId\":\"$model\"}}" >/dev/null
    wait_for "$place"
    e=0
    while [ "$e" -lt "$each" ]; do
      ep=$(printf 'ep-%03d-%s-%03d' "$w" "$m" "$e")
      place="$ws/serverlessEndpoints/$ep"
      body="{\"location\":\"eastus2\",\"sku\":{\"name\":\"Consumption\"},\"properties\":"
      body="$body{\"authMode\":\"Key\",\"modelSettings\":{\"modelId\":\"$model\"}}}"
      call -m put --url "$place?$version" --body "$body" >/dev/null
      wait_for "$place?$version"
      call -m post --url "$place/listKeys?$version" > "az-out/$ep.json"
      e=$((e + 1))
    done
    m=$((m + 1))
  done
  w=$((w + 1))
done
printf '{"seconds": %s}\n' "$(awk "BEGIN{print $(date +%s.%N) - $start}")"
