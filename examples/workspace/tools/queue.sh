#!/usr/bin/env bash
# Stands in for a message queue: says that it is up and stays until it is told to end.
echo "queue is up, settings: ${1:-none}"
exec sleep 1000000
