#!/usr/bin/env bash
# Are all built files there? Says so for each, and fails when one is missing.
cd "$(dirname "$0")/.." || exit 1
missing=0
for file in packages/orchestrator/dist/server.js packages/agents/{scaffold,validation,e2e,integration,deployment}-agent/dist/run-agent.js; do
    if [ -f "$file" ]; then
        echo "✅ $file"
    else
        echo "❌ $file"
        missing=1
    fi
done
if [ "$missing" = 1 ]; then
    echo "Missing build artifacts: run the build first" >&2
    exit 1
fi
