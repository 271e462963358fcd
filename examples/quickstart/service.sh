#!/bin/sh
# A service as plain as possible: says something every few seconds.
echo "$GREETING from $ROLE, instance $NODE_APP_INSTANCE"
while :; do
    sleep "${2:-5}"
    echo "$ROLE is well"
done
