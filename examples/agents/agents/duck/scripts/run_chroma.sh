#!/usr/bin/env bash
# Stands in for a vector database.
echo "database is up in $(pwd)"
exec sleep 1000000
