#!/bin/sh
# Lints the chart, and writes what Helm makes of it for each file in examples/ to rendered/.
# The tests hold that against Kubernetes' schemas, and know by its first line whether it is of this chart.
set -eu
cd "$(dirname "$0")"

helm lint heliograph
for values in examples/*.yaml; do
    name=$(basename "$values")
    # Of everything that decides over what comes out.
    digest=$(find heliograph "$values" -type f ! -name README.md ! -name values.schema.json |
        LC_ALL=C sort | xargs sha256sum | sha256sum)
    {
        echo "# Made by deploy/helm/render.sh of ${digest%% *}"
        helm template heliograph heliograph --namespace push --values "$values"
    } > "rendered/$name.part"
    mv "rendered/$name.part" "rendered/$name"
    echo "rendered $name"
done
