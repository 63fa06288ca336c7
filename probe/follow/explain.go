package follow

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// Explain adds to an error of opening or reading the file at path what an
// administrator can do about it, where that is known. A nil error stays nil.
func Explain(path string, err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	who := "the user"
	if u, userErr := user.Current(); userErr == nil {
		who = "the user " + u.Username
	}
	if info, statErr := os.Stat(path); statErr == nil && info.Mode()&0o040 != 0 {
		gid := strconv.Itoa(int(info.Sys().(*syscall.Stat_t).Gid))
		if g, lookupErr := user.LookupGroupId(gid); lookupErr == nil {
			return fmt.Errorf("%w: add %s to the group %s", err, who, g.Name)
		}
	}
	return fmt.Errorf("%w: give %s the right to read it (on Debian: the group adm)", err, who)
}
