#!/bin/bash
# yara.sh COMMAND... runs a go command so that what it builds contains libyara. Where that cannot be linked it runs
# the command without, and says so: rules are then an error, and all the rest is as it was.
set -euo pipefail

libraries="-lyara -lm -lmagic -llzma -lbz2 -lz -ljansson -lcrypto -ldl -pthread"
program='
#include <yara.h>
#if YR_VERSION_HEX < 0x040200 || YR_VERSION_HEX >= 0x040300
#error another version than 4.2, which go-yara 4.2 is for
#endif
int main(void) { return yr_initialize(); }'

if why=$({ command -v cc >/dev/null || { echo "no C compiler"; false; } } &&
	cc -w -static -x c -o /dev/null - -x none $libraries <<<"$program" 2>&1); then
	export CGO_ENABLED=1 CGO_LDFLAGS="${CGO_LDFLAGS-} $libraries"
	export GOFLAGS="${GOFLAGS-$(go env GOFLAGS)} -tags=yara,yara_no_pkg_config,netgo,osusergo"
else
	export CGO_ENABLED=0
	echo "yara: without libyara: $(grep -m1 -E 'error|cannot find|no C' <<<"$why" || tail -n 1 <<<"$why")" >&2
fi
exec "$@"
