#!/bin/sh
# Greets whom its argument names.
echo "hello, $1"
