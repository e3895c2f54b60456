package suite_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestAFullDiskIsToldAndUndone fills the real thing, once where the releases lie and
// once where the memory of deployments is, up to some bytes that are still free.
func TestAFullDiskIsToldAndUndone(t *testing.T) {
	eachHost(t, func(h *host) {
		for i, dir := range []string{"/srv", "/var/lib/landfast"} {
			h.t.Run(dir[1:4], func(t *testing.T) {
				h := h.in(t)
				h.sh("mkdir -p " + dir + "; mount -t tmpfs -o size=8m,mode=0755 full " + dir)
				defer h.sh("umount -l " + dir)
				a := h.app(fmt.Sprintf("web%d", i), 9000+i).manifest("[releases]\nkeep = 1")
				a.deploy(a.release("1", "")).code0()
				a.release("2", "")
				h.sh("head -c 1000000 /dev/urandom >" + a.dir + "/2/assets")
				before := a.state()
				for _, free := range []int{0, 4 << 10, 8 << 10, 16 << 10, 64 << 10, 256 << 10, 900 << 10} {
					// A full disk may be found to be too full to note that somebody looks.
					h.sh(fmt.Sprintf("cd %s; fallocate -l $(( $(stat -f -c '%%a * %%S' .) - %d )) filler", dir, free))
					r := a.deploy("2")
					live := r.code == 0 || strings.Contains(r.all, "is live, but the deployment is not finished")
					switch {
					case r.code == 0:
						h.t.Logf("%d bytes free in %s suffice", free, dir)
					case live:
						r.exits(1).says("no space left on device", "landfast resume "+a.name)
					default:
						r.exits(1).says("no space left on device", "make room", "landfast prune ").silentOn("panic", "known to be bad")
					}
					h.sh("rm " + dir + "/filler")
					a.landfast("resume", a.name).code0()
					if live {
						a.answers("2")
						a.isWell()
						break
					}
					h.same(fmt.Sprintf("%d bytes free in %s", free, dir), before, a.state())
					a.answers("1")
					a.isWell()
				}
				a.deploy("2").code0()
				a.answers("2")
				a.isWell()
			})
		}
	})
}
