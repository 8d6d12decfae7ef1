#!/bin/sh
# Stands in for pip: serves wheels from the folder that this script is linked into, and writes down what it was asked.
store=$(dirname "$0")
case "$*" in
*--version*) echo "pip 0"; exit 0 ;;
esac
while [ $# -gt 1 ]; do
    case "$1" in
    --dest) into=$2; shift ;;
    esac
    shift
done
name=${1%%==*}
echo "$name" >> "$store/asked.log"
if [ -e "$store/$name.fails" ]; then
    cat "$store/$name.fails" >&2
    exit 1
fi
cp "$store/$name.whl" "$into/"
