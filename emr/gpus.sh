#!/usr/bin/env bash
# Prints the GPUs that this process sees, as Spark asks for them: {"name": "gpu", "addresses": ["GPU-1f2e…"]}.
set -euo pipefail

uuids=$(nvidia-smi --query-gpu=uuid --format=csv,noheader | sed 's/.*/"&"/' | paste -sd, -)
echo "{\"name\": \"gpu\", \"addresses\": [$uuids]}"
