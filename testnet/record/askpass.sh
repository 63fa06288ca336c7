#!/bin/sh
# Gives ssh the next password of the file $PASSWORDS, one line a call.
head -n 1 "$PASSWORDS"
sed -i 1d "$PASSWORDS"
